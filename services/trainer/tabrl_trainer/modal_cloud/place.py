"""Modal as a place where attempts are trained: each is one call of the deployed function."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

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
from tabrl_trainer.modal_cloud.cloud import Call, CallEnd, Cloud, Ended
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
# What went well for so long and then fails is another failure than the one before.
_ANOTHER_OUTAGE_SECS = 60.0


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
        try:
            if call_id is None:
                if billed_secs >= job.spec.compute.max_secs:
                    return _time_limit(job.spec)
                call_id = await self._submit(run_id, number, job, job.spec.compute.max_secs - billed_secs)
        except TabrlError as error:
            if error.code in PASSING:
                return Ending("deferred", f"{error.reason}: {error.message}")
            return Ending("failed", error.message, trainer_pb2.RunError(reason=error.reason, message=error.message))
        call = Call(run_id, number, call_id)
        try:
            return await self._hear(call, job, cancelled)
        except leases.LeaseLost:
            raise
        except Exception:
            # Who is not listened to must not train on, and cost: another attempt follows.
            with contextlib.suppress(TabrlError):
                await self._cloud.cancel(call_id)
            raise

    async def tidy(self, run_id: str) -> None:
        """Remove the files of a run that has ended from the volume; those that matter are in the artifact store."""
        try:
            await self._cloud.remove(run_id)
        except Exception as error:  # nobody waits for this, and files that stay must not end the service
            typed = as_tabrl_error(error, "tidy")
            self._context.log.warning("files stay on Modal's volume", run=run_id, cause=str(typed))

    async def _submit(self, run_id: str, number: int, job: Job, limit_secs: float) -> str:
        def resume_env_steps(session: Session) -> int:
            steps = sa.select(CheckpointRow.env_steps).where(
                CheckpointRow.run_id == run_id, CheckpointRow.sha256 == job.resume_sha256
            )
            return session.scalars(steps.limit(1)).one_or_none() or 0

        arguments = {
            "stream": names.stream(run_id, number),
            "job": replace(job, artifacts_url="").to_json(),  # it may hold a key, and there is another store there
            "files": {sha256: await asyncio.to_thread(self._context.artifacts.read, sha256) for sha256 in job.files},
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

    async def _hear(self, call: Call, job: Job, cancelled: asyncio.Event) -> Ending:
        events = WorkerEvents(self._record, call.run_id, call.attempt, job.spec.environment_id, persistently=True)
        listener = Listener(
            self._cloud,
            self._record,
            self._context.artifacts,
            call,
            events=events,
            holder=self._holder,
            usd_per_sec=usd_per_sec(job.spec) or 0.0,
        )
        listening = asyncio.create_task(self._let_go_and_listen(call, listener))
        stopping = asyncio.create_task(self._stop_when(cancelled, call, listening))
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

    async def _let_go_and_listen(self, call: Call, listener: Listener) -> CallEnd:
        # Until it is told so it does not begin, so that a call that is not on record trains nothing and ends.
        await self._until_reached(call.run_id, lambda: self._cloud.tell_to_go(call.stream, call.call_id))
        return await self._until_reached(call.run_id, listener.listen)

    async def _stop_when(self, cancelled: asyncio.Event, call: Call, listening: asyncio.Task[CallEnd]) -> None:
        """Once `cancelled` is set, have the worker write one more checkpoint and end; cancel its call if it stays."""
        await cancelled.wait()
        try:
            await self._cloud.tell_to_stop(call.stream)
            await asyncio.wait({listening}, timeout=STOP_GRACE_SECS)
        except TabrlError:
            self._context.log.warning("a worker elsewhere cannot be told to stop", run=call.run_id)
        if not listening.done():
            await self._until_reached(call.run_id, lambda: self._cloud.cancel(call.call_id))

    async def _until_reached(self, run_id: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do what needs Modal as often as it takes; what trains there trains on meanwhile, and costs.

        A token that is refused, or an app that is taken away, may be mended too: the call is there all the same.
        """
        said, waits = False, pauses()
        while True:
            began = time.monotonic()
            try:
                return await work()
            except TabrlError as error:
                if not error.reason.startswith("COMPUTE_"):
                    raise
                self._context.log.warning("Modal cannot be reached", run=run_id, cause=str(error))
                if time.monotonic() - began > _ANOTHER_OUTAGE_SECS:
                    said, waits = False, pauses()
                if not said:
                    await self._say_lost(run_id, error)
                said = True
            await asyncio.sleep(next(waits))

    async def _say_lost(self, run_id: str, error: TabrlError) -> None:
        text = f"{error.reason}: {error.message} What trains there trains on, and is heard again once it can be."

        def write(session: Session, run: RunRow) -> None:
            leases.require(run, self._holder)
            log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)

        await self._record.write_persistently(run_id, write)


def _ending(end: CallEnd, events: WorkerEvents, spec: trainer_pb2.RunSpec) -> Ending:
    """Return how an attempt ended whose call nobody here stopped."""
    match end.how:
        case Ended.GONE:
            return Ending(attempts.CRASHED, f"Modal no longer knows the call: {end.detail}")
        case Ended.FAILED:
            return Ending(attempts.CRASHED, f"on Modal, {end.detail}")
        case Ended.TIMED_OUT:
            return Ending("deferred", "Modal ends every call after a day")
        case Ended.RETURNED:
            return _ending_of_answer(end.answer, events, spec)


def _ending_of_answer(answer: Mapping[str, Any], events: WorkerEvents, spec: trainer_pb2.RunSpec) -> Ending:
    match answer["stopped"]:
        case names.NEVER_TOLD:
            return Ending("deferred", "the call on Modal gave up waiting for this Trainer")
        case names.ASKED:
            return Ending("interrupted", "stopped on request")
        case names.TIME_LIMIT if events.said_last is None:
            return _time_limit(spec)
        case _:
            return events.ending(answer["status"], answer["complaint"])


def _time_limit(spec: trainer_pb2.RunSpec) -> Ending:
    message = (
        f"Training took longer than the {spec.compute.max_secs:,} s that it may take; its newest checkpoint is kept. "
        "Give it a larger max_secs, or fewer steps."
    )
    return Ending("failed", message, trainer_pb2.RunError(reason="RUN_TIME_LIMIT", message=message))
