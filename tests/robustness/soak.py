"""A soak of the Trainer: the service as a process, callers that never give up, and what must hold at the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import signal
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.testing.postgresql import Server
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.conftest import CANCELLED, SUCCEEDED, Exporter, Rig, states
from tabrl_trainer.record import ENDED
from tabrl_trainer.scripted_trainer import start

from tests.robustness.report import REATTACHES_WITHIN_SECS, Report

TRAINS = "run checkpoint:1000 metrics:1500@2 checkpoint:2000 metrics:2500@3 final:3000"
WAITS = "run checkpoint:1000 wait"

# They find what hangs; nothing is timed by them.
_ENDS_WITHIN_SECS = 240.0
_ASKS_AGAIN_AFTER_SECS = 0.1
_LOOKS_EVERY_SECS = 0.05
_BROWSES_EVERY_SECS = 0.25
_LINES_OF_THE_LOG = 200


@dataclass
class Asked:
    """A run that somebody wants, how it is to end, and what was heard of it."""

    title: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    run_id: str = ""
    has_ended: bool = False
    heard: dict[int, trainer_pb2.RunEvent] = field(default_factory=dict)

    @property
    def is_to_be_cancelled(self) -> bool:
        """Whether it waits until somebody cancels it."""
        return self.title == WAITS

    def hear(self, event: trainer_pb2.RunEvent) -> None:
        """Keep an event; raises `AssertionError` where another one was told under its revision before."""
        if self.heard.setdefault(event.revision, event) != event:
            raise AssertionError(f"{self.run_id}: revision {event.revision} was told twice, and differs")


@dataclass
class Served:
    """A Trainer that runs as a process of its own."""

    rig: Rig
    process: subprocess.Popen[bytes]
    begun: float
    """When its process was started, on the monotonic clock."""
    serves: float = field(default_factory=time.monotonic)
    """When it was seen to serve."""
    training: set[str] = field(default_factory=set)
    """The runs whose workers it started, and that have not ended by its log."""
    said: list[dict[str, Any]] = field(default_factory=list)
    """What it has written to its log."""

    def count(self, event: str, **fields: str) -> int:
        """Return how many lines of its log tell of an event."""
        return sum(
            line.get("event") == event and all(line.get(name) == value for name, value in fields.items())
            for line in self.said
        )


@dataclass
class Soak:
    """What the rounds of a soak share. `server` is the PostgreSQL that the Trainer is on; None on SQLite."""

    draw: random.Random
    config: TrainerConfig
    worker: Path
    exporter: Exporter
    server: Server | None
    report: Report
    asked: list[Asked] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    """Runs whose Trainer was killed while it trained them, by its log."""

    @property
    def folder(self) -> Path:
        """Where files of the soak's own go."""
        return self.worker.parent

    @contextlib.asynccontextmanager
    async def serving(
        self, config: TrainerConfig | None = None, environment: Mapping[str, str] | None = None
    ) -> AsyncIterator[Served]:
        """Run the Trainer as a process, kill it at the end, and keep the time it takes to take up runs again."""
        config = config or self.config
        log = self.folder / f"{config.data.name}.log"
        log.touch()
        place = log.stat().st_size
        begun = time.monotonic()
        process, address = await asyncio.to_thread(start, config, self.worker, log, environment or {})
        self.report.starts += 1
        served = Served(Rig(config, address, self.exporter), process, begun)
        following = asyncio.create_task(self._follow(served, log, place))
        try:
            yield served
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await served.rig.channel.close()
            process.kill()
            await asyncio.to_thread(process.wait)
            self.left |= served.training

    async def _follow(self, served: Served, log: Path, place: int) -> None:
        """Read what a Trainer says, and see that it, or another one that runs, takes up again what was left."""
        with log.open() as lines:
            lines.seek(place)
            while True:
                for line in _whole_lines(lines):
                    said = json.loads(line) if line.startswith("{") else {}
                    served.said.append(said)
                    self._note(served, said)
                if self.left and time.monotonic() - served.serves > REATTACHES_WITHIN_SECS:
                    await self._see_left(served)
                await asyncio.sleep(_LOOKS_EVERY_SECS)

    def _note(self, served: Served, said: dict[str, Any]) -> None:
        run_id = said.get("run", "")
        match said.get("event"):
            case "worker starts":
                served.training.add(run_id)
                if run_id in self.left:
                    self.report.reattached_secs.append(time.monotonic() - served.begun)
                    self.report.started_secs.append(served.serves - served.begun)
                self.left.discard(run_id)
            case "worker ended":
                served.training.discard(run_id)
            case "run left to another Trainer" if run_id in served.training:  # else both had just come to claim it
                served.training.discard(run_id)
                self.report.refusals += 1

    async def _see_left(self, served: Served) -> None:
        """Find out about runs that were not taken up in time: those that had ended by then need not be."""
        for run_id in sorted(self.left):
            with contextlib.suppress(TabrlError):  # it is gone, or its database; then there is nothing to see now
                run = await served.rig.get(run_id)
                if run.state not in ENDED:
                    state = trainer_pb2.RunState.Name(run.state)
                    self.report.fault(f"{run_id}: not taken up after {REATTACHES_WITHIN_SECS:.0f} s, {state}")
                self.left.discard(run_id)

    async def give_work(self, served: Served, title: Callable[[int], str] | None = None) -> None:
        """Ask for runs one after the other, without end; those that were not seen to end are asked for again first."""
        title = title or (lambda number: WAITS if number % 5 == 4 else TRAINS)
        while True:
            unfinished = [each for each in self.asked if not each.has_ended]
            if not unfinished:
                unfinished = [Asked(title(len(self.asked)))]
                self.asked += unfinished
            for each in unfinished:
                with self.errors_counted():
                    await self.ask(served.rig, each)
                    await self.end(served.rig, each)
            await asyncio.sleep(_ASKS_AGAIN_AFTER_SECS)

    async def _browse(self, served: Served) -> None:
        """Read a run and write notes beside it, without end."""
        for count in itertools.count():
            await asyncio.sleep(_BROWSES_EVERY_SECS)
            known = [each.run_id for each in self.asked if each.run_id]
            if known:
                with self.errors_counted():
                    await served.rig.get(known[-1])
                    request = trainer_pb2.UpdateRunRequest(run_id=known[-1], notes=f"read {count} times")
                    await call(served.rig.stub.UpdateRun, request, service="trainer")

    @contextlib.contextmanager
    def errors_counted(self) -> Any:
        """Count the errors that callers are told; incidents, and contradictions to what was told before, are faults."""
        try:
            yield
        except (TabrlError, grpc.aio.AioRpcError) as error:
            typed = error if isinstance(error, TabrlError) else error_from(error, service="trainer")
            self.report.errors[typed.reason or typed.code.name] += 1
            if "incident" in typed.metadata:  # the service said so; what a connection that breaks comes to has none
                self.report.fault(f"a caller was told INTERNAL: {typed.message}")
        except AssertionError as error:
            self.report.fault(str(error))

    @contextlib.asynccontextmanager
    async def working(self, served: Served, title: Callable[[int], str] | None = None) -> AsyncIterator[None]:
        """Have somebody ask for runs meanwhile, and somebody else read and write what is on record."""
        tasks = [asyncio.create_task(self.give_work(served, title)), asyncio.create_task(self._browse(served))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    self.report.fault(f"a caller failed: {result!r}")

    async def ask(self, rig: Rig, wanted: Asked) -> None:
        """Ask for a run, again under the same request id where it was asked for before."""
        run_id = await rig.create(wanted.title, request_id=wanted.request_id)
        if wanted.run_id and wanted.run_id != run_id:
            raise AssertionError(f"the request {wanted.request_id} made {wanted.run_id} and {run_id}")
        wanted.run_id = run_id

    async def end(self, rig: Rig, wanted: Asked) -> list[trainer_pb2.RunEvent]:
        """Return a run's history once it has ended; one that is to be cancelled is, after its first checkpoint."""
        events = []
        async for event in rig.follow(wanted.run_id):
            wanted.hear(event)
            events.append(event)
            if wanted.is_to_be_cancelled and event.HasField("checkpoint"):
                await rig.cancel(wanted.run_id)
        wanted.has_ended = True
        return events

    async def until_one_more_ends(self, ended: int) -> bool:
        """Wait until more runs than `ended` have ended; returns whether they did."""
        return await until(lambda: self.ended > ended)

    @property
    def ended(self) -> int:
        """How many runs were seen to end."""
        return sum(each.has_ended for each in self.asked)

    async def seen_to_hang(self, served: Served) -> list[str]:
        """Return what the threads of a Trainer and the database are at, and the last that the Trainer said."""
        if served.process.poll() is not None:
            return [f"the Trainer has ended: {served.process.returncode}"]
        served.process.send_signal(signal.SIGUSR1)
        await asyncio.sleep(1.0)
        log = self.folder / f"{served.rig.config.data.name}.log"
        activity = await asyncio.to_thread(self.server.activity) if self.server else []
        return [*log.read_text().splitlines()[-_LINES_OF_THE_LOG:], *activity]

    async def settle(self, served: Served) -> None:
        """See each run that was asked for to its end."""
        while any(not each.has_ended for each in self.asked):
            if served.process.poll() is not None:
                self.report.fault(f"a Trainer ended by itself: {served.process.returncode}")
                return
            for each in self.asked:
                if not each.has_ended:
                    with self.errors_counted():
                        await self.ask(served.rig, each)
                        async with asyncio.timeout(_ENDS_WITHIN_SECS):
                            await self.end(served.rig, each)

    async def verdict(self, served: Served) -> None:
        """Report what is wrong with the runs on record."""
        for each in self.asked:
            try:
                await self.ask(served.rig, each)
                async with asyncio.timeout(_ENDS_WITHIN_SECS):
                    events = await self.end(served.rig, each)
            except TimeoutError:
                state = trainer_pb2.RunState.Name((await served.rig.get(each.run_id)).state)
                self.report.fault(f"{each.run_id}: has not ended: {state}")
                continue
            except AssertionError as error:
                self.report.fault(str(error))
                continue
            if fault := wrong(each, await served.rig.get(each.run_id), events):
                self.report.fault(f"{each.run_id}: {fault}")
                self.report.notes += told(events)
        self.report.runs = len(self.asked)
        listed = await _all_runs(served.rig)
        if sorted(listed) != sorted(each.run_id for each in self.asked):
            self.report.fault(f"{len(listed)} runs are on record, {len(self.asked)} were asked for")


async def until(holds: Callable[[], bool], within_secs: float = _ENDS_WITHIN_SECS) -> bool:
    """Wait until something holds; returns whether it did in time."""
    deadline = time.monotonic() + within_secs
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


def wrong(wanted: Asked, run: trainer_pb2.Run, events: list[trainer_pb2.RunEvent]) -> str:
    """Return what is wrong with a run at the end; nothing where it ended as it would have."""
    steps = [checkpoint.env_steps for checkpoint in run.checkpoints]
    published = [event.policy_published.checkpoint_sha256 for event in events if event.HasField("policy_published")]
    found = {
        "revisions have a gap or repeat": [event.revision for event in events] != list(range(1, len(events) + 1)),
        "what was told of it is not all on record": len(wanted.heard) != len(events),
        "it did not end as it would have": states(events)[-1]
        != (CANCELLED if wanted.is_to_be_cancelled else SUCCEEDED),
        "it ended more than once": sum(state in ENDED for state in states(events)) != 1,
        "checkpoints repeat or go back": steps != sorted(set(steps)),
        "a checkpoint was told twice": steps
        != [event.checkpoint.env_steps for event in events if event.HasField("checkpoint")],
        "a policy was published twice": len(published) != len(set(published)),
        "its last policy is missing": not run.checkpoints[-1].policy_id,
        "its final checkpoint is missing": not wanted.is_to_be_cancelled and not run.checkpoints[-1].final,
    }
    return "; ".join(what for what, is_so in found.items() if is_so)


def told(events: list[trainer_pb2.RunEvent]) -> list[str]:
    """Return a run's history, one line for each event but metrics."""
    lines = []
    for event in sorted(events, key=lambda event: event.revision):
        what = event.WhichOneof("event")
        if what != "metrics":
            words = " ".join(str(getattr(event, what)).split())
            lines.append(f"{event.run_id} {event.revision} {event.time.ToJsonString()} {what} {words[:300]}")
    return lines


def crashes(wanted: Asked) -> int:
    """Return how often the worker of a run is known to have ended by itself since the run's newest checkpoint."""
    count = 0
    for _, event in sorted(wanted.heard.items()):
        count = 0 if event.HasField("checkpoint") else count + ("ended by itself" in event.log.text)
    return count


def was_interrupted(events: list[trainer_pb2.RunEvent]) -> bool:
    """Whether a run had more than one attempt."""
    return states(events).count(trainer_pb2.RUN_STATE_STARTING) > 1


def _whole_lines(lines: Any) -> Any:
    """Yield the lines that are there and whole."""
    while True:
        place = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(place)
            return
        yield line


async def _all_runs(rig: Rig) -> list[str]:
    found, token = [], ""
    while True:
        page = await rig.stub.ListRuns(trainer_pb2.ListRunsRequest(page_size=500, page_token=token))
        found += [run.run_id for run in page.runs]
        token = page.next_page_token
        if not token:
            return found
