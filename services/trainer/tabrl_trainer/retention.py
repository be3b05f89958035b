"""Which files of checkpoints are kept: each run's newest, those of published policies, and what is to be started from.

A file that nothing needs any more is put on a list in the transaction that makes it so, and deleted once it has been
there for a while and still nothing does. Files are by content, so another run may have written the same one.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import batches_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.models import BatchRow, CheckpointRow, RunRow, UnwantedFileRow
from tabrl_trainer.record import ENDED, PENDING, PUBLISHED, Record, now

__all__ = ["Janitor", "keep", "keep_stored", "prune", "reject"]

GRACE_SECS = 600.0
"""How long a file is on the list before it is deleted, and how long ago it must have been written or asked for."""

SWEEP_EVERY_SECS = 60.0
_FILES_PER_SWEEP = 200

DELETED = Counter("tabrl_trainer_files_deleted", "Files of checkpoints that nothing needed any more.")


def prune(session: Session, run_id: str, newest: int) -> None:
    """Give up the files of a run's checkpoints that are settled without a policy, but for its `newest` ones."""
    kept = sa.select(CheckpointRow.number).where(CheckpointRow.run_id == run_id)
    kept = kept.order_by(CheckpointRow.number.desc()).limit(newest)
    given_up = session.scalars(
        sa.select(CheckpointRow).where(
            CheckpointRow.run_id == run_id,
            CheckpointRow.number.not_in(session.scalars(kept).all()),
            CheckpointRow.publication.not_in((PENDING, PUBLISHED)),
            CheckpointRow.final.is_(False),
            CheckpointRow.pruned.is_(False),
        )
    ).all()
    for checkpoint in given_up:
        checkpoint.pruned = True
    reject(session, [checkpoint.sha256 for checkpoint in given_up])


def reject(session: Session, digests: Sequence[str]) -> None:
    """Put files on the list of those to be deleted."""
    for sha256 in set(digests):
        if session.get(UnwantedFileRow, sha256) is None:
            session.add(UnwantedFileRow(sha256=sha256, since=now()))


def keep(session: Session, sha256: str) -> None:
    """Take a file off the list: something on record needs it from this transaction on."""
    session.execute(sa.delete(UnwantedFileRow).where(UnwantedFileRow.sha256 == sha256))


def keep_stored(session: Session, artifacts: ArtifactStore, sha256: str) -> None:
    """Take a file off the list that something on record is to start from.

    Raises:
        TabrlError: ARTIFACT_NOT_FOUND, where it was deleted since it was looked at.
    """
    keep(session, sha256)
    artifacts.renew(sha256)  # nothing may have named it until now, so the collection of garbage may be at it
    artifacts.describe(sha256)


class Janitor:
    """Deletes files that have been on the list for long enough."""

    def __init__(self, context: Context[TrainerConfig], record: Record) -> None:
        """Keep what deleting needs."""
        self._context = context
        self._record = record

    async def run(self) -> None:
        """Delete until the service stops."""
        while True:
            await self.sweep()
            await asyncio.sleep(SWEEP_EVERY_SECS)

    async def sweep(self) -> None:
        """Delete what is due."""
        before = now() - datetime.timedelta(seconds=GRACE_SECS)
        due = sa.select(UnwantedFileRow.sha256).where(UnwantedFileRow.since <= before).limit(_FILES_PER_SWEEP)
        for sha256 in await self._record.read_persistently(lambda session: session.scalars(due).all()):
            try:
                await self._record.write_silently(lambda session: _delete(session, self._context.artifacts, sha256))  # noqa: B023
            except TabrlError as error:
                self._context.log.warning("file not deleted", sha256=sha256, cause=str(error))
                return


def _delete(session: Session, artifacts: ArtifactStore, sha256: str) -> None:
    """Delete a file, unless it is off the list by now or something needs it."""
    row = session.scalars(
        sa.select(UnwantedFileRow).where(UnwantedFileRow.sha256 == sha256).with_for_update()
    ).one_or_none()
    if row is None:
        return
    # Who takes it off the list waits for this transaction, and then finds the file gone.
    if not _is_needed(session, sha256) and artifacts.remove(sha256, unused_for_secs=GRACE_SECS):
        session.delete(row)
        DELETED.inc()
    else:
        row.since = now()


def _is_needed(session: Session, sha256: str) -> bool:
    checkpoints = sa.select(CheckpointRow.number).where(CheckpointRow.sha256 == sha256, CheckpointRow.pruned.is_(False))
    runs = sa.select(RunRow.number).where(RunRow.start_sha256 == sha256, RunRow.state.not_in(ENDED))
    if any(session.scalars(rows.limit(1)).first() is not None for rows in (checkpoints, runs)):
        return True
    batches = sa.select(BatchRow.spec).where(BatchRow.state == batches_pb2.BATCH_STATE_RUNNING)
    return any(sha256 in _starting_points(batches_pb2.BatchSpec.FromString(spec)) for spec in session.scalars(batches))


def _starting_points(spec: batches_pb2.BatchSpec) -> set[str]:
    """Return the checkpoints that runs of a batch start from; those of a search are yet to come."""
    specs = [spec.search.base, *(candidate.spec for candidate in spec.candidates)]
    return {each.start_from.checkpoint_sha256 for each in specs}
