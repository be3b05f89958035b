"""The local executor: one worker process per run and attempt, as many at once as there are slots."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.service import Context

from tabrl_trainer import attempts
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.models import AttemptRow, RunRow
from tabrl_trainer.protocol import Job
from tabrl_trainer.record import (
    ENDED,
    UNDER_WAY,
    Record,
    change_state,
    log,
    newest_checkpoint,
)
from tabrl_trainer.retries import PASSING, pauses
from tabrl_trainer.worker_process import Ending, WorkerProcess

# So many without a new checkpoint in between fail a run.
MOST_CRASHES = 3


class LocalExecutor:
    """Takes queued runs, oldest first, and trains each in a worker process until it has ended."""

    def __init__(self, context: Context[TrainerConfig], record: Record, worker: Sequence[str]) -> None:
        """`worker` are the arguments of Python that start a worker."""
        self._context = context
        self._record = record
        self._worker = worker
        self._queued = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cancelled: dict[str, asyncio.Event] = {}
        self._artifacts_url = context.config.artifacts_url or str((context.config.data / "artifacts").absolute())

    async def run(self) -> None:
        """Train queued runs until the service stops; first of all those that an earlier process left unfinished.

        When it stops, the workers get the signal and the record stays: the next process goes on from there.
        """
        await self._recover()
        while True:
            self._queued.clear()
            await self._fill_slots()
            await self._queued.wait()

    def wake(self) -> None:
        """Look for queued runs."""
        self._queued.set()

    def stop(self, run_id: str) -> None:
        """Stop a run's worker, if it has one; the run's `cancel_requested` says that this is meant."""
        if run_id in self._cancelled:
            self._cancelled[run_id].set()

    async def _recover(self) -> None:
        left = await self._record.read(
            lambda session: session.scalars(
                sa.select(RunRow.run_id).where(RunRow.state.in_(UNDER_WAY)).order_by(RunRow.number)
            ).all()
        )
        for run_id in left:
            await self._record.write(run_id, _requeue)

    async def _fill_slots(self) -> None:
        free = self._context.config.slots - len(self._running)
        if free <= 0:
            return
        # A run whose task has only just begun is still queued; it must not take the place of one that waits.
        waiting = sa.select(RunRow.run_id).where(
            RunRow.state == trainer_pb2.RUN_STATE_QUEUED, RunRow.run_id.not_in(list(self._running))
        )
        for run_id in await self._record.read(
            lambda session: session.scalars(waiting.order_by(RunRow.number).limit(free)).all()
        ):
            self._cancelled[run_id] = asyncio.Event()
            task = self._context.background(self._train(run_id), f"train {run_id}")
            self._running[run_id] = task
            task.add_done_callback(lambda _task, run_id=run_id: self._finished(run_id))  # type: ignore[misc]

    def _finished(self, run_id: str) -> None:
        self._running.pop(run_id, None)
        self._cancelled.pop(run_id, None)
        self.wake()

    async def _train(self, run_id: str) -> None:
        """Attempt a run until it has ended."""
        state = await self._record.write_persistently(run_id, _start)
        waits = pauses()
        while state not in ENDED:
            state, outcome = await self._attempt(run_id)
            if outcome != "deferred":
                waits = pauses()
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(next(waits)):
                    await self._cancelled[run_id].wait()
                state = await self._record.write_persistently(run_id, _cancel_if_asked)

    async def _attempt(self, run_id: str) -> tuple[int, str]:
        """Have one worker train a run; returns the run's state then, and the outcome of the attempt."""
        number, job = await self._record.write_persistently(run_id, self._begin_attempt)
        process = WorkerProcess(self._record, run_id, number)
        self._context.log.info("worker starts", run=run_id, attempt=number, resume=job.resume_sha256[:12])
        ending = Ending("interrupted")
        try:
            ending = await process.run(
                self._worker, job, niceness=self._context.config.niceness, cancelled=self._cancelled[run_id]
            )
        except Exception as error:
            self._context.log.exception("worker lost", run=run_id, attempt=number)
            typed = as_tabrl_error(error, "executor")
            if typed.code in PASSING:
                ending = Ending("deferred", f"{typed.reason}: {typed.message}")
            else:
                ending = Ending(attempts.CRASHED, f"the Trainer lost it, {type(error).__name__}: {error}")
        finally:
            # Also when the service stops: the attempt then stays on record as interrupted, and the run goes on later.
            state = await asyncio.shield(
                self._record.write_persistently(run_id, lambda session, run: _end_attempt(session, run, number, ending))
            )
        attempts.WORKER_EXITS.labels(ending.outcome).inc()
        self._context.log.info("worker ended", run=run_id, attempt=number, outcome=ending.outcome, detail=ending.detail)
        return state, ending.outcome

    def _begin_attempt(self, session: Session, run: RunRow) -> tuple[int, Job]:
        number = attempts.begin(session, run.run_id)
        checkpoint = newest_checkpoint(session, run.run_id)
        job = Job(
            spec=trainer_pb2.RunSpec.FromString(run.spec),
            resume_sha256=checkpoint.sha256 if checkpoint else "",
            artifacts_url=self._artifacts_url,
            checkpoint_secs=self._context.config.checkpoint_secs,
        )
        return number, job


def _start(session: Session, run: RunRow) -> int:
    """Bring a queued run to STARTING, unless it was cancelled meanwhile."""
    if run.state == trainer_pb2.RUN_STATE_QUEUED:
        change_state(session, run, trainer_pb2.RUN_STATE_STARTING)
    return run.state


def _requeue(session: Session, run: RunRow) -> None:
    """Decide on a run whose process is gone together with the service."""
    session.execute(
        sa.update(AttemptRow)
        .where(AttemptRow.run_id == run.run_id, AttemptRow.outcome == attempts.RUNNING)
        .values(outcome="interrupted")
    )
    checkpoint = newest_checkpoint(session, run.run_id)
    if checkpoint is not None and checkpoint.final:
        change_state(session, run, trainer_pb2.RUN_STATE_SUCCEEDED)
    elif run.cancel_requested:
        change_state(session, run, trainer_pb2.RUN_STATE_CANCELLED)
    else:
        log(
            session,
            run,
            trainer_pb2.LOG_LEVEL_WARNING,
            f"The Trainer was restarted while this run trained; {_resumption(session, run)}.",
        )
        change_state(session, run, trainer_pb2.RUN_STATE_QUEUED)


def _end_attempt(session: Session, run: RunRow, number: int, ending: Ending) -> int:
    """Record how an attempt ended, and what that means for the run; returns the run's state."""
    attempts.end(session, run.run_id, number, ending.outcome)
    checkpoint = newest_checkpoint(session, run.run_id)
    if ending.outcome == "finished" or (checkpoint is not None and checkpoint.final):
        change_state(session, run, trainer_pb2.RUN_STATE_SUCCEEDED)
    elif run.cancel_requested:
        change_state(session, run, trainer_pb2.RUN_STATE_CANCELLED)
    elif ending.outcome == "failed":
        change_state(session, run, trainer_pb2.RUN_STATE_FAILED, ending.error)
    elif ending.outcome == attempts.CRASHED:
        _after_crash(session, run, ending)
    elif ending.outcome == "deferred":
        text = f"Training cannot go on for now and is tried again ({ending.detail}); {_resumption(session, run)}."
        log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)
        change_state(session, run, trainer_pb2.RUN_STATE_STARTING)
    return run.state


def _cancel_if_asked(session: Session, run: RunRow) -> int:
    if run.cancel_requested:
        change_state(session, run, trainer_pb2.RUN_STATE_CANCELLED)
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
