"""Runs jobs side by side and hands on what they report, as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["side_by_side"]

Report = TypeVar("Report")


async def side_by_side(
    jobs: Iterable[Callable[[Callable[[Report], None]], Coroutine[Any, Any, None]]], *, pause_secs: float | None = None
) -> AsyncGenerator[Report | None, None]:
    """Yield what jobs report, in the order in which they report it, until all have ended.

    Who stops listening ends the jobs that still run; a job that raises ends the others.

    Args:
        jobs: each is called with the function that it reports with.
        pause_secs: after this long without a report None is yielded; None to wait for as long as it takes.

    Raises:
        Exception: what a job raised, the first if several did.
    """
    reports: asyncio.Queue[tuple[Report] | None] = asyncio.Queue()

    async def run_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for job in jobs:
                    group.create_task(job(lambda report: reports.put_nowait((report,))))
        finally:
            reports.put_nowait(None)

    running = asyncio.create_task(run_all())
    try:
        while True:
            try:
                async with asyncio.timeout(pause_secs):
                    report = await reports.get()
            except TimeoutError:
                yield None
                continue
            if report is None:
                break
            yield report[0]
        try:
            await running
        except ExceptionGroup as failures:
            raise _first(failures) from failures
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
