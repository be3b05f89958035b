"""Compares with other trainers on this machine, one after the other: `make bench-peers`.

Time to the same return: Brax's PPO on MJX, as Playground publishes its settings and with those that TabRL takes; and
Stable-Baselines3's PPO through a Gymnasium wrapper over MuJoCo C, one simulation at a time and all together. Steps per
second: EnvPool's own version of the task. Every ratio is from one run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from tabrl_simulation.benchmarks import peer_workers
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

__all__ = ["Race", "Stepped", "main"]

_GOAL: Final = 800.0
_LIMIT_SECS: Final = 300.0
_ROUNDS: Final = 5
_LABELS: Final = {
    "tabrl": "TabRL",
    "brax": "Brax on MJX, published settings",
    "brax-small": "Brax on MJX, TabRL's settings",
    "sb3": "Stable-Baselines3, its settings, 8 `gymnasium.Env`",
    "sb3-vectorized": "Stable-Baselines3, TabRL's settings, all simulations together",
}


@dataclass(frozen=True, kw_only=True)
class Race:
    """How one trainer did.

    Attributes:
        trainer: which one.
        environment: its task.
        seed: of its draws.
        secs_to_goal: from the start of its process; None if it did not get there in time.
        limit_secs: the time it had.
        curve: seconds, control steps and return, whenever its policy was played.
        load_average: of the machine, before.
    """

    trainer: str
    environment: str
    seed: int
    secs_to_goal: float | None
    limit_secs: float
    curve: list[tuple[float, int, float]]
    load_average: float

    @property
    def line(self) -> str:
        """What to say of it."""
        reached = "did not get there" if self.secs_to_goal is None else f"{self.secs_to_goal:.1f} s"
        return f"{self.environment}, {_LABELS[self.trainer]}, seed {self.seed}: {reached}"


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """Control steps per second of two steppers, in turn.

    Attributes:
        environment: the task.
        num_envs: environments side by side.
        rates: by stepper, one for each round.
    """

    environment: str
    num_envs: int
    rates: dict[str, list[float]]

    @property
    def share(self) -> float:
        """TabRL's rate over EnvPool's, median over the rounds."""
        return statistics.median(a / b for a, b in zip(self.rates["tabrl"], self.rates["envpool"], strict=True))

    @property
    def line(self) -> str:
        """What to say of it."""
        shown = ", ".join(f"{name} {statistics.median(each):,.0f}" for name, each in self.rates.items())
        return f"{self.environment}, {self.num_envs} environments, steps/s: {shown}; {self.share:.0%}"


def main() -> None:
    """Runs the benchmark; writes `peers.json`, `peers.md` and `peers.png` after every race.

    Races of earlier calls on a machine like this one stay, unless they are run again.
    """
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.peers", description=__doc__)
    parser.add_argument("--environments", nargs="*", default=["CartpoleBalance"], help="to train in")
    parser.add_argument("--trainers", nargs="+", default=list(_LABELS), choices=list(_LABELS))
    parser.add_argument("--stepped", nargs="*", default=["Go1JoystickFlatTerrain"], help="to step beside EnvPool")
    parser.add_argument("--num-envs", type=int, default=256, help="environments to step")
    parser.add_argument("--limit-secs", type=float, default=_LIMIT_SECS, help="for each trainer")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    results = _Results.earlier(arguments.out)
    for environment_id in arguments.environments:
        for trainer in arguments.trainers:
            for seed in arguments.seeds:
                results.add(_race(trainer, environment_id, seed, arguments.limit_secs))
    for environment_id in arguments.stepped:
        results.add(_step_in_turn(environment_id, arguments.num_envs))
    print(f"\n{(arguments.out / 'peers.md').read_text()}\nwritten to {arguments.out}")


@dataclass
class _Results:
    """All that was measured on one machine."""

    out: Path
    machine: dict[str, Any]
    races: dict[tuple[str, int, int], Race]
    stepped: dict[str, Stepped]

    @classmethod
    def earlier(cls, out: Path) -> Self:
        """Reads what an earlier benchmark left, if it ran on a machine like this one."""
        results = cls(out, machine(), {}, {})
        path = out / "peers.json"
        kept = json.loads(path.read_text()) if path.exists() else {}
        if kept.get("machine") == results.machine:
            for race in kept["races"]:
                results._take(Race(**race))
            for run in kept["stepped"]:
                results._take(Stepped(**run))
        return results

    def add(self, result: Race | Stepped) -> None:
        """Takes a result, says it and writes all of them."""
        print(result.line, flush=True)
        self._take(result)
        races = [self.races[key] for key in sorted(self.races)]
        stepped = list(self.stepped.values())
        self.out.mkdir(parents=True, exist_ok=True)
        found = {"races": [asdict(race) for race in races], "stepped": [asdict(run) for run in stepped]}
        (self.out / "peers.json").write_text(compact({"machine": self.machine, "goal": _GOAL, **found}))
        (self.out / "peers.md").write_text(_page(self.machine, races, stepped))
        if races:
            _plot(races, self.out / "peers.png")

    def _take(self, result: Race | Stepped) -> None:
        if isinstance(result, Race):
            self.races[result.environment, list(_LABELS).index(result.trainer), result.seed] = result
        else:
            self.stepped[result.environment] = result


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", peer_workers.__name__, *arguments]


def _surroundings(cache: str) -> Mapping[str, str]:
    return {**os.environ, "JAX_PLATFORMS": "cpu", "TABRL_CACHE": cache, "TF_CPP_MIN_LOG_LEVEL": "3"}


def _race(trainer: str, environment_id: str, seed: int, limit_secs: float) -> Race:
    """Lets one trainer learn, with nothing compiled beforehand."""
    load_average = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tabrl-peers-") as cache:
        began = time.time()
        command = _command("train", trainer, environment_id, str(seed), str(_GOAL), str(limit_secs), str(began))
        process = subprocess.Popen(command, env=_surroundings(cache), stdout=subprocess.PIPE, text=True)
        try:
            # Its clock stands still while it is looked at, so it may take longer than its limit.
            printed, _ = process.communicate(timeout=2 * limit_secs)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
    if process.returncode and process.returncode > 0:
        raise RuntimeError(f"{trainer} in {environment_id} ended with {process.returncode}")
    curve = json.loads(printed.splitlines()[-1])["curve"] if printed else []
    reached = next((secs for secs, _, mean_return in curve if mean_return >= _GOAL and secs <= limit_secs), None)
    return Race(
        trainer=trainer,
        environment=environment_id,
        seed=seed,
        secs_to_goal=reached,
        limit_secs=limit_secs,
        curve=curve,
        load_average=load_average,
    )


def _step_in_turn(environment_id: str, count: int) -> Stepped:
    with tempfile.TemporaryDirectory(prefix="tabrl-peers-") as cache:
        processes = {
            name: subprocess.Popen(
                _command("step", name, environment_id, str(count)),
                env=_surroundings(cache),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in peer_workers.STEPPERS
        }
        try:
            for name, process in processes.items():
                _answer(name, process.stdout)
            rates: dict[str, list[float]] = {name: [] for name in processes}
            for _ in range(_ROUNDS):
                for name, process in processes.items():
                    if process.stdin is None:
                        raise RuntimeError(f"{name} takes no orders")
                    process.stdin.write("\n")
                    process.stdin.flush()
                    rates[name].append(float(_answer(name, process.stdout)))
        finally:
            for process in processes.values():
                process.kill()
                process.communicate()
    return Stepped(environment=environment_id, num_envs=count, rates=rates)


def _answer(name: str, printed: IO[str] | None) -> str:
    answer = printed.readline().strip() if printed else ""
    if not answer:
        raise RuntimeError(f"the stepper {name} ended; it may need more memory for so many environments")
    return answer


def _page(described: dict[str, Any], races: list[Race], stepped: list[Stepped]) -> str:
    lines = [
        "# Beside other trainers",
        "",
        sentence(described),
        "",
        "Time from the start of the process, imports and compiling included, until the policy's mean return of 32 "
        f"whole episodes without exploration noise on MuJoCo C is {_GOAL:.0f}; the clock stands still while they are "
        "played. One trainer at a time, nothing compiled beforehand. Times as long: the median over TabRL's, of the "
        "same seeds.",
        "",
        f"| environment | trainer | to {_GOAL:.0f} by seed, s | times as long | steps by then | load average |",
        "|---|---|---|---|---|---|",
        *(_row(of_trainer, races) for of_trainer in _by_trainer(races)),
        "",
        "Control steps per second under random actions, in turn, median of the rounds. EnvPool keeps a model for each "
        "environment: a thousand of Go1's take more than 24 GB.",
        "",
        "| environment | environments | TabRL | EnvPool | TabRL / EnvPool |",
        "|---|---|---|---|---|",
        *(
            f"| {run.environment} | {run.num_envs:,} | {statistics.median(run.rates['tabrl']):,.0f} "
            f"| {statistics.median(run.rates['envpool']):,.0f} | {run.share:.2f} |"
            for run in stepped
        ),
        "",
    ]
    return "\n".join(lines)


def _by_trainer(races: list[Race]) -> list[list[Race]]:
    grouped: dict[tuple[str, str], list[Race]] = {}
    for race in races:
        grouped.setdefault((race.environment, race.trainer), []).append(race)
    return list(grouped.values())


def _row(of_trainer: list[Race], races: list[Race]) -> str:
    first = of_trainer[0]
    ours = {race.seed: race for race in races if (race.environment, race.trainer) == (first.environment, "tabrl")}
    compared = [(race, ours[race.seed]) for race in of_trainer if race.seed in ours]
    ratio = ""
    if compared and all(our.secs_to_goal is not None for _, our in compared):
        theirs, own = (
            statistics.median(race.secs_to_goal or race.limit_secs for race in each)
            for each in zip(*compared, strict=True)
        )
        beyond = any(race.secs_to_goal is None for race, _ in compared)
        ratio = f"{'> ' if beyond else ''}{theirs / own:.1f}"
    times = ", ".join(
        f"{race.secs_to_goal:.1f}" if race.secs_to_goal else f"not within {race.limit_secs:.0f}" for race in of_trainer
    )
    steps = ", ".join(f"{race.curve[-1][1]:,}" if race.curve else "?" for race in of_trainer)
    load = max(race.load_average for race in of_trainer)
    return f"| {first.environment} | {_LABELS[first.trainer]} | {times} | {ratio} | {steps} | {load:.1f} |"


def _plot(races: list[Race], path: Path) -> None:
    from matplotlib import pyplot

    names = list(dict.fromkeys(race.environment for race in races))
    figure, all_axes = pyplot.subplots(1, len(names), figsize=(6.5 * len(names), 5), squeeze=False)
    for axes, name in zip(all_axes[0], names, strict=True):
        for of_trainer in _by_trainer([race for race in races if race.environment == name]):
            color = f"C{list(_LABELS).index(of_trainer[0].trainer)}"
            label: str | None = _LABELS[of_trainer[0].trainer]
            for race in of_trainer:
                axes.plot([p[0] for p in race.curve], [p[2] for p in race.curve], ".-", color=color, label=label)
                label = None  # once for all seeds
        axes.axhline(_GOAL, color="0.7", linewidth=0.8)
        axes.set(
            title=name, xlabel="seconds since the process started", ylabel="return", ylim=(0, 1_000), xlim=(0, None)
        )
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
