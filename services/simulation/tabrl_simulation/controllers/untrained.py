"""A checkpoint of a policy that has learned nothing: random weights, and observation statistics that are not trivial.

It has all that a trained one has, so whatever handles checkpoints can be tried without minutes of training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.settings import Settings

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["untrained_checkpoint"]


def untrained_checkpoint(
    environment: Environment,
    *,
    seed: int = 0,
    hidden_layer_sizes: tuple[int, ...] = (16, 16),
    reward_program_sha256: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> Checkpoint:
    """Returns a checkpoint after 0 steps; the same arguments give the same bytes."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from tabrl_simulation import learner, rollout

    settings = replace(Settings(env_steps=1_000), seed=seed, hidden_layer_sizes=hidden_layer_sizes)
    made = learner.make_learner(
        settings,
        observation_size=environment.observation_size,
        action_size=environment.action_size,
        privileged_observation_size=environment.privileged_observation_size,
    )
    state = made.init(jax.random.PRNGKey(seed))
    draw = np.random.default_rng(seed)
    size = environment.observation_size
    normalizer = state.normalizer.replace(
        mean=jnp.asarray(0.3 * draw.normal(size=size), jnp.float32),
        std=jnp.asarray(draw.uniform(0.2, 3.0, size=size), jnp.float32),
    )
    return Checkpoint(
        environment_id=environment.id,
        environment_fingerprint=environment.fingerprint,
        settings=settings,
        reward_program_sha256=reward_program_sha256,
        weights=dict(weights or {}),
        env_steps=0,
        arrays=rollout.flatten("learner", jax.device_get(state._replace(normalizer=normalizer))),
    )
