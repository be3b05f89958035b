"""The record while its database is away."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs
from tabrl_chassis.errors import TabrlError

from tabrl_trainer import leases
from tabrl_trainer.record import Record


class Away:
    """A database that does not answer for a number of tries."""

    is_shared = True

    def __init__(self, tries):
        """Start away."""
        self.tries = tries

    async def read(self, work):
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
