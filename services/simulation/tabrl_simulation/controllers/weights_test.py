"""Smaller weights on small graphs whose every number is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tabrl_simulation.controllers import weights
from tabrl_simulation.controllers.graph import OPSET

DRAW = np.random.default_rng(0)
MATRIX = DRAW.normal(size=(32, 16)).astype(np.float32)
MATRIX[:, 3] = 0  # an output that nothing leads to
MATRIX[:, 5] *= 1000  # and one with large weights, which must not cost the others anything
PRODUCTS = {
    "einsum": helper.make_node("Einsum", ["x", "w"], ["y"], equation="a,ab->b"),
    "batched einsum": helper.make_node("Einsum", ["w", "x"], ["y"], equation="ab,a->b"),
    "matmul": helper.make_node("MatMul", ["x", "w"], ["y"]),
    "gemm": helper.make_node("Gemm", ["row", "w"], ["rows"]),
    "transposed gemm": helper.make_node("Gemm", ["row", "w"], ["rows"], transB=1),
}


def graph_of(product: str, *, beside: dict[str, np.ndarray[Any, Any]] | None = None) -> bytes:
    """A graph from x, [32], through a product with w to action, [16], which also says how w's columns add up."""
    matrix = MATRIX.T.copy() if product == "transposed gemm" else MATRIX
    arrays = {"w": matrix, "bias": np.arange(16, dtype=np.float32), "one": np.array([0]), **(beside or {})}
    nodes = [PRODUCTS[product], helper.make_node("Add", ["y", "bias"], ["action"])]
    if "gemm" in product:
        nodes.insert(0, helper.make_node("Unsqueeze", ["x", "one"], ["row"]))
        nodes.insert(2, helper.make_node("Squeeze", ["rows", "one"], ["y"]))
    outputs = [helper.make_tensor_value_info("action", TensorProto.FLOAT, [16])]
    if "beside" in arrays:
        nodes.append(helper.make_node("MatMul", ["x", "beside"], ["other"]))
        outputs.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [arrays["beside"].shape[1]]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [32])],
        outputs,
        [numpy_helper.from_array(values, name) for name, values in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return bytes(model.SerializeToString(deterministic=True))


def run(graph: bytes, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    action: np.ndarray[Any, Any] = session.run(["action"], {"x": x})[0]
    return action


def stored(graph: bytes) -> dict[str, np.ndarray[Any, Any]]:
    initializers = onnx.load_from_string(graph).graph.initializer
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in initializers}


@pytest.mark.parametrize("product", PRODUCTS)
def test_float16_weights_are_multiplied_in_float32(product: str) -> None:
    given = graph_of(product)
    smaller = weights.with_float16_weights(given, action="action")

    assert len(smaller) < len(given) - MATRIX.size
    assert {array.dtype.name for array in stored(smaller).values() if array.size >= weights.SMALLEST} == {"float16"}
    x = DRAW.normal(size=32).astype(np.float32)
    expected = x @ MATRIX.astype(np.float16).astype(np.float32) + np.arange(16, dtype=np.float32)
    np.testing.assert_allclose(run(smaller, x), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(stored(smaller)["bias"], stored(given)["bias"])


@pytest.mark.parametrize("product", PRODUCTS)
def test_int8_weights_have_a_scale_for_each_output(product: str) -> None:
    given = graph_of(product)
    smaller = weights.with_int8_weights(given, action="action")

    assert len(smaller) < len(given) - 2 * MATRIX.size
    kept = stored(smaller)
    assert (kept["w.int8"].dtype, kept["w.scale"].shape) == (np.int8, (16,))
    # each weight is off by half a step of its own output at most
    exact = np.array([run(smaller, row) - np.arange(16) for row in np.eye(32, dtype=np.float32)])
    assert (np.abs(exact - MATRIX) <= np.abs(MATRIX).max(axis=0) / 254 * 1.001 + 1e-5).all()
    np.testing.assert_array_equal(exact[:, 3], 0)
    # the largest weight of an output is exact
    rows = np.abs(MATRIX).argmax(axis=0)
    np.testing.assert_allclose(exact[rows, range(16)], MATRIX[rows, range(16)], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("write", [weights.with_float16_weights, weights.with_int8_weights])
def test_what_is_small_or_leads_elsewhere_stays_as_it_is(write: Any) -> None:
    elsewhere = DRAW.normal(size=(32, 64)).astype(np.float32)
    kept = stored(write(graph_of("matmul", beside={"beside": elsewhere}), action="action"))
    np.testing.assert_array_equal(kept["beside"], elsewhere)
    assert kept["bias"].dtype == np.float32
    assert "w" not in kept


def test_a_matrix_with_two_uses_that_differ_stays_as_it_is() -> None:
    model = onnx.load_from_string(graph_of("matmul"))
    model.graph.node.insert(0, helper.make_node("ReduceSum", ["w"], ["total"], keepdims=0))
    model.graph.node[2].input[1] = "total"
    written = weights.with_int8_weights(model.SerializeToString(), action="action")
    np.testing.assert_array_equal(stored(written)["w"], MATRIX)


def test_a_weight_beyond_float16_becomes_infinite_and_no_other_number() -> None:
    model = onnx.load_from_string(graph_of("matmul"))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(MATRIX * np.float32(1e6), "w"))
    kept = stored(weights.with_float16_weights(model.SerializeToString(), action="action"))["w.float16"]
    assert np.isinf(kept).any()
