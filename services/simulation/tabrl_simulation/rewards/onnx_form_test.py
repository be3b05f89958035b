"""The ONNX form: what it is called, and what is refused."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tabrl_simulation.rewards.container import ProgramHeader, ProgramRefused
from tabrl_simulation.rewards.onnx_gate import LONGEST_ONNX, check_onnx
from tabrl_simulation.rewards.tracing import trace

SOURCE = """def reward(state, action):
    up = state.up("torso")
    return {"up": up, "again": up, "time": state.time, "one": 1.0, "height": state.body_height("torso")}
"""


def test_outputs_are_the_terms_in_order_and_inputs_only_those_read(walker):
    # given one value under two names, an input passed through, a constant, and a term named like an input
    model = onnx.load_model_from_string(trace(SOURCE, walker).onnx)
    assert [value.name for value in model.graph.output] == ["up", "again", "time_term", "one", "height"]
    assert {value.name for value in model.graph.input} == {"time", "xmat", "xpos"}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    arrays = {name: np.full(walker.arrays[name], 0.5, np.float32) for name in ("time", "xmat", "xpos")}
    assert [float(value) for value in session.run(None, arrays)] == [0.5, 0.5, 0.5, 1.0, 0.5]


def test_a_quotient_that_a_sum_and_products_share_is_not_lost(walker):
    # given a shape that onnxruntime's optimizer would break: 1 / x, multiplied twice and added once
    source = """def reward(state, action):
    held = 1.0 / (1.0 + state.time * state.time)
    return {"both": held * state.up("torso") + held * state.body_height("torso"), "held": 1.0 + held}
"""

    form = trace(source, walker).onnx

    session = onnxruntime.InferenceSession(form, providers=["CPUExecutionProvider"])
    arrays = {name: np.full(walker.arrays[name], 0.5, np.float32) for name in ("time", "xmat", "xpos")}
    assert [float(value) for value in session.run(None, arrays)] == pytest.approx([0.8, 1.8])


def header():
    return ProgramHeader("Tiny", "f", {"qpos": (2,)}, 1, False, ("a",))


def model(nodes, inputs=(("qpos", (2,)),), outputs=(("a", ()),), **options):
    def values(listed):
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in listed]

    graph = helper.make_graph(nodes, "g", values(inputs), values(outputs), **options)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def summed():
    return [helper.make_node("ReduceSum", ["qpos"], ["a"], keepdims=0)]


def test_a_plain_graph_passes():
    check_onnx(model(summed()).SerializeToString(), header())


def external():
    tensor = helper.make_tensor("w", TensorProto.FLOAT, (1,), [1.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def constant(**fields):
    return helper.make_node("Constant", [], ["w"], **fields)


def sparse():
    values = helper.make_tensor("v", TensorProto.FLOAT, (1,), [1.0])
    return helper.make_sparse_tensor(values, helper.make_tensor("i", TensorProto.INT64, (1,), [0]), [1 << 40])


BRANCH = helper.make_graph([], "branch", [], [])
REFUSED = {
    "garbage": b"garbage",
    "too long": b"\0" * (LONGEST_ONNX + 1),
    "another operator": model([helper.make_node("RandomNormal", [], ["a"], shape=[1])]).SerializeToString(),
    "another domain": model([helper.make_node("Evil", ["qpos"], ["a"], domain="evil")]).SerializeToString(),
    "a loop": model(
        [helper.make_node("If", ["qpos"], ["a"], then_branch=BRANCH, else_branch=BRANCH)]
    ).SerializeToString(),
    "data outside": model(summed(), initializer=[external()]).SerializeToString(),
    "data outside in an attribute": model([*summed(), constant(value=external())]).SerializeToString(),
    "data outside in a list": model([*summed(), constant(values=[external()])]).SerializeToString(),
    "a sparse attribute": model([*summed(), constant(sparse_value=sparse())]).SerializeToString(),
    "another input": model(summed(), inputs=(("secrets", (2,)),)).SerializeToString(),
    "another shape": model(summed(), inputs=(("qpos", (3,)),)).SerializeToString(),
    "another output": model(summed(), outputs=(("b", ()),)).SerializeToString(),
    "more outputs": model(summed(), outputs=(("a", ()), ("b", ()))).SerializeToString(),
    "a vector": model(summed(), outputs=(("a", (2,)),)).SerializeToString(),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_other_graphs_are_refused(data):
    with pytest.raises(ProgramRefused):
        check_onnx(data, header())
