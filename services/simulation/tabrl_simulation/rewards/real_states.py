"""States that a robot really gets into, to try rewards on: while nothing drives it, and while it is driven at random.

Half of the episodes give an action of 0, the other half draw each action anew. What was read in them is kept in one
file of plain arrays, from which a process without MuJoCo takes what a reward program reads.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation.rewards.inputs import AIR_TIME, BEFORE, COMMAND, PREVIOUS_ACTION

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["REVISION", "RealStates", "RealStatesRefused", "record_states"]

REVISION: Final = 1
"""Changes when the same environment gives other states or another file."""

_EPISODES: Final = 16
_STEPS: Final = 64
_SEED: Final = 0
_ACTION: Final = "action"
_COUNTS: Final = "counts"
_NAMES: Final = (_ACTION, COMMAND, AIR_TIME, _COUNTS)

Floats = NDArray[np.float32]


class RealStatesRefused(ValueError):
    """Bytes that hold no recorded states."""


@dataclass(frozen=True, kw_only=True)
class RealStates:
    """Recorded control steps: `E` episodes of `T` steps side by side, the first half of them without any control.

    Attributes:
        arrays: every mjData array of `arrays.READABLE` before the first step and after each, [E, T + 1, ...].
        action: what was done in each step, [E, T, A].
        command: what the robot was told in each step, [E, T, 3]; empty where there are no commands.
        air_time: how long each foot had been off the ground before each step, s, [E, T, F].
        counts: whether the episode still went on, [E, T].
    """

    arrays: Mapping[str, Floats]
    action: Floats
    command: Floats
    air_time: Floats
    counts: NDArray[np.bool_]

    @property
    def driven(self) -> NDArray[np.bool_]:
        """Which of the `K` steps that count were driven at random, [K]."""
        episodes = np.arange(len(self.counts)) >= len(self.counts) // 2
        return np.broadcast_to(episodes[:, None], self.counts.shape)[self.counts]

    def inputs(self, names: Sequence[str]) -> dict[str, Floats]:
        """Returns what a program reads, by the names of `rewards.inputs`, in the `K` steps that count: [K, ...] each.

        Raises:
            KeyError: nothing of that name was recorded.
        """
        return {name: self._steps(name)[self.counts] for name in names}

    @property
    def actions(self) -> Floats:
        """What was done in the `K` steps that count, [K, A]."""
        return self.action[self.counts]

    def _steps(self, name: str) -> Floats:
        if name == PREVIOUS_ACTION:
            return np.concatenate([np.zeros_like(self.action[:, :1]), self.action[:, :-1]], axis=1)
        if name == COMMAND:
            return self.command
        if name == AIR_TIME:
            return self.air_time
        if name.startswith(BEFORE):
            return self.arrays[name.removeprefix(BEFORE)][:, :-1]
        return self.arrays[name][:, 1:]

    def to_bytes(self) -> bytes:
        """Returns the file, read back by `from_bytes`."""
        file = io.BytesIO()
        kept = {_ACTION: self.action, COMMAND: self.command, AIR_TIME: self.air_time, _COUNTS: self.counts}
        everything: dict[str, Any] = {**self.arrays, **kept}
        np.savez(file, **everything)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> RealStates:
        """Returns what `to_bytes` wrote.

        Raises:
            RealStatesRefused: the bytes are something else.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            action, command, air_time, counts = (found.pop(name) for name in _NAMES)
        except (ValueError, KeyError, OSError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as e:
            raise RealStatesRefused(f"these bytes hold no recorded states: {e}") from e
        return cls(arrays=found, action=action, command=command, air_time=air_time, counts=counts)


def record_states(environment: Environment, *, episodes: int = _EPISODES, steps: int = _STEPS) -> RealStates:
    """Returns states of an environment; some seconds, most of them to compile its reset and its step.

    Args:
        environment: whose states.
        episodes: how many, half of them without any control.
        steps: control steps in each; fewer count where the environment ends an episode.
    """
    import jax

    from tabrl_simulation import arrays, physics, reset, split

    halves = split.split(environment, privileged=False)
    threads = physics.cores()
    keys = jax.random.split(jax.random.PRNGKey(_SEED), episodes)
    starts = reset.Resetter(environment, threads=threads).sample(keys)
    shapes = arrays.shapes(environment.model)
    names = tuple(name for name in arrays.READABLE if 0 not in shapes[name])
    simulations = physics.Simulations(environment.model, count=episodes, threads=threads, reads=names)
    simulations.write(starts.state)
    moment = _Moment({name: starts.data[name] for name in names}, {name: starts.carry[name] for name in halves.carry})
    draw = np.random.default_rng(_SEED)
    driven = (np.arange(episodes) >= episodes // 2)[:, None]
    taken = _Taken.nothing(environment, episodes)
    step = jax.jit(jax.vmap(halves.after))
    orders = jax.jit(jax.vmap(halves.orders))
    for _ in range(steps):
        action = np.where(driven, draw.uniform(-1.0, 1.0, (episodes, environment.action_size)), 0.0).astype(np.float32)
        taken.before(moment, action)
        read = {name: moment.data[name] for name in {*halves.before_arrays, *halves.written}}
        ctrl, writes = orders(action, moment.carry, read)
        simulations.overwrite({name: np.asarray(values) for name, values in writes.items()})
        simulations.hold(np.asarray(ctrl))
        simulations.run(environment.physics_steps_per_control)
        now = simulations.read()
        earlier = {BEFORE + name: moment.data[name] for name in halves.after_reads_before}
        after = step({**now, **earlier}, action, moment.carry)
        moment = _Moment({**now, **{name: np.asarray(value) for name, value in after.writes.items()}}, after.carry)
        taken.after(moment, np.asarray(after.done) > 0)
    return taken.states(moment)


@dataclass(frozen=True)
class _Moment:
    """What the simulations and the environment hold between two control steps."""

    data: Mapping[str, Any]
    carry: Mapping[str, Any]


class _Taken:
    """What was recorded so far."""

    def __init__(self, environment: Environment, feet: Sequence[Any], episodes: int) -> None:
        self._period_secs = environment.control_period_secs
        self._commanded = bool(environment.command_size)
        self._feet = feet
        self._air_time = np.zeros((episodes, len(feet)), np.float32)
        self._goes_on = np.ones(episodes, bool)
        self._moments: list[Mapping[str, Any]] = []
        self._actions: list[Floats] = []
        self._commands: list[Floats] = []
        self._air_times: list[Floats] = []
        self._counts: list[NDArray[np.bool_]] = []

    @classmethod
    def nothing(cls, environment: Environment, episodes: int) -> _Taken:
        from tabrl_simulation.feet import find_feet

        return cls(environment, find_feet(environment.model), episodes)

    def before(self, moment: _Moment, action: Floats) -> None:
        self._moments.append(moment.data)
        self._actions.append(action)
        none = np.zeros((len(action), 0), np.float32)
        self._commands.append(np.asarray(moment.carry[COMMAND], np.float32) if self._commanded else none)
        self._air_times.append(self._air_time)

    def after(self, moment: _Moment, done: NDArray[np.bool_]) -> None:
        import jax

        from tabrl_simulation.rewards import contact

        finite = np.isfinite(np.asarray(moment.data["qpos"])).all(-1)
        self._goes_on &= finite
        self._counts.append(self._goes_on.copy())
        self._goes_on &= ~done
        if self._feet:
            geoms = (np.asarray(moment.data[name]) for name in ("geom_xpos", "geom_xmat"))
            updated = jax.vmap(
                lambda air, xpos, xmat: contact.air_times_after(self._feet, air, xpos, xmat, self._period_secs)
            )(self._air_time, *geoms)
            self._air_time = np.asarray(updated, np.float32)

    def states(self, last: _Moment) -> RealStates:
        moments = [*self._moments, last.data]
        return RealStates(
            arrays={
                name: np.stack([np.asarray(moment[name], np.float32) for moment in moments], axis=1)
                for name in moments[0]
            },
            action=np.stack(self._actions, axis=1),
            command=np.stack(self._commands, axis=1),
            air_time=np.stack(self._air_times, axis=1),
            counts=np.stack(self._counts, axis=1),
        )
