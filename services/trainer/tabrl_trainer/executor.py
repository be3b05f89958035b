"""The executor: takes queued runs, and has each trained in attempts, as many at once as there are slots.

How one attempt is trained is a `Place`'s business: in a process of this machine (`local_place`), or by a function call
on Modal (`modal_cloud.place`). There is one executor for each place. Several Trainers may share a database: each run is
trained by the one that holds its lease; see `leases`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.failpoints import reach
from tabrl_chassis.service import Context

from tabrl_trainer import attempts, leases
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.models import RunRow
from tabrl_trainer.protocol import Job
from tabrl_trainer.record import (
    ENDED,
    UNDER_WAY,
    Record,
    change_state,
    is_at_pause,
    log,
    newest_checkpoint,
)
from tabrl_trainer.retries import PASSING, pauses
from tabrl_trainer.worker_events import LEFT, Ending

T = TypeVar("T")

# So many without a new checkpoint in between fail a run.
MOST_CRASHES = 3
LOOK_EVERY_SECS = 1.0
"""How often to look for runs that others queued, left or asked to cancel."""


class Place(Protocol):
    """Where attempts are trained."""

    name: str
    """The executor of the runs it trains, as `compute` names it."""

    slots: int
    """How many it trains at once."""

    unattended: Ending
    """How an attempt ends for a Trainer that stops: `interrupted`, or `left` where its worker trains on."""

    async def attempt(self, run_id: str, number: int, job: Job, cancelled: asyncio.Event) -> Ending:
        """Train a run, or go on listening to the worker of an attempt that was left; stop when `cancelled` is set.

        Raises:
            LeaseLost: a later attempt, or another Trainer, has the run.
        """

    async def tidy(self, run_id: str) -> None:
        """Clear away what a run that has ended leaves there."""


class Executor:
    """Takes queued runs of a place, oldest first, and has each trained until it has ended."""

    def __init__(self, context: Context[TrainerConfig], record: Record, holder: str, place: Place) -> None:
        """`holder` is who this Trainer is."""
        self._context = context
        self._holder = holder
        self._lookout = leases.Lookout(holder)
        self._record = record
        self.place = place
        self._queued = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, asyncio.Event] = {}
        self._artifacts_url = context.config.artifacts_url or str((context.config.data / "artifacts").absolute())

    async def run(self) -> None:
        """Train queued runs until the service stops; first of all those that an earlier process left unfinished.

        When it stops, the workers get the signal and the record stays: the next process goes on from there.
        """
        while True:
            self._queued.clear()
            await self._take_over()
            await self._fill_slots()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_SECS):
                    await self._queued.wait()

    async def keep_leases(self) -> None:
        """Say as long as the service runs that its runs are its own, and stop those that others asked it to cancel."""
        renewed = -math.inf
        while True:
            await asyncio.sleep(LOOK_EVERY_SECS)
            running = list(self._running)
            if not running:
                continue
            if (time.monotonic() - renewed) >= leases.RENEW_EVERY_SECS:
                await self._record.write_silently(
                    lambda session: leases.renew(session, self._holder, running),  # noqa: B023
                    urgent=True,
                )
                renewed = time.monotonic()
            for run_id in await self._record.read_persistently(
                lambda session: _to_be_stopped(session, running),  # noqa: B023
                urgent=True,
            ):
                self.stop(run_id)

    def wake(self) -> None:
        """Look for queued runs."""
        self._queued.set()

    def stop(self, run_id: str) -> None:
        """Stop a run's worker, if it has one; the run's `cancel_requested` or `pause_requested` says what is meant."""
        if run_id in self._cancelled:
            self._cancelled[run_id].set()

    async def _take_over(self) -> None:
        """Queue the runs that nobody trains, though they are under way; listen again to those that train elsewhere."""
        running = list(self._running)
        for lease in await self._record.read_persistently(
            lambda session: self._lookout.lapsed(session, running, self.place.name)
        ):
            run_id = lease.run_id
            attempt = None
            with contextlib.suppress(leases.LeaseLost):
                attempt = await self._write(
                    run_id,
                    lambda session, run, lease=lease: self._reattach_or_requeue(session, run, lease),  # type: ignore[misc]
                )
            if attempt is not None:
                self._context.log.info("listens to a worker elsewhere again", run=run_id, attempt=attempt)
                self._begin(run_id, attempt)

    async def _fill_slots(self) -> None:
        free = self.place.slots - len(self._running)
        if free <= 0:
            return
        # A run whose task has only just begun is still queued; it must not take the place of one that waits.
        waiting = sa.select(RunRow.run_id).where(
            RunRow.state == trainer_pb2.RUN_STATE_QUEUED,
            RunRow.executor == self.place.name,
            RunRow.run_id.not_in(list(self._running)),
        )
        for run_id in await self._record.read_persistently(
            lambda session: session.scalars(waiting.order_by(RunRow.number).limit(free)).all()
        ):
            self._begin(run_id)

    def _begin(self, run_id: str, attempt: int | None = None) -> None:
        self._cancelled[run_id] = asyncio.Event()
        task = self._context.background(self._train(run_id, attempt), f"train {run_id}")
        self._running[run_id] = task
        task.add_done_callback(lambda _task: self._finished(run_id))

    def _finished(self, run_id: str) -> None:
        self._running.pop(run_id, None)
        self._cancelled.pop(run_id, None)
        self.wake()

    async def _train(self, run_id: str, attempt: int | None = None) -> None:
        """Attempt a run until it has ended, unless another Trainer has it; an `attempt` under way is finished first."""
        try:
            if attempt is None:
                state = await self._write(run_id, self._claim)
                reach("trainer.run_claimed")
            else:
                state = trainer_pb2.RUN_STATE_RUNNING
            waits = pauses()
            while state in UNDER_WAY:
                state, outcome = await self._attempt(run_id, attempt)
                attempt = None
                if outcome != "deferred":
                    waits = pauses()
                else:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(next(waits)):
                            await self._cancelled[run_id].wait()
                # Who asks from here on sets it again; what was asked before is on record, or was taken back.
                self._cancelled[run_id].clear()
                if state in UNDER_WAY:
                    state = await self._write(run_id, self._stop_if_asked)
            if state in ENDED:
                self._context.background(self.place.tidy(run_id), f"tidy {run_id}")
        except leases.LeaseLost as lost:
            self._context.log.warning("run left to another Trainer", run=run_id, cause=str(lost))

    async def _attempt(self, run_id: str, under_way: int | None) -> tuple[int, str]:
        """Have one worker train a run; returns the run's state then, and the outcome of the attempt."""
        number, job = await self._write(run_id, lambda session, run: self._begin_attempt(session, run, under_way))
        reach("trainer.attempt_begun")
        self._context.log.info(
            "worker starts", run=run_id, attempt=number, place=self.place.name, resume=job.resume_sha256[:12]
        )
        ending = self.place.unattended
        try:
            ending = await self.place.attempt(run_id, number, job, self._cancelled[run_id])
        except leases.LeaseLost:
            raise
        except Exception as error:
            self._context.log.exception("worker lost", run=run_id, attempt=number)
            typed = as_tabrl_error(error, "executor")
            if typed.code in PASSING:
                ending = Ending("deferred", f"{typed.reason}: {typed.message}")
            else:
                ending = Ending(attempts.CRASHED, f"the Trainer lost it, {type(error).__name__}: {error}")
        finally:
            reach("trainer.worker_ended")
            # Also when the service stops: the attempt is then on record as interrupted or left, and the run goes on.
            state = await asyncio.shield(
                self._write(run_id, lambda session, run: _end_attempt(session, run, self._holder, number, ending))
            )
        reach("trainer.attempt_ended")
        attempts.WORKER_EXITS.labels(ending.outcome).inc()
        self._context.log.info("worker ended", run=run_id, attempt=number, outcome=ending.outcome, detail=ending.detail)
        return state, ending.outcome

    async def _write(self, run_id: str, work: Callable[[Session, RunRow], T]) -> T:
        """Write a run as often as it takes; raises `LeaseLost` also where it was deleted."""
        try:
            return await self._record.write_persistently(run_id, work)
        except TabrlError as error:
            if error.reason != "RUN_NOT_FOUND":
                raise
            raise leases.LeaseLost(run_id, "it was deleted") from error

    def _claim(self, session: Session, run: RunRow) -> int:
        """Bring a queued run to STARTING under a lease of this Trainer, unless it was cancelled meanwhile."""
        if run.state == trainer_pb2.RUN_STATE_QUEUED and is_at_pause(session, run):
            # A person had it go on, but its batch has not judged it yet.
            change_state(session, run, trainer_pb2.RUN_STATE_PAUSED)
        elif run.state == trainer_pb2.RUN_STATE_QUEUED:
            leases.take(session, run, self._holder)
            change_state(session, run, trainer_pb2.RUN_STATE_STARTING)
        elif run.state in UNDER_WAY and run.lease_holder != self._holder:  # else it was claimed, and that was in doubt
            raise leases.LeaseLost(run.run_id)
        return run.state

    def _stop_if_asked(self, session: Session, run: RunRow) -> int:
        leases.require(run, self._holder)
        _stop_as_asked(session, run)
        return run.state

    def _reattach_or_requeue(self, session: Session, run: RunRow, lease: leases.Lease) -> int | None:
        """Take over a run that nobody trains: return its attempt whose worker is elsewhere, or None where it is queued.

        Changes nothing where another Trainer has taken it over already.
        """
        if not leases.is_still(run, lease):
            return None
        attempt = attempts.reattachable(session, run.run_id)
        if attempt is None:
            _requeue(session, run, self._holder)
        else:
            leases.take(session, run, self._holder)
        return attempt

    def _begin_attempt(self, session: Session, run: RunRow, under_way: int | None) -> tuple[int, Job]:
        """Begin an attempt, unless one is under way; return its number and what is trained in it."""
        leases.require(run, self._holder)
        leases.take(session, run, self._holder)
        number = under_way or attempts.begin(session, run.run_id)
        checkpoint = newest_checkpoint(session, run.run_id)
        job = Job(
            spec=trainer_pb2.RunSpec.FromString(run.spec),
            resume_sha256=checkpoint.sha256 if checkpoint else "",
            artifacts_url=self._artifacts_url,
            checkpoint_secs=self._context.config.checkpoint_secs,
            pause_env_steps=run.pause_env_steps or 0,
        )
        return number, job


def _to_be_stopped(session: Session, run_ids: Sequence[str]) -> Sequence[str]:
    asked = sa.or_(RunRow.cancel_requested, RunRow.pause_requested)
    return session.scalars(sa.select(RunRow.run_id).where(RunRow.run_id.in_(run_ids), asked)).all()


def _stop_as_asked(session: Session, run: RunRow) -> bool:
    """Cancel or pause a run whose worker has stopped, if that was asked for; returns whether it was."""
    if run.cancel_requested:
        change_state(session, run, trainer_pb2.RUN_STATE_CANCELLED)
    elif run.pause_requested or is_at_pause(session, run):
        run.pause_requested = False
        change_state(session, run, trainer_pb2.RUN_STATE_PAUSED)
    else:
        return False
    return True


def _requeue(session: Session, run: RunRow, holder: str) -> None:
    """Decide on a run whose worker is gone together with the service."""
    fate = "was restarted" if run.lease_holder in ("", holder) else "was lost"
    attempts.interrupt(session, run.run_id)
    checkpoint = newest_checkpoint(session, run.run_id)
    if checkpoint is not None and checkpoint.final:
        change_state(session, run, trainer_pb2.RUN_STATE_SUCCEEDED)
    elif not _stop_as_asked(session, run):
        log(
            session,
            run,
            trainer_pb2.LOG_LEVEL_WARNING,
            f"The Trainer {fate} while this run trained; {_resumption(session, run)}.",
        )
        change_state(session, run, trainer_pb2.RUN_STATE_QUEUED)


def _end_attempt(session: Session, run: RunRow, holder: str, number: int, ending: Ending) -> int:
    """Record how an attempt ended, and what that means for the run; returns the run's state.

    Raises:
        LeaseLost: another attempt has begun, or another Trainer has ended this one.
    """
    if run.lease_holder == holder and attempts.is_newest(session, run.run_id, number, ending.outcome):
        return run.state  # this is on record already, which was in doubt
    leases.require(run, holder)
    if not attempts.is_current(session, run.run_id, number):
        raise leases.LeaseLost(run.run_id)
    if ending.outcome == LEFT:
        run.lease_until = None  # its worker trains on, and any Trainer may listen to it from now on
        return run.state
    attempts.end(session, run.run_id, number, ending.outcome)
    checkpoint = newest_checkpoint(session, run.run_id)
    if ending.outcome == "finished" or (checkpoint is not None and checkpoint.final):
        change_state(session, run, trainer_pb2.RUN_STATE_SUCCEEDED)
    elif ending.outcome != "failed" and _stop_as_asked(session, run):
        pass
    elif ending.outcome == "failed":
        change_state(session, run, trainer_pb2.RUN_STATE_FAILED, ending.error)
    elif ending.outcome == attempts.CRASHED:
        _after_crash(session, run, ending)
    elif ending.outcome == "deferred":
        text = f"Training cannot go on for now and is tried again ({ending.detail}); {_resumption(session, run)}."
        log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)
        change_state(session, run, trainer_pb2.RUN_STATE_STARTING)
    elif ending.outcome == attempts.INTERRUPTED:
        run.lease_until = None  # this Trainer stops, and another one need not wait until its lease ends
    return run.state


def _after_crash(session: Session, run: RunRow, ending: Ending) -> None:
    crashes = attempts.count(session, run.run_id, attempts.CRASHED)
    if crashes >= MOST_CRASHES:
        message = (
            f"The training process ended by itself {crashes} times without another checkpoint; "
            f"the last time: {ending.detail}"
        )
        error = trainer_pb2.RunError(reason="WORKER_CRASHED", message=message)
        change_state(session, run, trainer_pb2.RUN_STATE_FAILED, error)
        return
    text = f"The training process ended by itself ({ending.detail}); {_resumption(session, run)}."
    log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)
    change_state(session, run, trainer_pb2.RUN_STATE_STARTING)


def _resumption(session: Session, run: RunRow) -> str:
    checkpoint = newest_checkpoint(session, run.run_id)
    if checkpoint is None:
        return "it starts again, for there was no checkpoint yet"
    return f"it resumes from the checkpoint after {checkpoint.env_steps:,} steps"


class Executors:
    """All executors of a Trainer, for those who need not know which of them has a run."""

    def __init__(self, executors: Sequence[Executor]) -> None:
        """Keep them."""
        self._executors = executors

    def slots(self, name: str) -> int:
        """Return how many runs of an executor, as `compute` names it, train at once."""
        return sum(executor.place.slots for executor in self._executors if executor.place.name == name)

    def wake(self) -> None:
        """Look for queued runs."""
        for executor in self._executors:
            executor.wake()

    def stop(self, run_id: str) -> None:
        """Stop a run's worker, if it has one."""
        for executor in self._executors:
            executor.stop(run_id)
