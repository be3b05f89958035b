"""Privileged observations, in a cart and pole whose policy sees positions alone and whose value network sees all."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tabrl_simulation import environments, evaluation, reset, split
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.environments import Environment
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import train

_SMALL = Settings(
    env_steps=3_200, num_envs=32, unroll_length=20, num_minibatches=4, updates_per_batch=2, hidden_layer_sizes=(16,)
)


class _PositionsOnly:
    """An environment's object that splits the observation of a real one, and adds a count to the privileged part."""

    def __init__(self, playground: Any) -> None:
        self._playground = playground

    def __getattr__(self, name: str) -> Any:
        return getattr(self._playground, name)

    def _seen(self, state: Any, count: jax.Array) -> Any:
        privileged = jnp.concatenate([state.obs, state.data.xpos[-1], count[None]])
        return state.replace(
            obs={"state": state.obs[:3], "privileged_state": privileged}, info={**state.info, "count": count}
        )

    def reset(self, key: jax.Array) -> Any:
        return self._seen(self._playground.reset(key), jnp.zeros(()))

    def step(self, state: Any, action: jax.Array) -> Any:
        return self._seen(self._playground.step(state, action), state.info["count"] + 1)


@pytest.fixture(scope="module")
def cartpole() -> Environment:
    whole = environments.load("CartpoleBalance")
    playground: Any = _PositionsOnly(whole.playground)
    sizes = reset.sizes(playground)
    return dataclasses.replace(
        whole,
        playground=playground,
        observation_size=sizes.observation,
        privileged_observation_size=sizes.privileged_observation,
    )


def _train(environment: Environment, **changes: Any) -> list[Checkpoint]:
    checkpoints: list[Checkpoint] = []
    train(environment, _SMALL, checkpoint_every_secs=0, on_checkpoint=checkpoints.append, **changes)
    return checkpoints


def test_only_the_split_for_learning_reads_what_is_privileged(cartpole: Environment) -> None:
    assert (cartpole.observation_size, cartpole.privileged_observation_size) == (3, 9)

    learning, playing = split.split(cartpole), split.split(cartpole, privileged=False)

    assert set(learning.reads) - set(playing.reads) == {"xpos"}
    assert (set(learning.carry), set(playing.carry)) == ({"count"}, set())
    starts = reset.Resetter(cartpole, threads=1).sample(jax.random.split(jax.random.PRNGKey(0), 2))
    data = {name: jnp.asarray(values[0]) for name, values in starts.data.items()}
    seen = learning.after(data, jnp.zeros(1), {"count": jnp.zeros(())})
    assert (seen.observation.shape, seen.privileged_observation[-1]) == ((3,), 1)
    np.testing.assert_array_equal(seen.privileged_observation[:3], seen.observation)
    assert playing.after(data, jnp.zeros(1), {}).privileged_observation.shape == (0,)


def test_the_value_network_learns_from_what_is_privileged_and_the_policy_does_not(cartpole: Environment) -> None:
    checkpoints = _train(cartpole)

    arrays = checkpoints[-1].arrays
    assert arrays["learner/params/policy/params/hidden_0/kernel"].shape == (3, 16)
    assert arrays["learner/params/value/params/hidden_0/kernel"].shape == (9, 16)
    # each sees its own, normalized by its own statistics; the count grows by one a step
    assert arrays["learner/normalizer/mean"].shape == (3,)
    np.testing.assert_allclose(
        arrays["learner/privileged_normalizer/mean"][:3], arrays["learner/normalizer/mean"], rtol=1e-5
    )
    assert arrays["learner/privileged_normalizer/mean"][-1] > 1
    played = evaluation.evaluate(cartpole, Checkpoint.from_bytes(checkpoints[-1].to_bytes()), episodes=2)
    assert (played.lengths == 1_000).all()


def test_a_training_with_privileged_observations_goes_on_to_the_bit(cartpole: Environment) -> None:
    whole = _train(cartpole)

    resumed = _train(cartpole, resume=Checkpoint.from_bytes(whole[1].to_bytes()))

    for path, value in whole[-1].arrays.items():
        np.testing.assert_array_equal(resumed[-1].arrays[path], value, err_msg=path)
