"""What a reward knows of the steps before: the same in its source, in training and in the exported controller."""

import functools
import hashlib
import itertools

import mujoco
import numpy as np
import pytest
from tabrl.play import player

from tabrl_simulation import arrays, bundle, environments
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.controllers import build, parity
from tabrl_simulation.feet import TOUCHING_M
from tabrl_simulation.rewards import contact
from tabrl_simulation.rewards.compile import CompiledReward, compile_reward
from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.program import RewardProgram
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import train

SOURCE = """def reward(state, action, previous):
    return {
        "change": state.action_change(),
        "last": state.last_action()[0],
        "air": state.air_time("foot"),
        "landed": state.landed("foot"),
        "contact": state.contact("foot"),
        "lifted": previous.contact("foot") - state.contact("foot"),
        "moved": state.joint_position("rootx") - previous.joint_position("rootx"),
        "beat": state.clock(2.0)[0],
    }
"""
WEIGHTS = {"change": -1.0, "air": 2.0}


@functools.cache
def _sealed() -> CompiledReward:
    return compile_reward(SOURCE, robot_of(environments.load("HopperHop")))


def test_a_controller_remembers_for_its_reward() -> None:
    # Given a policy trained for a moment on a reward that compares steps
    sealed = _sealed()
    program = RewardProgram.from_bytes(sealed.program)
    assert {"before.qpos", "before.action", "air_time"} <= set(program.inputs)
    bench = build.prepare("HopperHop")
    settings = Settings(env_steps=2_560, num_envs=32, unroll_length=20, num_minibatches=4, hidden_layer_sizes=(16,))
    trained = train(bench.environment, settings, reward=program, weights=WEIGHTS).checkpoint
    reward = build.Reward(program=program, onnx=sealed.onnx, program_sha256=program.sha256, weights=WEIGHTS)
    digest = hashlib.sha256(trained.to_bytes()).hexdigest()
    made = build.build_controller(bench, trained, reward, checkpoint_sha256=digest)

    # when its controller plays
    controller = player.Controller(made.onnx, made.manifest)
    ticks = list(player.Player(controller, bundle.load_scene(made.scene)).episode())[:200]

    # then its terms are those of the motion and of the actions
    period = made.manifest.control_period_secs
    air = 0.0
    for earlier, tick in itertools.pairwise(ticks):
        terms = dict(tick.decision.terms)
        touching = terms["contact"] == 1.0
        assert terms["moved"] == pytest.approx(tick.qpos[0] - earlier.qpos[0], abs=1e-5)
        assert terms["landed"] == float(touching and air > 0)
        expected = 0.0 if touching and air == 0 else air + period
        assert terms["air"] / WEIGHTS["air"] == pytest.approx(expected, abs=1e-4)
        if earlier.step > 0:  # nothing lies behind the first tick, whose terms are 0
            assert terms["lifted"] == pytest.approx(earlier.decision.terms["contact"] - terms["contact"], abs=1e-6)
        air = 0.0 if touching else air + period
    for first, second, tick in zip(ticks, ticks[1:], ticks[2:], strict=False):
        assert tick.decision.terms["last"] == pytest.approx(float(first.decision.action[0]), abs=1e-6)
        change = float(np.mean(np.square(second.decision.action - first.decision.action)))
        assert tick.decision.terms["change"] == pytest.approx(-change, abs=1e-5)
    assert any(tick.decision.terms["contact"] for tick in ticks)
    assert any(tick.decision.terms["landed"] for tick in ticks)

    # and both forms agree
    report = parity.measure_parity(made.source, controller, bundle.load_scene(made.scene))
    assert report.passed, report.moved


def test_a_resumed_training_remembers_as_one_that_went_on() -> None:
    # Given a training with a reward that compares steps, and what it kept half-way
    program = RewardProgram.from_bytes(_sealed().program)
    environment = environments.load("HopperHop")
    settings = Settings(env_steps=2_560, num_envs=32, unroll_length=10, num_minibatches=4, hidden_layer_sizes=(16,))
    kept: list[Checkpoint] = []
    whole = train(
        environment, settings, reward=program, weights=WEIGHTS, checkpoint_every_secs=0.0, on_checkpoint=kept.append
    ).checkpoint
    assert len(kept) > 2

    # when it goes on from there, then it ends at the same policy to the bit
    again = train(environment, settings, reward=program, weights=WEIGHTS, resume=kept[0]).checkpoint
    assert again.to_bytes() == whole.to_bytes()


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("def reward(state, previous):\n    return {'a': 1.0}", "bad-signature"),
        ("def reward(state, action, history):\n    return {'a': 1.0}", "bad-signature"),
        ("def reward(state, action, previous=None):\n    return {'a': 1.0}", "bad-signature"),
        ("def reward(state, action, command):\n    return {'a': command[0]}", "unknown-command"),
        ("def reward(state, action, previous):\n    return {'a': previous.wings[0]}", "unknown-state-member"),
        ("def reward(state, action, previous):\n    return {'a': previous.air_tme('foot')}", "unknown-state-member"),
        ("def reward(state, action):\n    return {'a': state.contact('paw')}", "unknown-foot"),
        ("def reward(state, action):\n    return {'a': previous.qpos[0]}", "unknown-name"),
        ("def reward(state, action):\n    return {'a': state.command()[0]}", "unknown-command"),
        (
            "def reward(state, action, previous):\n    return {'a': previous.last_action()[0]}",
            "unknown-previous-state-member",
        ),
    ],
)
def test_what_a_robot_does_not_have_is_refused(source: str, rule: str) -> None:
    with pytest.raises(RewardRejected) as refused:
        compile_reward(source, robot_of(environments.load("HopperHop")))
    assert refused.value.diagnostics[0].rule == rule


def test_contact_is_mujocos_own() -> None:
    # Given a hopper that falls and bounces, when contacts are told by the feet's lowest points
    environment = environments.load("HopperHop")
    model = environment.model
    (foot,) = robot_of(environment).feet
    data = mujoco.MjData(model)
    data.qpos[1] = 0.3
    mujoco.mj_forward(model, data)
    body = model.body("foot").id
    agreed = []
    for _ in range(400):
        mujoco.mj_step(model, data)
        mujoco.mj_forward(model, data)
        read = arrays.read(data, ("geom_xpos", "geom_xmat"))
        height = float(contact.foot_height(foot, read["geom_xpos"], read["geom_xmat"]))
        touching = any(body in model.geom_bodyid[pair] for pair in data.contact.geom)
        # Then they agree, but for the centimetre in which a foot is as good as down
        if touching or height > TOUCHING_M:
            agreed.append(touching == (height < TOUCHING_M))
    assert agreed.count(True) > 0.99 * len(agreed)
