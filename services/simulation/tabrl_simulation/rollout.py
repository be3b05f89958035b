"""Many environments driven by a policy on MuJoCo C, with one jitted function per control step around the physics.

The function is `control_loop`'s: each control step is one dispatch, and nothing an environment does not read is copied.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, Self

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import arrays, control_loop, learner, physics, randomization, reset
from tabrl_simulation.backends.choice import MUJOCO_C
from tabrl_simulation.control_loop import OWN_REWARD, EpisodeTally, NextStep, Orders, Reward, RolloutState
from tabrl_simulation.environments import Environment
from tabrl_simulation.settings import Settings
from tabrl_simulation.tree_paths import flatten, unflatten

__all__ = ["OWN_REWARD", "EpisodeTally", "Reward", "RolloutState", "Rollouts", "flatten", "unflatten"]

# Saved with a checkpoint: besides these and ctrl, nothing of a simulation outlives a control step.
_SIMULATION_STATE: Final = (*(name for name in arrays.STATE if name != "ctrl"), "qacc_warmstart", "time")

# Tell the draws of models from all others of a training.
_MODELS: Final = 0x4D6F6400
_MODELS_OF_THE_TWIN: Final = _MODELS + 1


class Rollouts:
    """The environments of one training, and where they stand; a `backends.Collector`."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        networks: Any,
        *,
        reward: Reward | None,
        weights: Mapping[str, float],
        threads: int,
    ) -> None:
        """Prepares the simulations; `begin` or `restore` sets them going.

        Args:
            environment: what to simulate.
            settings: of the training.
            networks: Brax's networks, as `learner.make_networks` makes them.
            reward: in place of the environment's own.
            weights: of the reward's terms; 1 where none is given.
            threads: for physics.
        """
        self._environment = environment
        self._settings = settings
        self._loop = control_loop.ControlLoop(environment, settings, networks, reward=reward, weights=weights)
        self._threads = threads
        self._simulations = self._made_simulations()
        self._resetter = reset.Resetter(environment, threads=threads)
        self._pool_size = max(256, settings.num_envs)
        self._pool_key = np.zeros(2, np.uint32)
        self._spent_starts = 0
        self._states: RolloutState | None = None
        self._advance: Callable[..., tuple[RolloutState, learner.Rollout, Orders]] = jax.jit(self._loop.advanced)
        self._hold: Callable[..., tuple[RolloutState, Orders]] = jax.jit(self._loop.held_on)
        self._first: Callable[..., tuple[RolloutState, Orders]] = jax.jit(self._loop.begun)
        pushed = [name for name in self._loop.split.written if name not in _SIMULATION_STATE]
        self._simulation_state = (*_SIMULATION_STATE, *pushed)

    @property
    def backend(self) -> str:
        """Name of the physics."""
        return MUJOCO_C

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the reward's terms."""
        return self._loop.terms

    @property
    def steps_per_collect(self) -> int:
        """Control steps, over all environments, that one `collect` takes."""
        return self._settings.batch_steps * self._environment.action_repeat

    @property
    def state(self) -> RolloutState:
        """Where the environments stand, ready for the next physics steps."""
        if self._states is None:
            raise RuntimeError("begin or restore comes first")
        return self._states

    @property
    def last_observations(self) -> tuple[jax.Array, jax.Array | None]:
        """What the policy, [N, O], and the value network, [N, V], see after the last rollout."""
        return self.state.observation, self.state.privileged_observation

    @property
    def simulations(self) -> physics.Simulations:
        """The simulations of the environments."""
        return self._simulations

    def twin(self) -> Self:
        """Returns as many environments again, driven by the same compiled functions; `begin` sets them going."""
        other = copy.copy(self)
        other._simulations = self._made_simulations(twin=True)
        other._states = None
        return other

    def begin(self, state: learner.LearnerState, key: jax.Array) -> None:
        """Starts an episode in every environment, and asks the policy for first actions."""
        key, pool_key = jax.random.split(key)
        self._draw_pool(np.asarray(pool_key))
        self._states, orders = self._first(state.params.policy, state.normalizer, self._first_starts, key)
        first = {name: values[: self._settings.num_envs] for name, values in self._pool.state.items()}
        self._simulations.write(first)
        self._obey(orders)

    def collect(self, state: learner.LearnerState) -> list[learner.Rollout]:
        """Lets the policy act `unroll_length` times; returns what each action led to."""
        unrolling = self.unroll(state)
        while True:
            try:
                next(unrolling)
            except StopIteration as done:
                rollouts: list[learner.Rollout] = done.value
                return rollouts
            self.run_physics()

    def unroll(self, state: learner.LearnerState) -> Generator[None, None, list[learner.Rollout]]:
        """Does what `collect` does, but leaves it to the caller to `run_physics` whenever it yields."""
        rollouts: list[learner.Rollout] = []
        for _ in range(self._settings.unroll_length):
            for _ in range(self._environment.action_repeat - 1):
                yield
                self._states, orders = self._hold(self._loop.weights, self.state, self._simulations.read())
                self._obey(orders)
            yield
            self._states, rollout, orders = self._advance(
                state.params.policy,
                state.normalizer,
                self._starts,
                self._loop.weights,
                self.state,
                self._simulations.read(),
            )
            rollouts.append(rollout)
            self._obey(orders)
        return rollouts

    def run_physics(self) -> None:
        """Steps physics through one control period; needs nothing of Python meanwhile, so another thread may do it."""
        self._simulations.run(self._environment.physics_steps_per_control)

    def take_tally(self) -> EpisodeTally:
        """Returns the sums since the last call, on the host, and starts them anew; draws new starting states if due."""
        tally: EpisodeTally = jax.device_get(self.state.tally)
        self._states = self.state._replace(tally=self._loop.no_tally())
        if self._spent_starts >= self._pool_size:
            self._draw_pool(np.asarray(jax.random.fold_in(jnp.asarray(self._pool_key), 1)))
        return tally

    def look_ahead(self) -> NextStep:
        """Takes one control step to find what is not finite; nothing may follow."""
        before = self._simulations.save(self._simulation_state) | {"ctrl": self._simulations.held()}
        self._simulations.run(self._environment.physics_steps_per_control)
        seen = jax.jit(self._loop.observed)(self._loop.weights, self.state, self._simulations.read())
        observation, privileged = (np.asarray(values) for values in seen)
        return NextStep(before, self._simulations.save(("qpos", "qvel")), observation, privileged)

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns where the environments stand, as arrays by path, from which `restore` goes on to the bit."""
        return {
            **flatten("loop", jax.device_get(self.state)),
            **flatten("simulations", self._simulations.save(self._simulation_state)),
            "ctrl": self._simulations.held(),
            "pool_key": self._pool_key,
            "spent_starts": np.asarray(self._spent_starts, np.int64),
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same environment, settings and reward.

        Raises:
            KeyError, ValueError: an array is missing or of another shape.
        """
        self._draw_pool(np.asarray(saved["pool_key"], np.uint32))
        self._spent_starts = int(saved["spent_starts"])
        key = jax.ShapeDtypeStruct((2,), jnp.uint32)
        template = jax.eval_shape(self._loop.begun, *self._loop.abstract_policy(), self._first_starts, key)[0]
        self._states = unflatten("loop", template, saved)
        self._simulations.write({})
        self._simulations.restore({name: saved[f"simulations/{name}"] for name in self._simulation_state})
        self._simulations.hold(saved["ctrl"])

    def _made_simulations(self, *, twin: bool = False) -> physics.Simulations:
        count = self._settings.num_envs
        drawn = randomization.Randomization(self._environment.model, {})
        if self._settings.domain_randomization:
            # By the seed alone, so that a training that goes on finds every robot as it was.
            key = jax.random.fold_in(jax.random.PRNGKey(self._settings.seed), _MODELS_OF_THE_TWIN if twin else _MODELS)
            drawn = randomization.randomization(self._environment, jax.random.split(key, count))
        made = physics.Simulations(drawn.model, count=count, threads=self._threads, reads=self._loop.reads)
        made.randomize(drawn.fields)
        return made

    def _obey(self, orders: Orders) -> None:
        ended = np.flatnonzero(np.asarray(orders.ended))
        if ended.size:
            start = np.asarray(orders.start)[ended]
            self._simulations.write({name: values[start] for name, values in self._pool.state.items()}, ended)
            self._spent_starts += int(ended.size)
        self._simulations.overwrite({name: np.asarray(values) for name, values in orders.writes.items()})
        self._simulations.hold(np.asarray(orders.ctrl))

    def _draw_pool(self, key: NDArray[np.uint32]) -> None:
        self._pool_key = key
        self._pool = self._resetter.sample(jax.random.split(jnp.asarray(key), self._pool_size))
        self._spent_starts = 0
        self._starts = self._loop.starts(self._pool)

    @property
    def _first_starts(self) -> control_loop.Starts:
        first: control_loop.Starts = jax.tree.map(lambda values: values[: self._settings.num_envs], self._starts)
        return first
