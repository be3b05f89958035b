"""Compares stepping whole environments, and training in them, with MuJoCo C alone on the same states.

`python -m tabrl_simulation.benchmarks.stepping`, or `make bench`. Environments are those of a training, with episodes
ending and starting, under random actions. Each round takes some control steps of the environments, and has MuJoCo C
alone take the same ones: from the same states, under the same ctrl, on as many threads. So both meet the same contacts,
and whatever else the machine does meets both; a share is the median over the rounds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import environments, physics, settings
from tabrl_simulation.benchmarks import stepping_report
from tabrl_simulation.benchmarks.machine import RESULTS, machine

if TYPE_CHECKING:
    from tabrl_simulation.learner import Learner, LearnerState
    from tabrl_simulation.overlapped import OverlappedRollouts
    from tabrl_simulation.rollout import Rollouts

__all__ = ["UNROLL", "Clock", "Measured", "main", "measure_stepping", "measure_training", "stepper"]

_SIZES: Final = {
    "CartpoleBalance": (1024, 4096, 8192),
    "CheetahRun": (512, 2048, 4096),
    "WalkerWalk": (512, 2048),
    "HumanoidWalk": (512, 2048),
    "Go1JoystickFlatTerrain": (512, 2048),
}
UNROLL: Final = 10
"""Control steps of each environment between two looks at the clock, where only stepping is measured."""

_TRAINED: Final = ("HumanoidWalk", "Go1JoystickFlatTerrain")
_ROUNDS: Final = 7
_ROUND_SECS: Final = 1.0
_STATE: Final = ("qpos", "qvel", "act", "mocap_pos", "mocap_quat", "xfrc_applied", "qacc_warmstart")


def main() -> None:
    """Runs the benchmark; writes `stepping.json`, `stepping.md` and `stepping.png`."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.stepping", description=__doc__)
    parser.add_argument("--environments", nargs="+", default=list(_SIZES), metavar="ID")
    parser.add_argument("--sizes", nargs="+", type=int, help="instead of the batch sizes of each environment")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--no-training", action="store_true", help="only stepping")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from tabrl_simulation import training

    training.use_compilation_cache()
    measured = []
    for name in arguments.environments:
        environment = environments.load(name)
        for count in arguments.sizes or _SIZES.get(name, (512, 2048)):
            measured.append(measure_stepping(environment, count, arguments.rounds))
            print(stepping_report.line(measured[-1]), flush=True)
        if name in _TRAINED and not arguments.no_training:
            measured.append(measure_training(environment, arguments.rounds))
            print(stepping_report.line(measured[-1]), flush=True)
    described = machine()
    result = {"machine": described, "runs": [dataclasses.asdict(run) for run in measured]}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "stepping.json").write_text(json.dumps(result, indent=1) + "\n")
    (arguments.out / "stepping.md").write_text(stepping_report.table(described, measured))
    stepping_report.plot(measured, arguments.out / "stepping.png")
    print(f"\n{(arguments.out / 'stepping.md').read_text()}\nwritten to {arguments.out}")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one configuration came to.

    Attributes:
        environment: its id.
        what: "stepping", or "training".
        num_envs: environments side by side.
        steps_per_round: control steps of each in a round.
        shares: of each round: time that MuJoCo C alone takes, divided by the time that everything takes.
        per_sec: control steps per second over all environments, median.
        physics_per_sec: the same of MuJoCo C alone.
        profile: share of all the time, by what it went to.
        load_average: of the machine, before.
        settings: of the training, if it is one.
    """

    environment: str
    what: str
    num_envs: int
    steps_per_round: int
    shares: list[float]
    per_sec: float
    physics_per_sec: float
    profile: dict[str, float]
    load_average: float
    settings: dict[str, Any] | None = None

    @property
    def share(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.shares)


@dataclass
class Clock:
    """Where time goes: seconds by name."""

    secs: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes."""
        began = time.perf_counter()
        yield
        self.secs[name] = self.secs.get(name, 0.0) + time.perf_counter() - began

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `call`, with its time added to `name`."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.running(name):
                return call(*args, **kwargs)

        return timed


class _Watched:
    """The simulations of rollouts, watched: what they are handed, and how long that takes."""

    def __init__(self, simulations: physics.Simulations, clock: Clock) -> None:
        self.ctrls: list[NDArray[Any]] = []
        self._simulations = simulations
        self.read = clock.timed("copies", simulations.read)
        self.write = clock.timed("copies", simulations.write)
        self.overwrite = clock.timed("copies", simulations.overwrite)

    def hold(self, ctrl: NDArray[Any]) -> None:
        self.ctrls.append(ctrl)
        self._simulations.hold(ctrl)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._simulations, name)


class _Pair:
    """Environments, and as many bare simulations that repeat what physics they had."""

    def __init__(
        self, environment: environments.Environment, driven: Rollouts | OverlappedRollouts, count: int, clock: Clock
    ) -> None:
        self._nstep = environment.physics_steps_per_control
        self._watched: list[Any] = []
        halves: tuple[Any, ...] = getattr(driven, "halves", (driven,))
        for part in halves:
            part._simulations = _Watched(part.simulations, clock)
            self._watched.append(part.simulations)
        # Physics that overlaps costs what is waited for it.
        waits: Any = driven
        name = "wait_for" if hasattr(driven, "halves") else "run_physics"
        setattr(waits, name, clock.timed("physics", getattr(waits, name)))
        self._bare = physics.Simulations(environment.model, count=count, threads=physics.cores(), reads=())

    def round(self, take: Callable[[], None]) -> tuple[float, float]:
        """Returns the seconds that `take` takes, and those that MuJoCo C alone takes for the same physics."""
        saved = [watched.save(_STATE) for watched in self._watched]
        first = [watched.held() for watched in self._watched]
        for watched in self._watched:
            watched.ctrls.clear()
        began = time.perf_counter()
        take()
        secs = time.perf_counter() - began
        self._bare.restore({name: np.concatenate([part[name] for part in saved]) for name in _STATE})
        ctrls = zip(*([ctrl, *w.ctrls[:-1]] for ctrl, w in zip(first, self._watched, strict=True)), strict=True)
        held = [np.concatenate(parts) for parts in ctrls]
        began = time.perf_counter()
        for ctrl in held:
            self._bare.hold(ctrl)
            self._bare.run(self._nstep)
        return secs, time.perf_counter() - began


def stepper(environment: environments.Environment, count: int) -> Callable[[], Any]:
    """Returns a function that takes `UNROLL` control steps in `count` environments under random actions."""
    driven, state = _random_rollouts(environment, _stepped(count))
    return lambda: driven.collect(state)


def measure_stepping(environment: environments.Environment, count: int, rounds: int) -> Measured:
    """Steps `count` environments under random actions."""
    import jax

    chosen = _stepped(count)
    driven, state = _random_rollouts(environment, chosen)
    clock = Clock()
    pair = _Pair(environment, driven, count, clock)

    def take() -> None:
        jax.block_until_ready(driven.collect(state))

    return _measured(environment, "stepping", chosen, rounds=rounds, take=take, pair=pair, clock=clock)


def measure_training(environment: environments.Environment, rounds: int) -> Measured:
    """Trains with the default settings of the environment."""
    import jax

    chosen = settings.default_settings(environment.id)
    made, state = _learner(environment, chosen)
    clock = Clock()
    driven = _rollouts(environment, chosen, made.networks)
    driven.begin(state, jax.random.PRNGKey(1))
    pair = _Pair(environment, driven, chosen.num_envs, clock)
    update = jax.jit(made.update)

    def take() -> None:
        nonlocal state
        rollouts = driven.collect(state)
        observation, privileged_observation = driven.last_observations
        with clock.running("learning"):
            state, report = update(state, rollouts, observation, 0.1, privileged_observation)
            jax.block_until_ready(report)
        driven.take_tally()

    return _measured(environment, "training", chosen, rounds=rounds, take=take, pair=pair, clock=clock)


def _measured(
    environment: environments.Environment,
    what: str,
    chosen: settings.Settings,
    *,
    rounds: int,
    take: Callable[[], None],
    pair: _Pair,
    clock: Clock,
) -> Measured:
    take()  # compiles
    began = time.perf_counter()
    take()
    repeats = max(1, round(_ROUND_SECS / (time.perf_counter() - began)))

    def several() -> None:
        for _ in range(repeats):
            take()

    load_average = os.getloadavg()[0]
    clock.secs.clear()
    pairs = [pair.round(several) for _ in range(rounds)]
    steps = repeats * chosen.batch_steps * environment.action_repeat
    total = sum(secs for secs, _ in pairs)
    profile = {name: secs / total for name, secs in clock.secs.items()}
    return Measured(
        environment=environment.id,
        what=what,
        num_envs=chosen.num_envs,
        steps_per_round=steps // chosen.num_envs,
        shares=[bare / secs for secs, bare in pairs],
        per_sec=statistics.median(steps / secs for secs, _ in pairs),
        physics_per_sec=statistics.median(steps / bare for _, bare in pairs),
        profile={**profile, "environment and policy": 1 - sum(profile.values())},
        load_average=load_average,
        settings=chosen.to_dict() if what == "training" else None,
    )


def _stepped(count: int) -> settings.Settings:
    return settings.Settings(env_steps=1_000, num_envs=count, unroll_length=UNROLL, num_minibatches=1)


def _random_rollouts(
    environment: environments.Environment, chosen: settings.Settings
) -> tuple[Rollouts | OverlappedRollouts, LearnerState]:
    import jax

    made, state = _learner(environment, chosen)
    driven = _rollouts(environment, chosen, _random(made.networks, environment.action_size))
    driven.begin(state, jax.random.PRNGKey(1))
    return driven, state


def _learner(environment: environments.Environment, chosen: settings.Settings) -> tuple[Learner, LearnerState]:
    import jax

    from tabrl_simulation import learner

    made = learner.make_learner(
        chosen,
        observation_size=environment.observation_size,
        action_size=environment.action_size,
        privileged_observation_size=environment.privileged_observation_size,
    )
    return made, jax.jit(made.init)(jax.random.PRNGKey(0))


def _rollouts(
    environment: environments.Environment, chosen: settings.Settings, networks: Any
) -> Rollouts | OverlappedRollouts:
    from tabrl_simulation import overlapped

    return overlapped.make_rollouts(environment, chosen, networks, reward=None, weights={}, threads=physics.cores())


def _random(networks: Any, action_size: int) -> Any:
    """Returns networks whose policy draws actions without looking."""
    import jax.numpy as jnp
    from brax.training.networks import FeedForwardNetwork

    def apply(_statistics: Any, _params: Any, observation: Any) -> Any:
        return jnp.zeros((*observation.shape[:-1], 2 * action_size))

    return networks.replace(policy_network=FeedForwardNetwork(networks.policy_network.init, apply))


if __name__ == "__main__":
    main()
