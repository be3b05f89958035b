"""From a composed controller to ONNX bytes.

Outputs that an ONNX graph cannot express plainly are taken out before the conversion and put back afterwards: one value
under two names (listed twice in the manifest), an input handed through (a copy, or an Identity node), a constant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from jax.extend import core
from tabrl.play.manifest import CarryCopy, GraphInput, GraphOutput, InputSource, OutputRole, Tensor

from tabrl_simulation.controllers import lowering, merge
from tabrl_simulation.controllers.source import Source, aval_of
from tabrl_simulation.rewards import onnx_plugins
from tabrl_simulation.rewards.onnx_reciprocals import write_reciprocals

__all__ = ["OPSET", "Graph", "convert"]

OPSET: Final = 21
"""Version of the default ONNX domain; onnxruntime-web 1.30 runs it."""


@dataclass(frozen=True)
class Graph:
    """A controller in ONNX.

    Attributes:
        onnx: the serialized model, self-contained.
        inputs: the inputs it reads.
        outputs: what comes out; two entries may name the same tensor.
        copies: carry entries that the player copies.
    """

    onnx: bytes
    inputs: tuple[GraphInput, ...]
    outputs: tuple[GraphOutput, ...]
    copies: tuple[CarryCopy, ...]


def convert(source: Source, *, name: str, reward_graph: Any = None) -> Graph:
    """Converts a controller; about a second for a small policy.

    Args:
        source: the controller; with open terms if `reward_graph` is given.
        name: name of the ONNX graph.
        reward_graph: ONNX model of the reward, unbatched: mjData arrays and `action` to its terms, in their order.

    Raises:
        UnsupportedStepError: the step holds something that has no ONNX form here.
        RewardGraphError: the reward's graph does not fit this controller.
    """
    import jax2onnx
    import onnx

    onnx_plugins.load_lax_plugins()
    program = lowering.trace(source.function, source.avals)
    alive = _alive(program, source)
    plan = _plan(program, source, alive)
    inputs = [
        tensor
        for tensor, used in zip(source.tensors, lowering.narrowed(program, plan.converted).used, strict=True)
        if used
    ]
    outputs = [output.tensor for output, wanted in zip(source.outputs, plan.converted, strict=True) if wanted]
    try:
        model = jax2onnx.to_onnx(
            lowering.rewrite(program, plan.converted),
            inputs=[aval_of(tensor) for tensor in inputs],
            input_names=[tensor.name for tensor in inputs],
            output_names=[tensor.name for tensor in outputs],
            model_name=name,
            opset=OPSET,
        )
    except (NotImplementedError, ValueError, TypeError) as error:
        raise lowering.UnsupportedStepError(f"The step cannot be converted to ONNX: {error}") from error
    write_reciprocals(model.graph)
    for tensor, origin in plan.added:
        merge.add_output(model, tensor, origin)
    if reward_graph is not None:
        by_name = {name: given.tensor for name, given in source.reward_inputs.items()}
        merge.join_reward(model, reward_graph, inputs=by_name, terms=[tensor.name for tensor in source.open_terms])
    onnx.checker.check_model(model)
    present = {value.name for value in model.graph.input}
    kept = {given.field for given in source.inputs if given.tensor.name in present}
    return Graph(
        onnx=model.SerializeToString(deterministic=True),
        inputs=tuple(given for given in source.inputs if given.tensor.name in present),
        outputs=tuple(o for o in plan.outputs if o.role is not OutputRole.CARRY or o.field in kept),
        copies=tuple(copy for copy in plan.copies if copy.field in kept),
    )


@dataclass(frozen=True)
class _Plan:
    """Which outputs are converted, which are added to the graph afterwards, and what the manifest says of all."""

    converted: tuple[bool, ...]
    added: tuple[tuple[Tensor, str | np.ndarray[Any, Any]], ...]
    outputs: tuple[GraphOutput, ...]
    copies: tuple[CarryCopy, ...]


def _alive(program: lowering.Program, source: Source) -> tuple[bool, ...]:
    """Returns which outputs count: those that people see, and the carry entries that these depend on over the ticks."""
    read: set[str] = set()
    if source.open_terms:  # a reward that is still to be joined may read these
        read = {given.field for given in source.reward_inputs.values() if given.source is InputSource.CARRY}
    while True:
        alive = tuple(output.role is not OutputRole.CARRY or output.field in read for output in source.outputs)
        used = lowering.narrowed(program, alive).used
        found = {
            given.field
            for given, is_used in zip(source.inputs, used, strict=False)
            if is_used and given.source is InputSource.CARRY
        }
        if found <= read:
            return alive
        read |= found


def _plan(program: lowering.Program, source: Source, alive: tuple[bool, ...]) -> _Plan:
    by_variable = dict(zip(program.inputs, source.tensors, strict=True))
    carry_inputs = {given.tensor.name for given in source.inputs if given.source is InputSource.CARRY}
    first_name: dict[Any, str] = {}
    converted: list[bool] = []
    added: list[tuple[Tensor, str | np.ndarray[Any, Any]]] = []
    outputs: list[GraphOutput] = []
    copies: list[CarryCopy] = []
    for output, variable, is_alive in zip(source.outputs, program.outputs, alive, strict=True):
        converted.append(False)
        if not is_alive:
            continue
        if isinstance(variable, core.Literal):
            added.append((output.tensor, np.asarray(variable.val, output.tensor.dtype)))
        elif variable in by_variable:
            origin = by_variable[variable].name
            if output.role is OutputRole.CARRY and origin in carry_inputs:
                copies.append(CarryCopy(output.field, origin))
                continue
            added.append((output.tensor, origin))
        elif variable in first_name:
            outputs.append(replace(output, tensor=replace(output.tensor, name=first_name[variable])))
            continue
        else:
            first_name[variable] = output.tensor.name
            converted[-1] = True
        outputs.append(output)
    return _Plan(tuple(converted), tuple(added), tuple(outputs), tuple(copies))
