"""Surgery on an ONNX graph: inputs handed through, constant outputs, and a reward's graph joined to a controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from tabrl.play.manifest import Tensor

__all__ = ["RewardGraphError", "add_output", "join_reward"]

_PREFIX: Final = "reward/"


class RewardGraphError(ValueError):
    """The reward's graph does not fit the controller it is to be joined to."""


def add_output(model: Any, tensor: Tensor, origin: str | np.ndarray[Any, Any]) -> None:
    """Adds an output that hands an input through, or that is constant.

    Args:
        model: the ONNX model, changed in place.
        tensor: the new output.
        origin: name of the input (added to the graph if it is not there), or the constant.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    if isinstance(origin, str):
        _ensure_input(model, Tensor(origin, tensor.shape, tensor.dtype))
        graph.node.append(helper.make_node("Identity", [origin], [tensor.name]))
    else:
        value = numpy_helper.from_array(np.broadcast_to(origin, tensor.shape).copy())
        graph.node.append(helper.make_node("Constant", [], [tensor.name], value=value))
    graph.output.append(_value_info(tensor))


def join_reward(model: Any, reward: Any, *, inputs: Mapping[str, Tensor], terms: Sequence[str]) -> None:
    """Feeds the terms that a reward's graph computes into the controller's open inputs.

    Args:
        model: the controller, changed in place.
        reward: the reward's ONNX model; of plain operations, as `tabrl_simulation.rewards.onnx_gate` lets through.
        inputs: for each input the reward may have, the controller's input of that meaning.
        terms: the controller's open inputs, in the order of the reward's outputs.

    Raises:
        RewardGraphError: the reward's graph is of another opset, or its inputs or outputs do not fit.
    """
    import onnx
    from onnx import compose, helper

    _refuse_misfit(model, reward, inputs, terms)
    reward = compose.add_prefix(reward, _PREFIX)
    graph, joined = model.graph, reward.graph
    kept = [value for value in graph.input if value.name not in terms]
    del graph.input[:]
    graph.input.extend(kept)
    nodes = []
    for value in joined.input:
        tensor = inputs[value.name.removeprefix(_PREFIX)]
        _ensure_input(model, tensor)
        nodes.append(helper.make_node("Identity", [tensor.name], [value.name]))
    nodes.extend(joined.node)
    scalar = _PREFIX + _PREFIX + "scalar"  # no prefixed name begins with the prefix twice
    graph.initializer.append(helper.make_tensor(scalar, onnx.TensorProto.INT64, [0], []))
    # The Reshape takes a term of shape (1,) as well as a scalar.
    for value, name in zip(joined.output, terms, strict=True):
        nodes.append(helper.make_node("Reshape", [value.name, scalar], [name]))
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(joined.initializer)
    graph.value_info.extend(joined.value_info)


def _refuse_misfit(model: Any, reward: Any, inputs: Mapping[str, Tensor], terms: Sequence[str]) -> None:
    versions = {entry.domain: entry.version for entry in reward.opset_import}
    ours = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") != ours.get(""):
        raise RewardGraphError(
            f"The reward's graph is of opset {versions.get('')}, the controller's of {ours.get('')}."
        )
    for value in reward.graph.input:
        tensor = inputs.get(value.name)
        if tensor is None:
            raise RewardGraphError(f"The reward's graph asks for {value.name!r}, which it may not read.")
        shape = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
        if shape != tensor.shape:
            raise RewardGraphError(
                f"The reward's graph wants {value.name!r} of shape {shape}; here it has {tensor.shape}."
            )
    if len(reward.graph.output) != len(terms):
        raise RewardGraphError(f"The reward's graph has {len(reward.graph.output)} outputs for {len(terms)} terms.")


def _ensure_input(model: Any, tensor: Tensor) -> None:
    if all(value.name != tensor.name for value in model.graph.input):
        model.graph.input.append(_value_info(tensor))


def _value_info(tensor: Tensor) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(
        tensor.name, helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)), list(tensor.shape)
    )
