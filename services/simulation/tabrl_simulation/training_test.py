"""Trainings of a few seconds, in the real environment with the real learner."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tabrl_simulation import environments, evaluation, learner, rollout, starting_point, tree_paths
from tabrl_simulation.checkpoint import Checkpoint, CheckpointError, CheckpointStale
from tabrl_simulation.environments import Environment
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import Metrics, RewardMismatch, TrainingDiverged, TrainingResult, train

_SMALL = Settings(
    env_steps=6_400, num_envs=32, unroll_length=20, num_minibatches=4, updates_per_batch=2, hidden_layer_sizes=(16,)
)


@pytest.fixture(scope="module")
def cartpole() -> Environment:
    return environments.load("CartpoleBalance")


@dataclasses.dataclass(frozen=True)
class _Terms:
    """A reward of plain functions."""

    environment: Environment
    functions: Mapping[str, Callable[[Any, Any], Any]]
    sha256: str = "c" * 64

    @property
    def environment_id(self) -> str:
        return self.environment.id

    @property
    def environment_fingerprint(self) -> str:
        return self.environment.fingerprint

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(self.functions)

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return {"qpos": (2,), "site_xpos": (0, 3)}

    def __call__(self, arrays: Mapping[str, Any], action: Any) -> dict[str, jax.Array]:
        return {name: jnp.asarray(function(arrays, action)) for name, function in self.functions.items()}


def _train(environment: Environment, **changes: Any) -> tuple[TrainingResult, list[Metrics], list[Checkpoint]]:
    metrics: list[Metrics] = []
    checkpoints: list[Checkpoint] = []
    settings = changes.pop("settings", _SMALL)
    result = train(
        environment,
        settings,
        metrics_every_secs=0,
        on_metrics=metrics.append,
        on_checkpoint=checkpoints.append,
        **changes,
    )
    return result, metrics, checkpoints


def test_a_training_tells_how_it_goes_and_leaves_a_policy(cartpole: Environment) -> None:
    result, metrics, checkpoints = _train(cartpole)

    # then metrics come from the first update on
    assert [m.env_steps for m in metrics] == list(range(640, 6_401, 640))
    assert all(m.projected_return > 0 and m.entropy != 0 and m.kl >= 0 for m in metrics)
    assert metrics[-1].remaining_secs == 0
    # and the first checkpoint comes early, the last at the end
    assert (checkpoints[0].env_steps, checkpoints[0].final) == (640, False)
    assert (checkpoints[-1].env_steps, checkpoints[-1].final) == (6_400, True)
    assert result.finished
    assert 0 < result.startup_secs <= result.elapsed_secs
    # and the policy in it acts alike on one observation and on many, traced or not
    policy = Checkpoint.from_bytes(checkpoints[-1].to_bytes()).policy(cartpole)
    observations = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5)), jnp.float32)
    actions = jax.jit(policy)(observations)
    assert actions.shape == (3, 1)
    assert np.abs(actions).max() <= 1
    np.testing.assert_allclose(policy(observations[1]), actions[1], atol=1e-6)


def test_finished_episodes_are_reported_with_their_terms(cartpole: Environment) -> None:
    settings = dataclasses.replace(_SMALL, env_steps=1_100 * 32, unroll_length=100)

    _, metrics, _ = _train(cartpole, settings=settings)

    assert metrics[0].episode_return is None
    last = metrics[-1]
    assert last.episode_length == 1_000
    assert last.episode_return is not None
    assert 0 < last.episode_return < 1_000
    # no episode of it ends before its time
    assert (last.survival, last.episode_share) == (1.0, 1.0)
    # the environment multiplies its terms, each of which is at most 1
    assert set(last.term_returns) == {"centered", "small_control", "small_velocity", "upright"}
    assert all(last.episode_return <= value <= 1_000 for value in last.term_returns.values())


def test_a_resumed_training_goes_on_to_the_bit(cartpole: Environment) -> None:
    # given one training that runs through, and one that is stopped half-way and resumed from its file
    whole, _, checkpoints = _train(cartpole, checkpoint_every_secs=0)
    half = Checkpoint.from_bytes(checkpoints[4].to_bytes())
    assert half.env_steps == 3_200

    resumed, metrics, _ = _train(cartpole, resume=half)

    assert metrics[0].env_steps == 3_840
    assert resumed.checkpoint.env_steps == whole.checkpoint.env_steps
    for path, value in whole.checkpoint.arrays.items():
        np.testing.assert_array_equal(resumed.checkpoint.arrays[path], value, err_msg=path)


def test_an_action_is_held_for_as_many_control_steps_as_the_environment_says(cartpole: Environment) -> None:
    # given an environment that holds each action for three control steps, and a reward that shows the action
    slow = dataclasses.replace(cartpole, action_repeat=3)
    reward = _Terms(slow, {"action": lambda _, action: action[0], "one": lambda *_: 1.0})
    made = learner.make_learner(_SMALL, observation_size=slow.observation_size, action_size=slow.action_size)
    state = made.init(jax.random.PRNGKey(0))
    rollouts = rollout.Rollouts(slow, _SMALL, made.networks, reward=reward, weights={"one": 10.0}, threads=1)
    rollouts.begin(state, jax.random.PRNGKey(1))

    shown = rollouts.collect(state)

    # then one action is drawn for three steps' rewards
    assert len(shown) == _SMALL.unroll_length
    for step in shown:
        np.testing.assert_allclose(step.reward, 30.0 + 3.0 * jnp.tanh(step.raw_action[:, 0]), rtol=1e-5)
    assert rollouts.steps_per_collect == 3 * _SMALL.batch_steps
    np.testing.assert_allclose(
        rollouts.save()["simulations/time"][rollouts.save()["loop/steps"] == 60], 60 * slow.control_period_secs
    )


def test_a_resumed_training_goes_on_to_the_bit_where_actions_are_held(cartpole: Environment) -> None:
    slow = dataclasses.replace(cartpole, action_repeat=2)
    whole, metrics, checkpoints = _train(slow, checkpoint_every_secs=0)
    assert [m.env_steps for m in metrics][:2] == [1_280, 2_560]

    resumed, _, _ = _train(slow, resume=checkpoints[2])

    for path, value in whole.checkpoint.arrays.items():
        np.testing.assert_array_equal(resumed.checkpoint.arrays[path], value, err_msg=path)


def test_a_training_stops_when_asked_and_keeps_where_it_was(cartpole: Environment) -> None:
    seen: list[Checkpoint] = []

    result = train(cartpole, _SMALL, on_checkpoint=seen.append, should_stop=lambda: len(seen) > 0)

    assert not result.finished
    assert result.checkpoint.env_steps == 640
    assert not result.checkpoint.final


def test_a_reward_takes_the_place_of_the_environments_own(cartpole: Environment) -> None:
    reward = _Terms(cartpole, {"slide": lambda arrays, _: arrays["qpos"][0], "one": lambda *_: 1.0})

    _, metrics, checkpoints = _train(cartpole, reward=reward, weights={"one": 3.0, "slide": 0.0})

    assert metrics[-1].projected_return == pytest.approx(3_000, rel=1e-5)
    assert checkpoints[-1].reward_program_sha256 == reward.sha256
    assert checkpoints[-1].weights == {"one": 3.0, "slide": 0.0}


def test_a_training_tells_how_each_term_is_and_what_to_make_of_it(cartpole: Environment) -> None:
    # given a reward nearly all of which is one term, with one that is always the same and one that is never there
    functions = {
        "slide": lambda arrays, _: arrays["qpos"][0] ** 2,
        "loud": lambda arrays, _: 1e3 * jnp.abs(arrays["qpos"][1]) + 1.0,
        "same": lambda *_: 0.5,
        "never": lambda *_: 0.0,
    }
    reward = _Terms(cartpole, functions)

    _, metrics, checkpoints = _train(cartpole, reward=reward, weights={"same": 2.0}, checkpoint_every_secs=0)

    last = metrics[-1]
    assert (last.term_statistics["same"].mean, last.term_statistics["same"].std) == (1.0, 0.0)
    assert sum(term.share for term in last.term_statistics.values()) == pytest.approx(1.0)
    assert [(w.kind, w.term) for w in last.warnings] == [
        ("never_reached", "never"),
        ("constant", "same"),
        ("dominates", "loud"),
    ]
    assert metrics[0].gradient_norm > 0
    # and a resumed training remembers since when
    _, resumed, _ = _train(cartpole, reward=reward, weights={"same": 2.0}, resume=checkpoints[4])
    assert resumed[0].warnings == metrics[5].warnings
    assert resumed[-1].episode_return == last.episode_return


def test_a_checkpoint_of_other_physics_goes_on_with_new_episodes(cartpole: Environment) -> None:
    whole, _, checkpoints = _train(cartpole, checkpoint_every_secs=0)
    half = checkpoints[4]
    elsewhere = dataclasses.replace(half, backend="warp", versions={"mujoco": "9"})

    # also where the file knows nothing of the environments, or of what was reported
    for resume in (elsewhere, dataclasses.replace(half, arrays=half.group("learner"))):
        resumed, metrics, written = _train(cartpole, resume=resume, checkpoint_every_secs=0)

        assert metrics[0].env_steps == half.env_steps + 640
        assert resumed.checkpoint.env_steps == whole.checkpoint.env_steps
        assert written[0].arrays["rollout/loop/steps"].max() == 20
        count = "learner/normalizer/count/lo"
        assert written[0].arrays[count] == checkpoints[5].arrays[count]


def test_what_was_learned_is_learned_from_anew_for_another_reward(cartpole: Environment) -> None:
    # given a policy of an environment with the same robot
    swingup = environments.load("CartpoleSwingup")
    learned, _, _ = _train(swingup)
    reward = _Terms(cartpole, {"one": lambda *_: 1.0})

    _, metrics, checkpoints = _train(cartpole, reward=reward, start_from=learned.checkpoint, checkpoint_every_secs=0)

    # then steps and metrics count from the start, and observations where they were
    assert (metrics[0].env_steps, checkpoints[-1].env_steps) == (640, 6_400)
    count = "learner/normalizer/count/lo"
    assert checkpoints[0].arrays[count] == learned.checkpoint.arrays[count] + 640
    # and what it leaves is a checkpoint of this training, which goes on to the bit
    again, _, _ = _train(cartpole, reward=reward, resume=checkpoints[3], checkpoint_every_secs=0)
    assert again.checkpoint.to_bytes() == checkpoints[-1].to_bytes()


def test_a_fine_tuned_policy_acts_as_before_but_tries_more(cartpole: Environment) -> None:
    learned = _train(cartpole)[0].checkpoint
    made = learner.make_learner(_SMALL, observation_size=5, action_size=1)
    fresh = made.init(jax.random.PRNGKey(7))

    state = starting_point.carry_over(fresh, learned)

    observations = jax.random.normal(jax.random.PRNGKey(1), (64, 5))
    logits = made.networks.policy_network.apply(state.normalizer, state.params.policy, observations)
    drawn = made.networks.parametric_action_distribution.create_dist(logits)
    np.testing.assert_allclose(drawn.scale, starting_point.EXPLORING_STD, rtol=1e-2)
    np.testing.assert_allclose(np.tanh(drawn.loc), learned.policy(cartpole)(observations), atol=1e-6)
    kept = tree_paths.flatten("learner", state)
    assert all(np.array_equal(kept[path], value) for path, value in learned.group("learner/params/value").items())
    moments = learned.group("learner/optimizer/inner_state")
    assert all(np.array_equal(kept[path], value) for path, value in moments.items())
    # What belongs to the reward and to the end of the training before starts anew.
    assert float(state.return_scale.samples) == 0
    assert float(state.optimizer.hyperparams["learning_rate"]) == pytest.approx(_SMALL.learning_rate)
    np.testing.assert_array_equal(state.key, fresh.key)


def test_a_checkpoint_of_another_training_is_not_gone_on_with(cartpole: Environment) -> None:
    checkpoint = _train(cartpole)[0].checkpoint
    reward = _Terms(cartpole, {"one": lambda *_: 1.0})

    with pytest.raises(CheckpointError, match="another training"):
        _train(cartpole, reward=reward, resume=checkpoint)
    with pytest.raises(CheckpointError, match="another training"):
        _train(cartpole, settings=dataclasses.replace(_SMALL, seed=1), resume=checkpoint)


def test_a_reward_that_is_not_finite_is_named(cartpole: Environment) -> None:
    reward = _Terms(cartpole, {"fine": lambda *_: 1.0, "root": lambda a, _: jnp.sqrt(a["qpos"][0])})

    with pytest.raises(TrainingDiverged, match="reward term 'root'") as failure:
        _train(cartpole, reward=reward)

    assert failure.value.where == "reward term 'root'"


def test_a_reward_too_large_to_learn_from_is_noticed(cartpole: Environment) -> None:
    reward = _Terms(cartpole, {"huge": lambda a, _: 1e38 * a["qpos"][0]})

    with pytest.raises(TrainingDiverged) as failure:
        _train(cartpole, reward=reward)

    assert failure.value.where == "sum of rewards"


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_a_reward_hardly_matters(cartpole: Environment, scale: float) -> None:
    plain = _Terms(cartpole, {"slide": lambda a, _: a["qpos"][0]})
    scaled = _Terms(cartpole, {"slide": lambda a, _: scale * a["qpos"][0]})

    _, expected, _ = _train(cartpole, reward=plain)
    _, metrics, _ = _train(cartpole, reward=scaled)

    assert metrics[0].value_loss == pytest.approx(expected[0].value_loss, rel=0.05)


def test_a_reward_for_another_environment_is_refused(cartpole: Environment) -> None:
    other = _Terms(environments.load("CartpoleSwingup"), {"one": lambda *_: 1.0})
    changed = _Terms(dataclasses.replace(cartpole, fingerprint="0" * 64), {"one": lambda *_: 1.0})
    own = _Terms(cartpole, {"one": lambda *_: 1.0})

    with pytest.raises(RewardMismatch, match="CartpoleSwingup"):
        _train(cartpole, reward=other)
    with pytest.raises(RewardMismatch, match="changed"):
        _train(cartpole, reward=changed)
    with pytest.raises(RewardMismatch, match="'two'"):
        _train(cartpole, reward=own, weights={"two": 1.0})
    with pytest.raises(RewardMismatch, match="not finite"):
        _train(cartpole, reward=own, weights={"one": float("inf")})


def test_a_checkpoint_that_does_not_fit_is_refused(cartpole: Environment) -> None:
    checkpoint = _train(cartpole, settings=dataclasses.replace(_SMALL, env_steps=1_000))[0].checkpoint
    wider = dataclasses.replace(_SMALL, hidden_layer_sizes=(17,))

    with pytest.raises(CheckpointError, match="does not fit"):
        _train(cartpole, settings=wider, start_from=checkpoint)
    with pytest.raises(CheckpointError, match="does not fit"):
        _train(environments.load("PendulumSwingup"), start_from=checkpoint)
    with pytest.raises(CheckpointError, match="does not fit"):
        _train(cartpole, resume=dataclasses.replace(checkpoint, settings=_SMALL, arrays={}))
    with pytest.raises(CheckpointError, match="belongs to CartpoleBalance"):
        checkpoint.policy(environments.load("CartpoleSwingup"))
    with pytest.raises(CheckpointStale, match="has changed"):
        checkpoint.policy(dataclasses.replace(cartpole, fingerprint="0" * 64))
    with pytest.raises(CheckpointError, match="does not fit"):
        dataclasses.replace(checkpoint, arrays={}).policy(cartpole)


@pytest.mark.parametrize("std", [0.2, 1.5])
def test_a_policy_begins_as_lively_as_asked(std: float) -> None:
    settings = dataclasses.replace(_SMALL, initial_std=std)
    made = learner.make_learner(settings, observation_size=5, action_size=3)

    state = made.init(jax.random.PRNGKey(0))

    observations = jax.random.normal(jax.random.PRNGKey(1), (64, 5))
    logits = made.networks.policy_network.apply(state.normalizer, state.params.policy, observations)
    drawn = made.networks.parametric_action_distribution.create_dist(logits)
    np.testing.assert_allclose(drawn.scale, std, rtol=0.3)
    assert np.abs(drawn.loc).max() < 0.3


def test_learning_is_real(cartpole: Environment) -> None:
    # given the task of keeping the cart to the right, which nothing but the actions can bring about
    reward = _Terms(cartpole, {"right": lambda arrays, _: arrays["qpos"][0]})
    settings = dataclasses.replace(_SMALL, env_steps=60_000)

    _, metrics, _ = _train(cartpole, settings=settings, reward=reward)

    assert abs(metrics[0].projected_return) < 50
    assert metrics[-1].projected_return > 500


def test_a_policy_is_played_for_whole_episodes_and_alike_each_time(cartpole: Environment) -> None:
    checkpoint = _train(cartpole, settings=dataclasses.replace(_SMALL, env_steps=1_000))[0].checkpoint

    played = evaluation.evaluate(cartpole, checkpoint, episodes=4)

    assert played.lengths.tolist() == [1_000] * 4
    assert 0 < played.mean_return < 1_000
    np.testing.assert_array_equal(evaluation.evaluate(cartpole, checkpoint, episodes=4).returns, played.returns)
