"""`kill -9` of the Trainer and its workers at named points: nothing that was accepted is lost, nothing is told twice.

`python -m tests.robustness.trainer_kills --kills 200 --seed 0`, or `make bench-kills`. The service is the real one, in
a process of its own with a real database (SQLite, or PostgreSQL with `--postgresql`), a real store and real worker
processes; what a worker does is scripted, so that a run takes a moment. In each round one point is drawn at which the
service or a worker ends, and for some rounds the service is killed besides. Callers ask again after each failure with
the same request id, as the command line does. At the end every run must have ended as it would have without all that.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.testing import postgresql
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.conftest import CANCELLED, SUCCEEDED, WORKER, Exporter, Rig, peers, states
from tabrl_trainer.scripted_trainer import NotServing, start

__all__ = ["POINTS", "Report", "soak"]

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

_ONCE_A_PROCESS = frozenset({"worker.loaded", "worker.trained"})
_TRAINS = "run checkpoint:1000 metrics:1500@2 checkpoint:2000 metrics:2500@3 final:3000"
_WAITS = "run checkpoint:1000 wait"
_FIRES_WITHIN_SECS = 20.0
_SEES_WORKER_WITHIN_SECS = 2.0
_BOTH_SHARE = 0.5
_ENDS_WITHIN_SECS = 180.0


@dataclass
class Report:
    """What a soak came to: kills by point, runs accepted, and what was wrong with which of them."""

    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    runs: int = 0
    starts: int = 0
    recoveries_secs: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass
class _Asked:
    """A run that somebody wants, how it is to end, and whether it was seen to."""

    title: str
    request_id: str
    run_id: str = ""
    has_ended: bool = False

    @property
    def is_to_be_cancelled(self) -> bool:
        return self.title == _WAITS


async def soak(kills: int, seed: int, folder: Path, database_url: str = "") -> Report:
    """Kill the Trainer and its workers as often as asked, and return what came of it."""
    draw = random.Random(seed)
    report = Report()
    asked: list[_Asked] = []
    worker = folder / "worker.py"
    worker.write_text(WORKER)
    exporter = Exporter()
    async with peers(folder / "peers", exporter) as address:
        config = TrainerConfig(
            data=folder / "data",
            database_url=database_url,
            scene_address=address,
            exporter_address=address,
            inference_address=address,
            niceness=0,
            slots=2,
        )
        while sum(report.kills.values()) < kills:
            await _round(draw, config, worker, exporter, asked, report)
        async with _trainer(config, worker, exporter, report, {}) as (rig, _process):
            for each in asked:
                await _ask(rig, each)
                fault = await _fault(rig, each)
                if fault:
                    report.faults.append(f"{each.run_id}: {fault}")
            report.runs = len(asked)
            listed = await _all_runs(rig)
            if sorted(listed) != sorted(each.run_id for each in asked):
                report.faults.append(f"{len(listed)} runs are on record, {len(asked)} were asked for")
    return report


async def _round(
    draw: random.Random,
    config: TrainerConfig,
    worker: Path,
    exporter: Exporter,
    asked: list[_Asked],
    report: Report,
) -> None:
    """Start the service with one point armed, give it work, and see it or its worker end there."""
    point = draw.choice(POINTS)
    count = 1 if point in _ONCE_A_PROCESS else draw.randint(1, 3)
    fired = config.data.parent / "fired"
    fired.unlink(missing_ok=True)
    armed = {"TABRL_FAILPOINT": f"{point}:{count}", "TABRL_FAILPOINT_FILE": str(fired)}
    try:
        async with _trainer(config, worker, exporter, report, armed) as (rig, process):
            await _see_it_end(draw, rig, process, asked, report, point, fired)
    except NotServing:
        # It takes runs up before it serves, and may come to the point there.
        if not fired.exists():
            raise
        report.kills[point] += 1


async def _see_it_end(
    draw: random.Random,
    rig: Rig,
    process: subprocess.Popen[bytes],
    asked: list[_Asked],
    report: Report,
    point: str,
    fired: Path,
) -> None:
    """Give a service work until it or its worker comes to the point, or has had time enough to."""
    working = asyncio.create_task(_give_work(rig, asked, point))
    deadline = time.monotonic() + _FIRES_WITHIN_SECS
    while not fired.exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    if fired.exists():
        report.kills[point] += 1
        if point.startswith("worker.") and draw.random() < _BOTH_SHARE:
            await asyncio.sleep(draw.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            report.kills["service besides"] += 1
        elif point.startswith("worker."):
            await asyncio.sleep(_SEES_WORKER_WITHIN_SECS)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def _give_work(rig: Rig, asked: list[_Asked], point: str) -> None:
    """Ask for runs until the service is gone; those that were not seen to end are asked for again first."""
    with contextlib.suppress(TabrlError):
        for each in asked:
            if not each.has_ended:
                await _ask(rig, each)
                await _end(rig, each)
        while True:
            title = _WAITS if point == "trainer.stop_asked" or len(asked) % 5 == 4 else _TRAINS
            asked.append(_Asked(title, str(uuid.uuid4())))
            await _ask(rig, asked[-1])
            await _end(rig, asked[-1])


async def _ask(rig: Rig, wanted: _Asked) -> None:
    run_id = await rig.create(wanted.title, request_id=wanted.request_id)
    if wanted.run_id and wanted.run_id != run_id:
        raise AssertionError(f"the request {wanted.request_id} made {wanted.run_id} and {run_id}")
    wanted.run_id = run_id


async def _end(rig: Rig, wanted: _Asked) -> list[trainer_pb2.RunEvent]:
    """Return a run's history once it has ended; one that is to be cancelled is, after its first checkpoint."""
    if wanted.is_to_be_cancelled:
        await rig.until(wanted.run_id, lambda event: event.HasField("checkpoint"))
        with contextlib.suppress(TabrlError):
            await rig.cancel(wanted.run_id)
    events = await rig.watch(wanted.run_id)
    wanted.has_ended = True
    return events


async def _fault(rig: Rig, wanted: _Asked) -> str:
    """Return what is wrong with a run at the end; nothing where it ended as it would have."""
    try:
        events = await asyncio.wait_for(_end(rig, wanted), _ENDS_WITHIN_SECS)
    except TimeoutError:
        return f"has not ended: {(await rig.get(wanted.run_id)).state}"
    run = await rig.get(wanted.run_id)
    steps = [checkpoint.env_steps for checkpoint in run.checkpoints]
    published = [event.policy_published.checkpoint_sha256 for event in events if event.HasField("policy_published")]
    found = {
        "revisions have a gap or repeat": [event.revision for event in events] != list(range(1, len(events) + 1)),
        "it did not end as it would have": states(events)[-1]
        != (CANCELLED if wanted.is_to_be_cancelled else SUCCEEDED),
        "it ended more than once": sum(state in (SUCCEEDED, CANCELLED) for state in states(events)) != 1,
        "checkpoints repeat or go back": steps != sorted(set(steps)),
        "a policy was published twice": len(published) != len(set(published)),
        "its last policy is missing": not run.checkpoints[-1].policy_id,
        "its final checkpoint is missing": not wanted.is_to_be_cancelled and not run.checkpoints[-1].final,
    }
    return "; ".join(what for what, is_so in found.items() if is_so)


async def _all_runs(rig: Rig) -> list[str]:
    found, token = [], ""
    while True:
        page = await rig.stub.ListRuns(trainer_pb2.ListRunsRequest(page_size=500, page_token=token))
        found += [run.run_id for run in page.runs]
        token = page.next_page_token
        if not token:
            return found


@contextlib.asynccontextmanager
async def _trainer(
    config: TrainerConfig, worker: Path, exporter: Exporter, report: Report, armed: dict[str, str]
) -> AsyncIterator[tuple[Rig, subprocess.Popen[bytes]]]:
    """Run the service as a process of its own."""
    begun = time.monotonic()
    process, address = await asyncio.to_thread(start, config, worker, config.data.parent / "trainer.log", armed)
    report.starts += 1
    report.recoveries_secs.append(time.monotonic() - begun)
    rig = Rig(config, address, exporter)
    try:
        yield rig, process
    finally:
        await rig.channel.close()
        process.kill()
        await asyncio.to_thread(process.wait)


def main() -> None:
    """Soak, and print what came of it; fails if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.robustness.trainer_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    arguments = parser.parse_args()
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = ""
        if arguments.postgresql:
            url = stack.enter_context(stack.enter_context(postgresql.server()).database())
        report = asyncio.run(soak(arguments.kills, arguments.seed, folder, url))
    for point, count in sorted(report.kills.items()):
        print(f"{count:5}  {point}")
    print(
        f"{sum(report.kills.values())} kills with seed {arguments.seed} in {time.monotonic() - begun:.0f} s: "
        f"{report.runs} runs accepted, {report.starts} starts (the slowest {max(report.recoveries_secs):.1f} s), "
        f"{len(report.faults)} faults"
    )
    for fault in report.faults:
        print(f"FAULT {fault}")
    sys.exit(bool(report.faults))


if __name__ == "__main__":
    main()
