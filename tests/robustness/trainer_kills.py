"""`kill -9` of the Trainer and its workers at named points, and other faults: nothing that was accepted is lost.

`python -m tests.robustness.trainer_kills --kills 200 --seed 0`, or `make bench-kills`. The service is the real one, in
a process of its own with a real database (SQLite, or PostgreSQL with `--postgresql`), a real store and real worker
processes; what a worker does is scripted, so that a run takes a moment. In each round one point is drawn at which the
service or a worker ends, and for some rounds the service is killed besides. Between them come rounds of other faults
(`faults`): a full disk, clocks that jump, a database that goes away, a Trainer that hangs until it has lost its lease.
Callers ask again after each failure with the same request id, as the command line does. At the end every run must have
ended as it would have without all that.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import math
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from tabrl_chassis.testing import postgresql
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.conftest import WORKER, Exporter, peers
from tabrl_trainer.scripted_trainer import NotServing

from tests.robustness import faults, page
from tests.robustness.clocks import Clock
from tests.robustness.disk import SmallDisk
from tests.robustness.report import REATTACHES_WITHIN_SECS, Report
from tests.robustness.soak import TRAINS, WAITS, Served, Soak, crashes, until

__all__ = ["POINTS", "soak"]

POINTS = (
    "trainer.run_created",
    "trainer.run_claimed",
    "trainer.attempt_begun",
    "trainer.worker_started",
    "trainer.job_sent",
    "trainer.before_commit",
    "trainer.committed",
    "trainer.metrics_recorded",
    "trainer.checkpoint_heard",
    "trainer.checkpoint_recorded",
    "trainer.worker_ended",
    "trainer.attempt_ended",
    "trainer.publication_due",
    "trainer.publication_answered",
    "trainer.stop_asked",
    "worker.loaded",
    "worker.checkpoint_made",
    "worker.checkpoint_stored",
    "worker.checkpoint_said",
    "worker.trained",
)
"""Where a process may end. The first part of a name says which."""

_POINTS_OF_THE_SERVICE = tuple(point for point in POINTS if point.startswith("trainer."))
_ONCE_A_PROCESS = frozenset({"worker.loaded", "worker.trained"})
_FIRES_WITHIN_SECS = 30.0
_MOST_WORKERS_A_ROUND = 3
_BOTH_SHARE = 0.5
_SAYS_EVERY_ROUNDS = 10
_RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "kills.md"


async def soak(
    kills: int,
    others: int,
    seed: int,
    folder: Path,
    *,
    on_postgresql: bool = False,
    away_secs: float = 60.0,
    most_secs: float = math.inf,
) -> Report:
    """Kill the Trainer and its workers `kills` times, with `others` rounds of each other fault, and return the report.

    A database goes away for `away_secs`. After `most_secs` no other round begins.
    """
    begun = time.monotonic()
    draw = random.Random(seed)
    report = Report(seed=seed, database="PostgreSQL" if on_postgresql else "SQLite")
    worker = folder / "worker.py"
    worker.write_text(WORKER)
    async with contextlib.AsyncExitStack() as stack:
        clock = stack.enter_context(Clock.that_can_jump())
        disk = stack.enter_context(SmallDisk.mounted(folder / "disk"))
        server, url = None, ""
        if on_postgresql:
            server = stack.enter_context(postgresql.server(clock.of_the_database))
            url = stack.enter_context(server.database())
        exporter = Exporter()
        address = await stack.enter_async_context(peers(folder / "peers", exporter))
        config = TrainerConfig(
            data=disk.folder / "data",
            database_url=url,
            scene_address=address,
            exporter_address=address,
            inference_address=address,
            niceness=0,
            slots=2,
        )
        state = Soak(draw, config, worker, exporter, server, report)
        await _rounds(state, kills, faults.kinds(state, others, disk, clock, away_secs), begun + most_secs)
        async with state.serving() as served:
            await state.settle(served)
            await until(lambda: not state.left, REATTACHES_WITHIN_SECS + 5.0)
            await state.verdict(served)
    report.took_secs = time.monotonic() - begun
    report.load = os.getloadavg()[2]
    return report


async def _rounds(state: Soak, kills: int, others: list[faults.Fault], deadline: float) -> None:
    """Do rounds until there were kills enough, the other faults spread between them in an order that is drawn."""
    state.draw.shuffle(others)
    due = [kills * (place + 1) / (len(others) + 1) for place in range(len(others))]
    done = 0
    while (state.report.killed < kills or others) and time.monotonic() < deadline:
        if others and (state.report.killed >= due[0] or state.report.killed >= kills):
            due.pop(0)
            fault = others.pop(0)
            await fault.round()
            state.report.rounds[fault.kind] += 1
        else:
            await _kill_round(state)
        done += 1
        if done % _SAYS_EVERY_ROUNDS == 0:
            counts = f"{state.report.killed} of {kills} kills, {sum(state.report.rounds.values())} other rounds"
            print(f"{counts}, {len(state.report.faults)} faults", flush=True)


async def _kill_round(state: Soak) -> None:
    """Start the service with one point armed, give it work, and see it or its worker end there."""
    # The third crash without a checkpoint in between fails a run, as it should; one more than is known may have been.
    crashed = any(crashes(each) for each in state.asked if not each.has_ended)
    point = state.draw.choice(_POINTS_OF_THE_SERVICE if crashed else POINTS)
    count = 1 if point in _ONCE_A_PROCESS else state.draw.randint(1, 3)
    fired = state.folder / "fired"
    fired.unlink(missing_ok=True)
    armed = {"TABRL_FAILPOINT": f"{point}:{count}", "TABRL_FAILPOINT_FILE": str(fired)}
    try:
        async with state.serving(environment=armed) as served:
            await _see_it_end(state, served, point, fired)
    except NotServing:
        # It takes runs up before it serves, and may come to the point there.
        if not fired.exists():
            raise
        state.report.kills[point] += 1


async def _see_it_end(state: Soak, served: Served, point: str, fired: Path) -> None:
    """Give a service work until it or its worker comes to the point, or has had time enough to."""

    def title(number: int) -> str:
        return WAITS if point == "trainer.stop_asked" or number % 5 == 4 else TRAINS

    async with state.working(served, title):
        if not point.startswith("worker."):
            state.report.kills[point] += await until(fired.exists, _FIRES_WITHIN_SECS)
            return
        for remaining in reversed(range(state.draw.randint(1, _MOST_WORKERS_A_ROUND))):
            if not await until(fired.exists, _FIRES_WITHIN_SECS):
                return
            state.report.kills[point] += 1
            if not remaining and state.draw.random() < _BOTH_SHARE:
                await asyncio.sleep(state.draw.uniform(0.0, 0.3))
                served.process.send_signal(signal.SIGKILL)
                state.report.besides += 1
            elif not await state.until_one_more_ends(state.ended):
                state.report.fault(f"no run ended after a worker was killed at {point}")
            else:
                fired.unlink()  # which arms the point again, for the workers to come


def main() -> None:
    """Soak, and print what came of it; fails if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.trainer_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--others", type=int, default=5, help="rounds of each other fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    parser.add_argument("--away-secs", type=float, default=60.0, help="for how long a database goes away")
    parser.add_argument("--minutes", type=float, default=math.inf, help="how long to go on beginning rounds")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="the page to write the results to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(
            soak(
                arguments.kills,
                arguments.others,
                arguments.seed,
                Path(folder),
                on_postgresql=arguments.postgresql,
                away_secs=arguments.away_secs,
                most_secs=arguments.minutes * 60.0,
            )
        )
    print("\n".join(report.lines()))
    page.write(arguments.out, report, arguments.away_secs)
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
