"""Leases as one Trainer sees those of others, by a clock that the test turns."""

import datetime
from unittest import mock

import pytest
from sqlalchemy.orm import Session
from tabrl_chassis.database import Database

from tabrl_trainer import leases
from tabrl_trainer.compute import LOCAL
from tabrl_trainer.conftest import QUEUED, RUNNING, SUCCEEDED, a_run
from tabrl_trainer.models import RunRow
from tabrl_trainer.record import change_state

HOUR = datetime.timedelta(hours=1)


class Clocks:
    """The wall clock, and the one that only runs forward."""

    def __init__(self):
        """Start at any time."""
        self.wall = datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC)
        self.monotonic = 1000.0

    def go_on(self, secs):
        """Let time pass."""
        self.wall += datetime.timedelta(seconds=secs)
        self.monotonic += secs


@pytest.fixture
def clocks(monkeypatch):
    """Clocks that stand still unless the test has them go on."""
    clocks = Clocks()
    monkeypatch.setattr(leases.time, "monotonic", lambda: clocks.monotonic)
    monkeypatch.setattr(leases, "clock", lambda _session: clocks.wall)
    return clocks


@pytest.fixture
def session(tmp_path):
    """A session on a database with one run under way, which `other` has."""
    database = Database(f"sqlite:///{tmp_path}/trainer.db")
    database.migrate("tabrl_trainer.migrations")
    with Session(database.engine) as session:
        run = a_run("run-1", RUNNING)
        session.add(run)
        leases.take(session, run, "other")
        session.commit()
        yield session
    database.close()


def look_on(lookout, session, clocks, secs, *, renewing=False):
    """Look once a second; returns the runs that were given up at the end."""
    for _ in range(secs):
        clocks.go_on(1.0)
        if renewing:
            leases.renew(session, "other", ["run-1"])
        found = [lease.run_id for lease in lookout.lapsed(session, [], LOCAL)]
    return found


def test_a_lease_that_is_not_renewed_lapses(session, clocks):
    lookout = leases.Lookout("me")
    assert look_on(lookout, session, clocks, 20) == []
    assert look_on(lookout, session, clocks, 1) == ["run-1"]


def test_a_lease_that_is_renewed_stays(session, clocks):
    lookout = leases.Lookout("me")
    assert look_on(lookout, session, clocks, 60, renewing=True) == []


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_clock_that_jumps_neither_ends_a_lease_nor_prolongs_it(session, clocks, jump):
    lookout = leases.Lookout("me")
    look_on(lookout, session, clocks, 3)
    clocks.wall += jump
    assert look_on(lookout, session, clocks, 10) == []
    assert look_on(lookout, session, clocks, 12) == ["run-1"]


def test_what_was_not_looked_at_for_a_while_is_not_taken_for_lapsed(session, clocks):
    lookout = leases.Lookout("me")
    look_on(lookout, session, clocks, 15)
    # the database was away for a minute, or this process was stopped
    clocks.go_on(60.0)
    assert look_on(lookout, session, clocks, 15) == []
    assert look_on(lookout, session, clocks, 10) == ["run-1"]


def test_a_look_that_took_a_minute_is_none(session, clocks):
    lookout = leases.Lookout("me")
    look_on(lookout, session, clocks, 15)
    # the database hung in the middle of a look, and then went on
    execute = session.execute

    def hang(statement):
        clocks.go_on(60.0)
        return execute(statement)

    with mock.patch.object(session, "execute", hang):
        assert lookout.lapsed(session, [], LOCAL) == []
    assert look_on(lookout, session, clocks, 15) == []


def test_own_leases_of_before_and_those_given_up_lapse_at_once(session, clocks):
    assert look_on(leases.Lookout("other"), session, clocks, 1) == ["run-1"]
    assert leases.Lookout("other").lapsed(session, ["run-1"], LOCAL) == []
    session.get_one(RunRow, 1).lease_until = None
    assert look_on(leases.Lookout("me"), session, clocks, 1) == ["run-1"]


def test_a_lease_seen_is_no_longer_that_once_it_is_renewed(session, clocks):
    (lease,) = leases.Lookout("other").lapsed(session, [], LOCAL)
    run = session.get_one(RunRow, 1)
    assert leases.is_still(run, lease)
    clocks.go_on(1.0)
    leases.take(session, run, "other")
    assert not leases.is_still(run, lease)


def test_a_run_does_not_end_before_it_starts(session, monkeypatch):
    run = a_run("run-2", QUEUED)
    session.add(run)
    session.flush()
    monkeypatch.setattr("tabrl_trainer.record.now", lambda: run.create_time - HOUR)
    change_state(session, run, leases.UNDER_WAY[0])
    change_state(session, run, SUCCEEDED)
    assert run.create_time <= run.start_time <= run.end_time
