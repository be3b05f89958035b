"""Ending asyncio tasks for certain, and doing work once that several ask for at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from typing import Any, Generic, TypeVar

__all__ = ["SharedWork", "cancel_until_ended"]

_CANCEL_AGAIN_SECS = 5.0

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


async def cancel_until_ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks until each has ended: code under way may swallow one cancellation."""
    left = [task for task in tasks if not task.done()]
    while left:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECS)
        left = [task for task in left if not task.done()]


class SharedWork(Generic[Key, Result]):
    """Does work once for all who ask for it while it is under way; a caller that goes away does not end it."""

    def __init__(self) -> None:
        """Begin with none under way."""
        self._under_way: dict[Key, asyncio.Task[Result]] = {}

    async def of(self, key: Key, work: Callable[[], Coroutine[Any, Any, Result]], *, name: str) -> Result:
        """Join the work of this key, or begin it; raises what it raises.

        Args:
            key: names the work: equal keys are the same work.
            work: begins it.
            name: names its task in logs.
        """
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(work(), name=name)
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def stop(self) -> None:
        """End what is under way."""
        await cancel_until_ended(self._under_way.values())

    def _ended(self, key: Key, task: asyncio.Task[Result]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # all callers may be gone; that is no lost error then
