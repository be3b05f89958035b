"""Leases: which of the Trainers that share a database trains a run, and who may take it over.

A Trainer renews the leases of its runs while it lives. One that does not for `LEASE_SECS` has lost them: another
Trainer takes the run over and goes on from its newest checkpoint with a new attempt. The number of the attempt is the
fencing token: whatever an earlier attempt still has to say is refused, however late it comes.

No clock that somebody can set decides: each Trainer measures, by a clock of its own that only runs forward, for how
long it has seen a lease as it is. Clocks that jump, or differ between machines, neither end a lease nor prolong it.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from tabrl_trainer.models import RunRow
from tabrl_trainer.record import UNDER_WAY, now

__all__ = ["LEASE_SECS", "RENEW_EVERY_SECS", "Lease", "LeaseLost", "Lookout", "is_still", "renew", "require", "take"]

LEASE_SECS = 20.0
RENEW_EVERY_SECS = 5.0


class LeaseLost(Exception):
    """Another Trainer has the run now, or may have it; or nobody has, for it was deleted."""

    def __init__(self, run_id: str, why: str = "its lease is another Trainer's") -> None:
        """Name the run."""
        super().__init__(f"{run_id}: {why}")


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


@dataclass(frozen=True)
class Lease:
    """The lease of a run under way, as it was seen."""

    run_id: str
    holder: str
    until: datetime.datetime | None


class Lookout:
    """What one Trainer, `holder`, has seen of the leases, and since when."""

    def __init__(self, holder: str) -> None:
        """Start with nothing seen."""
        self._holder = holder
        self._seen: dict[Lease, float] = {}
        self._looked = time.monotonic()

    def lapsed(self, session: Session, running: Collection[str], executor: str) -> list[Lease]:
        """Return the leases of runs under way that nobody trains, oldest run first.

        They were given up, or `holder` had them before it ended, or they were not renewed for `LEASE_SECS` of looking
        on. `running` are the runs of this `executor` that the holder does train. Who did not look for a while, because
        the database was away or this process was stopped, starts anew: the others may just not have been seen to renew
        theirs. So does who looked for that long, at a database that hung.
        """
        begun = time.monotonic()
        under_way = sa.select(RunRow.run_id, RunRow.lease_holder, RunRow.lease_until).where(
            RunRow.state.in_(UNDER_WAY), RunRow.executor == executor, RunRow.run_id.not_in(running)
        )
        leases = [Lease(*row) for row in session.execute(under_way.order_by(RunRow.number))]
        looked = time.monotonic()
        if looked - self._looked > LEASE_SECS / 2:
            self._seen = {}
        self._looked = looked
        self._seen = {lease: self._seen.get(lease, self._looked) for lease in leases}
        return [
            lease
            for lease in leases
            if lease.until is None or lease.holder == self._holder or begun - self._seen[lease] >= LEASE_SECS
        ]


def is_still(run: RunRow, lease: Lease) -> bool:
    """Whether nobody has renewed or taken a lease since it was seen, nor ended its run."""
    return run.state in UNDER_WAY and (run.lease_holder, run.lease_until) == (lease.holder, lease.until)


def clock(session: Session) -> datetime.datetime:
    """Return the time by the database's clock, so that a lease says the same to whoever reads it."""
    if session.get_bind().dialect.name == "postgresql":
        return session.scalar(sa.select(sa.func.clock_timestamp())) or now()
    return now()


def _until(session: Session) -> datetime.datetime:
    return clock(session) + datetime.timedelta(seconds=LEASE_SECS)
