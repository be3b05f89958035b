"""Has the Exporter publish checkpoints as they are written: newest first, stale ones skipped, the last always."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.failpoints import reach
from tabrl_chassis.service import Context

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.models import CheckpointRow, RunRow
from tabrl_trainer.record import (
    ENDED,
    PENDING,
    PUBLISHED,
    REFUSED,
    SETTLED,
    SKIPPED,
    UNREACHABLE,
    Record,
    append,
    log,
)
from tabrl_trainer.retention import prune
from tabrl_trainer.retries import PASSING, pauses

# An export traces and measures: seconds, or a minute for a humanoid on a busy machine.
_EXPORT_TIMEOUT_SECS = 180.0
_FIRST_BACKOFF_SECS = 0.5
_LONGEST_BACKOFF_SECS = 5.0
# After so many failed calls those who watch an ended run are let go, told that its policy comes later.
_CALLS_BEFORE_UNREACHABLE = 4
_MOST_INTERNAL_ERRORS = 3

PUBLICATIONS = Counter("tabrl_trainer_publications", "Checkpoints that the Exporter was asked to publish.", ["outcome"])


@dataclass(frozen=True)
class Candidate:
    """A checkpoint to publish next, and the newest of its run at that."""

    number: int
    run_id: str
    sha256: str
    spec: trainer_pb2.RunSpec


class Publisher:
    """Asks for one export at a time, so that exports and training share the machine."""

    def __init__(self, context: Context[TrainerConfig], record: Record) -> None:
        """Keep what publishing needs."""
        self._context = context
        self._record = record
        self._exporter = exporter_pb2_grpc.ExporterServiceStub(context.channel("exporter"))
        self._kept = context.config.keep_checkpoints
        self._away = 0
        self._pauses = pauses(_FIRST_BACKOFF_SECS, _LONGEST_BACKOFF_SECS)
        self._internal_errors: dict[int, int] = {}

    async def run(self) -> None:
        """Publish checkpoints until the service stops."""
        last_run = ""
        with self._record.subscribed_to_all() as changed:
            while True:
                changed.clear()
                candidate = await self._candidate(last_run)
                if candidate is None:
                    await changed.wait()
                    continue
                last_run = candidate.run_id
                await self._publish(candidate)

    async def _candidate(self, last_run: str) -> Candidate | None:
        return await self._record.read_persistently(lambda session: _next(session, last_run))

    async def _publish(self, candidate: Candidate) -> None:
        request = exporter_pb2.CreatePolicyRequest(
            environment_id=candidate.spec.environment_id,
            checkpoint_sha256=candidate.sha256,
            run_id=candidate.run_id,
            title=candidate.spec.title,
            # What a person asked for is a run's title, unless the person gave it another.
            prompt=candidate.spec.title,
            parent_checkpoint_sha256=candidate.spec.start_from.checkpoint_sha256,
        )
        if candidate.spec.HasField("reward"):
            # Both messages have the same fields; the Exporter's contract stands on its own.
            request.reward.ParseFromString(candidate.spec.reward.SerializeToString())
        try:
            await self._have_published(candidate, request)
        except TabrlError as error:
            if error.reason != "RUN_NOT_FOUND":
                raise
            self._context.log.info("run deleted while it was published", run=candidate.run_id)

    async def _have_published(self, candidate: Candidate, request: exporter_pb2.CreatePolicyRequest) -> None:
        reach("trainer.publication_due")
        try:
            response = await call(
                self._exporter.CreatePolicy, request, service="exporter", timeout_secs=_EXPORT_TIMEOUT_SECS
            )
        except TabrlError as error:
            await self._failed(candidate, error)
            return
        reach("trainer.publication_answered")
        self._answered()
        PUBLICATIONS.labels(PUBLISHED).inc()
        policy_id = response.policy.policy_id
        await self._record.write_persistently(
            candidate.run_id, lambda session, run: _published(session, run, candidate, policy_id, self._kept)
        )

    async def _failed(self, candidate: Candidate, error: TabrlError) -> None:
        if error.code in PASSING or self._may_try_again(candidate, error):
            self._away += 1
            if self._away == _CALLS_BEFORE_UNREACHABLE:
                self._context.log.warning("exporter away", error=str(error))
            if self._away >= _CALLS_BEFORE_UNREACHABLE:
                await self._record.write_persistently(
                    candidate.run_id, lambda session, run: _unreachable(session, run, error)
                )
            await asyncio.sleep(max(error.retry_after_secs or 0.0, next(self._pauses)))
            return
        self._answered()
        PUBLICATIONS.labels(REFUSED).inc()
        self._context.log.error("checkpoint refused", run=candidate.run_id, error=str(error))
        await self._record.write_persistently(
            candidate.run_id, lambda session, run: _refused(session, run, candidate, error, self._kept)
        )

    def _answered(self) -> None:
        self._away = 0
        self._pauses = pauses(_FIRST_BACKOFF_SECS, _LONGEST_BACKOFF_SECS)

    def _may_try_again(self, candidate: Candidate, error: TabrlError) -> bool:
        """Whether an error may pass; INTERNAL is taken for a mishap twice per checkpoint."""
        if error.reason == "ROBOT_NOT_INSTALLED":
            return True
        if error.reason != "INTERNAL":
            return False
        seen = self._internal_errors.pop(candidate.number, 0) + 1
        if seen < _MOST_INTERNAL_ERRORS:
            self._internal_errors[candidate.number] = seen
        return seen < _MOST_INTERNAL_ERRORS


def _next(session: Session, last_run: str) -> Candidate | None:
    """Return the newest unpublished checkpoint of one run: ended runs first, no run twice in a row if others wait."""
    newest = (
        sa.select(sa.func.max(CheckpointRow.number))
        .where(CheckpointRow.publication == PENDING)
        .group_by(CheckpointRow.run_id)
    )
    rows: Sequence[tuple[CheckpointRow, RunRow]] = [
        (checkpoint, run)
        for checkpoint, run in session.execute(
            sa.select(CheckpointRow, RunRow)
            .join(RunRow, RunRow.run_id == CheckpointRow.run_id)
            .where(CheckpointRow.number.in_(newest))
        )
    ]
    if not rows:
        return None
    checkpoint, run = min(rows, key=lambda row: (row[1].run_id == last_run, row[1].state not in ENDED, row[0].number))
    spec = trainer_pb2.RunSpec.FromString(run.spec)
    return Candidate(checkpoint.number, run.run_id, checkpoint.sha256, spec)


def _published(session: Session, run: RunRow, candidate: Candidate, policy_id: str, kept: int) -> None:
    checkpoint = session.get_one(CheckpointRow, candidate.number)
    if checkpoint.publication != PENDING:
        return  # another Trainer had it published meanwhile
    checkpoint.publication, checkpoint.policy_id = PUBLISHED, policy_id
    published = trainer_pb2.PolicyPublished(
        env_steps=checkpoint.env_steps,
        checkpoint_sha256=checkpoint.sha256,
        policy_id=policy_id,
        final=checkpoint.final,
    )
    append(session, run, trainer_pb2.RunEvent(policy_published=published))
    _settle(session, run, candidate, kept)


def _refused(session: Session, run: RunRow, candidate: Candidate, error: TabrlError, kept: int) -> None:
    checkpoint = session.get_one(CheckpointRow, candidate.number)
    if checkpoint.publication != PENDING:
        return
    checkpoint.publication = REFUSED
    checkpoint.refusal_reason, checkpoint.refusal_message = error.reason, error.message
    refused = trainer_pb2.PolicyRefused(
        env_steps=checkpoint.env_steps,
        checkpoint_sha256=checkpoint.sha256,
        error=trainer_pb2.RunError(reason=error.reason, message=error.message),
        final=checkpoint.final,
    )
    append(session, run, trainer_pb2.RunEvent(policy_refused=refused))
    _settle(session, run, candidate, kept)


def _unreachable(session: Session, run: RunRow, error: TabrlError) -> None:
    """Say once per absence that the policy of a run comes later."""
    if run.publishing == UNREACHABLE:
        return
    run.publishing = UNREACHABLE
    away = error.code == grpc.StatusCode.UNAVAILABLE
    what = "The Exporter does not answer" if away else "The Exporter cannot publish for now"
    text = f"{what}, so the newest policy comes later: {error.message}"
    log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)


def _settle(session: Session, run: RunRow, candidate: Candidate, kept: int) -> None:
    """Skip what is older than a checkpoint just dealt with, and note whether anything of the run still waits.

    Of what no policy came of, the files of the `kept` newest are kept.
    """
    session.execute(
        sa.update(CheckpointRow)
        .where(
            CheckpointRow.run_id == run.run_id,
            CheckpointRow.publication == PENDING,
            CheckpointRow.number < candidate.number,
        )
        .values(publication=SKIPPED)
    )
    session.flush()
    waiting = sa.select(CheckpointRow.number).where(
        CheckpointRow.run_id == run.run_id, CheckpointRow.publication == PENDING
    )
    run.publishing = PENDING if session.scalars(waiting.limit(1)).first() is not None else SETTLED
    prune(session, run.run_id, kept)
