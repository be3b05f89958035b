"""Refuses ONNX bytes that are more than a small graph of plain operations."""

from __future__ import annotations

import math
from typing import Any

from tabrl_simulation.rewards.container import ProgramHeader, ProgramRefused

__all__ = ["LONGEST_ONNX", "check_onnx"]

LONGEST_ONNX = 4 << 20
"""Bytes of an ONNX reward at most."""

_MOST_NODES = 20_000
_LARGEST_VALUE = 65_536

# Elementwise, reduction, indexing and shape operators of the default domain; no control flow, no functions, no
# randomness.
_WORDS = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Clip
Concat Constant ConstantOfShape Cos Cosh CumSum Div Einsum Elu Equal Erf Exp Expand Flatten Floor Gather GatherElements
GatherND Gemm Greater GreaterOrEqual Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log MatMul Max Mean Min Mod Mul
Neg Not Or
Pad Pow Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Reshape Round ScatterND Shape Sigmoid Sign Sin Sinh Slice Softmax Softplus Split Sqrt Squeeze Sub
Sum Tan Tanh Tile
TopK Transpose Trilu Unsqueeze Where Xor"""
_OPERATORS = frozenset(_WORDS.split())


def check_onnx(data: bytes, header: ProgramHeader) -> Any:
    """Return the parsed model of an ONNX reward whose outputs are the header's terms, in their order.

    Raises:
        ProgramRefused: it is too long, no ONNX, has other inputs or outputs than the header names, keeps data outside
            itself, or holds an operator that no reward needs.
    """
    import onnx

    if len(data) > LONGEST_ONNX:
        raise ProgramRefused(f"an ONNX reward has at most {LONGEST_ONNX} bytes, this has {len(data)}")
    try:
        model = onnx.load_model_from_string(data)
    except Exception as e:
        raise ProgramRefused(f"the ONNX reward cannot be read: {type(e).__name__}") from e
    if model.functions or model.training_info or any(each.domain not in ("", "ai.onnx") for each in model.opset_import):
        raise ProgramRefused("the ONNX reward has functions or operators of its own")
    _check_nodes(model.graph)
    _check_constants(model.graph, onnx)
    _check_signature(model.graph, header, onnx)
    return model


def _check_nodes(graph: Any) -> None:
    if len(graph.node) > _MOST_NODES:
        raise ProgramRefused(f"the ONNX reward has {len(graph.node)} nodes; {_MOST_NODES} are enough")
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in _OPERATORS:
            raise ProgramRefused(f"the ONNX reward holds the operator {node.op_type!r}, which no reward needs")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise ProgramRefused("the ONNX reward holds a graph inside its graph")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise ProgramRefused("the ONNX reward holds sparse constants")
            for tensor in [attribute.t, *attribute.tensors]:
                _check_tensor(tensor)


def _check_constants(graph: Any, onnx: Any) -> None:
    for tensor in graph.initializer:
        _check_tensor(tensor)
    if graph.sparse_initializer:
        raise ProgramRefused("the ONNX reward holds sparse constants")


def _check_tensor(tensor: Any) -> None:
    if tensor.external_data or tensor.data_location == 1:
        raise ProgramRefused("the ONNX reward keeps data outside itself")
    if math.prod(tensor.dims) > _LARGEST_VALUE:
        raise ProgramRefused(f"the ONNX reward holds a constant of {math.prod(tensor.dims)} numbers")


def _check_signature(graph: Any, header: ProgramHeader, onnx: Any) -> None:
    known = {**header.inputs, "action": (header.action_size,)}
    for value in graph.input:
        if value.name not in known or _shape(value) != known[value.name] or _type(value) != onnx.TensorProto.FLOAT:
            raise ProgramRefused(f"the ONNX reward takes {value.name!r}, which is not an input of the program")
    if len(graph.output) != len(header.terms):
        raise ProgramRefused("the ONNX reward does not return the program's terms")
    for value, term in zip(graph.output, header.terms, strict=True):
        if value.name not in (term, f"{term}_term") or _shape(value) != () or _type(value) != onnx.TensorProto.FLOAT:
            raise ProgramRefused(f"the ONNX reward returns {value.name!r} where the scalar {term!r} is expected")


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(axis.dim_value) for axis in value.type.tensor_type.shape.dim)


def _type(value: Any) -> int:
    return int(value.type.tensor_type.elem_type)
