"""Measures the round trip from reward source to a sealed program: checked, traced, verified, sealed.

`python -m tabrl_simulation.benchmarks.sealing`, or `make bench-sealing`.

Warm, the jails were started while nobody waited, as RewardGen does when somebody asks for models; each finds both
of its jails ready. Cold, nothing was started before. In a row, rewards follow one another without a pause, so that all
but the first wait for the start of their jails: that is the throughput of one pool.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence
from tabrl_simulation.rewards.compile import compile_reward_with
from tabrl_simulation.rewards.honest_corpus import DECISIONS, MODULES
from tabrl_simulation.rewards.pool import JailPool
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.robot import Robot

__all__ = ["RoundTrip", "main"]

_ENVIRONMENT: Final = "WalkerWalk"
_REWARDS: Final = 36
_IN_A_ROW: Final = 8
_COLD: Final = 3
_GOALS: Final = {"warm": 2.0}
_WHAT: Final = {
    "warm": "both jails ready, as while a person types or a model writes",
    "cold": "a new pool, nothing started",
    "in a row": "one after the other without a pause; the jails of the next start while one is sealed",
}


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """One reward, from source to sealed.

    Attributes:
        kind: "warm", "cold" or "in a row".
        reward: its number in the corpus.
        terms: how many terms it has.
        secs: the whole round trip.
        start_secs: how long its jails took to become ready before; 0 where that is part of the round trip.
        load_average: of the machine, before.
    """

    kind: str
    reward: int
    terms: int
    secs: float
    start_secs: float
    load_average: float


def main() -> None:
    """Runs the benchmark; writes `sealing.json` and `sealing.md`."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.sealing", description=__doc__)
    parser.add_argument("--rewards", type=int, default=_REWARDS, help="how many are sealed warm")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    sources = [repaired(program).source for program in (*MODULES, *DECISIONS)]
    trips = asyncio.run(_measured(sources, _robot(), arguments.rewards))
    described = machine()
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": described, "environment": _ENVIRONMENT, "round_trips": [asdict(trip) for trip in trips]}
    (arguments.out / "sealing.json").write_text(compact(result))
    (arguments.out / "sealing.md").write_text(_page(described, trips))
    print(f"\n{(arguments.out / 'sealing.md').read_text()}\nwritten to {arguments.out}")


def _robot() -> Robot:
    from tabrl_simulation import environments
    from tabrl_simulation.rewards.from_model import robot_of

    return robot_of(environments.load(_ENVIRONMENT))


async def _measured(sources: Sequence[str], robot: Robot, rewards: int) -> list[RoundTrip]:
    trips = []
    for number in range(_COLD):
        async with JailPool() as pool:
            pool.warm()
            trips.append(await _sealed(pool, "cold", number, sources, robot))
    async with JailPool() as pool:
        for number in range(rewards):
            began = time.perf_counter()
            pool.warm()
            await pool.ready()
            start_secs = time.perf_counter() - began
            trips.append(await _sealed(pool, "warm", number, sources, robot, start_secs))
        for number in range(_IN_A_ROW):
            pool.warm()
            trips.append(await _sealed(pool, "in a row", number, sources, robot))
    return trips


async def _sealed(  # noqa: PLR0917  what is measured, and of what
    pool: JailPool, kind: str, number: int, sources: Sequence[str], robot: Robot, start_secs: float = 0.0
) -> RoundTrip:
    load_average = os.getloadavg()[0]
    began = time.perf_counter()
    reward = await compile_reward_with(pool, sources[number % len(sources)], robot)
    secs = time.perf_counter() - began
    print(f"{kind} {number}: {secs:.2f} s", flush=True)
    return RoundTrip(
        kind=kind,
        reward=number % len(sources),
        terms=len(reward.terms),
        secs=secs,
        start_secs=start_secs,
        load_average=load_average,
    )


def _page(described: dict[str, Any], trips: Sequence[RoundTrip]) -> str:
    rows = []
    for kind, what in _WHAT.items():
        several = [trip for trip in trips if trip.kind == kind]
        if not several:
            continue
        secs = sorted(trip.secs for trip in several)
        ready = [trip.start_secs for trip in several if trip.start_secs]
        rows.append(
            f"| {kind} | {what} | {len(several)} | **{statistics.median(secs):.2f}** | {_GOALS.get(kind, '')} | "
            f"{_percentile(secs, 90):.2f} | {secs[-1]:.2f} | {60 / statistics.fmean(secs):.0f} | "
            f"{f'{statistics.median(ready):.1f}' if ready else ''} | "
            f"{statistics.median(trip.load_average for trip in several):.1f} |"
        )
    load = statistics.median(trip.load_average for trip in trips)
    busy = load > described["cores"]
    remark = f"Other work ran beside it: the load average was {load:.1f}." if busy else "Little else ran beside it."
    return "\n".join(
        [
            "# From reward source to a sealed program",
            "",
            sentence(described),
            "",
            f"Modules and decisions of the honest corpus on {_ENVIRONMENT}, one after the other: checked, traced in a "
            f"jail, verified in another, sealed. Seconds. {remark}",
            "",
            "| | | rewards | median | at most | p90 | longest | a minute | start of its jails | load average |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Returns the nearest-rank percentile of numbers in order."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


if __name__ == "__main__":
    main()
