"""What happens inside the jail: run the source once on abstract values, and turn the trace into two sealed forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from jax.extend.core import ClosedJaxpr
from jax.interpreters import partial_eval

from tabrl_simulation.rewards.budget import check_budget
from tabrl_simulation.rewards.checker import CheckedSource, check
from tabrl_simulation.rewards.choices import choices
from tabrl_simulation.rewards.container import TERM_NAME
from tabrl_simulation.rewards.diagnostics import Diagnostic, RewardRejected
from tabrl_simulation.rewards.faults import explained
from tabrl_simulation.rewards.inputs import shapes
from tabrl_simulation.rewards.language import JNP_CONSTANTS, JNP_FUNCTIONS, LINALG_FUNCTIONS, NN_FUNCTIONS
from tabrl_simulation.rewards.onnx_form import to_onnx
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.shaping import namespace
from tabrl_simulation.rewards.state import TracedState

__all__ = ["Traced", "trace"]

_MOST_TERMS = 32


@dataclass(frozen=True)
class Traced:
    """A reward as two programs.

    `exported` (`jax.export`, batched) and `onnx` (one environment), with what goes in and out.
    """

    inputs: tuple[str, ...]
    uses_action: bool
    terms: tuple[str, ...]
    exported: bytes
    onnx: bytes


def trace(source: str, robot: Robot) -> Traced:
    """Return the sealed forms of reward source. Runs the source: call this only inside the jail.

    Raises:
        RewardRejected: the source is not in the language, fails when traced, or costs too much.
    """
    checked = check(source, robot)
    readable = shapes(robot)
    terms: list[str] = []

    def computed(*values: Any) -> tuple[Any, ...]:
        found = _called(checked, robot, dict(zip(readable, values[:-1], strict=True)), values[-1])
        terms[:] = found
        return tuple(found.values())

    abstract = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (*readable.values(), (robot.action_size,))]
    closed = jax.make_jaxpr(computed)(*abstract)
    check_budget(closed)
    pruned, used = partial_eval.dce_jaxpr(
        closed.jaxpr, [True] * len(terms), instantiate=[False] * len(readable) + [True]
    )
    kept = {id(variable): value for variable, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)}
    program = ClosedJaxpr(pruned, [kept[id(variable)] for variable in pruned.constvars])
    inputs = tuple(name for name, is_used in zip(readable, used, strict=False) if is_used)
    wanted = [*(readable[name] for name in inputs), (robot.action_size,)]
    uses_action = _reads_last(program)
    return Traced(
        inputs, uses_action, tuple(terms), _exported(program, wanted), to_onnx(program, [*inputs, "action"], terms)
    )


def _called(checked: CheckedSource, robot: Robot, inputs: Mapping[str, Any], action: Any) -> dict[str, Any]:
    modules = {"jnp": _jnp(), "jax": SimpleNamespace(nn=_members(jax.nn, NN_FUNCTIONS))}
    scope = {"__builtins__": {}} | modules | namespace() | choices()
    try:
        exec(compile(checked.tree, "<reward>", "exec"), scope)
        written: Any = scope["reward"]
        given = [_argument(name, robot, inputs, action) for name in checked.parameters]
        returned = written(*given)
        return _terms(returned, checked)
    except RewardRejected:
        raise
    except BaseException as e:
        raise RewardRejected([explained(e, checked.source)]) from e


def _argument(name: str, robot: Robot, inputs: Mapping[str, Any], action: Any) -> Any:
    if name == "action":
        return action
    state = TracedState(robot, inputs, action, previous=name == "previous")
    return state.command() if name == "command" else state


def _terms(returned: Any, checked: CheckedSource) -> dict[str, Any]:
    line, column = checked.return_place
    if not isinstance(returned, Mapping) or not returned:
        what = "an empty dict" if isinstance(returned, Mapping) else "something else"
        message = f"reward returned {what}, not a dict with at least one term"
        raise RewardRejected(
            [Diagnostic("bad-return", line, column, message, 'return {"upright": ..., "effort": ...}')]
        )
    if len(returned) > _MOST_TERMS:
        message = f"reward returned {len(returned)} terms; {_MOST_TERMS} are allowed"
        raise RewardRejected([Diagnostic("bad-return", line, column, message, "put terms together")])
    remarks = []
    found = {}
    for name, value in returned.items():
        place = checked.term_places.get(str(name), checked.return_place)
        if not isinstance(name, str) or not TERM_NAME.fullmatch(name):
            message = f"{str(name)[:60]!r} is no name for a term"
            remarks.append(Diagnostic("bad-term-name", *place, message, "use lower-case letters, digits and _"))
        elif not isinstance(value, jax.Array | int | float):
            message = f"the term {name!r} is a {type(value).__name__}, not a number"
            remarks.append(Diagnostic("bad-return", *place, message, "return a scalar for each term"))
        elif jnp.shape(value) != ():
            message = f"the term {name!r} has the shape {jnp.shape(value)}, not that of a scalar"
            remarks.append(Diagnostic("shape-error", *place, message, "reduce it with jnp.sum, jnp.mean or an index"))
        else:
            found[name] = jnp.asarray(value, jnp.float32)
    if remarks:
        raise RewardRejected(remarks)
    return found


def _exported(program: Any, shapes: list[tuple[int, ...]]) -> bytes:
    (batch,) = export.symbolic_shape("b")
    abstract = [jax.ShapeDtypeStruct((batch, *shape), jnp.float32) for shape in shapes]
    batched = jax.jit(jax.vmap(_function(program)))
    return bytes(export.export(batched, platforms=["cpu", "cuda"])(*abstract).serialize())


def _function(program: Any) -> Callable[..., tuple[Any, ...]]:
    def computed(*values: Any) -> tuple[Any, ...]:
        return tuple(jax.core.eval_jaxpr(program.jaxpr, program.consts, *values))

    return computed


def _reads_last(program: Any) -> bool:
    last = program.jaxpr.invars[-1]
    equations_read = any(last is variable for equation in program.jaxpr.eqns for variable in equation.invars)
    return equations_read or any(last is variable for variable in program.jaxpr.outvars)


def _jnp() -> SimpleNamespace:
    listed = _members(jnp, JNP_FUNCTIONS | JNP_CONSTANTS)
    listed.linalg = _members(jnp.linalg, LINALG_FUNCTIONS)
    return listed


def _members(module: Any, names: frozenset[str]) -> SimpleNamespace:
    return SimpleNamespace(**{name: _behind_python(getattr(module, name)) for name in names})


def _behind_python(member: Any) -> Any:
    """Put a Python frame between traced source and compiled functions: those import modules in their caller's frame."""
    if not callable(member) or isinstance(member, type) or not hasattr(member, "__wrapped__"):
        return member
    function: Callable[..., Any] = member

    def called(*values: Any, **options: Any) -> Any:
        return function(*values, **options)

    return called
