"""Attempts at training a run, one per worker process, and the speeds seen in them."""

from __future__ import annotations

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.orm import Session

from tabrl_trainer.models import AttemptRow
from tabrl_trainer.record import now

RUNNING, CRASHED, INTERRUPTED = "running", "crashed", "interrupted"

WORKER_EXITS = Counter("tabrl_trainer_worker_exits", "Worker processes that ended.", ["outcome"])


def begin(session: Session, run_id: str) -> int:
    """Record that a worker starts; returns the number of the attempt, from 1.

    One before that is under way by the record never came to a worker: whether it was recorded was in doubt.
    """
    interrupt(session, run_id)
    last = sa.select(sa.func.max(AttemptRow.attempt)).where(AttemptRow.run_id == run_id)
    number = (session.scalar(last) or 0) + 1
    session.add(
        AttemptRow(run_id=run_id, attempt=number, outcome=RUNNING, start_time=now(), training_secs=0.0, env_steps=0)
    )
    return number


def end(session: Session, run_id: str, number: int, outcome: str) -> None:
    """Record how a worker ended."""
    ended = row(session, run_id, number)
    ended.outcome, ended.end_time = outcome, now()


def is_newest(session: Session, run_id: str, number: int, outcome: str) -> bool:
    """Whether an attempt is the run's newest, and on record with an outcome."""
    last = sa.select(sa.func.max(AttemptRow.attempt)).where(AttemptRow.run_id == run_id)
    return session.scalar(last) == number and row(session, run_id, number).outcome == outcome


def interrupt(session: Session, run_id: str) -> None:
    """Record of a run's attempt that is under way that its worker is gone, together with its Trainer."""
    session.execute(
        sa.update(AttemptRow)
        .where(AttemptRow.run_id == run_id, AttemptRow.outcome == RUNNING)
        .values(outcome=INTERRUPTED)
    )


def progress(
    session: Session, run_id: str, number: int, *, startup_secs: float, training_secs: float, env_steps: int
) -> None:
    """Record how far a worker is: seconds before and since it learns, and the steps it made since."""
    under_way = row(session, run_id, number)
    under_way.startup_secs, under_way.training_secs, under_way.env_steps = startup_secs, training_secs, env_steps


def count(session: Session, run_id: str, outcome: str) -> int:
    """Return how many workers of a run ended so."""
    rows = sa.select(sa.func.count()).where(AttemptRow.run_id == run_id, AttemptRow.outcome == outcome)
    return session.scalar(rows) or 0


def overcome_crashes(session: Session, run_id: str) -> None:
    """Count the crashes of a run no longer: it has got further since."""
    session.execute(
        sa.update(AttemptRow)
        .where(AttemptRow.run_id == run_id, AttemptRow.outcome == CRASHED)
        .values(outcome="crashed, overcome")
    )


def is_current(session: Session, run_id: str, number: int) -> bool:
    """Whether an attempt is under way and the run's newest: only its worker may write."""
    return is_newest(session, run_id, number, RUNNING)


def reattachable(session: Session, run_id: str) -> int | None:
    """Return the number of a run's newest attempt where its worker is elsewhere and may still train; else None."""
    newest = sa.select(AttemptRow).where(AttemptRow.run_id == run_id).order_by(AttemptRow.attempt.desc()).limit(1)
    last = session.scalars(newest).one_or_none()
    return last.attempt if last is not None and last.outcome == RUNNING and last.call_id is not None else None


def billed_secs(session: Session, run_id: str) -> float:
    """Return for how many seconds workers elsewhere have trained a run."""
    return session.scalar(sa.select(sa.func.sum(AttemptRow.billed_secs)).where(AttemptRow.run_id == run_id)) or 0.0


def row(session: Session, run_id: str, number: int) -> AttemptRow:
    """Return the row of an attempt."""
    return session.get_one(AttemptRow, (run_id, number))
