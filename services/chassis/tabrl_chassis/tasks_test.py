"""Work that several ask for at the same time is done once, outlives who asked first, and ends with its owner."""

from __future__ import annotations

import asyncio

import pytest

from tabrl_chassis.tasks import SharedWork


async def test_equal_work_is_done_once_while_it_is_under_way() -> None:
    shared: SharedWork[str, int] = SharedWork()
    begun: list[str] = []
    gate = asyncio.Event()

    async def work() -> int:
        begun.append("once")
        await gate.wait()
        return len(begun)

    # Given two who ask, of whom the first goes away
    first, second = (asyncio.ensure_future(shared.of("a", work, name="a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()

    # then the second has the answer, and who asks later has the work done anew
    assert await second == 1
    assert await shared.of("a", work, name="a") == 2


async def test_what_the_work_raises_reaches_all_who_wait() -> None:
    shared: SharedWork[str, int] = SharedWork()

    async def work() -> int:
        await asyncio.sleep(0)
        raise LookupError("nothing there")

    waiting = [asyncio.ensure_future(shared.of("a", work, name="a")) for _ in range(2)]
    for each in waiting:
        with pytest.raises(LookupError, match="nothing there"):
            await each


async def test_work_under_way_ends_with_its_owner() -> None:
    shared: SharedWork[str, None] = SharedWork()
    waiting = asyncio.ensure_future(shared.of("a", asyncio.Event().wait, name="a"))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await shared.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting
