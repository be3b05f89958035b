"""Rounds of a soak in which something else than a process fails: the disk, a clock, the database, or time itself."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tabrl_chassis import leadership
from tabrl_trainer import leases

from tests.robustness.clocks import Clock
from tests.robustness.disk import SmallDisk
from tests.robustness.report import REATTACHES_WITHIN_SECS
from tests.robustness.soak import Asked, Served, Soak, told, until, was_interrupted

__all__ = ["Fault", "kinds"]

_HOUR_SECS = 3600.0
_KILLED_MEANWHILE_SHARE = 0.5
_GATED = "run checkpoint:1000 file:{gate} metrics:1500@2 final:2000"
_TELLS_AFTER_SECS = 5.0
_PUBLISHED_MEANWHILE_SHARE = 0.5


@dataclass(frozen=True)
class Fault:
    """A kind of fault, and what does one round of it."""

    kind: str
    round: Callable[[], Awaitable[None]]


def kinds(state: Soak, rounds: int, disk: SmallDisk, clock: Clock, away_secs: float) -> list[Fault]:
    """Return `rounds` of each kind of fault that this machine and the database of the soak allow."""
    found: list[Fault] = []

    def add(kind: str, work: Callable[[], Awaitable[None]], cannot: str = "") -> None:
        if cannot and rounds:
            state.report.left_out[kind] = cannot
        elif not cannot:
            found.extend([Fault(kind, work)] * rounds)

    add("full disk", lambda: _full_disk(state, disk), disk.cannot_fill)
    add("clock jumps by an hour", lambda: _clock_jumps(state, clock), clock.cannot_jump)
    if state.server is None:
        add("database locked", lambda: _locked(state, away_secs))
    else:
        add("database stopped", lambda: _away(state, away_secs, hangs=False))
        add("database hangs", lambda: _away(state, away_secs, hangs=True))
        add("clock jumps, two Trainers", lambda: _clock_jumps_between_two(state, clock), clock.cannot_jump)
        add("Trainer hangs past its lease", lambda: _hangs(state))
    return found


async def _full_disk(state: Soak, disk: SmallDisk) -> None:
    """Fill the disk that data folder, store and SQLite database are on; for some rounds the service is killed too."""
    async with state.serving() as served, state.working(served):
        await asyncio.sleep(state.draw.uniform(0.5, 2.0))
        async with disk.full():
            await asyncio.sleep(state.draw.uniform(3.0, 6.0))
            is_killed = state.draw.random() < _KILLED_MEANWHILE_SHARE
            if is_killed:
                served.process.kill()
                await asyncio.sleep(0.5)
        if not is_killed:
            await _goes_on(state, served, "full disk")


async def _clock_jumps(state: Soak, clock: Clock) -> None:
    """Set the clocks of the service and the database forward and back while runs are under way: nothing is stopped."""
    async with state.serving(environment=clock.of_the_service) as served, state.working(served):
        first = len(state.asked)
        for _ in range(3):
            await asyncio.sleep(state.draw.uniform(0.5, 1.5))
            ahead = state.draw.choice([-_HOUR_SECS, _HOUR_SECS])
            clock.set(ahead, service=state.draw.random() < 0.7, database=state.draw.random() < 0.7)
        clock.set(ahead, service=True, database=True)
        await _see_jump(state, served, ahead)
        await _goes_on(state, served, "clock jumps by an hour")
        for each in state.asked[first:]:
            if each.has_ended and was_interrupted(list(each.heard.values())):
                state.report.fault(f"{each.run_id}: interrupted, though only a clock had jumped")
                state.report.notes += told(list(each.heard.values()))
    clock.set(0.0, service=True, database=True)


async def _see_jump(state: Soak, served: Served, ahead_secs: float) -> None:
    """Make sure that the service's clock was set, by a run's time of submission."""
    wanted = Asked(_GATED.format(gate="/"))
    state.asked.append(wanted)
    with state.errors_counted():
        await state.ask(served.rig, wanted)
        created = (await served.rig.get(wanted.run_id)).create_time.ToSeconds()
        if abs(created - time.time() - ahead_secs) > _HOUR_SECS / 2:
            state.report.fault("the clock did not jump: this round showed nothing")


async def _locked(state: Soak, away_secs: float) -> None:
    """Have another process, as it were, hold SQLite's write lock."""
    async with state.serving() as served, state.working(served):
        await asyncio.sleep(state.draw.uniform(0.5, 2.0))
        connection = sqlite3.connect(
            state.config.data / "trainer" / "trainer.db", timeout=60.0, isolation_level=None, check_same_thread=False
        )
        await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
        await asyncio.sleep(away_secs)
        connection.close()
        await _goes_on(state, served, "database locked")


async def _away(state: Soak, away_secs: float, *, hangs: bool) -> None:
    """Have PostgreSQL stop, as a machine does that loses power, or hang; for some rounds the service is killed too."""
    assert state.server is not None
    async with state.serving() as served, state.working(served):
        await asyncio.sleep(state.draw.uniform(0.5, 2.0))
        await asyncio.to_thread(state.server.freeze if hangs else state.server.pause)
        await asyncio.sleep(away_secs)
        is_killed = state.draw.random() < _KILLED_MEANWHILE_SHARE / 2
        if is_killed:
            served.process.kill()
        await asyncio.to_thread(state.server.thaw if hangs else state.server.start)
        if not is_killed:
            await _goes_on(state, served, "database hangs" if hangs else "database stopped")


async def _goes_on(state: Soak, served: Served, kind: str) -> None:
    """See one more run end, now that what was wrong is mended."""
    begun = time.monotonic()
    if await state.until_one_more_ends(state.ended):
        state.report.recovered_secs[kind].append(time.monotonic() - begun)
    else:
        state.report.fault(f"no run ended after: {kind}")
        state.report.notes += await state.seen_to_hang(served)


@contextlib.asynccontextmanager
async def _two_train_one(state: Soak, clock: Clock | None = None) -> AsyncIterator[tuple[Asked, Served, Served]]:
    """Run two Trainers, and give a run that waits at a gate, the one that trains it, and the other.

    At the end all runs are seen to end, so that no later round finds runs whose Trainer is not there.
    """
    environment = clock.of_the_service if clock else {}
    second = dataclasses.replace(
        state.config,
        data=state.config.data.parent / "second",
        artifacts_url=str(state.config.data / "artifacts"),
    )
    async with state.serving(environment=environment) as one, state.serving(second, environment) as two:
        await state.settle(one)
        gate = state.folder / "gate"
        gate.unlink(missing_ok=True)
        wanted = Asked(_GATED.format(gate=gate))
        state.asked.append(wanted)
        await state.ask(one.rig, wanted)
        await one.rig.until(wanted.run_id, lambda event: event.HasField("policy_published"))
        await until(lambda: wanted.run_id in one.training | two.training)
        holder, other = (one, two) if wanted.run_id in one.training else (two, one)
        yield wanted, holder, other
        gate.touch()
        await state.settle(other)
        await asyncio.sleep(1.0)


async def _clock_jumps_between_two(state: Soak, clock: Clock) -> None:
    """Set clocks while one of two Trainers trains a run: it keeps its lease until it is killed, and no longer."""
    async with _two_train_one(state, clock) as (wanted, holder, other):
        for _ in range(2):
            ahead = state.draw.choice([-_HOUR_SECS, _HOUR_SECS])
            clock.set(ahead, service=state.draw.random() < 0.5, database=True)
            # longer than a lease is prolonged for, and than it takes to look
            await asyncio.sleep(state.draw.uniform(1.0, leases.RENEW_EVERY_SECS + 2.0))
        if wanted.run_id in other.training:
            state.report.fault(f"{wanted.run_id}: its lease was lost, though only a clock had jumped")
        clock.set(-_HOUR_SECS, service=False, database=True)
        await asyncio.sleep(state.draw.uniform(0.0, 1.0))
        holder.process.kill()
        await _taken_over(state, wanted, other, "clock jumps, two Trainers")
    clock.set(0.0, service=True, database=True)


async def _hangs(state: Soak) -> None:
    """Stop one of two Trainers until the other has its run, then let it go on: what it says late is refused."""
    async with _two_train_one(state) as (wanted, holder, other):
        refused = holder.count("run left to another Trainer", run=wanted.run_id)
        holder.process.send_signal(signal.SIGSTOP)
        try:
            await _taken_over(state, wanted, other, "Trainer hangs past its lease")
            # Both workers now say the same, the first one into the pipe of a Trainer that does not read it yet.
            (state.folder / "gate").touch()
            if state.draw.random() < _PUBLISHED_MEANWHILE_SHARE:
                await _published(state, wanted, other)
            else:
                await asyncio.sleep(state.draw.uniform(0.0, _TELLS_AFTER_SECS))
        finally:
            holder.process.send_signal(signal.SIGCONT)
        if not await until(lambda: holder.count("run left to another Trainer", run=wanted.run_id) > refused):
            state.report.fault(f"{wanted.run_id}: the late words of its first Trainer were not refused")
        if holder.process.poll() is not None:
            state.report.fault("a Trainer that had hung ended instead of going on")


async def _published(state: Soak, wanted: Asked, other: Served) -> None:
    """See a run end with its policy published, for which another Trainer must lead than one that hangs."""
    try:
        async with asyncio.timeout(leadership.GONE_AFTER_SECS + REATTACHES_WITHIN_SECS):
            await state.end(other.rig, wanted)
    except TimeoutError:
        state.report.fault(f"{wanted.run_id}: its last policy was not published while one Trainer hung")


async def _taken_over(state: Soak, wanted: Asked, other: Served, kind: str) -> None:
    """See the other Trainer take up a run whose first one is silent from now on."""
    begun = time.monotonic()
    took = await until(lambda: wanted.run_id in other.training)
    secs = time.monotonic() - begun
    state.report.recovered_secs[kind].append(secs)
    if not took or secs > leases.LEASE_SECS + REATTACHES_WITHIN_SECS:
        state.report.fault(f"{wanted.run_id}: not taken over after {secs:.0f} s")
    elif not (await other.rig.get(wanted.run_id)).checkpoints:
        state.report.fault(f"{wanted.run_id}: lost its checkpoint when it was taken over")
