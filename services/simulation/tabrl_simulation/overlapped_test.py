"""Two halves of the environments: each is what it would be alone, whoever is ready first."""

import dataclasses

import jax
import numpy as np
import pytest

from tabrl_simulation import environments, learner, overlapped, rollout
from tabrl_simulation.environments import Environment
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import train

_SETTINGS = Settings(
    env_steps=5_120, num_envs=256, unroll_length=5, num_minibatches=4, updates_per_batch=1, hidden_layer_sizes=(16,)
)


@pytest.fixture(scope="module")
def cartpole() -> Environment:
    # episodes so short that some end, and others begin, within a few unrolls
    return dataclasses.replace(environments.load("CartpoleBalance"), episode_length=12)


def _made(environment: Environment, settings: Settings, threads: int = 4) -> tuple[object, learner.LearnerState]:
    made = learner.make_learner(settings, observation_size=5, action_size=1)
    rollouts = overlapped.make_rollouts(environment, settings, made.networks, reward=None, weights={}, threads=threads)
    return rollouts, made.init(jax.random.PRNGKey(0))


def test_each_half_is_what_it_would_be_alone(cartpole: Environment) -> None:
    # given two halves, and rollouts of half as many environments
    both, state = _made(cartpole, _SETTINGS)
    assert isinstance(both, overlapped.OverlappedRollouts)
    half = dataclasses.replace(_SETTINGS, num_envs=128)
    alone, _ = _made(cartpole, half)
    assert isinstance(alone, rollout.Rollouts)

    key = jax.random.PRNGKey(1)
    both.begin(state, key)
    collected = [both.collect(state) for _ in range(3)]
    tally = both.take_tally()

    tallies = []
    for index, half_key in enumerate(jax.random.split(key)):
        alone.begin(state, half_key)
        for batch in collected:
            jax.tree.map(np.testing.assert_array_equal, batch[index], alone.collect(state))
        tallies.append(alone.take_tally())
    # and what is reported is the sum of both
    assert tally.episodes > 0
    jax.tree.map(lambda whole, *parts: np.testing.assert_allclose(whole, np.sum(parts)), tally, *tallies)
    assert both.steps_per_collect == _SETTINGS.batch_steps


def test_halves_go_on_from_what_was_saved_to_the_bit(cartpole: Environment) -> None:
    both, state = _made(cartpole, _SETTINGS)
    both.begin(state, jax.random.PRNGKey(1))
    both.collect(state)
    saved = both.save()
    first = both.collect(state), both.last_observations

    again, _ = _made(cartpole, _SETTINGS)
    again.restore(saved)

    jax.tree.map(np.testing.assert_array_equal, first, (again.collect(state), again.last_observations))


def test_a_batch_of_halves_teaches_what_the_same_batch_in_one_piece_does(cartpole: Environment) -> None:
    both, _ = _made(cartpole, _SETTINGS)
    made = learner.make_learner(_SETTINGS, observation_size=5, action_size=1)
    state = made.init(jax.random.PRNGKey(0))
    both.begin(state, jax.random.PRNGKey(1))
    halves = both.collect(state)
    whole = jax.tree.map(lambda *steps: np.concatenate(steps), *halves)
    update = jax.jit(made.update)

    by_halves, _ = update(state, halves, both.last_observations[0], 0.1)
    at_once, _ = update(state, whole, both.last_observations[0], 0.1)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), by_halves.params, at_once.params)


def test_a_training_in_halves_resumes_to_the_bit(cartpole: Environment) -> None:
    checkpoints = []
    whole = train(cartpole, _SETTINGS, threads=4, checkpoint_every_secs=0, on_checkpoint=checkpoints.append)

    resumed = train(cartpole, _SETTINGS, threads=4, resume=checkpoints[1])

    assert any(path.startswith("rollout/half1/") for path in whole.checkpoint.arrays)
    assert resumed.checkpoint.to_bytes() == whole.checkpoint.to_bytes()


@pytest.mark.parametrize(("num_envs", "threads"), [(128, 4), (257, 4), (256, 2)])
def test_few_environments_or_few_threads_stay_in_one_piece(cartpole: Environment, num_envs: int, threads: int) -> None:
    made, _ = _made(cartpole, dataclasses.replace(_SETTINGS, num_envs=num_envs, num_minibatches=1), threads)

    assert isinstance(made, rollout.Rollouts)
