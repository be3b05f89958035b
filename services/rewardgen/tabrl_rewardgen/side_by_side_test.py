"""Jobs side by side: what they report comes as it is reported, and who leaves ends them."""

import asyncio
import functools

import pytest

from tabrl_rewardgen.side_by_side import side_by_side

pytestmark = pytest.mark.asyncio


async def test_reports_come_in_their_order_and_pauses_are_told():
    async def job(name, pause, report):
        report(f"{name} begins")
        await asyncio.sleep(pause)
        report(f"{name} ends")

    jobs = [functools.partial(job, "slow", 0.3), functools.partial(job, "quick", 0.0)]
    reports = [each async for each in side_by_side(jobs, pause_secs=0.1)]
    told = [each for each in reports if each is not None]
    assert told == ["slow begins", "quick begins", "quick ends", "slow ends"]
    assert None in reports


async def test_what_a_job_raises_is_raised_as_it_is():
    async def fails(_report):
        raise OSError("the disk is full")

    async def waits(_report):
        await asyncio.sleep(600)

    with pytest.raises(OSError, match="the disk is full"):
        async for _ in side_by_side([fails, waits]):
            pass


async def test_who_leaves_ends_the_jobs():
    ended = []

    async def job(report):
        report("begun")
        try:
            await asyncio.sleep(60.0)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    reports = side_by_side([job, job])
    assert await anext(reports) == "begun"
    await reports.aclose()
    assert ended == [True, True]
