"""Refuses ONNX bytes that are more than a controller: plain arithmetic of bounded size, with its weights in it.

What is allowed is what TabRL's exporter makes, and plain arithmetic beside it; everything else is refused unasked.
Declared sizes are checked before any number is looked at. Every value has one shape, whatever the numbers: what a graph
takes at its first run is what it takes at each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tabrl.play.manifest import Manifest, Tensor
from tabrl.play.onnx_shapes import check_shapes, check_values, count, refused, shape_of

__all__ = ["MOST_BYTES", "check_controller"]

MOST_BYTES: Final = 32 << 20
"""Bytes of a controller at most."""

_MOST_NODES: Final = 20_000
_MOST_CONSTANTS: Final = 20_000
_MOST_NUMBERS: Final = 16 << 20
_LOWEST_IR, _HIGHEST_IR = 7, 12
_LOWEST_OPSET, _HIGHEST_OPSET = 13, 24

# Elementwise, reduction, indexing and shape operators of the default domain, and those of 8-bit weights: no control
# flow, no sequences, no randomness of the graph's own, no strings.
_WORDS: Final = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
Ceil Clip Concat Constant ConstantOfShape Cos Cosh CumSum DequantizeLinear Div DynamicQuantizeLinear Einsum Elu Equal
Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm Greater GreaterOrEqual HardSigmoid HardSwish
Identity IsInf IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max Mean Min
Mish Mod Mul Neg NonZero Not Or Pad Pow PRelu QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Round ScatterElements
ScatterND Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign Split Sqrt Squeeze Sub Sum Tan Tanh
Tile TopK Transpose Trilu Unsqueeze Where Xor"""
_OPERATORS: Final = frozenset(_WORDS.split())

# onnx.TensorProto.DataType of what a tensor may hold, with the bytes of one element.
_ELEMENT_BYTES: Final = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8}
_TYPES: Final = {"float32": 1, "int32": 6, "bool": 9, "uint32": 12}
_FLOATS: Final = (1, 10, 11)
# Bytes 4 to 8 of what onnxruntime takes for a file of its own format, whatever else they are.
_RUNTIME_FORMAT: Final = b"ORTM"


def check_controller(content: bytes, manifest: Manifest) -> None:
    """Checks a graph against the rules above, its inputs and outputs against the manifest that belongs to it.

    Raises:
        BundleError: ONNX_UNREADABLE, ONNX_VERSION, ONNX_FUNCTIONS, ONNX_DOMAIN, ONNX_OPERATOR, ONNX_SUBGRAPH,
            ONNX_EXTERNAL_DATA, ONNX_TENSOR, ONNX_TOO_LARGE, ONNX_NOT_FINITE, ONNX_SIGNATURE, ONNX_INVALID or
            ONNX_SHAPE.
    """
    import onnx

    if len(content) > MOST_BYTES:
        raise refused("ONNX_TOO_LARGE", f"it has {len(content):,} bytes; {MOST_BYTES:,} is the most")
    if content[4:8] == _RUNTIME_FORMAT:
        raise refused("ONNX_UNREADABLE", "onnxruntime would read it as its own format, and so as another graph")
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own exceptions share no narrower base
        raise refused("ONNX_UNREADABLE", f"it is no ONNX ({type(error).__name__})") from error
    _check_model(model, manifest)
    _check_nodes(model.graph)
    tensors = list(_tensors(model.graph))
    _check_sizes(tensors)
    for tensor in tensors:
        _check_finite(tensor)
    check_values((*model.graph.value_info, *model.graph.input, *model.graph.output))
    _check_signature(model.graph, manifest)
    check_shapes(model)


def _check_model(model: Any, manifest: Manifest) -> None:
    if not _LOWEST_IR <= model.ir_version <= _HIGHEST_IR:
        raise refused("ONNX_VERSION", f"it is of IR version {model.ir_version}")
    if model.functions:
        raise refused("ONNX_FUNCTIONS", "it has functions of its own")
    if model.training_info:
        raise refused("ONNX_FUNCTIONS", "it holds a training procedure")
    opsets = {imported.domain: imported.version for imported in model.opset_import}
    if set(opsets) != {""} or len(model.opset_import) != 1:
        raise refused("ONNX_DOMAIN", "it uses operators of another domain than ONNX's own")
    if not _LOWEST_OPSET <= opsets[""] <= _HIGHEST_OPSET or opsets[""] != manifest.onnx_opset:
        raise refused("ONNX_VERSION", f"it is of opset {opsets['']}, the manifest says {manifest.onnx_opset}")


def _check_nodes(graph: Any) -> None:
    if len(graph.node) > _MOST_NODES:
        raise refused("ONNX_TOO_LARGE", f"it has {len(graph.node):,} nodes; {_MOST_NODES:,} is the most")
    for node in graph.node:
        if node.domain:
            raise refused("ONNX_DOMAIN", f"it uses an operator of {node.domain[:60]!r}")
        if node.op_type not in _OPERATORS:
            raise refused("ONNX_OPERATOR", f"it holds the operator {node.op_type[:60]!r}, which no controller needs")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise refused("ONNX_SUBGRAPH", f"{node.op_type} holds a graph inside the graph")
            if attribute.ref_attr_name:
                raise refused("ONNX_FUNCTIONS", f"{node.op_type} refers to an attribute of a function")
            if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
                raise refused("ONNX_TENSOR", f"{node.op_type} holds a sparse tensor")
            if attribute.strings or attribute.HasField("tp") or attribute.type_protos:
                raise refused("ONNX_TENSOR", f"{node.op_type} holds strings or types")
            if not math.isfinite(attribute.f) or not all(map(math.isfinite, attribute.floats)):
                raise refused("ONNX_NOT_FINITE", f"{node.op_type} has an attribute that is not finite")


def _tensors(graph: Any) -> Iterator[Any]:
    if graph.sparse_initializer:
        raise refused("ONNX_TENSOR", "it holds sparse tensors")
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_sizes(tensors: list[Any]) -> None:
    if len(tensors) > _MOST_CONSTANTS:
        raise refused("ONNX_TOO_LARGE", f"it has {len(tensors):,} constants; {_MOST_CONSTANTS:,} is the most")
    total = 0
    for tensor in tensors:
        name = tensor.name[:60]
        if tensor.external_data or tensor.data_location:
            raise refused("ONNX_EXTERNAL_DATA", f"{name!r} keeps its numbers in another file")
        if tensor.data_type not in _ELEMENT_BYTES or tensor.HasField("segment") or tensor.string_data:
            raise refused("ONNX_TENSOR", f"{name!r} holds something else than numbers")
        numbers = count(tensor.dims, name)
        total += numbers
        if total > _MOST_NUMBERS:
            raise refused("ONNX_TOO_LARGE", f"its constants are more than {_MOST_NUMBERS:,} numbers")
        fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
        typed = [len(field) for field in fields if field]
        # raw_data is what it says; the typed fields hold an element each.
        fits = (
            not typed and len(tensor.raw_data) == numbers * _ELEMENT_BYTES[tensor.data_type]
            if tensor.HasField("raw_data")
            else typed == ([numbers] if numbers else [])
        )
        if not fits:
            raise refused("ONNX_TENSOR", f"{name!r} holds more or fewer numbers than its shape says")


def _check_finite(tensor: Any) -> None:
    """Refuses NaNs; and infinities but where one stands alone, as the end of a range that has none."""
    if tensor.data_type not in _FLOATS:
        return
    import numpy as np
    from onnx import numpy_helper

    numbers = numpy_helper.to_array(tensor)
    if np.isnan(numbers).any() or (np.isinf(numbers).any() and numbers.size > 1):
        raise refused("ONNX_NOT_FINITE", f"{tensor.name[:60]!r} holds a number that is not finite")


def _check_signature(graph: Any, manifest: Manifest) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    if constants & {value.name for value in graph.input}:
        raise refused("ONNX_SIGNATURE", "an input has a value of its own")
    _check_same("input", graph.input, (given.tensor for given in manifest.inputs))
    _check_same("output", graph.output, (given.tensor for given in manifest.outputs))


def _check_same(what: str, values: Any, tensors: Iterable[Tensor]) -> None:
    declared = {value.name: _declared(value) for value in values}
    if len(declared) != len(values):
        raise refused("ONNX_SIGNATURE", f"it has an {what} twice")
    expected = {tensor.name: (_TYPES.get(tensor.dtype), tensor.shape) for tensor in tensors}
    for name in sorted(declared.keys() | expected.keys()):
        if declared.get(name) != expected.get(name):
            raise refused("ONNX_SIGNATURE", f"its {what} {name[:60]!r} is not what the manifest says")


def _declared(value: Any) -> tuple[int, tuple[int, ...]]:
    if (shape := shape_of(value)) is None:
        raise refused("ONNX_SIGNATURE", f"the shape of {value.name[:60]!r} is open")
    return value.type.tensor_type.elem_type, shape
