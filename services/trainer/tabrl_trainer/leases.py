"""Leases: which of the Trainers that share a database trains a run, and who may take it over.

A Trainer renews the leases of its runs while it lives. One that does not for `LEASE_SECS` has lost them: another
Trainer takes the run over and goes on from its newest checkpoint with a new attempt. The number of the attempt is the
fencing token: whatever an earlier attempt still has to say is refused, however late it comes.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tabrl_trainer.models import RunRow
from tabrl_trainer.record import UNDER_WAY, now

__all__ = ["LEASE_SECS", "RENEW_EVERY_SECS", "LeaseLost", "lapsed", "renew", "require", "take"]

LEASE_SECS = 20.0
RENEW_EVERY_SECS = 5.0


class LeaseLost(Exception):
    """Another Trainer has the run now, or may have it."""

    def __init__(self, run_id: str) -> None:
        """Name the run."""
        super().__init__(f"the lease of {run_id} is another Trainer's")


def take(session: Session, run: RunRow, holder: str) -> None:
    """Give a run to a Trainer."""
    run.lease_holder, run.lease_until = holder, _until(session)


def require(run: RunRow, holder: str) -> None:
    """Raise `LeaseLost` where a run is not, or no longer, a Trainer's own."""
    if run.lease_holder != holder or run.state not in UNDER_WAY:
        raise LeaseLost(run.run_id)


def renew(session: Session, holder: str, run_ids: Collection[str]) -> None:
    """Prolong a Trainer's leases of runs that it still has."""
    held = sa.update(RunRow).where(RunRow.lease_holder == holder, RunRow.run_id.in_(run_ids))
    session.execute(held.values(lease_until=_until(session)))


def lapsed(session: Session, holder: str, running: Collection[str], executor: str) -> Sequence[str]:
    """Return the runs under way that nobody trains, oldest first: leases ran out, or `holder` had them before it ended.

    `running` are the runs of this `executor` that the holder does train.
    """
    nobodys = sa.or_(RunRow.lease_holder == holder, RunRow.lease_until.is_(None), RunRow.lease_until < clock(session))
    under_way = sa.select(RunRow.run_id).where(
        RunRow.state.in_(UNDER_WAY), RunRow.executor == executor, RunRow.run_id.not_in(running), nobodys
    )
    return session.scalars(under_way.order_by(RunRow.number)).all()


def clock(session: Session) -> datetime.datetime:
    """Return the time by the one clock that all who share the database go by."""
    if session.get_bind().dialect.name == "postgresql":
        return session.scalar(sa.select(sa.func.clock_timestamp())) or now()
    return now()


def _until(session: Session) -> datetime.datetime:
    return clock(session) + datetime.timedelta(seconds=LEASE_SECS)
