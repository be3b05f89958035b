"""One of the processes that share a database does some work; another takes it up when that one is gone."""

import asyncio
import contextlib
import threading

import pytest
import sqlalchemy as sa

from tabrl_chassis import leadership, tasks
from tabrl_chassis.database import Database


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(leadership, "LOOK_EVERY_SECS", 0.05)


@pytest.fixture
def pair(postgresql_server):
    """Two processes' worth of one database."""
    with postgresql_server.database() as url:
        databases = Database(url), Database(url)
        yield databases
        for each in databases:
            each.close()


async def test_one_leads_until_it_is_gone(pair):
    led = asyncio.Queue()

    def work(name):
        async def forever():
            led.put_nowait(name)
            await asyncio.Event().wait()

        return forever

    leading = asyncio.create_task(leadership.while_leading(pair[0], "work", work("one")))
    assert await led.get() == "one"
    waiting = asyncio.create_task(leadership.while_leading(pair[1], "work", work("other")))
    await asyncio.sleep(0.3)
    assert led.empty()
    leading.cancel()
    async with asyncio.timeout(10):
        assert await led.get() == "other"
    waiting.cancel()
    await asyncio.gather(leading, waiting, return_exceptions=True)


async def test_work_that_fails_gives_the_lead_up(pair):
    async def fails():
        raise KeyError("defect")

    with pytest.raises(KeyError):
        await leadership.while_leading(pair[0], "work", fails)
    led = asyncio.Event()

    async def leads():
        led.set()
        await asyncio.Event().wait()

    leading = asyncio.create_task(leadership.while_leading(pair[1], "work", leads))
    async with asyncio.timeout(10):
        await led.wait()
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)


async def test_a_leader_that_hangs_is_followed_by_another(pair, monkeypatch):
    monkeypatch.setattr(leadership, "GONE_AFTER_SECS", 1.0)
    hangs, led = threading.Event(), asyncio.Event()

    async def work_that_stops_its_event_loop():
        hangs.wait(30)
        raise KeyError("it goes on")

    def lead_and_hang():
        with contextlib.suppress(KeyError, sa.exc.DBAPIError):
            asyncio.run(leadership.while_leading(pair[0], "work", work_that_stops_its_event_loop))

    hanging = threading.Thread(target=lead_and_hang)
    hanging.start()

    async def leads():
        led.set()
        await asyncio.Event().wait()

    await asyncio.sleep(0.3)
    leading = asyncio.create_task(leadership.while_leading(pair[1], "work", leads))
    async with asyncio.timeout(15):
        await led.wait()
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    hangs.set()
    await asyncio.to_thread(hanging.join)


async def test_work_ends_with_the_lead_though_it_swallows_a_cancellation(pair, monkeypatch):
    monkeypatch.setattr(tasks, "_CANCEL_AGAIN_SECS", 0.1)
    ended = asyncio.Event()
    backends = asyncio.Queue()

    async def work():
        backends.put_nowait(None)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await asyncio.Event().wait()
        finally:
            ended.set()

    leading = asyncio.create_task(leadership.while_leading(pair[0], "work", work))
    await backends.get()
    leaders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    await pair[1].read(lambda session: session.execute(sa.text(leaders)).all())
    async with asyncio.timeout(15):
        await ended.wait()
        await backends.get()  # it leads again
    leading.cancel()
    await asyncio.sleep(0)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
