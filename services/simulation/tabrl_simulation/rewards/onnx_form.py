"""The ONNX form of a traced reward: for one environment, so that it can become part of a controller's graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tabrl_simulation.rewards.diagnostics import Diagnostic, RewardRejected
from tabrl_simulation.rewards.onnx_plugins import load_lax_plugins
from tabrl_simulation.rewards.onnx_reciprocals import write_reciprocals

__all__ = ["OPSET", "to_onnx"]

OPSET = 21
"""Version of the ONNX operators; onnxruntime-web knows all of it."""

_CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call"})


def to_onnx(program: Any, inputs: Sequence[str], terms: Sequence[str]) -> bytes:
    """Return the ONNX model of a ClosedJaxpr whose arguments are `inputs` and whose results are `terms`.

    Inputs that no term reads are left out of the graph. Every output is a float32 scalar with the term's name.

    Raises:
        RewardRejected: an operation has no ONNX form.
    """
    import jax2onnx

    load_lax_plugins()
    read = [name for name, variable in zip(inputs, program.jaxpr.invars, strict=True) if _is_read(program, variable)]
    abstract = {
        name: jax.ShapeDtypeStruct(variable.aval.shape, jnp.float32)
        for name, variable in zip(inputs, program.jaxpr.invars, strict=True)
    }

    def computed(*values: Any) -> tuple[Any, ...]:
        given = dict(zip(read, values, strict=True))
        full = [given.get(name, np.zeros(abstract[name].shape, np.float32)) for name in inputs]
        return tuple(_evaluated(program.jaxpr, program.consts, full))

    try:
        model = jax2onnx.to_onnx(
            computed,
            inputs=[abstract[name] for name in read],
            input_names=[f"in_{name}" for name in read],
            model_name="reward",
            opset=OPSET,
        )
    except Exception as e:
        message = f"the reward has no ONNX form: {type(e).__name__}: {str(e)[:200]}"
        raise RewardRejected([Diagnostic("no-onnx-form", 0, 0, message, "use simpler jnp functions")]) from e
    write_reciprocals(model.graph)
    return _named(model, read, abstract, terms)


def _named(model: Any, read: Sequence[str], abstract: dict[str, Any], terms: Sequence[str]) -> bytes:
    """Give inputs and outputs their names.

    Jax2onnx refuses one value under two names and renames constants; nodes do not. What a node computes for one term
    alone gets the term's name itself: onnxruntime 1.32's optimizer loses a value that an Identity hands out as well as
    other nodes read.
    """
    import onnx
    from onnx import helper

    graph = model.graph
    produced = [output.name for output in graph.output]
    if len(produced) != len(terms):
        raise RewardRejected(
            [Diagnostic("no-onnx-form", 0, 0, "the ONNX form lost a term", "use simpler jnp functions")]
        )
    taken = {name for node in graph.node for name in (*node.input, *node.output)} | {
        each.name for each in graph.initializer
    }
    outputs = [f"{term}_term" if term in read else term for term in terms]
    computed = {name for node in graph.node for name in node.output}
    renamed = {f"in_{name}": name for name in read}
    for name in (*read, *outputs):
        if name in taken:
            renamed[name] = f"inner_{name}"
    renamed |= {
        name: output
        for name, output in zip(produced, outputs, strict=True)
        if name in computed and produced.count(name) == 1
    }
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for initializer in graph.initializer:
        initializer.name = renamed.get(initializer.name, initializer.name)
    del graph.input[:], graph.output[:], graph.value_info[:]
    for name in read:
        graph.input.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, abstract[name].shape))
    for name, output in zip(produced, outputs, strict=True):
        source = renamed.get(name, name)
        if source != output:
            graph.node.append(helper.make_node("Identity", [source], [output]))
        graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ()))
    model.ir_version = min(model.ir_version, 10)
    return bytes(model.SerializeToString())


def _is_read(program: Any, variable: Any) -> bool:
    read_by_equation = any(variable is each for equation in program.jaxpr.eqns for each in equation.invars)
    return read_by_equation or any(variable is each for each in program.jaxpr.outvars)


def _evaluated(jaxpr: Any, consts: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Run a jaxpr with calls inlined and a few operations replaced by equals that onnxruntime has kernels for."""
    known: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(
        zip(jaxpr.invars, values, strict=True)
    )

    def value(variable: Any) -> Any:
        return variable.val if hasattr(variable, "val") else known[variable]

    for equation in jaxpr.eqns:
        operands = [value(variable) for variable in equation.invars]
        if equation.primitive.name in _CALLS:
            inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr") or equation.params["fun_jaxpr"]
            results = _evaluated(inner.jaxpr, inner.consts, operands)
        else:
            replaced = _REPLACED.get(equation.primitive.name, _bound)(equation, operands)
            results = replaced if equation.primitive.multiple_results else [replaced]
        known.update(zip(equation.outvars, results, strict=True))
    return [value(variable) for variable in jaxpr.outvars]


def _bound(equation: Any, operands: list[Any]) -> Any:
    return equation.primitive.bind(*operands, **equation.params)


def _select(equation: Any, operands: list[Any]) -> Any:
    """Choose between truth values with logic: onnxruntime has no Where for them."""
    if len(operands) != 3 or equation.outvars[0].aval.dtype != jnp.bool_:
        return _bound(equation, operands)
    which = jnp.broadcast_to(operands[0], equation.outvars[0].aval.shape)
    return jnp.logical_or(jnp.logical_and(which, operands[2]), jnp.logical_and(jnp.logical_not(which), operands[1]))


def _dot(equation: Any, operands: list[Any]) -> Any:
    dtype = equation.outvars[0].aval.dtype
    return _bound(equation, [jnp.asarray(operand, dtype) for operand in operands])


def _atan2(_: Any, operands: list[Any]) -> Any:
    """Build atan2 from atan by quadrant.

    ONNX has no such operator, and jax2onnx 0.17.1 builds one with wrong quadrants.
    """
    y, x = operands
    steep = jnp.abs(y) > jnp.abs(x)
    numerator, denominator = jnp.where(steep, x, y), jnp.where(steep, y, x)
    angle = jnp.arctan(numerator / jnp.where(denominator == 0.0, 1.0, denominator))
    half_turn = jnp.where(y < 0.0, -jnp.pi, jnp.pi).astype(x.dtype)
    flat = jnp.where(x < 0.0, angle + half_turn, angle)
    return jnp.where(steep, 0.5 * half_turn - angle, flat)


def _same(_: Any, operands: list[Any]) -> Any:
    return operands[0]


_REPLACED: dict[str, Callable[[Any, list[Any]], Any]] = {
    "select_n": _select,
    "atan2": _atan2,
    "dot_general": _dot,
    "stop_gradient": _same,
    "copy": _same,
    "copy_p": _same,
}
