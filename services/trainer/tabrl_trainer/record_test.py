"""The record while its database is away."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError

from tabrl_trainer import leases
from tabrl_trainer.conftest import FAILED, RUNNING, a_run
from tabrl_trainer.record import Record, change_state


class Away:
    """A database that does not answer for a number of tries."""

    is_shared = True

    def __init__(self, tries):
        """Start away."""
        self.tries = tries

    async def read(self, work, *, urgent=False):
        """Fail, or read nothing."""
        if self.tries:
            self.tries -= 1
            raise TabrlError(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", "It is away.")
        return work(None)


async def test_a_database_that_was_away_for_minutes_is_asked_again_soon_after(monkeypatch):
    pauses = []

    async def sleep(secs):
        pauses.append(secs)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    assert await Record(Away(20)).read_persistently(lambda _session: "back") == "back"
    assert len(pauses) == 20
    # with the time that a connection may take, leases are renewed before they lapse
    assert max(pauses) <= leases.RENEW_EVERY_SECS


async def test_a_run_that_is_another_trainers_is_no_failure_of_the_record():
    def refuse(_session):
        raise leases.LeaseLost("run-1")

    with capture_logs() as said, pytest.raises(leases.LeaseLost):
        await Record(Away(0)).read_persistently(refuse)
    assert said == []


async def test_the_end_of_a_run_elsewhere_wakes_who_watches_all(postgresql_server):
    with postgresql_server.database() as url:
        here, elsewhere = Database(url), Database(url)
        here.migrate("tabrl_trainer.migrations")
        await elsewhere.write(lambda session: session.add(a_run("run-1", RUNNING)))
        record = Record(here)
        following = asyncio.create_task(record.follow_other_processes())
        with record.subscribed_to_all() as changed:
            async with asyncio.timeout(10):
                await changed.wait()  # that it is there
            changed.clear()
            # it ends, and nothing of it is left to be published: no later look finds it among those that may change
            await Record(elsewhere).write("run-1", lambda session, run: change_state(session, run, FAILED))
            async with asyncio.timeout(10):
                await changed.wait()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        here.close()
        elsewhere.close()
