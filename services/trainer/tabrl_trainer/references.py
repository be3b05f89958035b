"""Which files of the artifact store the Trainer names: what its runs and batches have written, and are yet to read."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.references import digests_in

from tabrl_trainer.models import BatchRow, CheckpointRow, RunRow
from tabrl_trainer.record import ENDED

__all__ = ["named_files"]


def named_files(session: Session) -> set[str]:
    """Return the digests.

    They are those of checkpoints that are kept, of what runs and batches that have not ended start from, and of the
    rewards of all runs and batches on record: a checkpoint may be published, or trained on, after its run has ended.
    Files on the list of `retention` are not among them.
    """
    return {*_checkpoints(session), *_of_runs(session), *_of_batches(session)}


def _checkpoints(session: Session) -> Iterator[str]:
    yield from session.scalars(sa.select(CheckpointRow.sha256).where(CheckpointRow.pruned.is_(False)).distinct())


def _of_runs(session: Session) -> Iterator[str]:
    for state, start_sha256, spec in session.execute(sa.select(RunRow.state, RunRow.start_sha256, RunRow.spec)):
        if state not in ENDED and start_sha256:
            yield start_sha256
        yield from digests_in(trainer_pb2.RunSpec.FromString(spec).reward)


def _of_batches(session: Session) -> Iterator[str]:
    for state, spec in session.execute(sa.select(BatchRow.state, BatchRow.spec)):
        batch = batches_pb2.BatchSpec.FromString(spec)
        if state == batches_pb2.BATCH_STATE_RUNNING:
            yield from digests_in(batch)
            continue
        for each in (batch.search.base, *(candidate.spec for candidate in batch.candidates)):
            yield from digests_in(each.reward)
