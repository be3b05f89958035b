"""A sealed reward in a controller: joined, weighted, compared, and refused when it does not fit."""

from __future__ import annotations

import functools
import hashlib
import itertools
from dataclasses import replace
from typing import Any

import onnx
import pytest
from onnx import helper
from tabrl.play import player
from tabrl.play.manifest import OutputRole, Tensor

from tabrl_simulation import arrays, bundle
from tabrl_simulation.controllers import build, merge, parity
from tabrl_simulation.controllers.untrained import untrained_checkpoint
from tabrl_simulation.rewards.compile import CompiledReward, compile_reward
from tabrl_simulation.rewards.container import ProgramRefused
from tabrl_simulation.rewards.program import RewardProgram
from tabrl_simulation.rewards.robot import Robot

SOURCE = """
def reward(state, action):
    angle = state.qpos[1]
    return {
        "upright": jnp.cos(angle),
        "sway": jnp.exp(-jnp.square(state.qvel[0] - 0.3)),
        "gentle": 1.0 - jnp.mean(jnp.square(action)),
        "high": state.xpos[2, 2],
    }
"""
WEIGHTS = {"sway": 0.5, "gentle": -2.0}


@functools.cache
def bench() -> build.Workbench:
    return build.prepare("CartpoleBalance")


@functools.cache
def compiled(source: str = SOURCE) -> CompiledReward:
    environment = bench().environment
    robot = Robot(
        environment_id=environment.id,
        environment_fingerprint=environment.fingerprint,
        bodies=(),
        joints=(),
        actuators=(),
        sensors=(),
        sites=(),
        geoms=(),
        arrays=arrays.shapes(environment.model),
        action_size=environment.action_size,
        control_period_secs=environment.control_period_secs,
    )
    return compile_reward(source, robot)


def reward(weights: dict[str, float] | None = None) -> build.Reward:
    sealed = compiled()
    return build.Reward(
        RewardProgram.from_bytes(sealed.program),
        sealed.onnx,
        hashlib.sha256(sealed.program).hexdigest(),
        WEIGHTS if weights is None else weights,
    )


def built(given: build.Reward, **trained: Any) -> build.BuiltController:
    checkpoint = untrained_checkpoint(
        bench().environment,
        **{"reward_program_sha256": given.program_sha256, "weights": given.weights, **trained},
    )
    return build.build_controller(bench(), checkpoint, given, checkpoint_sha256="")


def test_a_controller_shows_the_terms_of_its_reward_with_their_weights() -> None:
    # Given a policy trained for a reward, when its controller plays
    made = built(reward())
    controller = player.Controller(made.onnx, made.manifest)
    ticks = list(player.Player(controller, bundle.load_scene(made.scene)).episode())[:30]

    # then each tick shows that reward's terms for the action that led there
    assert [(term.name, term.weight) for term in made.manifest.terms] == [
        ("upright", 1.0),
        ("sway", 0.5),
        ("gentle", -2.0),
        ("high", 1.0),
    ]
    assert set(ticks[0].decision.terms.values()) == {0.0}
    program = reward().program
    for before, tick in itertools.pairwise(ticks):
        now = {name.removeprefix("data."): value for name, value in tick.feed.items()}
        values = program(now, before.decision.action)
        for term in made.manifest.terms:
            expected = term.weight * float(values[term.name])
            assert tick.decision.terms[term.name] == pytest.approx(expected, abs=1e-5)
        assert tick.decision.reward == pytest.approx(sum(tick.decision.terms.values()), abs=1e-5)

    # and it agrees with the other form of the reward
    report = parity.measure_parity(made.source, controller, bundle.load_scene(made.scene))
    assert report.passed, report.moved
    assert {"term.upright", "term.gentle", "reward"} <= {output.name for output in report.outputs}
    # without the environment's own terms
    assert not any(output.field == "small_control" for output in made.manifest.outputs)


def test_forms_of_a_reward_that_differ_fail_parity() -> None:
    other = compiled(SOURCE.replace("- 0.3", "- 0.35"))
    made = built(replace(reward(), onnx=other.onnx))
    controller = player.Controller(made.onnx, made.manifest)
    report = parity.measure_parity(made.source, controller, bundle.load_scene(made.scene))
    assert {output.name for output in report.moved} == {"term.sway", "reward"}


def test_a_reward_other_than_the_one_trained_for_is_refused() -> None:
    with pytest.raises(build.RewardMismatchError, match="trained with the reward aaaa"):
        built(reward(), reward_program_sha256="a" * 64)
    with pytest.raises(build.RewardMismatchError, match="trained with weight 3 for sway"):
        built(reward(), weights={**WEIGHTS, "sway": 3.0})
    with pytest.raises(build.RewardMismatchError, match="no term nothing"):
        built(reward({"nothing": 1.0}))


def test_a_weight_of_one_is_the_same_as_none() -> None:
    made = built(reward({**WEIGHTS, "upright": 1.0}), weights=WEIGHTS)
    assert made.onnx == built(reward()).onnx


@pytest.mark.parametrize("damage", [b"", b"no model", None])
def test_bytes_that_are_no_reward_graph_are_refused(damage: bytes | None) -> None:
    onnx_bytes = compiled().onnx[:-40] if damage is None else damage
    with pytest.raises((ProgramRefused, merge.RewardGraphError)):
        built(replace(reward(), onnx=onnx_bytes))


@pytest.mark.parametrize(
    ("names", "shape", "opset", "outputs", "said"),
    [
        (["qpos"], (2,), 20, 1, "opset 20"),
        (["secret"], (2,), 21, 1, "'secret'"),
        (["qpos"], (3,), 21, 1, "shape"),
        (["qpos"], (2,), 21, 2, "2 outputs for 1 terms"),
    ],
)
def test_a_reward_graph_that_does_not_fit_is_refused(
    names: list[str], shape: tuple[int, ...], opset: int, outputs: int, said: str
) -> None:
    made = built(reward())
    with pytest.raises(merge.RewardGraphError, match=said):
        merge.join_reward(
            onnx.load_model_from_string(made.onnx),
            _graph(names, shape, opset, outputs),
            inputs={"qpos": Tensor("data.qpos", (2,), "float32")},
            terms=["open.upright"],
        )


def test_the_action_is_carried_for_a_reward_that_reads_it() -> None:
    manifest = built(reward()).manifest
    carried = {output.field for output in manifest.outputs if output.role is OutputRole.CARRY}
    assert "controller/action" in carried


def _graph(names: list[str], shape: tuple[int, ...], opset: int, outputs: int) -> Any:
    floats = onnx.TensorProto.FLOAT
    terms = [f"term{number}" for number in range(outputs)]
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("ReduceSum", [names[0]], [term], keepdims=0) for term in terms],
            "reward",
            [helper.make_tensor_value_info(name, floats, shape) for name in names],
            [helper.make_tensor_value_info(term, floats, ()) for term in terms],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
    )
