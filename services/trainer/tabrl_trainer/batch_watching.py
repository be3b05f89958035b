"""The stream of WatchBatch: a batch as it stands, and again after each change of it or of its runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final
from weakref import WeakValueDictionary

from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.service import Context, until_stopping

from tabrl_trainer import batch_record
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.feeds import SharedRead
from tabrl_trainer.record import Record, now, timestamp
from tabrl_trainer.watching import HEARTBEAT_SECS, draining

__all__ = ["WatchedBatches"]

_LEAST_SECS_BETWEEN_READS: Final = 0.25


class WatchedBatches:
    """Tells batches to all who watch them; each is read once for all of these, four times a second at most."""

    def __init__(self, context: Context[TrainerConfig], record: Record) -> None:
        """Start with nobody who watches."""
        self._context = context
        self._record = record
        # The watchers hold it: what is read of a batch that nobody watches any more is forgotten by itself.
        self._reads: WeakValueDictionary[str, SharedRead[batches_pb2.Batch]] = WeakValueDictionary()

    async def watch(self, batch_id: str) -> AsyncGenerator[batches_pb2.WatchBatchResponse, None]:
        """Tell a batch whenever it or one of its runs has changed, until it has ended.

        Raises `TabrlError`: BATCH_NOT_FOUND, and DRAINING when the service stops before.
        """
        read = self._read_of(batch_id)
        told: batches_pb2.Batch | None = None
        run_ids: list[str] = []
        while True:
            # A search makes runs as it goes on; those are to be listened to as well.
            with self._record.subscribed([batch_id, *run_ids]) as changed:
                while True:
                    changed.clear()
                    batch = await read()
                    if batch != told:
                        told = batch
                        yield batches_pb2.WatchBatchResponse(snapshot=batch)
                    if batch.state != batch_record.RUNNING:
                        return
                    if _run_ids(batch) != run_ids:
                        run_ids = _run_ids(batch)
                        break
                    if not await self._has_changed(changed):
                        yield batches_pb2.WatchBatchResponse(heartbeat=trainer_pb2.Heartbeat(time=timestamp(now())))

    def _read_of(self, batch_id: str) -> SharedRead[batches_pb2.Batch]:
        read = self._reads.get(batch_id)
        if read is None:
            read = self._reads[batch_id] = SharedRead(
                lambda: self._record.read(lambda session: batch_record.batch_message(session, batch_id)),
                _LEAST_SECS_BETWEEN_READS,
            )
        return read

    async def _has_changed(self, changed: asyncio.Event) -> bool:
        """Wait for a change; return False where there is none for a while. Raises `TabrlError` DRAINING."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECS):
                goes_on = await until_stopping(self._context, changed.wait())
        except TimeoutError:
            return False
        if not goes_on:
            raise draining()
        return True


def _run_ids(batch: batches_pb2.Batch) -> list[str]:
    return [candidate.run_id for candidate in batch.candidates if candidate.run_id]
