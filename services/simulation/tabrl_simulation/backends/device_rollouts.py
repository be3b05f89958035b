"""Many environments driven by a policy, with physics on the device: a whole unroll is one program.

The functions between the physics steps are those that MuJoCo C's rollouts use too (`control_loop`); here a scan runs
them, so that nothing goes to the host and back between two updates. Starting states come from the environment's reset
on MuJoCo C, whatever the backend: they need no compiling, and are equal on all backends.

`N` is the number of environments, `T` the unroll length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import control_loop, learner, reset, tree_paths
from tabrl_simulation.backends.device_physics import DevicePhysics, Physical
from tabrl_simulation.control_loop import NextStep

if TYPE_CHECKING:
    from mujoco import mjx

    from tabrl_simulation.control_loop import EpisodeTally, NextStep, Orders, Reward, RolloutState, Starts
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.settings import Settings

__all__ = ["DeviceRollouts"]


class _Standing(NamedTuple):
    """Where the environments stand.

    Attributes:
        loop: what a control step hands to the next, apart from the simulations.
        physical: the simulations, with the ctrl to hold.
        spent_starts: starting states used since they were drawn, [], int32.
    """

    loop: RolloutState
    physical: Physical
    spent_starts: jax.Array


class _Pool(NamedTuple):
    """States that episodes start from, for the loop and for the simulations; each [P, ...]."""

    starts: Starts
    physical: Physical


class DeviceRollouts:
    """The environments of one training on MJX; a `collector.Collector`."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        networks: Any,
        physics: DevicePhysics,
        *,
        reward: Reward | None,
        weights: Mapping[str, float],
        threads: int,
    ) -> None:
        """Prepares the programs; `begin` or `restore` sets them going, and the first `collect` compiles.

        Args:
            environment: what to simulate.
            settings: of the training.
            networks: Brax's networks, as `learner.make_networks` makes them.
            physics: of the environment, for as many simulations as `settings` wants.
            reward: in place of the environment's own.
            weights: of the reward's terms; 1 where none is given.
            threads: for the reset on MuJoCo C.
        """
        self._environment = environment
        self._settings = settings
        self._physics = physics
        self._loop = control_loop.ControlLoop(environment, settings, networks, reward=reward, weights=weights)
        self._resetter = reset.Resetter(environment, threads=threads)
        self._pool_size = max(256, settings.num_envs)
        self._pool_key = np.zeros(2, np.uint32)
        self._pool: _Pool | None = None
        self._standing: _Standing | None = None
        self._first: Callable[..., _Standing] = jax.jit(self._begun)
        self._unroll: Callable[..., tuple[_Standing, learner.Rollout]] = jax.jit(self._unrolled)

    @property
    def backend(self) -> str:
        """Name of the physics."""
        return self._physics.backend

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the reward's terms."""
        return self._loop.terms

    @property
    def steps_per_collect(self) -> int:
        """Control steps, over all environments, that one `collect` takes."""
        return self._settings.batch_steps * self._environment.action_repeat

    @property
    def last_observations(self) -> tuple[jax.Array, jax.Array | None]:
        """What the policy, [N, O], and the value network, [N, V], see after the last rollout."""
        return self._now.loop.observation, self._now.loop.privileged_observation

    @property
    def _now(self) -> _Standing:
        if self._standing is None:
            raise RuntimeError("begin or restore comes first")
        return self._standing

    def begin(self, state: learner.LearnerState, key: jax.Array) -> None:
        """Starts an episode in every environment, and asks the policy for first actions."""
        key, pool_key = jax.random.split(key)
        self._draw_pool(np.asarray(pool_key))
        self._standing = self._first(state.params.policy, state.normalizer, self._pool, key)

    def collect(self, state: learner.LearnerState) -> learner.Rollout:
        """Lets the policy act `unroll_length` times; returns what each action led to, each [T, N, ...]."""
        self._standing, rollout = self._unroll(
            state.params.policy, state.normalizer, self._pool, self._loop.weights, self._physics.model, self._now
        )
        return rollout

    def take_tally(self) -> EpisodeTally:
        """Returns the sums since the last call, on the host, and starts them anew; draws new starting states if due."""
        tally, spent = jax.device_get((self._now.loop.tally, self._now.spent_starts))
        loop = self._now.loop._replace(tally=self._loop.no_tally())
        self._standing = self._now._replace(loop=loop)
        if spent >= self._pool_size:
            self._draw_pool(np.asarray(jax.random.fold_in(jnp.asarray(self._pool_key), 1)))
            self._standing = self._standing._replace(spent_starts=jnp.zeros((), jnp.int32))
        result: EpisodeTally = tally
        return result

    def look_ahead(self) -> NextStep:
        """Takes one control step to find what is not finite; nothing may follow."""
        moved, data = jax.jit(self._moved)(self._physics.model, self._now)
        seen = jax.jit(self._loop.observed)(self._loop.weights, moved.loop, data)
        before, after, (observation, privileged) = jax.device_get((self._now.physical, moved.physical, seen))
        return NextStep(before, {name: after[name] for name in ("qpos", "qvel")}, observation, privileged)

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns where the environments stand, as arrays by path, from which `restore` goes on to the bit."""
        return {
            **tree_paths.flatten("standing", jax.device_get(self._now)),
            "pool_key": self._pool_key,
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same environment, settings, reward and backend.

        Raises:
            KeyError, ValueError: an array is missing or of another shape.
        """
        self._draw_pool(np.asarray(saved["pool_key"], np.uint32))
        template = jax.eval_shape(
            self._begun, *self._loop.abstract_policy(), self._pool, jax.ShapeDtypeStruct((2,), jnp.uint32)
        )
        self._standing = tree_paths.unflatten("standing", template, saved)

    def _draw_pool(self, key: NDArray[np.uint32]) -> None:
        self._pool_key = key
        drawn = self._resetter.sample(jax.random.split(jnp.asarray(key), self._pool_size))
        physical = self._physics.at({name: jnp.asarray(value) for name, value in drawn.state.items()})
        self._pool = _Pool(self._loop.starts(drawn), physical)

    # What follows is traced.

    def _begun(self, policy: Any, normalizer: Any, pool: _Pool, key: jax.Array) -> _Standing:
        first: _Pool = jax.tree.map(lambda values: values[: self._settings.num_envs], pool)
        loop, orders = self._loop.begun(policy, normalizer, first.starts, key)
        standing = _Standing(loop, _held(first.physical, orders), jnp.zeros((), jnp.int32))
        return _strongly_typed(standing)

    def _unrolled(  # noqa: PLR0917 (jit wants positional arguments)
        self,
        policy: Any,
        normalizer: Any,
        pool: _Pool,
        weights: jax.Array,
        model: mjx.Model,
        standing: _Standing,
    ) -> tuple[_Standing, learner.Rollout]:
        def act(standing: _Standing, _: None) -> tuple[_Standing, learner.Rollout]:
            standing, data = self._acted(weights, model, standing)
            loop, rollout, orders = self._loop.advanced(policy, normalizer, pool.starts, weights, standing.loop, data)
            physical = _restarted(standing.physical, pool.physical, orders)
            spent = standing.spent_starts + orders.ended.sum(dtype=jnp.int32)
            return _strongly_typed(_Standing(loop, _held(physical, orders), spent)), rollout

        result: tuple[_Standing, learner.Rollout] = jax.lax.scan(
            act, standing, None, length=self._settings.unroll_length
        )
        return result

    def _acted(
        self, weights: jax.Array, model: mjx.Model, standing: _Standing
    ) -> tuple[_Standing, dict[str, jax.Array]]:
        """Goes through all the control steps for which an action is held, up to looking at the last one's outcome."""
        repeat = self._environment.action_repeat
        if repeat == 1:
            return self._moved(model, standing)

        def step(carry: tuple[_Standing, Any], index: jax.Array) -> tuple[tuple[_Standing, dict[str, jax.Array]], None]:
            # The outcome of the step before comes first, so that physics is there only once, and compiled only once.
            def held_on() -> _Standing:
                loop, orders = self._loop.held_on(weights, carry[0].loop, carry[1])
                return _strongly_typed(carry[0]._replace(loop=loop, physical=_held(carry[0].physical, orders)))

            standing = jax.lax.cond(index > 0, held_on, lambda: carry[0])
            return self._moved(model, standing), None

        nothing = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(self._moved, model, standing)[1]
        )
        (standing, data), _ = jax.lax.scan(step, (standing, nothing), jnp.arange(repeat))
        return standing, data

    def _moved(self, model: mjx.Model, standing: _Standing) -> tuple[_Standing, dict[str, jax.Array]]:
        physical, data = self._physics.run(model, standing.physical, self._loop.reads)
        return standing._replace(physical=physical), data


def _held(physical: Physical, orders: Orders) -> Physical:
    """Hands simulations what to hold, and what the environment writes."""
    return {**physical, **orders.writes, "ctrl": orders.ctrl}


def _restarted(physical: Physical, pool: Physical, orders: Orders) -> Physical:
    """Puts the simulations whose episodes ended into their next starting states."""

    def fresh(name: str) -> jax.Array:
        old = physical[name]
        return jnp.where(orders.ended.reshape(-1, *(1,) * (old.ndim - 1)), pool[name][orders.start], old)

    return {name: fresh(name) for name in physical}


def _strongly_typed(standing: _Standing) -> _Standing:
    """Rids arrays of weak types, which would have the same program compiled again for the second call."""
    result: _Standing = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), standing)
    return result
