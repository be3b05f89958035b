"""The Watch stream: per run a snapshot, then its events after a revision, then new ones as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import grpc
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context, until_stopping

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.record import ENDED, PENDING, Record, events_after, now, run_message, run_row, timestamp

_HEARTBEAT_SECS = 10.0  # the contract promises one every 15 s at least
_EVENTS_PER_READ = 500
_BACK_AFTER_SECS = 1.0


@dataclass
class _Cursor:
    """How far one run has been told. `told` once the run has ended and its publication is settled."""

    run_id: str
    revision: int
    told: bool = False


async def watch(
    context: Context[TrainerConfig], record: Record, request: trainer_pb2.WatchRunsRequest
) -> AsyncGenerator[trainer_pb2.WatchRunsResponse, None]:
    """Tell the runs that a request names.

    Ends when each has ended and been told in full. Raises `TabrlError`: RUN_NOT_FOUND, REVISION_OUT_OF_RANGE, and
    DRAINING when the service stops before.
    """
    cursors = list(
        {cursor.run_id: _Cursor(cursor.run_id, cursor.after_revision) for cursor in request.cursors}.values()
    )
    with record.subscribed([cursor.run_id for cursor in cursors]) as changed:
        for cursor in cursors:
            snapshot = await record.read(lambda session, cursor=cursor: _snapshot(session, cursor))  # type: ignore[misc]
            yield trainer_pb2.WatchRunsResponse(snapshot=snapshot)
        while True:
            changed.clear()
            for cursor in cursors:
                async for event in _new_events(record, cursor):
                    yield trainer_pb2.WatchRunsResponse(event=event)
            if all(cursor.told for cursor in cursors):
                return
            try:
                async with asyncio.timeout(_HEARTBEAT_SECS):
                    goes_on = await until_stopping(context, changed.wait())
            except TimeoutError:
                heartbeat = trainer_pb2.Heartbeat(time=timestamp(now()))
                yield trainer_pb2.WatchRunsResponse(heartbeat=heartbeat)
                continue
            if not goes_on:
                raise TabrlError(
                    grpc.StatusCode.UNAVAILABLE,
                    "DRAINING",
                    "The Trainer is shutting down; its runs go on when it is back, so watch them again in a moment.",
                    retry_after_secs=_BACK_AFTER_SECS,
                )


def _snapshot(session: Session, cursor: _Cursor) -> trainer_pb2.Run:
    run = run_message(session, cursor.run_id)
    if cursor.revision > run.revision:
        raise TabrlError(
            grpc.StatusCode.OUT_OF_RANGE,
            "REVISION_OUT_OF_RANGE",
            f"Run {cursor.run_id} has {run.revision} revisions, nothing comes after {cursor.revision}; watch from 0.",
            metadata={"run_id": cursor.run_id, "revision": str(run.revision)},
        )
    return run


async def _new_events(record: Record, cursor: _Cursor) -> AsyncIterator[trainer_pb2.RunEvent]:
    while not cursor.told:
        events, cursor.told = await record.read(lambda session: _read(session, cursor))
        for event in events:
            cursor.revision = event.revision
            yield event
        if len(events) < _EVENTS_PER_READ:
            return


def _read(session: Session, cursor: _Cursor) -> tuple[list[trainer_pb2.RunEvent], bool]:
    """Return the next events, and whether they are the last of an ended run."""
    events = events_after(session, cursor.run_id, cursor.revision, _EVENTS_PER_READ)
    row = run_row(session, cursor.run_id)
    last = events[-1].revision if events else cursor.revision
    return events, row.state in ENDED and row.publishing != PENDING and last >= row.revision
