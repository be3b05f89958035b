"""The smallest honest bundle: a pole on a hinge, and a controller that holds it up.

Tests start from it, and whoever is about to read a bundle in a jail plays it first, so that all that playing needs is
loaded by then.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import numpy as np
from tabrl.play import manifest_json
from tabrl.play.bundle import Contents
from tabrl.play.manifest import (
    FileReference,
    GraphInput,
    GraphOutput,
    InputSource,
    Manifest,
    OutputRole,
    ResetState,
    Tensor,
    Term,
)

__all__ = ["sample_contents", "sample_controller"]

_OPSET: Final = 21
_IR_VERSION: Final = 10
_MESH: Final = b"v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 3 1 4\n"
_MJCF: Final = b"""<mujoco model="pole">
  <option timestep="0.005"/>
  <asset><mesh name="pole" file="pole.obj"/></asset>
  <worldbody>
    <light pos="0 0 3"/>
    <geom type="plane" size="2 2 .1" pos="0 0 -1.5"/>
    <body name="pole">
      <joint name="hinge" axis="0 1 0" damping=".05"/>
      <geom type="mesh" mesh="pole" mass="1" rgba=".2 .5 .9 1" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge" gear="20" ctrlrange="-1 1"/></actuator>
</mujoco>
"""
_POS, _VEL, _COUNT = Tensor("qpos", (1,), "float32"), Tensor("qvel", (1,), "float32"), Tensor("count", (), "int32")


def sample_contents() -> Contents:
    """Returns the contents of the bundle; the same at each call."""
    graph = sample_controller().SerializeToString(deterministic=True)
    manifest = manifest_json.dumps(_manifest(graph)).encode()
    files = {
        "controller.onnx": graph,
        "manifest.json": manifest,
        "scene/scene.xml": _MJCF,
        "scene/pole.obj": _MESH,
        "parity.json": json.dumps({"states": 0}).encode(),
        "MODEL_CARD.md": b"# A pole that stands\n",
        "licences/robot.txt": b"Apache-2.0\n",
    }
    return Contents("psample", "SamplePole", "stand", files)


def sample_controller() -> Any:
    """Returns the graph as an `onnx.ModelProto`: `ctrl = clip(-(5, 1) . (qpos, qvel))`."""
    import onnx
    from onnx import TensorProto, helper

    def constant(name: str, value: Any, kind: int = TensorProto.FLOAT) -> Any:
        numbers = np.asarray(value, np.int32 if kind == TensorProto.INT32 else np.float32)
        return helper.make_tensor(name, kind, numbers.shape, numbers.tobytes(), raw=True)

    nodes = [
        helper.make_node("Concat", ["qpos", "qvel"], ["observation"], axis=0),
        helper.make_node("MatMul", ["observation", "gains"], ["wanted"]),
        helper.make_node("Clip", ["wanted", "low", "high"], ["ctrl"]),
        helper.make_node("Identity", ["ctrl"], ["action"]),
        helper.make_node("Mul", ["qpos", "qpos"], ["square"]),
        helper.make_node("ReduceSum", ["square"], ["off"], keepdims=0),
        helper.make_node("Sub", ["high", "off"], ["reward"]),
        helper.make_node("Greater", ["off", "far"], ["fell"]),
        helper.make_node("Cast", ["fell"], ["done"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["count", "one"], ["count_next"]),
    ]
    constants = [
        constant("gains", [[-5.0], [-1.0]]),
        constant("low", -1.0),
        constant("high", 1.0),
        constant("far", 2.0),
        constant("one", 1, TensorProto.INT32),
    ]
    inputs = [_value(onnx, tensor) for tensor in (_POS, _VEL, _COUNT)]
    outputs = [_value(onnx, output.tensor) for output in _outputs() if output.role is not OutputRole.TERM]
    graph = helper.make_graph(nodes, "pole", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)


def _value(onnx: Any, tensor: Tensor) -> Any:
    kind = onnx.TensorProto.INT32 if tensor.dtype == "int32" else onnx.TensorProto.FLOAT
    return onnx.helper.make_tensor_value_info(tensor.name, kind, tensor.shape)


def _outputs() -> tuple[GraphOutput, ...]:
    number, one = Tensor("reward", (), "float32"), (1,)
    return (
        GraphOutput(Tensor("ctrl", one, "float32"), OutputRole.CTRL),
        GraphOutput(Tensor("action", one, "float32"), OutputRole.ACTION),
        GraphOutput(Tensor("observation", (2,), "float32"), OutputRole.OBSERVATION),
        GraphOutput(number, OutputRole.REWARD),
        GraphOutput(number, OutputRole.TERM, "upright"),
        GraphOutput(Tensor("done", (), "float32"), OutputRole.DONE),
        GraphOutput(Tensor("count_next", (), "int32"), OutputRole.CARRY, "count"),
    )


def _manifest(graph: bytes) -> Manifest:
    resets = tuple(
        ResetState({"qpos": np.array([angle]), "qvel": np.zeros(1)}, {"count": np.array(0, np.int32)})
        for angle in (0.3, -0.2)
    )
    return Manifest(
        environment_id="SamplePole",
        environment_fingerprint="sample",
        controller_sha256=_digest(graph),
        scene_xml=FileReference(_digest(_MJCF), len(_MJCF)),
        scene_assets={"pole.obj": FileReference(_digest(_MESH), len(_MESH))},
        control_period_secs=0.02,
        physics_steps_per_control=4,
        episode_length=200,
        action_repeat=1,
        inputs=(
            GraphInput(_POS, InputSource.DATA, "qpos"),
            GraphInput(_VEL, InputSource.DATA, "qvel"),
            GraphInput(_COUNT, InputSource.CARRY, "count"),
        ),
        outputs=_outputs(),
        copies=(),
        resets=resets,
        terms=(Term("upright", 1.0),),
        onnx_opset=_OPSET,
        mujoco_version="3.17.0",
        checkpoint_sha256="",
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
