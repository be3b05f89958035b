"""A bound on how many calls of one kind run at once."""

from __future__ import annotations

from types import TracebackType

import grpc

from tabrl_chassis.errors import TabrlError


class ConcurrencyLimit:
    """`async with limit:` lets `maximum` callers in and refuses the rest (RESOURCE_EXHAUSTED / TOO_MANY_REQUESTS)."""

    def __init__(self, what: str, maximum: int, *, retry_after_secs: float = 1.0) -> None:
        """Name what is bounded, such as `reward generations`."""
        self._what = what
        self._maximum = maximum
        self._retry_after_secs = retry_after_secs
        self._running = 0

    async def __aenter__(self) -> None:
        """Enter, or raise `TabrlError`."""
        if self._running >= self._maximum:
            raise TabrlError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "TOO_MANY_REQUESTS",
                f"{self._running} {self._what} run already, as many as this service takes; try again in a moment.",
                retry_after_secs=self._retry_after_secs,
            )
        self._running += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        self._running -= 1
