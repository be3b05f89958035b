"""A thousand watchers of one run: does each see every event in order, how soon, and what does it cost the training?

`python -m tests.benchmarks.watchers`, or `make bench-watchers`. A Trainer in a process of its own trains
CartpoleBalance with the real worker, while watchers in other processes follow the run over native gRPC on the loopback
interface. Spells without watchers and with them alternate within the one run, so that both see the same machine; the
last watchers stay until the run ends. Before that, a worker that follows a script says as much as it can, to see how
many messages go out in a second. Checkpoints are published by a stand-in for the Exporter that answers at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.conftest import RUNNING, Exporter, Rig, is_state, peers
from tabrl_trainer.scripted_trainer import start

__all__ = ["main"]

_CHANNELS_PER_PROCESS = 10
# Metrics told this soon after a change of watchers are still of the spell before.
_SETTLING_SECS = 3.0
_MORE_STEPS_THAN_IT_CAN_DO = 2_000_000_000

_REAL_WORKER = "from tabrl_trainer.worker import main\nmain()\n"
_TALKING_WORKER = """
import os, sys, time
from tabrl_chassis.processes import die_with_parent
die_with_parent()
from tabrl.trainer.v1 import trainer_pb2 as t
from tabrl_trainer.protocol import Job, event_line

gate, events = Job.from_json(sys.stdin.read()).spec.title.split()
say = lambda **event: os.write(1, event_line(t.RunEvent(**event)))
say(state_changed=t.StateChanged(state=t.RUN_STATE_RUNNING))
while not os.path.exists(gate):
    time.sleep(0.02)
terms = {f"term_{number}": 0.5 for number in range(8)}
for number in range(int(events)):
    say(metrics=t.TrainingMetrics(env_steps=number, elapsed_secs=number, term_returns=terms))
say(state_changed=t.StateChanged(state=t.RUN_STATE_SUCCEEDED))
"""


@dataclass
class Seen:
    """What the watchers of a spell saw.

    Attributes:
        watchers: how many there were.
        messages: events that they got, all together.
        out_of_order: events whose revision was not the one after the last.
        revisions: the last revision that each saw, without repetition.
        delays_secs: of each event after the snapshot, from its time on record to its arrival.
    """

    watchers: int = 0
    messages: int = 0
    out_of_order: int = 0
    revisions: list[int] = field(default_factory=list)
    delays_secs: list[float] = field(default_factory=list)

    def add(self, other: Seen) -> None:
        """Counts others in."""
        self.watchers += other.watchers
        self.messages += other.messages
        self.out_of_order += other.out_of_order
        self.revisions = sorted({*self.revisions, *other.revisions})
        self.delays_secs += other.delays_secs

    def delay_ms(self, share: float) -> float:
        """Returns the delay within which a share of the events arrived."""
        ordered = sorted(self.delays_secs)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(frozen=True, kw_only=True)
class Spell:
    """Some time of one run with or without watchers. Processor shares are of one core."""

    watchers: int
    env_steps_per_sec: float
    memory_mib: float
    trainer_cores: float
    worker_cores: float
    watchers_cores: float
    others_cores: float
    seen: Seen | None = None


# ---- watchers, in processes of their own ---------------------------------------------------------------------------


class _Crowd:
    """The watchers of one process."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channels: list[grpc.aio.Channel] = []
        self._seen = Seen()
        self._revisions: dict[int, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def watch(self, run_id: str, count: int) -> None:
        """Starts watchers where they left off, and returns once each has seen all that happened before it came."""
        self._seen = Seen(watchers=count)
        # Channels of one process to one address would share a connection otherwise.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channels = [
            grpc.aio.insecure_channel(self._address, options=options) for _ in range(_CHANNELS_PER_PROCESS)
        ]
        up_to_date = [asyncio.Event() for _ in range(count)]
        self._tasks = [asyncio.create_task(self._watch(run_id, n, event)) for n, event in enumerate(up_to_date)]
        joined = asyncio.gather(*(event.wait() for event in up_to_date))
        await asyncio.wait({joined, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()  # raises: none ends before the run does

    async def seen(self, *, to_the_end: bool) -> Seen:
        """Returns what they saw, when their streams have ended, or after breaking them off."""
        if not to_the_end:
            for task in self._tasks:
                task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        for channel in self._channels:
            await channel.close()
        return self._seen

    async def _watch(self, run_id: str, number: int, up_to_date: asyncio.Event) -> None:
        stub = trainer_pb2_grpc.TrainerServiceStub(self._channels[number % len(self._channels)])
        seen, revision, before = self._seen, self._revisions.get(number, 0), 0
        cursor = trainer_pb2.RunCursor(run_id=run_id, after_revision=revision)
        try:
            async for update in stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=[cursor])):
                if update.HasField("snapshot"):
                    before = update.snapshot.revision
                    if revision == before:
                        up_to_date.set()
                if not update.HasField("event"):
                    continue
                event, arrived = update.event, time.time()
                seen.messages += 1
                seen.out_of_order += event.revision != revision + 1
                revision = event.revision
                if revision > before:
                    seen.delays_secs.append(arrived - event.time.ToNanoseconds() / 1e9)
                if revision >= before:
                    up_to_date.set()
        finally:
            self._revisions[number] = revision
            seen.revisions = sorted({*seen.revisions, revision})


async def _watch_as_told(address: str) -> None:
    """Does what the lines on stdin say: `watch RUN COUNT`, `leave`, `stay` until the run ends; each is answered."""
    crowd = _Crowd(address)
    while words := (await asyncio.to_thread(sys.stdin.readline)).split():
        if words[0] == "watch":
            await crowd.watch(words[1], int(words[2]))
            print("{}", flush=True)
        else:
            print(json.dumps(asdict(await crowd.seen(to_the_end=words[0] == "stay"))), flush=True)


class _Crowds:
    """Processes of watchers."""

    def __init__(self, processes: Sequence[asyncio.subprocess.Process], watchers: int) -> None:
        self.processes = processes
        self.watchers = watchers

    async def watch(self, run_id: str) -> None:
        each = self.watchers // len(self.processes)
        await self._ask(f"watch {run_id} {each}")

    async def leave(self) -> Seen:
        return await self._seen("leave")

    async def stay(self) -> Seen:
        return await self._seen("stay")

    async def _seen(self, words: str) -> Seen:
        seen = Seen()
        for answer in await self._ask(words):
            seen.add(Seen(**answer))
        return seen

    async def _ask(self, words: str) -> list[dict[str, Any]]:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{words}\n".encode())
        lines = await asyncio.gather(*(process.stdout.readline() for process in self.processes if process.stdout))
        return [json.loads(line) for line in lines]


@contextlib.asynccontextmanager
async def _crowds(address: str, count: int, watchers: int) -> AsyncIterator[_Crowds]:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "tests.benchmarks.watchers", "--watch", address]
    processes = [
        await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=1 << 30) for _ in range(count)
    ]
    try:
        yield _Crowds(processes, watchers)
    finally:
        for process in processes:
            process.kill()
            await process.wait()


# ---- the Trainer ---------------------------------------------------------------------------------------------------


@dataclass
class _Trainer:
    rig: Rig
    address: str
    process: psutil.Process

    def memory_mib(self) -> float:
        return self.process.memory_info().rss / 2**20

    def worker(self) -> psutil.Process:
        return max(self.process.children(), key=lambda child: child.memory_info().rss)


@contextlib.asynccontextmanager
async def _trainer(folder: Path, worker: str) -> AsyncIterator[_Trainer]:
    """Runs a Trainer in a process of its own, with the settings it comes with."""
    folder.mkdir()
    script = folder / "worker.py"
    script.write_text(worker)
    exporter = Exporter()
    async with peers(folder / "peers", exporter) as others:
        config = TrainerConfig(data=folder / "data", scene_address=others, exporter_address=others)
        process, address = await asyncio.to_thread(start, config, script, folder / "log")
        rig = Rig(config, address, exporter)
        try:
            yield _Trainer(rig, address, psutil.Process(process.pid))
        finally:
            await rig.channel.close()
            process.kill()
            process.wait()


async def _metrics(rig: Rig, run_id: str, until: float) -> list[tuple[float, int]]:
    """Returns when metrics were recorded and the steps they tell, of those from now until a time."""
    told = []
    run = await rig.get(run_id)
    async for event in rig.follow(run_id, run.revision):
        recorded = event.time.ToNanoseconds() / 1e9
        if event.HasField("metrics"):
            told.append((recorded, event.metrics.env_steps))
        if recorded > until:
            break
    return told


def _cpu_secs(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _busy_secs() -> float:
    """Returns the processor time of everything on this machine."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


async def _spell(trainer: _Trainer, run_id: str, crowds: _Crowds, *, watched: bool, secs: float, last: bool) -> Spell:
    if watched:
        await crowds.watch(run_id)
    await asyncio.sleep(_SETTLING_SECS)
    groups = ([trainer.process], [trainer.worker()], [psutil.Process(process.pid) for process in crowds.processes])
    began, before, busy_before = time.time(), [_cpu_secs(group) for group in groups], _busy_secs()
    told = await _metrics(trainer.rig, run_id, began + secs)
    wall = time.time() - began
    cores = [(_cpu_secs(group) - spent) / wall for group, spent in zip(groups, before, strict=True)]
    others_cores = max((_busy_secs() - busy_before) / wall - sum(cores), 0.0)
    memory_mib = trainer.memory_mib()
    seen = None
    if watched and last:
        await trainer.rig.cancel(run_id)
        seen = await crowds.stay()
    elif watched:
        seen = await crowds.leave()
    (first_time, first_steps), (last_time, last_steps) = told[0], told[-1]
    return Spell(
        watchers=crowds.watchers if watched else 0,
        env_steps_per_sec=(last_steps - first_steps) / (last_time - first_time),
        memory_mib=memory_mib,
        trainer_cores=cores[0],
        worker_cores=cores[1],
        watchers_cores=cores[2],
        others_cores=others_cores,
        seen=seen,
    )


async def _training(folder: Path, arguments: argparse.Namespace) -> tuple[list[Spell], int]:
    """Returns the spells of one run under training, and its last revision."""
    spells = []
    async with (
        _trainer(folder, _REAL_WORKER) as trainer,
        _crowds(trainer.address, arguments.processes, arguments.watchers) as crowds,
    ):
        settings = trainer_pb2.TrainingSettings(env_steps=_MORE_STEPS_THAN_IT_CAN_DO)
        run_id = await trainer.rig.create("watched", settings=settings)
        await trainer.rig.until(run_id, lambda event: event.metrics.env_steps > 0)
        for number in range(2 * arguments.repeats):
            spells.append(
                await _spell(
                    trainer,
                    run_id,
                    crowds,
                    watched=bool(number % 2),
                    secs=arguments.secs,
                    last=number == 2 * arguments.repeats - 1,
                )
            )
            print(_line(spells[-1]), flush=True)
        return spells, (await trainer.rig.get(run_id)).revision


@dataclass(frozen=True, kw_only=True)
class Rush:
    """As many events as a Trainer can put on record, to all watchers. Times in seconds from the first event on."""

    events: int
    recorded_secs: float
    told_secs: float
    memory_before_mib: float
    memory_after_mib: float
    seen: Seen


async def _rush(folder: Path, arguments: argparse.Namespace) -> Rush:
    gate = folder / "gate"
    async with (
        _trainer(folder, _TALKING_WORKER) as trainer,
        _crowds(trainer.address, arguments.processes, arguments.watchers) as crowds,
    ):
        memory_before_mib = trainer.memory_mib()
        run_id = await trainer.rig.create(f"{gate} {arguments.events}")
        await trainer.rig.until(run_id, is_state(RUNNING))
        await crowds.watch(run_id)
        gate.touch()
        seen = await crowds.stay()
        ended = time.time()
        events = await trainer.rig.watch(run_id)
        times = [event.time.ToNanoseconds() / 1e9 for event in events if event.HasField("metrics")]
        return Rush(
            events=len(events),
            recorded_secs=times[-1] - times[0],
            told_secs=ended - times[0],
            memory_before_mib=memory_before_mib,
            memory_after_mib=trainer.memory_mib(),
            seen=seen,
        )


# ---- the report ----------------------------------------------------------------------------------------------------


def main() -> None:
    """Runs the benchmark; writes `watchers.json` and `watchers.md`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.watchers", description=__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2, help="processes that the watchers are in")
    parser.add_argument("--repeats", type=int, default=4, help="spells with watchers, and as many without")
    parser.add_argument("--secs", type=float, default=20.0, help="length of a spell")
    parser.add_argument("--events", type=int, default=200, help="events that the scripted worker says")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--watch", metavar="ADDRESS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.watch:
        asyncio.run(_watch_as_told(arguments.watch))
        return
    arguments.watchers -= arguments.watchers % arguments.processes
    with tempfile.TemporaryDirectory() as scratch:
        rush = asyncio.run(_rush(Path(scratch) / "rush", arguments))
        print(_rush_line(rush), flush=True)
        spells, last_revision = asyncio.run(_training(Path(scratch) / "training", arguments))
    described = machine()
    page = _page(sentence(described), arguments, spells, last_revision, rush)
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": described, "spells": [_numbers(spell) for spell in spells], "rush": _numbers(rush)}
    (arguments.out / "watchers.json").write_text(compact(result))
    (arguments.out / "watchers.md").write_text(page)
    print(f"\n{page}\nwritten to {arguments.out}")


def _numbers(measured: Spell | Rush) -> dict[str, Any]:
    """Returns a measurement with the delays summed up."""
    numbers = {name: value for name, value in asdict(measured).items() if name != "seen"}
    if measured.seen is None:
        return numbers
    delays = {f"p{share:g}_ms": measured.seen.delay_ms(share / 100) for share in (50, 99, 100)}
    seen = {name: value for name, value in asdict(measured.seen).items() if name != "delays_secs"}
    return numbers | delays | {"seen": seen}


def _delays(seen: Seen) -> str:
    return " | ".join(f"{seen.delay_ms(share):,.0f}" for share in (0.5, 0.99, 1.0))


def _line(spell: Spell) -> str:
    numbers = (
        f"| {spell.watchers:,} | {spell.env_steps_per_sec:,.0f} | {spell.memory_mib:.0f} | {spell.trainer_cores:.2f} "
        f"| {spell.worker_cores:.2f} | {spell.watchers_cores:.2f} | {spell.others_cores:.2f} |"
    )
    if spell.seen is None:
        return f"{numbers} | | | | |"
    return f"{numbers} {spell.seen.messages:,} | {spell.seen.out_of_order} | {_delays(spell.seen)} |"


def _rush_line(rush: Rush) -> str:
    return (
        f"| {rush.events:,} | {rush.recorded_secs:.1f} | {rush.told_secs:.1f} "
        f"| {rush.seen.messages / rush.told_secs:,.0f} | {rush.seen.out_of_order} "
        f"| {rush.memory_before_mib:.0f} → {rush.memory_after_mib:.0f} | {_delays(rush.seen)} |"
    )


def _page(
    machine_sentence: str, arguments: argparse.Namespace, spells: Sequence[Spell], last_revision: int, rush: Rush
) -> str:
    with_, without = [[each for each in spells if bool(each.watchers) is watched] for watched in (True, False)]
    rates = [statistics.median(each.env_steps_per_sec for each in group) for group in (without, with_)]
    last = spells[-1].seen
    assert last is not None
    everybody = last.revisions == [last_revision] and rush.seen.revisions == [rush.events]
    disorder = sum(each.seen.out_of_order for each in with_ if each.seen) + rush.seen.out_of_order
    count = f"{arguments.watchers:,}"
    return "\n".join(
        [
            f"# {count} watchers of one run",
            "",
            machine_sentence,
            "",
            f"CartpoleBalance trains with the real worker (niceness 10, as shipped) in one Trainer on SQLite, and "
            f"{count} watchers in {arguments.processes} processes with {_CHANNELS_PER_PROCESS} channels each follow it "
            "over native gRPC on the same machine, so that watchers, Trainer and training share its cores. Each "
            "watcher asks for everything from revision 0, and in later spells for what came after what it saw. "
            "A delay is the time from an event's time on record, which it is given before its transaction is "
            "committed, until a watcher has it.",
            "",
            f"- Order: {disorder} events came with a gap, twice or out of order.",
            f"- To the end: {'every' if everybody else 'NOT every'} watcher that stayed saw the run's last revision "
            f"({last_revision:,} in training, {rush.events:,} in the rush).",
            f"- Training: {rates[0]:,.0f} environment steps per second without watchers and {rates[1]:,.0f} with "
            f"{count}, {rates[1] / rates[0] - 1:+.1%} (medians of {len(with_)} spells each, in turn, of one run).",
            f"- Memory of the Trainer: {spells[0].memory_mib:.0f} MiB before the first watcher came, "
            f"{max(each.memory_mib for each in with_):.0f} MiB at most with {count}.",
            "",
            f"Spells of {arguments.secs:g} s in their order. Cores are processor time over time on the clock; delays "
            "are in ms.",
            "",
            "| watchers | steps/s | Trainer, MiB | cores: Trainer | training | watchers | other programs | events got "
            "| out of order | delay p50 | p99 | longest |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
            *map(_line, spells),
            "",
            f"The rush: a scripted worker says {arguments.events:,} metrics as fast as they are taken, to {count} "
            "watchers. It takes longer to tell them than to record them; watchers that fall behind read what they "
            "missed from the database.",
            "",
            "| events | recorded within, s | told within, s | messages/s | out of order | Trainer, MiB | delay p50, ms "
            "| p99 | longest |",
            "|---|---|---|---|---|---|---|---|---|",
            _rush_line(rush),
            "",
        ]
    )


if __name__ == "__main__":
    main()
