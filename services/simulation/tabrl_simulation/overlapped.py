"""Rollouts on MuJoCo C in two halves: one looks and decides while the other moves.

Between two physics calls most of the work is one thread's: copying, looking at the outcome, asking the policy. With all
environments in step, the other processors would wait for it. Here one half of them is handed to physics in the
meantime (double buffering). Each half is a `rollout.Rollouts` with draws of its own, so what comes out does not depend
on who is ready first, and resuming is exact.

On two processors that loses a tenth (Go1JoystickFlatTerrain, 512 environments: 12,800 control steps a second in halves,
14,300 in one piece): what would wait is one processor, and the halves cost more than it. So it is for four and more,
where it was not measured yet.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import learner
from tabrl_simulation.control_loop import EpisodeTally, NextStep, Reward
from tabrl_simulation.rollout import Rollouts

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.settings import Settings

__all__ = ["OverlappedRollouts", "make_rollouts"]

_LEAST_THREADS: Final = 4
_LEAST_ENVIRONMENTS: Final = 256
"""With fewer, what is saved by overlapping is lost by handing out the work twice."""

# A half, its steps, and the physics that it waits for; none before its first step.
_Unrolling = tuple[Rollouts, Generator[None, None, list[learner.Rollout]], Future[None] | None]


def make_rollouts(
    environment: Environment,
    settings: Settings,
    networks: Any,
    *,
    reward: Reward | None,
    weights: Mapping[str, float],
    threads: int,
) -> Rollouts | OverlappedRollouts:
    """Makes the environments of a training on MuJoCo C: in two halves where there are enough of them.

    Args:
        environment: what to simulate.
        settings: of the training.
        networks: Brax's networks, as `learner.make_networks` makes them.
        reward: in place of the environment's own.
        weights: of the reward's terms; 1 where none is given.
        threads: for physics; one of them is left to the other half where there are halves.
    """
    made = functools.partial(Rollouts, environment, networks=networks, reward=reward, weights=weights)
    if threads < _LEAST_THREADS or settings.num_envs < _LEAST_ENVIRONMENTS or settings.num_envs % 2:
        return made(settings=settings, threads=threads)
    half = replace(settings, num_envs=settings.num_envs // 2, num_minibatches=1)
    return OverlappedRollouts(made(settings=half, threads=threads - 1))


class OverlappedRollouts:
    """Two halves of the environments of one training; a `backends.Collector`."""

    def __init__(self, half: Rollouts) -> None:
        """Adds the other half to one that is not going yet."""
        self.halves = (half, half.twin())
        self._physics = ThreadPoolExecutor(1, thread_name_prefix="physics")

    @property
    def backend(self) -> str:
        """Name of the physics."""
        return self.halves[0].backend

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the reward's terms."""
        return self.halves[0].terms

    @property
    def steps_per_collect(self) -> int:
        """Control steps, over all environments, that one `collect` takes."""
        return sum(half.steps_per_collect for half in self.halves)

    @property
    def last_observations(self) -> tuple[jax.Array, jax.Array | None]:
        """What the policy, [N, O], and the value network, [N, V], see after the last rollout."""
        first, second = (half.last_observations for half in self.halves)
        joined: tuple[jax.Array, jax.Array | None] = jax.tree.map(_joined, first, second)
        return joined

    def begin(self, state: learner.LearnerState, key: jax.Array) -> None:
        """Starts an episode in every environment, and asks the policy for first actions."""
        for half, half_key in zip(self.halves, jax.random.split(key), strict=True):
            half.begin(state, half_key)

    def collect(self, state: learner.LearnerState) -> list[list[learner.Rollout]]:
        """Lets the policy act `unroll_length` times; returns what each action led to, by half."""
        going: deque[_Unrolling] = deque((half, half.unroll(state), None) for half in self.halves)
        done: list[list[learner.Rollout]] = []
        while going:
            half, steps, physics = going.popleft()
            if physics is not None:
                self.wait_for(physics)
            try:
                next(steps)
            except StopIteration as end:
                done.append(end.value)
            else:
                going.append((half, steps, self._physics.submit(half.run_physics)))
        return done

    def wait_for(self, physics: Future[None]) -> None:
        """Waits until a half's physics is through."""
        physics.result()

    def take_tally(self) -> EpisodeTally:
        """Returns the sums since the last call, on the host, and starts them anew; draws new starting states if due."""
        first, second = (half.take_tally() for half in self.halves)
        summed: EpisodeTally = jax.tree.map(np.add, first, second)
        return summed

    def look_ahead(self) -> NextStep:
        """Takes one control step to find what is not finite; nothing may follow."""
        first, second = (half.look_ahead() for half in self.halves)
        joined: NextStep = jax.tree.map(_joined, first, second)
        return joined

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns where the environments stand, as arrays by path, from which `restore` goes on to the bit."""
        return {
            f"half{index}/{path}": value
            for index, half in enumerate(self.halves)
            for path, value in half.save().items()
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same environment, settings and reward.

        Raises:
            KeyError, ValueError: an array is missing or of another shape.
        """
        for index, half in enumerate(self.halves):
            prefix = f"half{index}/"
            half.restore({path.removeprefix(prefix): value for path, value in saved.items() if path.startswith(prefix)})


def _joined(first: Any, second: Any) -> Any:
    return (jnp if isinstance(first, jax.Array) else np).concatenate([first, second])
