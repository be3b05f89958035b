"""One of the processes that share a database does some work; another takes it up when that one is gone."""

import asyncio

import pytest

from tabrl_chassis import leadership
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
