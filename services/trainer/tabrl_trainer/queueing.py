"""Puts runs that were checked into the queue."""

from __future__ import annotations

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.models import RunRow
from tabrl_trainer.record import PENDING, annotate, append, new_run_id, now
from tabrl_trainer.retention import keep_stored
from tabrl_trainer.submission import Submission

__all__ = ["queue_run", "require_room"]


def require_room(session: Session, more: int, *, most: int) -> None:
    """Make sure that so many more runs may wait.

    Raises:
        TabrlError: RESOURCE_EXHAUSTED / TOO_MANY_REQUESTS.
    """
    queued = sa.select(sa.func.count()).where(RunRow.state == trainer_pb2.RUN_STATE_QUEUED)
    waiting = session.scalar(queued) or 0
    if waiting + more > most:
        raise TabrlError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_REQUESTS",
            f"{waiting} runs wait already, and this Trainer takes {most}; cancel some or wait.",
            retry_after_secs=60.0,
        )


def queue_run(
    session: Session,
    artifacts: ArtifactStore,
    submission: Submission,
    *,
    batch_id: str = "",
    pause_env_steps: int | None = None,
) -> RunRow:
    """Put a run into the queue, by itself or as a candidate of a batch that has it pause at some steps.

    Raises:
        TabrlError: the checkpoint that it starts from was deleted since it was checked.
    """
    start_sha256 = submission.spec.start_from.checkpoint_sha256
    if start_sha256:
        keep_stored(session, artifacts, start_sha256)
    run = RunRow(
        run_id=new_run_id(),
        environment_id=submission.spec.environment_id,
        environment_fingerprint=submission.environment_fingerprint,
        spec=submission.spec.SerializeToString(),
        state=trainer_pb2.RUN_STATE_QUEUED,
        revision=0,
        cancel_requested=False,
        publishing=PENDING,
        create_time=now(),
        start_sha256=start_sha256,
        batch_id=batch_id,
        pause_env_steps=pause_env_steps,
    )
    annotate(run, [], "")
    session.add(run)
    session.flush()
    changed = trainer_pb2.StateChanged(state=trainer_pb2.RUN_STATE_QUEUED)
    append(session, run, trainer_pb2.RunEvent(state_changed=changed))
    return run
