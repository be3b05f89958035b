"""How far a backend's physics is from MuJoCo C: both from equal states, with equal actions, for some control steps.

`N` is the number of simulations, `T` of control steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import arrays, physics, reset, split
from tabrl_simulation.backends.device_physics import DevicePhysics, Physical

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.environments import Environment
    from tabrl_simulation.reset import ResetStates

__all__ = ["COMPARED", "Parity", "compare"]

COMPARED: Final = ("qpos", "qvel", "observation")
"""What is compared: two mjData arrays, and what the policy observes."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far a backend went from MuJoCo C.

    Attributes:
        environment_id: the environment.
        backend: what was compared with MuJoCo C.
        differences: greatest difference after each control step over all simulations and elements, by what is
            compared: each [T], float64. NaN or infinite where one of the two is.
        compile_secs: time to trace and compile the control steps and to run them once, in seconds. MJX-Warp keeps its
            kernels between processes; where it has them already, that is less.
        steps_per_sec: control steps per second over all simulations, in a second run of the same.
        steps_per_sec_on_mujoco_c: the same on MuJoCo C.
    """

    environment_id: str
    backend: str
    differences: dict[str, NDArray[np.float64]]
    compile_secs: float
    steps_per_sec: float
    steps_per_sec_on_mujoco_c: float

    @property
    def greatest(self) -> float:
        """The greatest difference in anything after any control step; NaN where one is."""
        return float(max(values.max() for values in self.differences.values()))

    def steps_within(self, limit: float) -> int:
        """Returns the number of control steps before anything first differs by more than `limit`."""
        within = np.all([values <= limit for values in self.differences.values()], axis=0)
        return len(within) if within.all() else int(np.argmin(within))


def compare(
    environment: Environment,
    backend: str,
    *,
    simulations: int = 16,
    control_steps: int = 20,
    seed: int = 0,
    converged: bool = False,
) -> Parity:
    """Moves simulations on MuJoCo C and on another backend by random actions; does not end episodes.

    Args:
        environment: what to simulate.
        backend: `choice.MJX` or `choice.WARP`; whether its GPU is there is not asked.
        simulations: how many, `N`, each from a starting state of its own.
        control_steps: how many, `T`.
        seed: of states and actions.
        converged: whether the constraint solvers go on until they have converged. Playground's models stop them after
            a few iterations, where what is left to do differs from solver to solver.

    Raises:
        BackendUnavailable: the backend does not have all that the model needs.
    """
    if converged:
        environment = replace(environment, model=_solved_to_the_end(environment.model))
    state_key, action_key = jax.random.split(jax.random.PRNGKey(seed))
    threads = physics.cores()
    starts = reset.Resetter(environment, threads=threads).sample(jax.random.split(state_key, simulations))
    actions = jax.random.uniform(
        action_key, (control_steps, simulations, environment.action_size), minval=-1.0, maxval=1.0
    )
    halves = split.split(environment, privileged=False)
    device = DevicePhysics(environment, backend=backend, count=simulations)
    begun = _begin(halves, device, starts)
    began = time.monotonic()
    moved = jax.jit(_on_device(halves, device)).lower(device.model, begun, actions).compile()
    jax.block_until_ready(moved(device.model, begun, actions))
    compile_secs = time.monotonic() - began
    there, there_secs = _second_run(lambda: jax.device_get(moved(device.model, begun, actions)))
    on_mujoco_c = _on_mujoco_c(environment, halves, starts, actions, threads)
    here, here_secs = _second_run(on_mujoco_c)
    return Parity(
        environment_id=environment.id,
        backend=backend,
        differences={name: _greatest_difference(here[name], there[name]) for name in COMPARED},
        compile_secs=compile_secs,
        steps_per_sec=control_steps * simulations / there_secs,
        steps_per_sec_on_mujoco_c=control_steps * simulations / here_secs,
    )


_Shown = dict[str, NDArray[np.float32]]


def _second_run(run: Callable[[], _Shown]) -> tuple[_Shown, float]:
    """Returns what a run showed, and the seconds that a second one takes: the first may compile."""
    run()
    began = time.monotonic()
    return run(), time.monotonic() - began


_Begun = tuple[Physical, dict[str, jax.Array], dict[str, jax.Array]]


def _solved_to_the_end(model: mujoco.MjModel) -> mujoco.MjModel:
    changed = copy(model)
    changed.opt.iterations, changed.opt.ls_iterations = 100, 50
    return changed


def _reads(halves: split.SplitStep) -> tuple[str, ...]:
    return tuple(name for name in arrays.READABLE if name in {*halves.reads, "qpos", "qvel"})


def _begin(halves: split.SplitStep, device: DevicePhysics, starts: ResetStates) -> _Begun:
    """Returns simulations, the arrays that were read last, and the environment's carry."""
    physical = device.at({name: jnp.asarray(value) for name, value in starts.state.items()})
    data = {name: jnp.asarray(starts.data[name]) for name in _reads(halves)}
    return physical, data, {name: jnp.asarray(starts.carry[name]) for name in halves.carry}


def _on_device(halves: split.SplitStep, device: DevicePhysics) -> Any:
    """Returns the function, of model, what `_begin` returned and actions, that moves all steps; traceable."""
    reads = _reads(halves)

    def moved(model: Any, begun: _Begun, actions: jax.Array) -> dict[str, jax.Array]:
        def step(begun: _Begun, action: jax.Array) -> tuple[_Begun, dict[str, jax.Array]]:
            physical, data, carry = begun
            ctrl, writes = _actuated(halves, action, carry, data)
            physical, now = device.run(model, {**physical, **writes, "ctrl": ctrl}, reads)
            after: split.After = jax.vmap(halves.after)(_with_earlier(halves, now, data), action, carry)
            shown = {"qpos": now["qpos"], "qvel": now["qvel"], "observation": after.observation}
            return ({**physical, **after.writes}, {**now, **after.writes}, after.carry), shown

        shown: dict[str, jax.Array] = jax.lax.scan(step, begun, actions)[1]
        return shown

    return moved


def _on_mujoco_c(
    environment: Environment, halves: split.SplitStep, starts: ResetStates, actions: jax.Array, threads: int
) -> Callable[[], _Shown]:
    reads = _reads(halves)
    simulations = physics.Simulations(environment.model, count=actions.shape[1], threads=threads, reads=reads)
    actuate = jax.jit(lambda action, carry, data: _actuated(halves, action, carry, data))
    look: Any = jax.jit(jax.vmap(halves.after))

    def run() -> _Shown:
        simulations.write(starts.state)
        data: dict[str, Any] = {name: starts.data[name] for name in reads}
        carry: dict[str, Any] = {name: jnp.asarray(starts.carry[name]) for name in halves.carry}
        shown: dict[str, list[NDArray[np.float32]]] = {name: [] for name in COMPARED}
        for action in actions:
            ctrl, writes = actuate(action, carry, data)
            simulations.hold(np.asarray(ctrl))
            simulations.overwrite(jax.device_get(writes))
            simulations.run(environment.physics_steps_per_control)
            now = simulations.read()
            after: split.After = look(_with_earlier(halves, now, data), action, carry)
            written = jax.device_get(after.writes)
            simulations.overwrite(written)
            data, carry = {**now, **written}, after.carry
            for name, value in {**now, "observation": np.asarray(after.observation)}.items():
                if name in shown:
                    shown[name].append(value)
        return {name: np.stack(values) for name, values in shown.items()}

    return run


def _actuated(
    halves: split.SplitStep, action: jax.Array, carry: dict[str, jax.Array], data: dict[str, Any]
) -> tuple[jax.Array, dict[str, jax.Array]]:
    before = {name: data[name] for name in halves.before_arrays}
    ctrl: jax.Array = jax.vmap(halves.before)(action, carry, before)[0]
    writes: dict[str, jax.Array] = jax.vmap(halves.writes)(action, carry, before)
    return ctrl, writes


def _with_earlier(halves: split.SplitStep, now: dict[str, Any], earlier: dict[str, Any]) -> dict[str, Any]:
    return {**now, **{f"before.{name}": earlier[name] for name in halves.after_reads_before}}


def _greatest_difference(here: NDArray[np.float32], there: NDArray[np.float32]) -> NDArray[np.float64]:
    difference = np.abs(here.astype(np.float64) - there.astype(np.float64))
    greatest: NDArray[np.float64] = difference.reshape(len(difference), -1).max(1, initial=0.0)
    return greatest
