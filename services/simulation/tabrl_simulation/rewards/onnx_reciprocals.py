"""One over x as ONNX's Reciprocal.

onnxruntime's optimizer makes `Mul(Div(1, x), y)` a `Div(y, x)` and drops the first `Div` even where other nodes read
it; the model then fails to load. It leaves Reciprocal, which computes the same, alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["write_reciprocals"]


def write_reciprocals(graph: Any) -> None:
    """Turn every division of a scalar 1 in an ONNX GraphProto into a Reciprocal, in place."""
    from onnx import numpy_helper

    constants = {each.name: each for each in graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for node in graph.node:
        numerator = constants.get(node.input[0]) if node.op_type == "Div" else None
        if numerator is None or numerator.dims or not np.array_equal(numpy_helper.to_array(numerator), np.float32(1)):
            continue
        node.op_type = "Reciprocal"
        del node.input[0]
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    for initializer in [each for each in graph.initializer if each.name not in read]:
        graph.initializer.remove(initializer)
