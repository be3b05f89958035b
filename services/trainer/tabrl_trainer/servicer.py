"""The RPCs of `tabrl.trainer.v1.TrainerService`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl_chassis.failpoints import reach
from tabrl_chassis.idempotency import earlier_resource, once
from tabrl_chassis.pagination import Page, page_of
from tabrl_chassis.service import Context

from tabrl_trainer import run_requests
from tabrl_trainer.compute import MODAL, executor_of
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.estimates import estimate
from tabrl_trainer.executor import Executors
from tabrl_trainer.feeds import Feeds
from tabrl_trainer.modal_cloud.cloud import Cloud
from tabrl_trainer.models import RunRow
from tabrl_trainer.pages import read_page
from tabrl_trainer.queueing import queue_run, require_room
from tabrl_trainer.record import (
    UNDER_WAY,
    Record,
    annotate,
    run_message,
    run_messages,
    tags_of,
)
from tabrl_trainer.submission import Submission, check_spec
from tabrl_trainer.watching import watch

_CANCEL_TIMEOUT_SECS = 8.0  # the contract says so


class TrainerServicer(trainer_pb2_grpc.TrainerServiceServicer):
    """Submission, reading, watching, stopping and deleting of runs."""

    def __init__(
        self, context: Context[TrainerConfig], record: Record, executor: Executors, feeds: Feeds, cloud: Cloud
    ) -> None:
        """Keep what the calls need."""
        self._cloud = cloud
        self._context = context
        self._record = record
        self._executor = executor
        self._feeds = feeds

    async def CreateRun(self, request: trainer_pb2.CreateRunRequest, _context: Any) -> trainer_pb2.CreateRunResponse:
        """Queue a run, or return the one that the same request queued before."""
        run_id = await self._record.read(lambda session: earlier_resource(session, request))
        if run_id is None:
            submission = await check_spec(self._context, request.spec)
            if executor_of(submission.spec) == MODAL:
                await self._cloud.check()
            run_id = await self._record.create(
                lambda session: once(session, request, lambda session: self._queue(session, submission))
            )
            reach("trainer.run_created")
            self._executor.wake()
        return trainer_pb2.CreateRunResponse(run=await self._read(run_id))

    async def GetRun(self, request: trainer_pb2.GetRunRequest, _context: Any) -> trainer_pb2.GetRunResponse:
        """Return one run."""
        return trainer_pb2.GetRunResponse(run=await self._read(request.run_id))

    async def ListRuns(self, request: trainer_pb2.ListRunsRequest, _context: Any) -> trainer_pb2.ListRunsResponse:
        """Return a page of runs, newest first."""
        page = page_of(request)
        return await self._record.read(lambda session: _list(session, request, page))

    async def CancelRun(self, request: trainer_pb2.CancelRunRequest, _context: Any) -> trainer_pb2.CancelRunResponse:
        """Stop a run and return it once its worker has stopped, or as it stands when that takes too long."""
        return trainer_pb2.CancelRunResponse(run=await self._stopped(request.run_id, run_requests.cancel))

    async def PauseRun(self, request: trainer_pb2.PauseRunRequest, _context: Any) -> trainer_pb2.PauseRunResponse:
        """Stop a run for a while, and return it as `CancelRun` does."""
        return trainer_pb2.PauseRunResponse(run=await self._stopped(request.run_id, run_requests.pause))

    async def ContinueRun(
        self, request: trainer_pb2.ContinueRunRequest, _context: Any
    ) -> trainer_pb2.ContinueRunResponse:
        """Queue a paused run again."""
        await self._record.write(request.run_id, run_requests.go_on)
        self._executor.wake()
        return trainer_pb2.ContinueRunResponse(run=await self._read(request.run_id))

    async def UpdateRun(self, request: trainer_pb2.UpdateRunRequest, _context: Any) -> trainer_pb2.UpdateRunResponse:
        """Write tags and notes beside a run."""

        def write(_session: Session, run: RunRow) -> None:
            tags = list(request.tags.values) if request.HasField("tags") else tags_of(run)
            annotate(run, tags, request.notes if request.HasField("notes") else run.notes)

        await self._record.write(request.run_id, write)
        return trainer_pb2.UpdateRunResponse(run=await self._read(request.run_id))

    async def DeleteRun(self, request: trainer_pb2.DeleteRunRequest, _context: Any) -> trainer_pb2.DeleteRunResponse:
        """Delete a run that has ended, with its history."""
        await self._record.write(request.run_id, run_requests.delete)
        return trainer_pb2.DeleteRunResponse()

    async def _stopped(self, run_id: str, ask: Callable[[Session, RunRow], int]) -> trainer_pb2.Run:
        """Ask for a run to be stopped, and return it once its worker has, or as it stands when that takes too long."""
        with self._record.subscribed([run_id]) as changed:
            state = await self._record.write(run_id, ask)
            reach("trainer.stop_asked")
            self._executor.stop(run_id)
            # A worker that takes longer is stopped all the same; the caller sees the run as it stands meanwhile.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CANCEL_TIMEOUT_SECS):
                    while state in UNDER_WAY:
                        await changed.wait()
                        changed.clear()
                        state = (await self._read(run_id)).state
        return await self._read(run_id)

    async def WatchRuns(
        self, request: trainer_pb2.WatchRunsRequest, _context: Any
    ) -> AsyncIterator[trainer_pb2.WatchRunsResponse]:
        """Follow runs."""
        async for response in watch(self._context, self._feeds, request):
            yield response

    async def EstimateRun(
        self, request: trainer_pb2.EstimateRunRequest, _context: Any
    ) -> trainer_pb2.EstimateRunResponse:
        """Say how long a run would take, and what it would cost."""
        submission = await check_spec(self._context, request.spec)
        slots = self._executor.slots(executor_of(submission.spec))
        return await self._record.read(lambda session: estimate(session, submission.spec, slots=slots))

    async def _read(self, run_id: str) -> trainer_pb2.Run:
        return await self._record.read(lambda session: run_message(session, run_id))

    def _queue(self, session: Session, submission: Submission) -> str:
        require_room(session, 1, most=self._context.config.max_queued)
        return queue_run(session, self._context.artifacts, submission).run_id


def _list(session: Session, request: trainer_pb2.ListRunsRequest, page: Page) -> trainer_pb2.ListRunsResponse:
    wanted: list[sa.ColumnElement[bool]] = []
    if request.environment_id:
        wanted.append(RunRow.environment_id == request.environment_id)
    if request.states:
        wanted.append(RunRow.state.in_(request.states))
    if request.query.strip():
        wanted.append(RunRow.searched.contains(request.query.strip().lower(), autoescape=True))
    if request.tag:
        wanted.append(RunRow.tags.contains(f"\n{request.tag}\n", autoescape=True))
    if request.batch_id:
        wanted.append(RunRow.batch_id == request.batch_id)
    runs, next_page_token = read_page(session, RunRow, wanted, page, run_messages)
    return trainer_pb2.ListRunsResponse(runs=runs, next_page_token=next_page_token)
