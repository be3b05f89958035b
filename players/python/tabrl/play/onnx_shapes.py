"""Refuses graphs whose values may grow while they run: what a graph takes in a short trial is what it takes at most.

ONNX works out every shape without running anything. What it leaves open depends on numbers. There is one honest case:
how many elements of a value are not 0 (`NonZero`), with which exporters leave out what a scatter may not write. Such
values are worked out at their largest, and only through operators that give more for more: what they take at the
largest is then the most that they ever take.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tabrl.play.refusal import BundleError

__all__ = ["LARGEST_VALUE", "check_shapes", "check_values", "count", "refused", "shape_of"]

LARGEST_VALUE: Final = 4 << 20
"""Numbers in one value at most."""

_FILE: Final = "controller.onnx"
_MOST_AXES: Final = 16
_INT64: Final = 7
_INTEGERS: Final = (6, _INT64)
_MOST_FOLLOWED: Final = 1 << 18
_MOST_ROUNDS: Final = 16

# What may be done to a value whose size is open: its size never falls where that of an input rises.
_WORDS: Final = """
Add And Cast Concat Equal Expand Gather GatherND Greater GreaterOrEqual Identity Less LessOrEqual Mul Not Or Reshape
Squeeze Sub Transpose Unsqueeze Where"""
_GROWING: Final = frozenset(_WORDS.split())
# The same for sizes, as numbers: the first input is a size, the others are constants.
_OF_SIZES: Final = frozenset({"Cast", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Unsqueeze"})


def check_shapes(model: Any) -> None:
    """Has ONNX check a graph and work out every shape: what a few bytes would unfold to is refused unrun.

    Raises:
        BundleError: ONNX_INVALID, ONNX_SHAPE when a shape depends on numbers, ONNX_TOO_LARGE, ONNX_SIGNATURE when an
            output has another shape than it says.
    """
    declared = {value.name: shape_of(value) for value in model.graph.output}
    # What a graph says of its shapes would fill the gaps of what is worked out, so it may say nothing.
    silent = _inferable(model)
    _check_followed(_inferred(silent, follow_sizes=False).values())
    shapes = _worked_out(silent)
    if open_values := _open(silent.graph, shapes):
        _Sizes(silent.graph).check(open_values)
        largest = _at_the_largest(silent, shapes)
        shapes = _worked_out(largest)
        if still_open := _open(largest.graph, shapes):
            raise _depends(next(node for node in largest.graph.node if still_open & set(node.output)))
    for name, shape in declared.items():
        if shapes.get(name) != shape:
            raise refused("ONNX_SIGNATURE", f"its output {name[:60]!r} has another shape than it says")


def check_values(values: Iterable[Any]) -> None:
    """Refuses values that are no tensors or too large, as far as their shapes are known."""
    for value in values:
        kind = value.type.WhichOneof("value")
        if kind is None:  # nothing is said of this one; inference says it later
            continue
        if kind != "tensor_type":
            raise refused("ONNX_TENSOR", f"{value.name[:60]!r} is no tensor")
        count([axis.dim_value for axis in value.type.tensor_type.shape.dim], value.name[:60])


def count(dims: Iterable[int], name: str) -> int:
    """Returns how many numbers a shape holds; Python's integers do not overflow."""
    sizes = list(dims)
    if len(sizes) > _MOST_AXES or min(sizes, default=0) < 0:
        raise refused("ONNX_TENSOR", f"{name!r} has no shape that can be")
    if (numbers := math.prod(sizes)) > LARGEST_VALUE or max(sizes, default=0) > LARGEST_VALUE:
        raise refused("ONNX_TOO_LARGE", f"{name!r} would hold more than {LARGEST_VALUE:,} numbers")
    return numbers


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Returns the shape of an `onnx.ValueInfoProto`; None where an axis of it is open."""
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not all(axis.HasField("dim_value") for axis in kind.shape.dim):
        return None
    return tuple(axis.dim_value for axis in kind.shape.dim)


def refused(rule: str, message: str) -> BundleError:
    """Returns the refusal of a graph."""
    return BundleError(rule, message, _FILE)


Shapes = Mapping[str, tuple[int, ...] | None]


def _inferable(model: Any) -> Any:
    import onnx

    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker's errors and C++'s share no narrower base
        raise _invalid(error) from error
    silent = onnx.ModelProto()
    silent.CopyFrom(model)
    del silent.graph.value_info[:]
    for value in silent.graph.output:
        value.type.tensor_type.ClearField("shape")
    _squeeze_constants(silent.graph)
    return silent


def _squeeze_constants(graph: Any) -> None:
    """Puts numbers for the ends of ranges that are written as lists of one, behind which ONNX does not look."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        tensor = constants.get(node.input[0]) if node.op_type == "Squeeze" else None
        if tensor is None or list(tensor.dims) != [1]:
            kept.append(node)
            continue
        number = graph.initializer.add()
        number.CopyFrom(tensor)
        number.name = node.output[0]
        del number.dims[:]
    _keep(graph, kept)


def _keep(graph: Any, nodes: Sequence[Any]) -> None:
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _worked_out(model: Any) -> Shapes:
    """Returns the shape of every value, None for one that is open; changes products of sizes into the numbers."""
    for _ in range(_MOST_ROUNDS):
        values = _inferred(model)
        shapes = {name: shape_of(value) for name, value in values.items()}
        if not _open(model.graph, shapes) or not _multiply_out(model, values):
            break
    return shapes | {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def _check_followed(values: Iterable[Any]) -> None:
    """Refuses more than ONNX can follow of integers in lists: it takes every one for a size, and keeps them all."""
    lists = [value for value in values if value.type.tensor_type.elem_type in _INTEGERS]
    total = sum(shape[0] for shape in map(shape_of, lists) if shape is not None and len(shape) == 1)
    if total > _MOST_FOLLOWED:
        raise refused("ONNX_TOO_LARGE", f"its lists of integers come to more than {_MOST_FOLLOWED:,} numbers")


def _inferred(model: Any, *, follow_sizes: bool = True) -> dict[str, Any]:
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=follow_sizes
        ).graph
    except Exception as error:  # as above
        raise _invalid(error) from error
    check_values((*graph.value_info, *graph.output))
    return {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}


def _multiply_out(model: Any, values: Mapping[str, Any]) -> bool:
    """Puts numbers for the products of known sizes, which ONNX leaves open; returns whether there were any.

    ONNX knows the factors but does not say them. A value of that shape says them.
    """
    import onnx
    from onnx import helper

    products = [node for node in model.graph.node if node.op_type == "ReduceProd" and _is_of_sizes(node, values)]
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)} | values.keys()
    prefix = "probe"
    while any(name.startswith(prefix) for name in taken):
        prefix += "_"
    probed.graph.node.extend(
        helper.make_node("ConstantOfShape", [node.input[0]], [f"{prefix}{number}"])
        for number, node in enumerate(products)
    )
    found = _inferred(probed) if products else {}
    done = set()
    for number, node in enumerate(products):
        factors = shape_of(found[f"{prefix}{number}"]) if f"{prefix}{number}" in found else None
        if factors is not None:
            kept = next((each.i for each in node.attribute if each.name == "keepdims"), 1)
            dims = [1] if kept else []
            model.graph.initializer.append(helper.make_tensor(node.output[0], _INT64, dims, [math.prod(factors)]))
            done.add(node.output[0])
    _keep(model.graph, [node for node in model.graph.node if not done & set(node.output)])
    return bool(done)


def _is_of_sizes(node: Any, values: Mapping[str, Any]) -> bool:
    """Whether a product is of all elements of a list of 64-bit integers, which sizes are."""
    value = values.get(node.input[0])
    whole = len([name for name in node.input if name]) == 1 and {each.name for each in node.attribute} <= {"keepdims"}
    return (
        whole and value is not None and value.type.tensor_type.elem_type == _INT64 and len(shape_of(value) or ()) == 1
    )


def _open(graph: Any, shapes: Shapes) -> set[str]:
    return {name for node in graph.node for name in node.output if name and shapes.get(name) is None}


def _at_the_largest(model: Any, shapes: Shapes) -> Any:
    """Returns a graph in which every `NonZero` finds nothing that is 0: an input of the shape of what it then gives."""
    import onnx
    from onnx import helper

    largest = onnx.ModelProto()
    largest.CopyFrom(model)
    del largest.graph.node[:]
    for node in model.graph.node:
        shape = shapes.get(node.input[0]) if node.op_type == "NonZero" else None
        if shape is None:
            largest.graph.node.append(node)
        else:
            found = (len(shape), math.prod(shape))
            largest.graph.input.append(helper.make_tensor_value_info(node.output[0], _INT64, found))
    return largest


class _Sizes:
    """Follows sizes that a graph computes with, back to where they come from."""

    def __init__(self, graph: Any) -> None:
        self._nodes = list(graph.node)
        self._makers = {name: node for node in self._nodes for name in node.output}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def check(self, open_values: set[str]) -> None:
        for node in self._nodes:
            if not open_values & set(node.output):
                continue
            if node.op_type not in _GROWING | {"NonZero"}:
                raise _depends(node)
            if node.op_type in ("Expand", "Reshape") and self._constant(node.input[1]) is None:
                self._check_size(node.input[1], may_multiply=True)

    def _check_size(self, name: str, *, may_multiply: bool) -> None:
        """Refuses a size unless it is of constants from 1 and of the sizes of values, and grows with these."""
        # Along one path, for a graph has no loops; what is met twice is looked at twice, and few sizes are deep.
        waiting, looked_at = [(name, may_multiply)], 0
        while waiting:
            name, may_multiply = waiting.pop()
            looked_at += 1
            constant, node = self._constant(name), self._makers.get(name)
            if constant is not None:
                if not all(1 <= number <= LARGEST_VALUE for number in _numbers(constant)):
                    raise refused("ONNX_SHAPE", f"{name[:60]!r} is no size, and is used as one beside others")
            elif node is None or looked_at > len(self._nodes):
                raise refused("ONNX_SHAPE", f"{name[:60]!r} is a number, and is used as a size")
            elif node.op_type == "Concat":
                waiting += [(each, may_multiply) for each in node.input]
            elif node.op_type == "Mul" and may_multiply and any(map(self._constant, node.input)):
                waiting += [(each, False) for each in node.input]  # twice might overflow
            elif node.op_type in _OF_SIZES:
                if any(self._constant(each) is None for each in node.input[1:] if each) or _narrows(node):
                    raise _depends(node)
                waiting.append((node.input[0], may_multiply))
            elif node.op_type != "Shape":
                raise _depends(node)

    def _constant(self, name: str) -> Any | None:
        node = self._makers.get(name)
        if node is not None and node.op_type == "Constant":
            return next((each.t for each in node.attribute if each.name == "value"), None)
        return self._constants.get(name)


def _numbers(tensor: Any) -> list[float]:
    from onnx import numpy_helper

    return [float(number) for number in numpy_helper.to_array(tensor).ravel()]


def _narrows(node: Any) -> bool:
    """Whether a cast is to a type in which large sizes wrap round to small ones."""
    return node.op_type == "Cast" and any(each.name == "to" and each.i != _INT64 for each in node.attribute)


def _depends(node: Any) -> BundleError:
    return refused("ONNX_SHAPE", f"the size of what {node.op_type} gives depends on numbers")


def _invalid(error: Exception) -> BundleError:
    return refused("ONNX_INVALID", f"ONNX's checker refuses it: {' '.join(str(error).split())[:300]}")
