"""The RPCs of `tabrl.trainer.v1.BatchService`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy.orm import Session
from tabrl.trainer.v1 import batches_pb2, batches_pb2_grpc
from tabrl_chassis.failpoints import reach
from tabrl_chassis.idempotency import earlier_resource, once
from tabrl_chassis.pagination import Page, page_of
from tabrl_chassis.service import Context

from tabrl_trainer import batch_record
from tabrl_trainer.batch_search import Searches
from tabrl_trainer.batch_submission import CheckedBatch, check_batch
from tabrl_trainer.batch_watching import WatchedBatches
from tabrl_trainer.compute import MODAL, executor_of
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.executor import Executors
from tabrl_trainer.modal_cloud.cloud import Cloud
from tabrl_trainer.models import BatchRow
from tabrl_trainer.pages import read_page
from tabrl_trainer.queueing import require_room
from tabrl_trainer.record import Record, persistently

__all__ = ["BatchServicer"]


class BatchServicer(batches_pb2_grpc.BatchServiceServicer):
    """Submission, reading, watching, stopping and deleting of batches."""

    def __init__(
        self,
        context: Context[TrainerConfig],
        record: Record,
        executor: Executors,
        searches: Searches,
        cloud: Cloud,
    ) -> None:
        """Keep what the calls need."""
        self._context = context
        self._record = record
        self._executor = executor
        self._searches = searches
        self._cloud = cloud
        self._watched = WatchedBatches(context, record)

    async def CreateBatch(
        self, request: batches_pb2.CreateBatchRequest, _context: Any
    ) -> batches_pb2.CreateBatchResponse:
        """Put a batch on record with its runs, or return the one that the same request made before."""
        batch_id = await self._record.read(lambda session: earlier_resource(session, request))
        if batch_id is None:
            checked = await check_batch(self._context, request.spec)
            if any(executor_of(submission.spec) == MODAL for submission in checked.submissions):
                await self._cloud.check()
            batch_id = await self._record.create(
                lambda session: once(session, request, lambda session: self._create(session, checked))
            )
            reach("trainer.batch_created")
            self._executor.wake()
        return batches_pb2.CreateBatchResponse(batch=await self._read(batch_id))

    async def GetBatch(self, request: batches_pb2.GetBatchRequest, _context: Any) -> batches_pb2.GetBatchResponse:
        """Return one batch."""
        return batches_pb2.GetBatchResponse(batch=await self._read(request.batch_id))

    async def ListBatches(
        self, request: batches_pb2.ListBatchesRequest, _context: Any
    ) -> batches_pb2.ListBatchesResponse:
        """Return a page of batches, newest first."""
        page = page_of(request)
        return await self._record.read(lambda session: _list(session, request, page))

    async def WatchBatch(
        self, request: batches_pb2.WatchBatchRequest, _context: Any
    ) -> AsyncIterator[batches_pb2.WatchBatchResponse]:
        """Follow a batch."""
        async for response in self._watched.watch(request.batch_id):
            yield response

    async def CancelBatch(
        self, request: batches_pb2.CancelBatchRequest, _context: Any
    ) -> batches_pb2.CancelBatchResponse:
        """Stop a batch and its runs."""
        await self._record.transact(
            lambda session: (None, batch_record.cancel(session, request.batch_id)),
        )
        batch = await self._read(request.batch_id)
        for candidate in batch.candidates:
            self._executor.stop(candidate.run_id)
        return batches_pb2.CancelBatchResponse(batch=batch)

    async def DeleteBatch(
        self, request: batches_pb2.DeleteBatchRequest, _context: Any
    ) -> batches_pb2.DeleteBatchResponse:
        """Delete a batch that has ended, and the record of its search; its runs stay."""
        batch = await self._read(request.batch_id)
        await self._record.transact(lambda session: (None, batch_record.delete(session, request.batch_id)))
        if batch.spec.HasField("search"):
            await persistently(lambda: self._searches.forget(request.batch_id))
        return batches_pb2.DeleteBatchResponse()

    async def _read(self, batch_id: str) -> batches_pb2.Batch:
        return await self._record.read(lambda session: batch_record.batch_message(session, batch_id))

    def _create(self, session: Session, checked: CheckedBatch) -> str:
        require_room(session, len(checked.submissions), most=self._context.config.max_queued)
        return batch_record.create(session, self._context.artifacts, checked.spec, checked.submissions)


def _list(session: Session, request: batches_pb2.ListBatchesRequest, page: Page) -> batches_pb2.ListBatchesResponse:
    wanted = [BatchRow.state.in_(request.states)] if request.states else []
    batches, next_page_token = read_page(session, BatchRow, wanted, page, batch_record.batch_messages)
    return batches_pb2.ListBatchesResponse(batches=batches, next_page_token=next_page_token)
