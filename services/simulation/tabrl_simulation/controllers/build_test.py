"""Every environment's controller equals its JAX source and its training steps, and a broken one is caught."""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tabrl.play import manifest_json, player
from tabrl.play.manifest import InputSource, OutputRole

from tabrl_simulation import bundle, environments
from tabrl_simulation.checkpoint import CheckpointError
from tabrl_simulation.controllers import build, graph, parity
from tabrl_simulation.controllers.source import ACTION, TICK, compose
from tabrl_simulation.controllers.untrained import untrained_checkpoint

CARTPOLE = "CartpoleBalance"
WALKER = "WalkerWalk"


@functools.cache
def workbench(environment_id: str) -> build.Workbench:
    return build.prepare(environment_id)


# One whose observations are noisy and whose critic sees more, and one that moves its goal.
ROBOTS = ("Go1JoystickFlatTerrain", "LeapCubeReorient")


@functools.lru_cache(maxsize=4)  # each holds compiled code; all 25 at once take a gigabyte
def built(environment_id: str) -> build.BuiltController:
    bench = workbench(environment_id)
    return build.build_controller(bench, untrained_checkpoint(bench.environment), None, checkpoint_sha256="c" * 64)


def built_or_skipped(environment_id: str) -> build.BuiltController:
    try:
        return built(environment_id)
    except environments.MissingRobot as missing:
        pytest.skip(str(missing))


def controller_of(made: build.BuiltController) -> player.Controller:
    return player.Controller(made.onnx, made.manifest)


@pytest.mark.parametrize("environment_id", [*environments.DM_CONTROL, *ROBOTS])
def test_every_environment_exports_a_controller_that_equals_its_source(environment_id: str) -> None:
    made = built_or_skipped(environment_id)
    model = bundle.load_scene(made.scene)

    report = parity.measure_parity(made.source, controller_of(made), model)

    assert report.passed, report.moved
    assert report.states >= 200
    assert report.tolerance == 1e-5
    assert {"ctrl", "action", "observation", "reward", "done"} <= {output.name for output in report.outputs}
    assert len(made.onnx) < (1_000_000 if environment_id in ROBOTS else 200_000)
    assert manifest_json.dumps(manifest_json.loads(manifest_json.dumps(made.manifest))) == manifest_json.dumps(
        made.manifest
    )
    read = {given.field for given in made.manifest.inputs if given.source is InputSource.CARRY}
    given_back = {output.field for output in made.manifest.outputs if output.role is OutputRole.CARRY}
    assert read == given_back == set(made.manifest.resets[0].carry)


@pytest.mark.parametrize("environment_id", [CARTPOLE, "SwimmerSwimmer6", "HopperHop", WALKER])
def test_a_player_sees_what_training_sees(environment_id: str) -> None:
    # Given the same policy and starting states, on the one hand stepped as in training
    import jax

    from tabrl_simulation.physics import Simulations

    bench, made = workbench(environment_id), built(environment_id)
    policy = jax.jit(untrained_checkpoint(bench.environment).policy(bench.environment))
    after, before = jax.jit(bench.step.after), jax.jit(bench.step.before)
    simulations = Simulations(bench.environment.model, count=1, threads=1, reads=bench.step.reads)
    simulations.write({name: values[None] for name, values in made.manifest.resets[3].data.items()})
    simulations.forward()
    action = np.zeros(bench.environment.action_size, np.float32)

    # on the other hand played by the manifest
    ticks = player.Player(controller_of(made), bundle.load_scene(made.scene)).episode(reset=3)
    for step, tick in zip(range(60), ticks, strict=False):
        expected = after({name: values[0] for name, values in simulations.read().items()}, action, {})

        # then both see, earn and do the same
        assert tick.step == step
        np.testing.assert_allclose(tick.decision.observation, expected.observation, rtol=0, atol=2e-5)
        if step:
            assert tick.decision.reward == pytest.approx(float(expected.reward), abs=2e-5)
            for name, value in tick.decision.terms.items():
                assert value == pytest.approx(float(expected.terms[name]), abs=2e-5), name
        action = policy(expected.observation)
        np.testing.assert_allclose(tick.decision.action, action, rtol=0, atol=2e-5)
        ctrl, _ = before(action, {}, {})
        np.testing.assert_allclose(tick.decision.ctrl, ctrl, rtol=0, atol=2e-5)
        # A robot with contacts is chaotic: both go on with the very same numbers.
        action = tick.decision.action
        simulations.hold(tick.decision.ctrl[None])
        simulations.run(bench.environment.physics_steps_per_control)


def test_a_goal_that_the_environment_moves_is_moved_by_the_player() -> None:
    # given a hand whose goal turns by 0.8 times this vector in two control periods of 50 ms
    made = built_or_skipped("LeapCubeReorient")
    first = made.manifest.resets[0]
    turning = replace(first, carry={**first.carry, "goal_quat_dquat": np.array([0, 0, 1], np.float32)})
    play = player.Player(
        player.Controller(made.onnx, replace(made.manifest, resets=(turning,))), bundle.load_scene(made.scene)
    )

    # when it is played, the goal turns once a control period lies behind
    goals = [np.array(play.data.mocap_quat[0]) for _ in itertools.islice(play.episode(), 3)]

    np.testing.assert_array_equal(goals[1], goals[0])
    assert abs(goals[2] @ goals[1]) == pytest.approx(np.cos(0.5 * 0.8 * 2 * 0.05), abs=1e-6)


@pytest.mark.parametrize("environment_id", [CARTPOLE, WALKER])
def test_the_first_tick_shows_the_reset_and_no_reward(environment_id: str) -> None:
    import jax

    from tabrl_simulation.reset import Resetter

    bench, made = workbench(environment_id), built(environment_id)
    keys = jax.random.split(jax.random.PRNGKey(7), 16)
    observations = Resetter(bench.environment, threads=1).sample(keys).observation
    play = player.Player(controller_of(made), bundle.load_scene(made.scene))
    for reset in (0, 15):
        first = next(play.episode(reset=reset)).decision
        np.testing.assert_allclose(first.observation, observations[reset], rtol=0, atol=1e-5)
        assert (first.reward, first.done, set(first.terms.values()) - {0.0}) == (0.0, False, set())
        assert first.carry[TICK] == 1


def test_an_episode_runs_to_its_length_and_says_its_rewards() -> None:
    made = built(CARTPOLE)
    short = replace(made.manifest, episode_length=5)
    play = player.Player(player.Controller(made.onnx, short), bundle.load_scene(made.scene))

    ticks = list(play.episode())

    assert [tick.step for tick in ticks] == [0, 1, 2, 3, 4, 5]
    assert ticks[5].time_secs == pytest.approx(5 * made.manifest.control_period_secs)
    assert ticks[0].decision.reward == 0
    assert all(0 < tick.decision.reward <= 1 for tick in ticks[1:])
    assert list(ticks[1].decision.terms) == [term.name for term in made.manifest.terms]


def test_a_robot_that_diverges_ends_its_episode() -> None:
    made = built(CARTPOLE)
    play = player.Player(controller_of(made), bundle.load_scene(made.scene))
    ticks = []
    for tick in play.episode():
        ticks.append(tick)
        if tick.step == 3:
            play.data.qvel[:] = np.nan
    assert len(ticks) == 5
    assert ticks[-1].decision.done


def test_an_action_is_held_inside_the_graph() -> None:
    bench = workbench(CARTPOLE)
    policy = untrained_checkpoint(bench.environment).policy(bench.environment)
    source = compose(bench.environment, bench.step, policy, action_repeat=3)
    made = _with_graph(built(CARTPOLE), graph.convert(source, name="held"))

    ticks = list(player.Player(controller_of(made), bundle.load_scene(made.scene)).episode())[:9]

    actions = [float(tick.decision.action[0]) for tick in ticks]
    assert actions[0] == actions[1] == actions[2] != actions[3]
    assert len(set(actions)) == 3
    model = bundle.load_scene(made.scene)
    assert parity.measure_parity(source, controller_of(made), model).passed


def _with_graph(made: build.BuiltController, converted: graph.Graph) -> build.BuiltController:
    resets = tuple(
        replace(
            state,
            carry={
                given.field: given.tensor.zeros() for given in converted.inputs if given.source is InputSource.CARRY
            },
        )
        for state in made.manifest.resets
    )
    manifest = replace(
        made.manifest, inputs=converted.inputs, outputs=converted.outputs, copies=converted.copies, resets=resets
    )
    return replace(made, onnx=converted.onnx, manifest=manifest)


class _Tampered:
    """A split step whose `after` says something else."""

    def __init__(self, step: Any, change: Any) -> None:
        self._step, self._change = step, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def after(self, *args: Any) -> Any:
        return self._change(self._step.after(*args))


def _dropped_normalizer(bench: build.Workbench) -> Any:
    checkpoint = untrained_checkpoint(bench.environment)
    plain = {
        path: np.zeros_like(value)
        if path.endswith("/mean")
        else np.ones_like(value)
        if path.endswith("/std")
        else value
        for path, value in checkpoint.arrays.items()
    }
    return replace(checkpoint, arrays=plain).policy(bench.environment), bench.step


def _tampered(change: Any) -> Any:
    def make(bench: build.Workbench) -> Any:
        policy = untrained_checkpoint(bench.environment).policy(bench.environment)
        return policy, _Tampered(bench.step, change)

    return make


@pytest.mark.parametrize(
    ("name", "broken", "moved"),
    [
        ("normalizer dropped", _dropped_normalizer, {"action", "ctrl"}),
        (
            "observation swapped",
            _tampered(lambda after: after._replace(observation=after.observation[::-1])),
            {"observation", "action", "ctrl"},
        ),
        ("reward scaled", _tampered(lambda after: after._replace(reward=after.reward * 1.001)), {"reward"}),
        (
            "terms exchanged",
            _tampered(
                lambda after: after._replace(
                    terms={**after.terms, "stand": after.terms["move"], "move": after.terms["stand"]}
                )
            ),
            {"term.move", "term.stand"},
        ),
        ("never done", _tampered(lambda after: after._replace(done=1.0 - after.done)), {"done"}),
    ],
)
def test_a_broken_export_fails_parity_and_the_report_names_what_moved(name: str, broken: Any, moved: set[str]) -> None:
    # Given a controller made from something else than its source
    bench, right = workbench(WALKER), built(WALKER)
    policy, step = broken(bench)
    wrong = build.build(replace(bench, step=step), policy, None)

    report = parity.measure_parity(right.source, controller_of(wrong), bundle.load_scene(right.scene))

    assert not report.passed, name
    assert {output.name for output in report.moved} == moved


def test_a_policy_that_amplifies_rounding_passes_and_a_broken_export_of_it_does_not() -> None:
    # Given a policy with such weights that float32 rounding alone moves its actions by more than the tolerance
    bench = workbench(WALKER)
    checkpoint = untrained_checkpoint(bench.environment, hidden_layer_sizes=(64, 64, 64))
    large = replace(
        checkpoint,
        arrays={path: 6 * value if "policy" in path else value for path, value in checkpoint.arrays.items()},
    )
    made = build.build_controller(bench, large, None, checkpoint_sha256="")
    model = bundle.load_scene(made.scene)

    report = parity.measure_parity(made.source, controller_of(made), model)
    by_name = {output.name: output for output in report.outputs}
    assert report.passed, report.moved
    assert 1e-5 < by_name["action"].max_difference <= by_name["action"].tolerance <= 1e-3
    assert by_name["reward"].tolerance == by_name["observation"].tolerance == report.tolerance == 1e-5

    _, step = _tampered(lambda after: after._replace(observation=after.observation * 1.01))(bench)
    wrong = build.build(replace(bench, step=step), large.policy(bench.environment), None)
    assert not parity.measure_parity(made.source, controller_of(wrong), model).passed


def test_a_missing_output_fails_parity() -> None:
    made = built(WALKER)
    outputs = tuple(output for output in made.manifest.outputs if output.field != "upright")
    terms = tuple(term for term in made.manifest.terms if term.name != "upright")
    controller = player.Controller(made.onnx, replace(made.manifest, outputs=outputs, terms=terms))

    report = parity.measure_parity(made.source, controller, bundle.load_scene(made.scene), states=10)

    assert [output.name for output in report.moved] == ["term.upright"]


def test_a_checkpoint_of_another_environment_is_refused() -> None:
    other = untrained_checkpoint(workbench(CARTPOLE).environment)
    with pytest.raises(CheckpointError, match=CARTPOLE):
        build.build_controller(workbench(WALKER), other, None, checkpoint_sha256="")


def test_a_checkpoint_without_its_reward_is_refused() -> None:
    checkpoint = untrained_checkpoint(workbench(CARTPOLE).environment, reward_program_sha256="a" * 64)
    with pytest.raises(build.RewardMismatchError, match="environment's own"):
        build.build_controller(workbench(CARTPOLE), checkpoint, None, checkpoint_sha256="")


def test_the_carry_holds_only_what_the_graph_reads() -> None:
    walker, cartpole = built(WALKER).manifest, built(CARTPOLE).manifest
    assert set(walker.resets[0].carry) == {TICK}
    assert set(cartpole.resets[0].carry) == {TICK, ACTION}
