"""What jax2onnx or onnxruntime get wrong comes out right, in plain functions and in a step that has all of it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import onnxruntime
import pytest
from tabrl.play import player
from tabrl.play.manifest import FileReference, InputSource, Manifest, OutputRole, ResetState

from tabrl_simulation.controllers import exactness, graph, lowering, parity
from tabrl_simulation.controllers.source import Source, compose
from tabrl_simulation.rewards import onnx_plugins
from tabrl_simulation.split import After

SIX = np.linspace(-2.0, 3.0, 6, dtype=np.float32)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("choice of truth values", lambda x: [jnp.where(x > 0, x > 1, x < -1).astype(jnp.float32)]),
        ("a choice that is known", lambda x: [jax.lax.select_n(True, x > 1, x < -1).astype(jnp.float32)]),
        ("product of float and int", lambda x: [jnp.dot(x, jnp.arange(6))]),
        ("whole array set", lambda x: [jnp.zeros(6).at[:].set(2 * x)]),
        ("whole array added", lambda x: [x.at[:].add(x)]),
        ("part of an array set", lambda x: [x.at[2:4].set(0.0).at[5].set(x[0])]),
        ("nothing joined", lambda x: [jnp.concatenate([x[:0], x, x[6:]])]),
        ("nothing between two", lambda x: [jnp.concatenate([x, x[:0], x])]),
        ("clipped, wrapped, normed", lambda x: [jnp.linalg.norm(jnp.clip(x, -1, 1)) + jnp.arctan2(x, x**2 + 1)]),
        ("calls inside calls", lambda x: [jax.jit(lambda y: jax.nn.relu(jax.jit(jnp.tanh)(y)))(x)]),
        ("not a number", lambda x: [(jnp.isnan(x / 0.0 * 0.0).any() | jnp.isinf(x).any()).astype(jnp.float32)]),
        ("integers", lambda x: [jnp.argmax(x) + jnp.sum(x > 0), jnp.round(x).astype(jnp.int32) % 2]),
    ],
)
def test_an_operation_says_the_same_in_onnx(name: str, function: Callable[[Any], list[Any]]) -> None:
    import jax2onnx

    onnx_plugins.load_lax_plugins()
    aval = jax.eval_shape(lambda: jnp.zeros(6))
    flat, uniform, normal = lowering.with_draws(function, [aval])
    program = lowering.trace(lambda x: flat(None, None, [x]), [aval])
    wanted = [True] * len(program.outputs)
    model = jax2onnx.to_onnx(lowering.rewrite(program, wanted), inputs=[aval], opset=graph.OPSET)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    given = session.get_inputs()
    actual = session.run(None, {given[0].name: SIX} if given else {})

    assert (uniform, normal) == (0, 0)
    for left, right in zip(function(jnp.asarray(SIX)), actual, strict=True):
        assert exactness.relative_difference(np.asarray(left), right) <= 1e-6, name


def test_draws_become_inputs_in_their_order_and_none_is_no_noise() -> None:
    def noisy(key: Any) -> list[Any]:
        first, second = jax.random.split(key)
        return [
            jax.random.uniform(first, (2,), minval=-1.0, maxval=3.0),
            jax.random.normal(second, (3,)),
            jax.random.bernoulli(first, 0.25).astype(jnp.float32),
            jax.random.randint(second, (2,), 0, 4),
        ]

    aval = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    flat, uniform, normal = lowering.with_draws(noisy, [aval])
    assert (uniform, normal) == (5, 3)
    drawn = flat(jnp.array([0.0, 0.75, 0.2, 0.3, 0.99]), jnp.array([1.0, -1.0, 2.0]), [jax.random.PRNGKey(0)])
    assert [value.tolist() for value in drawn] == [[-1.0, 2.0], [1.0, -1.0, 2.0], 1.0, [1, 3]]
    still = flat(None, None, [jax.random.PRNGKey(0)])
    assert [value.tolist() for value in still] == [[1.0, 1.0], [0.0, 0.0, 0.0], 0.0, [2, 2]]
    # and no generator is left in what is exported
    program = lowering.trace(lambda u, n, key: flat(u, n, [key]), [jnp.zeros(5), jnp.zeros(3), aval])
    assert program.used == (True, True, False)


def test_a_draw_of_an_unknown_kind_is_refused() -> None:
    aval = jax.eval_shape(lambda: jax.random.PRNGKey(0))
    flat, _, _ = lowering.with_draws(lambda key: [jax.random.permutation(key, 4)], [aval])
    program = lowering.trace(lambda key: flat(None, None, [key]), [aval])
    with pytest.raises(lowering.UnsupportedStepError, match="random_bits"):
        lowering.rewrite(program, [True])


def test_what_no_output_needs_is_dropped() -> None:
    program = lowering.trace(lambda x, y: [jnp.sin(x), jnp.cos(y)], [SIX, SIX])
    assert program.used == (True, True)
    half = lowering.narrowed(program, [False, True])
    assert half.used == (False, True)
    assert half.primitives() == {"cos"}


# --- a step with everything that the 25 environments happen not to have ---------------------------------------------

SWING = """
<mujoco><option timestep="0.01"/><worldbody><body name="arm"><joint name="hinge" type="hinge" axis="0 1 0"/>
<geom type="capsule" fromto="0 0 0 0 0 -1" size="0.05"/></body></worldbody>
<actuator><motor joint="hinge" gear="2"/></actuator></mujoco>
"""


@dataclass(frozen=True)
class SwingEnvironment:
    """A swing that knows what it did before, draws noise, and counts."""

    model: Any = field(default_factory=lambda: mujoco.MjModel.from_xml_string(SWING))
    action_size: int = 1


class SwingStep:
    """The halves of its step."""

    before_arrays = ("qvel",)
    after_arrays = ("qpos", "qvel", "before.qvel")
    after_reads_before = ("qvel",)
    written = ()
    terms = ("smooth", "nothing")
    carry: Mapping[str, Any] = jax.eval_shape(
        lambda: {
            "rng": jax.random.PRNGKey(0),
            "last_act": jnp.zeros(1),
            "older_act": jnp.zeros(1),
            "steps": jnp.zeros((), jnp.int32),
            "command": jnp.zeros(2),
            "forgotten": jnp.zeros(3),
        }
    )

    def before(self, action: Any, carry: Any, data: Any) -> Any:
        return action + 0.1 * carry["older_act"] - 0.01 * data["qvel"], dict(carry)

    def after(self, data: Any, action: Any, carry: Any) -> After:
        rng, noise, draw = jax.random.split(carry["rng"], 3)
        late = carry["steps"] >= 3
        acceleration = data["qvel"] - data["before.qvel"]
        observation = jnp.concatenate(
            [data["qpos"] + 0.1 * jax.random.uniform(noise, (1,), minval=-1.0), acceleration, carry["command"], action]
        )
        smooth = jnp.exp(-jnp.sum((action - carry["last_act"]) ** 2))
        moved = {
            "rng": rng,
            "last_act": action,
            "older_act": carry["last_act"],
            "steps": carry["steps"] + 1,
            "command": jnp.where(late, jax.random.normal(draw, (2,)), carry["command"]),
            "forgotten": carry["forgotten"] + 1,
        }
        done = jnp.where(late, jnp.abs(data["qpos"][0]) > 3.0, jnp.array(False)).astype(jnp.float32)
        return After(
            observation=observation,
            privileged_observation=jnp.zeros(0),
            reward=smooth - 0.1,
            terms={"smooth": smooth, "nothing": jnp.zeros(())},
            done=done,
            carry=moved,
            writes={},
        )


def swing() -> tuple[Source, player.Controller, Any]:
    environment = SwingEnvironment()
    source = compose(
        environment,  # type: ignore[arg-type]
        SwingStep(),  # type: ignore[arg-type]
        lambda observation: jnp.tanh(observation[:1] * 2 - observation[4:] + 0.3),
    )
    converted = graph.convert(source, name="swing")
    carry = {
        given.field: given.tensor.zeros() + (given.field == "command")
        for given in converted.inputs
        if given.source is InputSource.CARRY
    }
    file = FileReference("", 0)
    reset = ResetState({"qpos": np.array([0.4]), "qvel": np.array([0.5])}, carry)
    manifest = Manifest(
        environment_id="Swing",
        environment_fingerprint="",
        controller_sha256="",
        scene_xml=file,
        scene_assets={},
        control_period_secs=0.02,
        physics_steps_per_control=2,
        episode_length=40,
        action_repeat=1,
        inputs=converted.inputs,
        outputs=converted.outputs,
        copies=converted.copies,
        resets=(reset,),
        terms=source.terms,
        onnx_opset=21,
        mujoco_version="",
        checkpoint_sha256="",
    )
    return source, player.Controller(converted.onnx, manifest), environment.model


def test_a_step_with_carry_noise_and_memory_equals_its_source() -> None:
    source, controller, model = swing()
    report = parity.measure_parity(source, controller, model)
    assert report.passed, report.moved
    names = {output.name for output in report.outputs}
    assert {"carry.last_act", "carry.older_act", "carry.steps", "carry.command", "term.smooth"} <= names
    # what nothing reads, and terms that are always 0, are not there
    assert not {"carry.rng", "carry.forgotten", "term.nothing"} & names
    inputs = {given.tensor.name: given.source for given in controller.manifest.inputs}
    assert inputs["before.qvel"] is InputSource.DATA_BEFORE
    assert inputs["noise.uniform"] is InputSource.UNIFORM
    assert inputs["noise.normal"] is InputSource.NORMAL


def test_the_carry_goes_on_from_the_reset_as_in_training() -> None:
    # Given a swing played without noise
    _, controller, model = swing()
    play = player.Player(controller, model)
    step, carry = SwingStep(), dict(controller.initial_carry(), rng=jax.random.PRNGKey(0), forgotten=jnp.zeros(3))
    ticks = list(play.episode())

    # when training's halves are run on the same states: before, physics, after
    for period, (earlier, later) in enumerate(itertools.pairwise(ticks)):
        was = {name.removeprefix("data."): value for name, value in earlier.feed.items()}
        now = {name.removeprefix("data."): value for name, value in later.feed.items()}
        action = jnp.asarray(earlier.decision.action)
        ctrl, carry = step.before(action, carry, was)
        flat, _, _ = lowering.with_draws(
            lambda key, carry=carry, action=action, now=now: jax.tree.leaves(
                step.after(now, action, {**carry, "rng": key})
            ),
            [carry["rng"]],
        )
        after = jax.tree.unflatten(jax.tree.structure(step.after(now, action, carry)), flat(None, None, [carry["rng"]]))
        carry = after.carry

        # then everything is the same, tick by tick
        np.testing.assert_allclose(earlier.decision.ctrl, ctrl, atol=1e-6)
        np.testing.assert_allclose(later.decision.observation, after.observation, atol=1e-6)
        assert later.decision.reward == pytest.approx(float(after.reward), abs=1e-6)
        assert int(later.decision.carry["steps"]) == period + 1
        for name in ("last_act", "older_act", "command"):
            np.testing.assert_allclose(later.decision.carry[name], carry[name], atol=1e-6)


def test_an_entry_of_the_carry_may_be_held() -> None:
    # given a swing whose command changes by itself after some steps
    _, controller, model = swing()
    play = player.Player(controller, model)
    command = np.array([0.25, -0.5], np.float32)

    # when it is held, as by a joystick
    held = [tick.decision.observation[2:4] for tick in play.episode(held={"command": command})]

    # then that is what the policy sees at every tick
    np.testing.assert_array_equal(held, np.tile(command, (len(held), 1)))
    assert not np.array_equal(list(play.episode())[-1].decision.observation[2:4], command)
    with pytest.raises(player.ControllerError, match="command") as caught:
        next(play.episode(held={"comand": command}))
    assert caught.value.field == "comand"


def test_an_input_that_does_not_fit_is_named() -> None:
    _, controller, _ = swing()
    carry = controller.initial_carry()
    values = {given.tensor.name: given.tensor.zeros() for given in controller.data_inputs}
    assert controller.tick(values, carry).reward == 0.0

    with pytest.raises(player.ControllerError, match="missing") as caught:
        controller.tick({}, carry)
    assert caught.value.field == "data.qpos"
    with pytest.raises(player.ControllerError, match=r"shape \(2,\)") as caught:
        controller.tick({**values, "before.qvel": np.zeros(2)}, carry)
    assert caught.value.field == "before.qvel"
    with pytest.raises(player.ControllerError, match="missing") as caught:
        controller.tick(values, {name: value for name, value in carry.items() if name != "steps"})
    assert caught.value.field == "steps"


def test_a_graph_that_is_not_the_manifests_is_refused() -> None:
    _, controller, _ = swing()
    manifest = controller.manifest
    with pytest.raises(player.ControllerError, match="cannot load"):
        player.Controller(b"no graph", manifest)
    onnx_bytes = graph.convert(
        compose(SwingEnvironment(), SwingStep(), lambda observation: observation[:1]),  # type: ignore[arg-type]
        name="swing",
    ).onnx
    fewer = replace(manifest, inputs=manifest.inputs[1:])
    with pytest.raises(player.ControllerError, match="same inputs and outputs") as caught:
        player.Controller(onnx_bytes, fewer)
    assert caught.value.field == "data.qpos"
    silent = replace(manifest, outputs=tuple(o for o in manifest.outputs if o.role is not OutputRole.DONE))
    with pytest.raises(player.ControllerError, match="no such output"):
        player.Controller(onnx_bytes, silent)


def test_the_player_needs_neither_jax_nor_protobuf() -> None:
    code = (
        "import sys; from tabrl.play import manifest_json, player; "
        "print(sorted({'jax', 'google.protobuf', 'grpc', 'onnx'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"
