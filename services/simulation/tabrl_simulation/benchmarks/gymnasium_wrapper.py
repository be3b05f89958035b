"""An environment as Gymnasium and Stable-Baselines3 want it, on MuJoCo C: what other trainers are given to learn in.

It is the environment that TabRL trains in: the same split step, the same starting states, the same physics. As a
`gymnasium.Env` there is one simulation; as Stable-Baselines3's `VecEnv` there are many, stepped together on all
processors, so that nothing is lost by going through a wrapper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gymnasium
import jax
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from tabrl_simulation import physics, reset, split
from tabrl_simulation.environments import Environment

__all__ = ["GymEnvironment", "VectorEnvironment"]

_STARTS: Final = 512


class _Driver:
    """`N` environments that are handed actions."""

    def __init__(self, environment: Environment, *, count: int, threads: int, seed: int) -> None:
        self._environment = environment
        self._halves = split.split(environment, privileged=False)
        self._simulations = physics.Simulations(
            environment.model, count=count, threads=threads, reads=self._halves.reads
        )
        keys = jax.random.split(jax.random.PRNGKey(seed), _STARTS)
        self._starts = reset.Resetter(environment, threads=threads).sample(keys)
        self._draw = np.random.default_rng(seed)
        self._ctrl = jax.jit(jax.vmap(lambda action, carry, data: self._halves.before(action, carry, data)[0]))
        self._look = jax.jit(jax.vmap(self._halves.after))
        self._data = {name: np.repeat(self._starts.data[name][:1], count, 0) for name in self._halves.reads}
        self._carry = {name: np.repeat(self._starts.carry[name][:1], count, 0) for name in self._halves.carry}
        self._steps = np.zeros(count, np.int64)

    def start(self, which: NDArray[np.intp]) -> NDArray[np.float32]:
        """Starts episodes in some environments; returns what they observe."""
        chosen = self._draw.integers(_STARTS, size=len(which))
        self._simulations.write({name: values[chosen] for name, values in self._starts.state.items()}, which)
        for name in self._data:
            self._data[name][which] = self._starts.data[name][chosen]
        for name in self._carry:
            self._carry[name] = np.array(self._carry[name])
            self._carry[name][which] = self._starts.carry[name][chosen]
        self._steps[which] = 0
        return self._starts.observation[chosen]

    def step(self, actions: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Takes one control step; returns observation, reward, and where the episode ended or was cut off."""
        read = {name: self._data[name] for name in self._halves.before_arrays}
        self._simulations.hold(np.asarray(self._ctrl(actions, self._carry, read)))
        self._simulations.run(self._environment.physics_steps_per_control)
        earlier = {f"before.{name}": self._data[name] for name in self._halves.after_reads_before}
        self._data = self._simulations.read()
        after: split.After = self._look({**self._data, **earlier}, actions, self._carry)
        self._carry = {name: np.asarray(values) for name, values in after.carry.items()}
        self._steps += 1
        terminated = np.asarray(after.done) > 0
        truncated = (self._steps >= self._environment.episode_length) & ~terminated
        return np.array(after.observation), np.asarray(after.reward), terminated, truncated


def _spaces(environment: Environment) -> tuple[gymnasium.spaces.Box, gymnasium.spaces.Box]:
    return (
        gymnasium.spaces.Box(-np.inf, np.inf, (environment.observation_size,), np.float32),
        gymnasium.spaces.Box(-1.0, 1.0, (environment.action_size,), np.float32),
    )


class GymEnvironment(gymnasium.Env):  # type: ignore[misc]
    """One environment."""

    def __init__(self, environment: Environment, *, seed: int) -> None:
        """Prepares one simulation."""
        self.observation_space, self.action_space = _spaces(environment)
        self._driver = _Driver(environment, count=1, threads=1, seed=seed)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Starts an episode."""
        super().reset(seed=seed, options=options)
        return self._driver.start(np.zeros(1, np.intp))[0], {}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Takes one control step."""
        observation, reward, terminated, truncated = self._driver.step(np.asarray(action, np.float32)[None])
        return observation[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), {}


class VectorEnvironment(VecEnv):  # type: ignore[misc]
    """Many environments, stepped together."""

    def __init__(self, environment: Environment, *, count: int, seed: int) -> None:
        """Prepares `count` simulations."""
        super().__init__(count, *_spaces(environment))
        self._driver = _Driver(environment, count=count, threads=physics.cores(), seed=seed)
        self._actions: NDArray[np.float32] = np.zeros((count, environment.action_size), np.float32)

    def reset(self) -> NDArray[np.float32]:
        """Starts all episodes anew."""
        return self._driver.start(np.arange(self.num_envs))

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Takes the actions of the next step."""
        self._actions = np.asarray(actions, np.float32)

    def step_wait(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[dict[str, Any]]]:
        """Takes one control step, and starts new episodes where one ended."""
        observation, reward, terminated, truncated = self._driver.step(self._actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = np.flatnonzero(terminated | truncated)
        for index in ended:
            infos[index] = {
                "terminal_observation": observation[index].copy(),
                "TimeLimit.truncated": bool(truncated[index]),
            }
        if ended.size:
            observation[ended] = self._driver.start(ended)
        return observation, reward, terminated | truncated, infos

    def close(self) -> None:
        """Has nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Knows no attributes but the render mode, of which there is none."""
        return [None for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Has no attributes to set."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Has no other methods."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Wraps nothing else."""
        return [False for _ in self._get_indices(indices)]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Was seeded when it was made."""
        return [None] * self.num_envs
