"""Batches on record: their rows, what the contract shows of them, and the changes that are made to them.

Every change of a batch locks its row first, then those of its runs, so that changes come one after the other whichever
process makes them.
"""

from __future__ import annotations

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError

from tabrl_trainer import batch_plan, run_requests
from tabrl_trainer.batch_plan import Candidate, Judged, Policy, Rules
from tabrl_trainer.models import AttemptRow, BatchRow, CandidateRow, CheckpointRow, EvaluationRow, RunRow
from tabrl_trainer.queueing import queue_run
from tabrl_trainer.record import ENDED, UNDER_WAY, now, run_row, timestamp
from tabrl_trainer.retention import keep_stored
from tabrl_trainer.submission import Submission

__all__ = [
    "add_candidate",
    "add_evaluation",
    "apply",
    "batch_message",
    "batch_messages",
    "batch_row",
    "cancel",
    "candidate_rows",
    "create",
    "delete",
    "fail",
    "rules_of",
    "running",
    "spec_of",
    "standings",
]

RUNNING = batches_pb2.BATCH_STATE_RUNNING


@dataclass(frozen=True)
class _Kept:
    """All that is on record of one batch."""

    candidates: Sequence[CandidateRow]
    evaluations: Mapping[int, Sequence[EvaluationRow]]
    runs: Mapping[str, RunRow]
    checkpoints: Mapping[str, CheckpointRow]
    """The newest of each run."""


def create(
    session: Session, artifacts: ArtifactStore, spec: batches_pb2.BatchSpec, submissions: Sequence[Submission]
) -> str:
    """Put a batch on record with the runs of the candidates that it has from the start; returns its id.

    Raises:
        TabrlError: the checkpoint that they start from was deleted since it was checked.
    """
    if start_sha256 := spec.search.base.start_from.checkpoint_sha256:
        keep_stored(session, artifacts, start_sha256)
    batch = BatchRow(
        batch_id=f"batch-{secrets.token_hex(8)}",
        spec=spec.SerializeToString(),
        state=RUNNING,
        revision=1,
        create_time=now(),
    )
    session.add(batch)
    session.flush()
    for index, (given, submission) in enumerate(zip(spec.candidates, submissions, strict=True)):
        add_candidate(session, artifacts, batch, CandidateRow(index=index, label=given.label), submission)
    return batch.batch_id


def add_candidate(
    session: Session, artifacts: ArtifactStore, batch: BatchRow, candidate: CandidateRow, submission: Submission | None
) -> None:
    """Put a candidate on record with its run, if one can be made of it."""
    candidate.batch_id, candidate.run_id = batch.batch_id, ""
    if submission is not None:
        first = next(iter(rules_of(spec_of(batch)).rungs), None)
        run = queue_run(session, artifacts, submission, batch_id=batch.batch_id, pause_env_steps=first)
        candidate.run_id = run.run_id
    session.add(candidate)


def batch_row(session: Session, batch_id: str, *, locked: bool = False) -> BatchRow:
    """Return a batch's row, `locked` until the transaction ends.

    Raises:
        TabrlError: NOT_FOUND / BATCH_NOT_FOUND.
    """
    wanted = sa.select(BatchRow).where(BatchRow.batch_id == batch_id)
    row = session.scalars(wanted.with_for_update() if locked else wanted).one_or_none()
    if row is None:
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "BATCH_NOT_FOUND",
            f"There is no batch {batch_id!r}.",
            metadata={"batch_id": batch_id},
        )
    return row


def running(session: Session) -> Sequence[str]:
    """Return the ids of the batches that go on, oldest first."""
    rows = sa.select(BatchRow.batch_id).where(BatchRow.state == RUNNING)
    return session.scalars(rows.order_by(BatchRow.number)).all()


def spec_of(batch: BatchRow) -> batches_pb2.BatchSpec:
    """Return what a batch tries."""
    return batches_pb2.BatchSpec.FromString(batch.spec)


def candidate_rows(session: Session, batch_id: str) -> Sequence[CandidateRow]:
    """Return the rows of a batch's candidates, in order."""
    return session.scalars(_candidates_of([batch_id])).all()


def rules_of(spec: batches_pb2.BatchSpec) -> Rules:
    """Return how a batch decides; `spec` has its defaults filled in."""
    return Rules(
        rungs=tuple(spec.halving.rung_env_steps),
        keep_share=spec.halving.keep_share,
        by_check=bool(spec.judgement.check),
        trials=spec.search.trials if spec.HasField("search") else 0,
        at_once=spec.search.at_once if spec.HasField("search") else 1,
    )


def standings(session: Session, batch: BatchRow) -> list[Candidate]:
    """Return where the candidates of a batch stand."""
    kept = _read(session, [batch])[batch.batch_id]
    return [_standing(kept, row) for row in kept.candidates]


def apply(session: Session, batch: BatchRow, moves: Sequence[batch_plan.Move]) -> list[str]:
    """Carry out moves, `Evaluate` and `Ask` aside, on a batch whose row is locked; return the ids of what changed."""
    changed = [batch.batch_id]
    rules = rules_of(spec_of(batch))
    for move in moves:
        match move:
            case batch_plan.End():
                _end(batch, move)
            case batch_plan.Finish():
                _candidate(session, batch, move.index).outcome = batch_plan.FINISHED
            case batch_plan.Stop() | batch_plan.Fail():
                candidate = _candidate(session, batch, move.index)
                candidate.outcome = batch_plan.STOPPED if isinstance(move, batch_plan.Stop) else batch_plan.FAILED
                candidate.reason = move.reason
                changed += _stop_run(session, candidate.run_id)
            case batch_plan.GoOn():
                candidate = _candidate(session, batch, move.index)
                candidate.rung += 1
                changed += _continue_run(session, candidate, rules)
    batch.revision += 1
    session.flush()
    return changed


def add_evaluation(
    session: Session, batch_id: str, index: int, evaluation: batches_pb2.CandidateEvaluation, scores: Sequence[float]
) -> list[str]:
    """Put on record what a candidate's policy did, unless it is there or is of no use any more; return what changed."""
    batch = batch_row(session, batch_id, locked=True)
    candidate = _candidate(session, batch, index)
    known = session.get(EvaluationRow, (batch_id, index, evaluation.rung))
    if batch.state != RUNNING or candidate.outcome or candidate.rung != evaluation.rung or known is not None:
        return []
    evaluation.time.CopyFrom(timestamp(now()))
    session.add(
        EvaluationRow(
            batch_id=batch_id,
            index=index,
            rung=evaluation.rung,
            evaluation=evaluation.SerializeToString(),
            scores=json.dumps(list(scores)),
        )
    )
    batch.revision += 1
    return [batch_id]


def cancel(session: Session, batch_id: str) -> list[str]:
    """Stop a batch and its runs; return the ids of what changed.

    Raises:
        TabrlError: BATCH_NOT_FOUND, BATCH_ENDED.
    """
    batch = batch_row(session, batch_id, locked=True)
    if batch.state == batches_pb2.BATCH_STATE_CANCELLED:
        return []
    if batch.state != RUNNING:
        raise _precondition("BATCH_ENDED", batch_id, "has ended already, so it cannot be cancelled.")
    return _give_up(session, batch, batches_pb2.BATCH_STATE_CANCELLED, "The batch was cancelled.")


def fail(session: Session, batch_id: str, error: TabrlError) -> list[str]:
    """End a batch that cannot go on, with its runs, unless it has ended; return the ids of what changed.

    Raises:
        TabrlError: BATCH_NOT_FOUND.
    """
    batch = batch_row(session, batch_id, locked=True)
    if batch.state != RUNNING:
        return []
    batch.error_reason, batch.error_message = error.reason, error.message
    return _give_up(session, batch, batches_pb2.BATCH_STATE_FAILED, f"The batch failed: {error.message}")


def delete(session: Session, batch_id: str) -> list[str]:
    """Delete a batch that has ended; its runs stay. Returns the ids of what changed.

    Raises:
        TabrlError: BATCH_NOT_FOUND, BATCH_NOT_ENDED.
    """
    batch = batch_row(session, batch_id, locked=True)
    if batch.state == RUNNING:
        raise _precondition("BATCH_NOT_ENDED", batch_id, "has not ended, so it cannot be deleted; cancel it first.")
    run_ids = session.scalars(sa.select(RunRow.run_id).where(RunRow.batch_id == batch_id)).all()
    session.execute(sa.update(RunRow).where(RunRow.batch_id == batch_id).values(batch_id="", pause_env_steps=None))
    for table in (EvaluationRow, CandidateRow):
        session.execute(sa.delete(table).where(table.batch_id == batch_id))
    session.delete(batch)
    return [batch_id, *run_ids]


def batch_message(session: Session, batch_id: str) -> batches_pb2.Batch:
    """Return one batch; raises `TabrlError` NOT_FOUND / BATCH_NOT_FOUND."""
    return batch_messages(session, [batch_row(session, batch_id)])[0]


def batch_messages(session: Session, rows: Sequence[BatchRow]) -> list[batches_pb2.Batch]:
    """Return batches as the contract has them."""
    kept = _read(session, rows)
    run_ids = [run_id for each in kept.values() for run_id in each.runs]
    speeds = _speeds(session, run_ids)
    return [_batch_message(row, kept[row.batch_id], speeds) for row in rows]


def _candidate(session: Session, batch: BatchRow, index: int) -> CandidateRow:
    return session.get_one(CandidateRow, (batch.batch_id, index))


def _candidates_of(batch_ids: Sequence[str]) -> sa.Select[CandidateRow]:
    return (
        sa.select(CandidateRow)
        .where(CandidateRow.batch_id.in_(batch_ids))
        .order_by(CandidateRow.batch_id, CandidateRow.index)
    )


def _end(batch: BatchRow, end: batch_plan.End) -> None:
    batch.end_time = now()
    if end.winner is None:
        batch.state = batches_pb2.BATCH_STATE_FAILED
        batch.error_reason, batch.error_message = "BATCH_WITHOUT_WINNER", end.reason
        return
    batch.state = batches_pb2.BATCH_STATE_SUCCEEDED
    batch.winner, batch.winner_reason = end.winner, end.reason


def _give_up(session: Session, batch: BatchRow, state: batches_pb2.BatchState.ValueType, reason: str) -> list[str]:
    """End a batch before all is decided, and stop the runs of those that go on; return the ids of what changed."""
    changed = [batch.batch_id]
    for candidate in candidate_rows(session, batch.batch_id):
        if not candidate.outcome:
            candidate.outcome, candidate.reason = batch_plan.FAILED, reason
            changed += _stop_run(session, candidate.run_id)
    batch.state, batch.end_time = state, now()
    batch.revision += 1
    return changed


def _stop_run(session: Session, run_id: str) -> list[str]:
    run = _run(session, run_id)
    if run is None or run.state in ENDED:
        return []
    run_requests.cancel(session, run)
    return [run_id]


def _continue_run(session: Session, candidate: CandidateRow, rules: Rules) -> list[str]:
    run = _run(session, candidate.run_id)
    if run is None or run.state in ENDED:
        return []
    run.pause_env_steps = rules.rungs[candidate.rung] if candidate.rung < len(rules.rungs) else None
    run_requests.go_on(session, run)
    return [run.run_id]


def _run(session: Session, run_id: str) -> RunRow | None:
    try:
        return run_row(session, run_id, locked=True)
    except TabrlError:
        return None  # a person deleted it


def _read(session: Session, batches: Sequence[BatchRow]) -> dict[str, _Kept]:
    batch_ids = [batch.batch_id for batch in batches]
    candidates: dict[str, list[CandidateRow]] = defaultdict(list)
    for candidate in session.scalars(_candidates_of(batch_ids)):
        candidates[candidate.batch_id].append(candidate)
    evaluations: dict[str, dict[int, list[EvaluationRow]]] = defaultdict(lambda: defaultdict(list))
    judged = sa.select(EvaluationRow).where(EvaluationRow.batch_id.in_(batch_ids)).order_by(EvaluationRow.rung)
    for evaluation in session.scalars(judged):
        evaluations[evaluation.batch_id][evaluation.index].append(evaluation)
    runs: dict[str, dict[str, RunRow]] = defaultdict(dict)
    for run in session.scalars(sa.select(RunRow).where(RunRow.batch_id.in_(batch_ids))):
        runs[run.batch_id][run.run_id] = run
    newest = (
        sa.select(sa.func.max(CheckpointRow.number))
        .join(RunRow, RunRow.run_id == CheckpointRow.run_id)
        .where(RunRow.batch_id.in_(batch_ids))
        .group_by(CheckpointRow.run_id)
    )
    checkpoints = {
        row.run_id: row for row in session.scalars(sa.select(CheckpointRow).where(CheckpointRow.number.in_(newest)))
    }
    return {
        batch_id: _Kept(candidates[batch_id], evaluations[batch_id], runs[batch_id], checkpoints)
        for batch_id in batch_ids
    }


def _standing(kept: _Kept, row: CandidateRow) -> Candidate:
    run = kept.runs.get(row.run_id)
    checkpoint = kept.checkpoints.get(row.run_id)
    newest = None
    if checkpoint is not None:
        refusal = (checkpoint.refusal_message or "it was refused") if checkpoint.refusal_reason is not None else ""
        newest = Policy(checkpoint.env_steps, checkpoint.policy_id, refusal, checkpoint.final)
    return Candidate(
        index=row.index,
        label=row.label,
        run_state=run.state if run is not None else None,
        newest=newest,
        rung=row.rung,
        outcome=row.outcome,
        judged={each.rung: _judged(each) for each in kept.evaluations.get(row.index, ())},
        error=(run.error_message or "") if run is not None else "",
    )


def _judged(row: EvaluationRow) -> Judged:
    evaluation = batches_pb2.CandidateEvaluation.FromString(row.evaluation)
    scores = tuple(float(score) for score in json.loads(row.scores))
    held = round(evaluation.held_share * len(scores)) if evaluation.HasField("held_share") else None
    return Judged(scores, held)


def _speeds(session: Session, run_ids: Sequence[str]) -> dict[str, float]:
    """Return how many control steps per second runs made while they learned."""
    attempts = (
        sa.select(AttemptRow.run_id, sa.func.sum(AttemptRow.env_steps), sa.func.sum(AttemptRow.training_secs))
        .where(AttemptRow.run_id.in_(run_ids))
        .group_by(AttemptRow.run_id)
    )
    return {run_id: float(steps) / secs for run_id, steps, secs in session.execute(attempts) if steps and secs}


def _batch_message(row: BatchRow, kept: _Kept, speeds: Mapping[str, float]) -> batches_pb2.Batch:
    spec = spec_of(row)
    rules = rules_of(spec)
    message = batches_pb2.Batch(
        batch_id=row.batch_id,
        spec=spec,
        state=cast("batches_pb2.BatchState.ValueType", row.state),
        revision=row.revision,
        create_time=timestamp(row.create_time),
    )
    places = {
        ranked.index: place
        for place, ranked in enumerate(batch_plan.ranked([_standing(kept, each) for each in kept.candidates]), 1)
    }
    for candidate in kept.candidates:
        shown = _candidate_message(candidate, kept, rules, speeds)
        shown.rank = places.get(candidate.index, 0)
        message.candidates.append(shown)
        message.env_steps_trained += shown.env_steps
        if candidate.outcome == batch_plan.STOPPED:
            saved = max(0, shown.total_env_steps - shown.env_steps)
            message.env_steps_saved += saved
            message.secs_saved += saved / shown.env_steps_per_sec if shown.env_steps_per_sec else 0.0
    if row.winner is not None:
        winner = message.candidates[row.winner]
        message.winner.CopyFrom(
            batches_pb2.BatchWinner(
                index=winner.index,
                run_id=winner.run_id,
                policy_id=winner.evaluations[-1].policy_id,
                reason=row.winner_reason,
            )
        )
    if row.error_reason is not None:
        message.error.reason, message.error.message = row.error_reason, row.error_message or ""
    if row.end_time is not None:
        message.end_time.CopyFrom(timestamp(row.end_time))
    return message


def _candidate_message(
    row: CandidateRow, kept: _Kept, rules: Rules, speeds: Mapping[str, float]
) -> batches_pb2.BatchCandidate:
    standing = _standing(kept, row)
    evaluations = kept.evaluations.get(row.index, ())
    message = batches_pb2.BatchCandidate(
        index=row.index,
        label=row.label,
        run_id=row.run_id,
        state=_state(standing, rules),
        rungs_passed=row.rung,
        evaluations=[batches_pb2.CandidateEvaluation.FromString(each.evaluation) for each in evaluations],
        reason=row.reason,
        parameters=json.loads(row.parameters) if row.parameters else {},
    )
    if standing.goes_on and row.rung < len(rules.rungs):
        message.next_rung_env_steps = rules.rungs[row.rung]
    run = kept.runs.get(row.run_id)
    if run is None:
        return message
    message.run_state = cast("trainer_pb2.RunState.ValueType", run.state)
    message.total_env_steps = trainer_pb2.RunSpec.FromString(run.spec).settings.env_steps
    message.env_steps = standing.newest.env_steps if standing.newest is not None else 0
    message.env_steps_per_sec = speeds.get(row.run_id, 0.0)
    if run.metrics is not None:
        metrics = trainer_pb2.TrainingMetrics.FromString(run.metrics)
        message.env_steps = max(message.env_steps, metrics.env_steps)
        message.env_steps_per_sec = message.env_steps_per_sec or metrics.env_steps_per_sec
        if metrics.HasField("episode_return"):
            message.episode_return = metrics.episode_return
    return message


def _state(candidate: Candidate, rules: Rules) -> batches_pb2.CandidateState.ValueType:
    if candidate.outcome:
        return {
            batch_plan.FINISHED: batches_pb2.CANDIDATE_STATE_FINISHED,
            batch_plan.STOPPED: batches_pb2.CANDIDATE_STATE_STOPPED,
            batch_plan.FAILED: batches_pb2.CANDIDATE_STATE_FAILED,
        }[candidate.outcome]
    if candidate.rung in candidate.judged:
        return batches_pb2.CANDIDATE_STATE_JUDGED
    if batch_plan.is_due(candidate, rules):
        return batches_pb2.CANDIDATE_STATE_JUDGING
    if candidate.run_state in UNDER_WAY:
        return batches_pb2.CANDIDATE_STATE_TRAINING
    return batches_pb2.CANDIDATE_STATE_WAITING


def _precondition(reason: str, batch_id: str, what: str) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION, reason, f"Batch {batch_id} {what}", metadata={"batch_id": batch_id}
    )
