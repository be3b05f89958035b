"""Modal as a place where attempts are trained: each is one call of the deployed function."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.failpoints import reach
from tabrl_chassis.service import Context

from tabrl_trainer import attempts, leases
from tabrl_trainer.compute import MODAL, usd_per_sec
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.modal_cloud import names
from tabrl_trainer.modal_cloud.cloud import CallEnd, Cloud, Ended
from tabrl_trainer.modal_cloud.listening import Listener
from tabrl_trainer.models import CheckpointRow, RunRow
from tabrl_trainer.protocol import Job
from tabrl_trainer.record import Record, log
from tabrl_trainer.retries import PASSING, pauses
from tabrl_trainer.worker_events import LEFT, Ending, WorkerEvents

T = TypeVar("T")

# CancelRun promises to stop a run within 5 s: so long the worker may take for one more checkpoint.
STOP_GRACE_SECS = 3.0
_LAST_WORDS_SECS = 1.0
_REMOVE_SECS = 5.0


class ModalPlace:
    """Trains on Modal's cloud, where workers outlive the Trainer."""

    name = MODAL
    unattended = Ending(LEFT)

    def __init__(self, context: Context[TrainerConfig], record: Record, holder: str, cloud: Cloud) -> None:
        """`holder` is who this Trainer is."""
        self.slots = context.config.modal_slots
        self._context = context
        self._record = record
        self._holder = holder
        self._cloud = cloud

    async def attempt(self, run_id: str, number: int, job: Job, cancelled: asyncio.Event) -> Ending:
        """Call the function, or listen again to the call that an earlier Trainer left; return how it ended."""
        call_id = await self._record.read_persistently(lambda session: attempts.row(session, run_id, number).call_id)
        billed_secs = await self._record.read_persistently(lambda session: attempts.billed_secs(session, run_id))
        stream = names.stream(run_id, number)
        try:
            if call_id is None:
                if billed_secs >= job.spec.compute.max_secs:
                    return _time_limit(job.spec)
                call_id = await self._submit(run_id, number, job, stream, job.spec.compute.max_secs - billed_secs)
            # Until it is told so it does not begin, so that a call that is not on record trains nothing and ends.
            await self._until_reached(run_id, lambda: self._cloud.tell_to_go(stream, call_id))
        except TabrlError as error:
            if error.code in PASSING:
                return Ending("deferred", f"{error.reason}: {error.message}")
            return Ending("failed", error.message, trainer_pb2.RunError(reason=error.reason, message=error.message))
        ending = await self._listen(run_id, number, job, stream, call_id, cancelled)
        self._context.background(self._remove_if_ended(run_id), f"tidy {run_id}")
        return ending

    async def _submit(self, run_id: str, number: int, job: Job, stream: str, limit_secs: float) -> str:
        def resume_env_steps(session: Session) -> int:
            steps = sa.select(CheckpointRow.env_steps).where(
                CheckpointRow.run_id == run_id, CheckpointRow.sha256 == job.resume_sha256
            )
            return session.scalars(steps.limit(1)).one_or_none() or 0

        digests = [job.resume_sha256, job.spec.reward.program_sha256]
        arguments = {
            "stream": stream,
            "job": job.to_json(),
            "files": {
                sha256: await asyncio.to_thread(self._context.artifacts.read, sha256) for sha256 in digests if sha256
            },
            "resume_env_steps": await self._record.read_persistently(resume_env_steps),
            "limit_secs": limit_secs,
        }
        call_id = await self._cloud.submit(job.spec.compute.gpu, limit_secs, arguments)
        reach("trainer.call_submitted")

        def put_on_record(session: Session, run: RunRow) -> None:
            leases.require(run, self._holder)
            attempts.row(session, run_id, number).call_id = call_id
            run.cost_usd = run.cost_usd or 0.0

        await self._record.write_persistently(run_id, put_on_record)
        reach("trainer.call_recorded")
        return call_id

    async def _listen(
        self, run_id: str, number: int, job: Job, stream: str, call_id: str, cancelled: asyncio.Event
    ) -> Ending:
        events = WorkerEvents(self._record, run_id, number, job.spec.environment_id, persistently=True)
        listener = Listener(
            self._cloud,
            self._record,
            self._context.artifacts,
            events,
            run_id,
            number,
            self._holder,
            usd_per_sec(job.spec),
        )
        listening = asyncio.create_task(self._listen_persistently(run_id, listener, stream, call_id))
        stopping = asyncio.create_task(self._stop_when(run_id, cancelled, stream, call_id, listening))
        try:
            await asyncio.wait({listening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await asyncio.wait({listening}, timeout=_LAST_WORDS_SECS)
            end = listening.result() if listening.done() else None
            if cancelled.is_set() or end is None:
                return Ending("interrupted", "stopped on request")
            if listener.lacks_final:
                return Ending(attempts.CRASHED, "its last checkpoint came damaged from Modal")
            return _ending(end, events, job.spec)
        finally:
            for task in (listening, stopping):
                task.cancel()
            await asyncio.gather(listening, stopping, return_exceptions=True)
            events.close()

    async def _listen_persistently(self, run_id: str, listener: Listener, stream: str, call_id: str) -> CallEnd:
        return await self._until_reached(run_id, lambda: listener.listen(stream, call_id))

    async def _stop_when(
        self, run_id: str, cancelled: asyncio.Event, stream: str, call_id: str, listening: asyncio.Task[CallEnd]
    ) -> None:
        """Once `cancelled` is set, have the worker write one more checkpoint and end; cancel its call if it does not."""
        await cancelled.wait()
        try:
            await self._cloud.tell_to_stop(stream)
            await asyncio.wait({listening}, timeout=STOP_GRACE_SECS)
        except TabrlError:
            self._context.log.warning("a worker elsewhere cannot be told to stop", run=run_id)
        if not listening.done():
            await self._until_reached(run_id, lambda: self._cloud.cancel(call_id))

    async def _until_reached(self, run_id: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do what needs Modal as often as it takes; what trains there trains on meanwhile, and costs.

        A token that is refused, or an app that is taken away, may be mended too: the call is there all the same.
        """
        lost = False
        for pause in pauses():
            try:
                return await work()
            except TabrlError as error:
                if not error.reason.startswith("COMPUTE_"):
                    raise
                self._context.log.warning("Modal cannot be reached", run=run_id, cause=str(error))
                if not lost:
                    await self._record.write_persistently(run_id, lambda session, run: self._lost(session, run, error))
                lost = True
            await asyncio.sleep(pause)
        raise AssertionError("pauses end")

    def _lost(self, session: Session, run: RunRow, error: TabrlError) -> None:
        leases.require(run, self._holder)
        text = f"{error.reason}: {error.message} What trains there trains on, and is heard again once it can be."
        log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)

    async def _remove_if_ended(self, run_id: str) -> None:
        """Remove a run's files from the volume once it has ended; those that matter are in the artifact store."""
        try:
            state = await self._record.read(
                lambda session: session.scalar(sa.select(RunRow.end_time).where(RunRow.run_id == run_id))
            )
            if state is not None:
                async with asyncio.timeout(_REMOVE_SECS):
                    await self._cloud.remove(run_id)
        except Exception as error:
            self._context.log.warning(
                "files stay on Modal's volume", run=run_id, cause=str(as_tabrl_error(error, "tidy"))
            )


def _ending(end: CallEnd, events: WorkerEvents, spec: trainer_pb2.RunSpec) -> Ending:
    """Return how an attempt ended whose call nobody here stopped."""
    match end.how:
        case Ended.GONE:
            return Ending(attempts.CRASHED, f"Modal no longer knows the call: {end.detail}")
        case Ended.FAILED:
            return Ending(attempts.CRASHED, f"on Modal, {end.detail}")
        case Ended.TIMED_OUT:
            return Ending("deferred", "Modal ends every call after a day")
    stopped = end.answer["stopped"]
    if stopped == names.NEVER_TOLD:
        return Ending("deferred", "the call on Modal gave up waiting for this Trainer")
    if stopped == names.TIME_LIMIT and (events.said_last is None or events.said_last.outcome != "finished"):
        return _time_limit(spec)
    if stopped == names.ASKED:
        return Ending("interrupted", "stopped on request")
    return events.ending(end.answer["status"], end.answer["complaint"])


def _time_limit(spec: trainer_pb2.RunSpec) -> Ending:
    message = (
        f"Training took longer than the {spec.compute.max_secs:,} s that it may take; its newest checkpoint is kept. "
        "Give it a larger max_secs, or fewer steps."
    )
    return Ending("failed", message, trainer_pb2.RunError(reason="RUN_TIME_LIMIT", message=message))
