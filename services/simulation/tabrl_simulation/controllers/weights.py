"""The same controller with smaller weights: stored as float16 or as 8-bit integers, multiplied out as float32.

Works on the finished graph, so it needs neither jax nor the checkpoint. Only what a matrix product on the way to the
action multiplies by is stored anew, and only matrices that are large enough to gain by it; biases, the normalizer and
the environment's own numbers stay as they are. Inputs, outputs and arithmetic are float32 as before.

onnxruntime's own converters do something else: its float16 changes the arithmetic, its dynamic quantization multiplies
integers, and both its quantizers of weights alone know MatMul and Gemm, where these graphs have Einsum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["SMALLEST", "with_float16_weights", "with_int8_weights"]

SMALLEST: Final = 256
"""Elements from which on a matrix is stored anew."""

_INT8_LARGEST: Final = 127


def with_float16_weights(graph: bytes, *, action: str) -> bytes:
    """Returns the graph with its large weights as float16, each behind a Cast to float32.

    Args:
        graph: a controller in ONNX.
        action: name of its output that is the action.
    """
    import onnx

    model, weights = _opened(graph, action)
    nodes = []
    for name, matrix, _ in weights:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which the comparison then refuses
            _store(model, name, {f"{name}.float16": matrix.astype(np.float16)})
        nodes.append(onnx.helper.make_node("Cast", [f"{name}.float16"], [name], to=onnx.TensorProto.FLOAT))
    return _closed(model, nodes)


def with_int8_weights(graph: bytes, *, action: str) -> bytes:
    """Returns the graph with its large weights as int8, each behind a DequantizeLinear with a scale for each output.

    The scale of an output is the largest of its weights, without sign, by 127; the zero point is 0.

    Args:
        graph: a controller in ONNX.
        action: name of its output that is the action.
    """
    import onnx

    model, weights = _opened(graph, action)
    nodes = []
    for name, matrix, axis in weights:
        largest = np.abs(matrix).max(axis=1 - axis)
        scale = np.where(largest > 0, largest / _INT8_LARGEST, 1.0).astype(np.float32)  # [outputs]
        whole = np.rint(matrix / np.expand_dims(scale, 1 - axis)).clip(-_INT8_LARGEST, _INT8_LARGEST).astype(np.int8)
        _store(model, name, {f"{name}.int8": whole, f"{name}.scale": scale})
        nodes.append(onnx.helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], axis=axis))
    return _closed(model, nodes)


Weight = tuple[str, NDArray[np.float32], int]
"""Name of a matrix in the graph, the matrix, and which of its two axes is that of the layer's outputs."""


def _opened(graph: bytes, action: str) -> tuple[Any, list[Weight]]:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(graph)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    axes: dict[str, set[int | None]] = {}
    for node in _leading_to(model.graph, action):
        for position, name in enumerate(node.input):
            if name in stored:
                axes.setdefault(name, set()).add(_axis_of_outputs(node, position))
    weights = []
    for name, found in axes.items():
        (axis, *others) = found
        tensor = stored[name]
        if others or axis is None or tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) != 2:
            continue
        matrix = numpy_helper.to_array(tensor)
        if matrix.size >= SMALLEST and np.isfinite(matrix).all():
            weights.append((name, matrix, axis))
    return model, sorted(weights, key=lambda weight: weight[0])


def _leading_to(graph: Any, output: str) -> Iterator[Any]:
    """Yields the nodes that a value is made by, the last first."""
    wanted = {output}
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            yield node


def _axis_of_outputs(node: Any, position: int) -> int | None:
    """Returns which axis of a node's operand is that of the outputs, if the node is a product with a matrix there."""
    if node.op_type == "MatMul":
        return 1 if position == 1 else None
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Gemm":
        transposed = "transB" in attributes and attributes["transB"].i
        return (0 if transposed else 1) if position == 1 else None
    if node.op_type == "Einsum" and len(node.input) == 2:
        operands, _, result = attributes["equation"].s.decode().replace(" ", "").partition("->")
        terms = operands.split(",")
        kept = [axis for axis, letter in enumerate(terms[position]) if letter in result]
        if len(terms[position]) == 2 and len(kept) == 1 and terms[position][kept[0]] not in terms[1 - position]:
            return kept[0]
    return None


def _store(model: Any, name: str, arrays: dict[str, NDArray[Any]]) -> None:
    """Puts arrays into the graph in place of the one of that name."""
    from onnx import numpy_helper

    initializers = model.graph.initializer
    index = next(index for index, tensor in enumerate(initializers) if tensor.name == name)
    del initializers[index]
    initializers.extend(numpy_helper.from_array(values, each) for each, values in arrays.items())


def _closed(model: Any, nodes: list[Any]) -> bytes:
    import onnx

    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString(deterministic=True)
    return written
