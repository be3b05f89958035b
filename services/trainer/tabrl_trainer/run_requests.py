"""What callers ask of a run on record: to stop, to go on, to be deleted.

Each is done within a transaction that has locked the run, and raises `TabrlError` FAILED_PRECONDITION (RUN_ENDED,
RUN_NOT_ENDED) where the run is not so that it can be.
"""

from __future__ import annotations

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.models import AttemptRow, CheckpointRow, EventRow, RunRow
from tabrl_trainer.record import ENDED, PUBLISHED, UNDER_WAY, change_state
from tabrl_trainer.retention import keep, reject

__all__ = ["cancel", "delete", "go_on", "pause"]


def cancel(session: Session, run: RunRow) -> int:
    """Mark a run to be cancelled, or cancel it where no worker has it; returns its state."""
    if run.state == trainer_pb2.RUN_STATE_CANCELLED:
        return run.state
    _require_not_ended(run, "cancelled")
    run.cancel_requested = True
    if run.state not in UNDER_WAY:
        change_state(session, run, trainer_pb2.RUN_STATE_CANCELLED)
    return run.state


def pause(session: Session, run: RunRow) -> int:
    """Mark a run to be paused, or pause it where no worker has it; returns its state."""
    _require_not_ended(run, "paused")
    if run.state == trainer_pb2.RUN_STATE_QUEUED:
        change_state(session, run, trainer_pb2.RUN_STATE_PAUSED)
    run.pause_requested = run.state in UNDER_WAY
    return run.state


def go_on(session: Session, run: RunRow) -> None:
    """Queue a paused run; one that is about to pause goes on instead where it still can."""
    _require_not_ended(run, "continued")
    run.pause_requested = False
    if run.state == trainer_pb2.RUN_STATE_PAUSED:
        change_state(session, run, trainer_pb2.RUN_STATE_QUEUED)


def delete(session: Session, run: RunRow) -> None:
    """Delete a run that has ended, with its history; policies that were published of it stay."""
    if run.state not in ENDED:
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "RUN_NOT_ENDED",
            f"Run {run.run_id} has not ended, so it cannot be deleted; cancel it first.",
            metadata={"run_id": run.run_id},
        )
    checkpoints = sa.select(CheckpointRow).where(CheckpointRow.run_id == run.run_id)
    for checkpoint in session.scalars(checkpoints).all():
        if checkpoint.publication == PUBLISHED:
            keep(session, checkpoint.sha256)
        else:
            reject(session, [checkpoint.sha256])
    for table in (EventRow, CheckpointRow, AttemptRow):
        session.execute(sa.delete(table).where(table.run_id == run.run_id))
    session.delete(run)


def _require_not_ended(run: RunRow, done: str) -> None:
    if run.state in ENDED:
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "RUN_ENDED",
            f"Run {run.run_id} has ended already, so it cannot be {done}.",
            metadata={"run_id": run.run_id},
        )
