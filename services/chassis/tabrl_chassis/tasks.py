"""Ending asyncio tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["cancel_until_ended"]

_CANCEL_AGAIN_SECS = 5.0


async def cancel_until_ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks until each has ended: code under way may swallow one cancellation."""
    left = [task for task in tasks if not task.done()]
    while left:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECS)
        left = [task for task in left if not task.done()]
