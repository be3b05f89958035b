"""Graphs of the malicious corpus: what no controller is, and what would not stay what it is in a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tabrl.play import forging
from tabrl.play.malicious import Malicious
from tabrl.play.sample import sample_controller

__all__ = ["graphs", "tensors"]


def tensors() -> Iterator[Malicious]:
    """Yields bundles whose graph is none, or has constants that are not what they say."""
    import onnx
    from onnx import TensorProto

    yield Malicious("no ONNX", "ONNX_UNREADABLE", forging.with_controller(b"\xff" * 100))
    honest = sample_controller().SerializeToString()
    yield Malicious("an ONNX that is cut", "ONNX_UNREADABLE", forging.with_controller(honest[: len(honest) // 2]))
    yield Malicious(
        "a graph of onnxruntime's own format within", "ONNX_UNREADABLE", forging.with_controller(forging.two_formats())
    )
    location = onnx.StringStringEntryProto(key="location", value="/etc/passwd")
    external = {"data_type": 1, "dims": [4], "data_location": TensorProto.EXTERNAL, "external_data": [location]}
    yield Malicious("numbers in another file", "ONNX_EXTERNAL_DATA", _with_graph(lambda m: _put(m, "x", **external)))
    half = {"data_type": 1, "dims": [1], "raw_data": b"\0" * 4, "external_data": [location]}
    yield Malicious("numbers in both", "ONNX_EXTERNAL_DATA", _with_graph(lambda m: _put(m, "x", **half)))
    giant = {"data_type": 1, "dims": [1 << 31, 1 << 31, 4]}
    yield Malicious("a tensor of 2^64 numbers", "ONNX_TOO_LARGE", _with_graph(lambda m: _put(m, "x", **giant)))
    negative = {"data_type": 1, "dims": [-1, -4], "raw_data": b"\0" * 16}
    yield Malicious("a tensor of negative size", "ONNX_TENSOR", _with_graph(lambda m: _put(m, "x", **negative)))
    short = {"data_type": 1, "dims": [1 << 20], "raw_data": b"\0" * 4}
    yield Malicious(
        "a tensor that says more than it holds", "ONNX_TENSOR", _with_graph(lambda m: _put(m, "x", **short))
    )
    text = {"data_type": TensorProto.STRING, "dims": [1], "string_data": [b"x"]}
    yield Malicious("texts", "ONNX_TENSOR", _with_graph(lambda m: _put(m, "x", **text)))

    def poison(value: float) -> Callable[[Any], None]:
        numbers = np.array([[value], [-1.0]], np.float32).tobytes()
        return lambda model: setattr(model.graph.initializer[0], "raw_data", numbers)

    yield Malicious("a weight that is NaN", "ONNX_NOT_FINITE", _with_graph(poison(float("nan"))))
    yield Malicious("a weight without end", "ONNX_NOT_FINITE", _with_graph(poison(float("inf"))))


def graphs() -> Iterator[Malicious]:
    """Yields bundles whose graph does what no controller does."""
    from onnx import helper

    alpha = _node("LeakyRelu", ["qpos"], ["y"], alpha=float("nan"))
    yield Malicious("an attribute that is NaN", "ONNX_NOT_FINITE", _with_graph(alpha))
    yield Malicious(
        "an operator of another domain", "ONNX_DOMAIN", _with_graph(_node("Run", ["qpos"], ["y"], domain="evil"))
    )
    domain = helper.make_opsetid("com.microsoft", 1)
    yield Malicious("another domain", "ONNX_DOMAIN", _with_graph(lambda m: m.opset_import.append(domain)))
    yield Malicious("a random operator", "ONNX_OPERATOR", _with_graph(_node("RandomNormal", [], ["y"], shape=[1])))
    yield Malicious("a sequence", "ONNX_OPERATOR", _with_graph(_node("SequenceEmpty", [], ["y"])))
    body = helper.make_graph([], "body", [], [])
    yield Malicious("a loop", "ONNX_OPERATOR", _with_graph(_node("Loop", ["", ""], ["y"], body=body)))
    yield Malicious("a graph in the graph", "ONNX_SUBGRAPH", _with_graph(_node("Identity", ["qpos"], ["y"], body=body)))
    function = helper.make_function("", "Abs", ["x"], ["y"], [], [helper.make_opsetid("", 21)])
    yield Malicious("a function", "ONNX_FUNCTIONS", _with_graph(lambda m: m.functions.append(function)))
    yield Malicious("a training procedure", "ONNX_FUNCTIONS", _with_graph(lambda m: m.training_info.add()))
    yield Malicious("an IR of the future", "ONNX_VERSION", _with_graph(lambda m: setattr(m, "ir_version", 99)))
    yield Malicious(
        "an opset of the future", "ONNX_VERSION", _with_graph(lambda m: setattr(m.opset_import[0], "version", 99))
    )

    def unfold(model: Any) -> None:
        sizes = np.array([1 << 20, 1 << 20], np.int64)
        _put(model, "sizes", data_type=7, dims=[2], raw_data=sizes.tobytes())
        model.graph.node.append(helper.make_node("Expand", ["qpos", "sizes"], ["y"]))

    yield Malicious("few bytes that unfold to a terabyte", "ONNX_TOO_LARGE", _with_graph(unfold))
    yield Malicious("sizes that double and double", "ONNX_TOO_LARGE", _with_graph(_doubled))
    yield Malicious("much that is found, each beside each", "ONNX_TOO_LARGE", _with_graph(_squared))
    for what, change in _sized_by_numbers():
        yield Malicious(what, "ONNX_SHAPE", _with_graph(change))
    yield Malicious("a value from nowhere", "ONNX_INVALID", _with_graph(_node("Abs", ["nowhere"], ["y"])))
    many = [helper.make_node("Abs", ["qpos"], [f"y{number}"]) for number in range(20_001)]
    yield Malicious("too many nodes", "ONNX_TOO_LARGE", _with_graph(lambda m: m.graph.node.extend(many)))

    def widened(model: Any) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3

    yield Malicious("a graph of another shape", "ONNX_SIGNATURE", _with_graph(widened))
    opened = _with_graph(lambda m: m.graph.input[0].type.tensor_type.shape.dim[0].ClearField("dim_value"))
    yield Malicious("a graph of open shape", "ONNX_SIGNATURE", opened)
    extra = helper.make_tensor_value_info("more", 1, [1])
    yield Malicious("an input that nobody feeds", "ONNX_SIGNATURE", _with_graph(lambda m: m.graph.input.append(extra)))
    yield Malicious(
        "an input with a value of its own",
        "ONNX_SIGNATURE",
        _with_graph(lambda m: _put(m, "qpos", data_type=1, dims=[1], raw_data=b"\0" * 4)),
    )


def _sized_by_numbers() -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Yields graphs whose values are small at first and grow without end when the carry `count` has come to 100."""
    from onnx import helper

    def graph(*last: Any, shape: tuple[int, ...] | None = None) -> Callable[[Any], None]:
        def change(model: Any) -> None:
            _put(model, "hundred", data_type=6, dims=[], raw_data=np.int32(100).tobytes())
            _put(model, "huge", data_type=7, dims=[1], raw_data=np.int64(1 << 33).tobytes())
            _put(model, "number", data_type=7, dims=[], raw_data=np.int64(0).tobytes())
            _put(model, "step", data_type=7, dims=[], raw_data=np.int64(1).tobytes())
            late = (
                helper.make_node("Greater", ["count", "hundred"], ["is_late"]),
                helper.make_node("Cast", ["is_late"], ["late"], to=7),
                helper.make_node("Mul", ["late", "huge"], ["size"]),
                helper.make_node("Squeeze", ["size"], ["end"]),
            )
            model.graph.node.extend((*late, *last))
            if shape is not None:
                model.graph.value_info.append(helper.make_tensor_value_info("y", 1, shape))

        return change

    filled = helper.make_node("ConstantOfShape", ["size"], ["y"])
    yield "34 GB after a hundred ticks", graph(filled)
    yield "34 GB that are said to be one number", graph(filled, shape=(1,))
    yield "a range without end", graph(helper.make_node("Range", ["number", "end", "step"], ["y"]))
    yield "a value that is repeated without end", graph(helper.make_node("Tile", ["qpos", "size"], ["y"]))
    yield "a value that is widened without end", graph(helper.make_node("Expand", ["qpos", "size"], ["y"]))
    pads = helper.make_node("Concat", ["size", "size"], ["pads"], axis=0)
    yield "a border without end", graph(pads, helper.make_node("Pad", ["qpos", "pads"], ["y"]))
    found = (helper.make_node("NonZero", ["qpos"], ["found"]), helper.make_node("Shape", ["found"], ["few"], start=1))
    less = (helper.make_node("Sub", ["huge", "few"], ["more"]), helper.make_node("Expand", ["qpos", "more"], ["y"]))
    yield "a value that is large where little is found", graph(*found, *less)


def _doubled(model: Any) -> None:
    from onnx import helper

    model.graph.node.append(helper.make_node("Shape", ["qpos"], ["sizes0"]))
    for number in range(20):
        twice = [f"sizes{number}"] * 2
        model.graph.node.append(helper.make_node("Concat", twice, [f"sizes{number + 1}"], axis=0))


def _squared(model: Any) -> None:
    from onnx import helper

    _put(model, "many", data_type=7, dims=[1], raw_data=np.int64(1 << 12).tobytes())
    model.graph.node.extend(
        (
            helper.make_node("Expand", ["qpos", "many"], ["wide"]),
            helper.make_node("NonZero", ["wide"], ["row"]),
            helper.make_node("Transpose", ["row"], ["column"]),
            helper.make_node("Mul", ["row", "column"], ["pairs"]),
        )
    )


def _with_graph(change: Callable[[Any], Any]) -> bytes:
    model = sample_controller()
    change(model)
    return forging.with_controller(model.SerializeToString(deterministic=True))


def _put(model: Any, name: str, **fields: Any) -> None:
    import onnx

    model.graph.initializer.append(onnx.TensorProto(name=name, **fields))


def _node(*arguments: Any, **fields: Any) -> Callable[[Any], Any]:
    from onnx import helper

    return lambda model: model.graph.node.append(helper.make_node(*arguments, **fields))
