"""Rewrites a traced function into one that converts to ONNX and runs in onnxruntime.

The function is traced to a jaxpr, calls are inlined, random draws become inputs, what no output needs is dropped, and
the few operations that jax2onnx 0.17.1 or onnxruntime's CPU and WASM kernels get wrong are replaced by equal ones. Each
replacement says what fails without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from tabrl_simulation.controllers.draws import DRAW_CALLS, Draws

__all__ = ["Program", "UnsupportedStepError", "narrowed", "rewrite", "trace", "with_draws"]

_CALLS: Final = frozenset({"jit", "pjit", "closed_call", "core_call", "remat", "checkpoint"})
_DERIVATIVE_CALLS: Final = frozenset({"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"})
_GENERATOR: Final = ("random_", "threefry", "rng_")


class UnsupportedStepError(Exception):
    """The environment's step holds an operation that has no ONNX form here."""


@dataclass(frozen=True)
class Program:
    """A flat list of equations from `inputs` to `outputs`; only what the outputs need is ever evaluated.

    Attributes:
        jaxpr: the traced equations with their constants.
        used: for each input, whether an output depends on it.
        needed: for each equation, whether an output depends on it.
    """

    jaxpr: Any
    used: tuple[bool, ...]
    needed: tuple[bool, ...]

    @property
    def outputs(self) -> Sequence[Any]:
        """The jaxpr's output variables and literals, in order."""
        outvars: Sequence[Any] = self.jaxpr.jaxpr.outvars
        return outvars

    @property
    def inputs(self) -> Sequence[Any]:
        """The jaxpr's input variables, in order."""
        invars: Sequence[Any] = self.jaxpr.jaxpr.invars
        return invars

    def primitives(self) -> set[str]:
        """Returns the names of the primitives that are needed, those inside loops and branches included."""
        wanted = (eqn for eqn, needed in zip(self.jaxpr.jaxpr.eqns, self.needed, strict=True) if needed)
        return {name for eqn in wanted for name in _primitive_names(eqn)}


def trace(
    function: Callable[..., Sequence[Any]], avals: Sequence[Any], wanted: Sequence[bool] | None = None
) -> Program:
    """Traces `function`, which takes and returns flat arrays, and finds what the wanted outputs need.

    Args:
        function: maps arrays like `avals` to a sequence of arrays. Calls in it should be inlined (see `rewrite`).
        avals: shape and type of each input.
        wanted: which outputs count; None for all.
    """
    return _with_liveness(jax.make_jaxpr(function)(*avals), wanted)


def with_draws(
    function: Callable[..., Sequence[Any]], avals: Sequence[Any]
) -> tuple[Callable[[Any, Any, Sequence[Any]], list[Any]], int, int]:
    """Makes the random draws of `function` inputs.

    Returns:
        A function `(uniform, normal, args) -> outputs`, and the lengths of the two vectors it takes. A vector may be
        None for none of the noise.
    """
    closed = jax.make_jaxpr(function)(*avals)

    def drawn(uniform: Any, normal: Any, args: Sequence[Any]) -> list[Any]:
        return _evaluate(closed.jaxpr, closed.consts, args, _DrawRule(Draws(uniform, normal)))

    counted = Draws()
    jax.eval_shape(lambda *args: _evaluate(closed.jaxpr, closed.consts, args, _DrawRule(counted)), *avals)
    return drawn, counted.uniform_count, counted.normal_count


def narrowed(program: Program, wanted: Sequence[bool]) -> Program:
    """Returns the program with only the wanted outputs counting."""
    return _with_liveness(program.jaxpr, wanted)


def rewrite(program: Program, wanted: Sequence[bool]) -> Callable[..., tuple[Any, ...]]:
    """Returns `program` as a function of its used inputs to its wanted outputs, with every operation convertible.

    Raises:
        UnsupportedStepError: a random generator is still needed (an unknown kind of draw).
    """
    live = narrowed(program, wanted)
    odd = sorted(name for name in live.primitives() if name.startswith(_GENERATOR))
    if odd:
        raise UnsupportedStepError(f"The step draws random numbers in a way that cannot be exported: {', '.join(odd)}.")

    def function(*args: Any) -> tuple[Any, ...]:
        given = iter(args)
        everything = [
            next(given) if used else np.zeros(var.aval.shape, var.aval.dtype)
            for used, var in zip(live.used, live.inputs, strict=True)
        ]
        outputs = _evaluate(live.jaxpr.jaxpr, live.jaxpr.consts, everything, _convertible, live.needed)
        return tuple(out for out, want in zip(outputs, wanted, strict=True) if want)

    return function


# --- liveness ---------------------------------------------------------------------------------------------------------


def _with_liveness(closed: Any, wanted: Sequence[bool] | None) -> Program:
    jaxpr = closed.jaxpr
    chosen = [True] * len(jaxpr.outvars) if wanted is None else list(wanted)
    alive = {var for var, want in zip(jaxpr.outvars, chosen, strict=True) if want and not isinstance(var, core.Literal)}
    needed = []
    for eqn in reversed(jaxpr.eqns):
        is_needed = any(var in alive for var in eqn.outvars)
        needed.append(is_needed)
        if is_needed:
            alive.update(var for var in eqn.invars if not isinstance(var, core.Literal))
    return Program(closed, tuple(var in alive for var in jaxpr.invars), tuple(reversed(needed)))


def _primitive_names(eqn: Any) -> Iterator[str]:
    yield eqn.primitive.name
    for param in eqn.params.values():
        for leaf in param if isinstance(param, (tuple, list)) else (param,):
            inner = getattr(leaf, "jaxpr", leaf)
            for sub in getattr(inner, "eqns", ()):
                yield from _primitive_names(sub)


# --- evaluation -------------------------------------------------------------------------------------------------------

Rule = Callable[[Any, list[Any]], list[Any] | None]


def _evaluate(
    jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], rule: Rule, needed: Sequence[bool] | None = None
) -> list[Any]:
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))

    def read(var: Any) -> Any:
        return var.val if isinstance(var, core.Literal) else values.get(var)

    for index, eqn in enumerate(jaxpr.eqns):
        if needed is not None and not needed[index]:
            continue
        operands = [read(var) for var in eqn.invars]
        results = rule(eqn, operands)
        if results is None:
            results = _bind(eqn, operands, rule)
        values.update(zip(eqn.outvars, results, strict=True))
    return [read(var) for var in jaxpr.outvars]


def _bind(eqn: Any, operands: list[Any], rule: Rule) -> list[Any]:
    name = eqn.primitive.name
    inner = None
    if name in _CALLS:
        inner = eqn.params["jaxpr"]
    elif name in _DERIVATIVE_CALLS:
        inner = eqn.params.get("call_jaxpr") or eqn.params["fun_jaxpr"]
    if inner is not None:
        body = getattr(inner, "jaxpr", inner)
        return _evaluate(body, getattr(inner, "consts", ()), operands, rule)
    result = eqn.primitive.bind(*operands, **eqn.primitive.get_bind_params(eqn.params))
    return list(result) if eqn.primitive.multiple_results else [result]


@dataclass(frozen=True)
class _DrawRule:
    draws: Draws

    def __call__(self, eqn: Any, operands: list[Any]) -> list[Any] | None:
        if eqn.primitive.name not in _CALLS or eqn.params.get("name") not in DRAW_CALLS:
            return None
        aval = eqn.outvars[0].aval
        return [self.draws.replace(eqn.params["name"], operands, aval.shape, aval.dtype)]


def _convertible(eqn: Any, operands: list[Any]) -> list[Any] | None:
    # Values without elements: the exporter writes Reshape and Slice nodes for them that no runtime accepts.
    if eqn.outvars and all(getattr(var.aval, "size", 1) == 0 for var in eqn.outvars):
        return [np.zeros(var.aval.shape, var.aval.dtype) for var in eqn.outvars]
    rule = _RULES.get(eqn.primitive.name)
    return None if rule is None else rule(eqn, operands)


def _concatenate(_eqn: Any, operands: list[Any]) -> list[Any] | None:
    # Operands without elements, as above.
    filled = [operand for operand in operands if np.size(operand) > 0]
    if len(filled) == len(operands):
        return None
    if len(filled) == 1:
        return [filled[0]]
    return [jax.lax.concatenate(filled, _eqn.params["dimension"])]


def _select(eqn: Any, operands: list[Any]) -> list[Any] | None:
    # onnxruntime has no Where kernel for truth values.
    out = eqn.outvars[0].aval
    # An operand may be a plain truth value, where a branch is known while tracing.
    if len(operands) != 3 or out.dtype != np.bool_ or jnp.result_type(operands[0]) != np.bool_:
        return None
    chosen = jnp.broadcast_to(operands[0], out.shape)
    return [jnp.logical_or(jnp.logical_and(chosen, operands[2]), jnp.logical_and(jnp.logical_not(chosen), operands[1]))]


def _dot_general(eqn: Any, operands: list[Any]) -> list[Any] | None:
    # Operands of two types become an Einsum of two types, which ONNX does not allow.
    if jnp.result_type(operands[0]) == jnp.result_type(operands[1]):
        return None
    dtype = eqn.outvars[0].aval.dtype
    cast = [jnp.asarray(operand).astype(dtype) for operand in operands]
    return [eqn.primitive.bind(*cast, **eqn.params)]


def _scatter(eqn: Any, operands: list[Any]) -> list[Any] | None:
    # `x.at[:].set(y)` over the whole of x becomes a Reshape with a dimension of 0.
    target, indices, updates = operands
    if np.size(indices) != 0 or np.shape(updates) != np.shape(target):
        return None
    return [updates if eqn.primitive.name == "scatter" else target + updates]


_RULES: Final[dict[str, Rule]] = {
    "concatenate": _concatenate,
    "select_n": _select,
    "dot_general": _dot_general,
    "scatter": _scatter,
    "scatter-add": _scatter,
}
