"""What a checkpoint's policy is worth: whole episodes on MuJoCo C, without exploration noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import physics, reset, split
from tabrl_simulation.checkpoint import Checkpoint

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["Evaluation", "evaluate", "play"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Episodes under the environment's own reward.

    Attributes:
        returns: of each episode, [N], float64.
        lengths: control steps of each episode, [N], int64.
    """

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(self.returns.mean())


def evaluate(
    environment: Environment, checkpoint: Checkpoint, *, episodes: int = 64, seed: int = 1_000_003
) -> Evaluation:
    """Plays whole episodes, side by side, with the most likely action at every step.

    Args:
        environment: where the checkpoint was trained.
        checkpoint: whose policy to play.
        episodes: how many, `N`.
        seed: of the starting states; far from those that training draws from small seeds.

    Raises:
        CheckpointError: the checkpoint was not trained in this environment.
    """
    return play(environment, jax.jit(checkpoint.policy(environment)), episodes=episodes, seed=seed)


def play(
    environment: Environment, choose: Callable[[jax.Array], Any], *, episodes: int = 64, seed: int = 1_000_003
) -> Evaluation:
    """Plays whole episodes, side by side, with whatever policy.

    Args:
        environment: where to play.
        choose: the policy, from observations, [N, observation_size], to actions, [N, action_size].
        episodes: how many, `N`.
        seed: of the starting states.
    """
    halves = split.split(environment, privileged=False)
    threads = physics.cores()
    starts = reset.Resetter(environment, threads=threads).sample(jax.random.split(jax.random.PRNGKey(seed), episodes))
    simulations = physics.Simulations(environment.model, count=episodes, threads=threads, reads=halves.reads)

    actuate: Any = jax.jit(jax.vmap(halves.orders))
    look: Any = jax.jit(jax.vmap(halves.after))
    simulations.write(starts.state)
    data: dict[str, Any] = {name: starts.data[name] for name in halves.reads}
    carry = {name: jnp.asarray(starts.carry[name]) for name in halves.carry}
    observation = jnp.asarray(starts.observation)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    alive = np.ones(episodes, bool)
    for step in range(environment.episode_length):
        if step % environment.action_repeat == 0:
            action = jnp.asarray(choose(observation))
        ctrl, writes = actuate(action, carry, data)
        simulations.overwrite({name: np.asarray(values) for name, values in writes.items()})
        simulations.hold(np.asarray(ctrl))
        simulations.run(environment.physics_steps_per_control)
        earlier = {f"before.{name}": data[name] for name in halves.after_reads_before}
        data = simulations.read()
        after: split.After = look({**data, **earlier}, action, carry)
        observation, carry, data = after.observation, after.carry, {**data, **after.writes}
        returns += np.where(alive, np.asarray(after.reward), 0.0)
        lengths += alive
        alive &= np.asarray(after.done) == 0
        if not alive.any():
            break
    return Evaluation(returns=returns, lengths=lengths)
