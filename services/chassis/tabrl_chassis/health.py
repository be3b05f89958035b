"""`grpc.health.v1` for every service name: SERVING only while everything the service needs is usable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

from tabrl_chassis.logs import get_logger

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_CHECK_INTERVAL_SECS = 1.0
_CHECK_TIMEOUT_SECS = 5.0

Check = Callable[[], Awaitable[None]]

_log = get_logger("tabrl_chassis.health")


class Health:
    """Runs named checks every second and sets the status of every service name by them."""

    def __init__(self, services: Sequence[str]) -> None:
        """Start out NOT_SERVING for `services` and for the server as a whole (the empty name)."""
        self.servicer = health_aio.HealthServicer()
        self._services = ("", *services)
        self._checks: dict[str, Check] = {}
        self._failing: dict[str, str] = {}
        self._status: int | None = None

    def add_check(self, name: str, check: Check) -> None:
        """Add a check; the service is not serving while it raises."""
        self._checks[name] = check

    @property
    def failing(self) -> dict[str, str]:
        """Checks that failed last time, each with its error."""
        return dict(self._failing)

    @property
    def serving(self) -> bool:
        """Whether the status set last is SERVING."""
        return self._status == _SERVING

    async def run_checks(self) -> bool:
        """Run every check once, set the status, and return whether all passed."""
        failing: dict[str, str] = {}
        for name, check in self._checks.items():
            try:
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes as the check ends.
                async with asyncio.timeout(_CHECK_TIMEOUT_SECS):
                    await check()
            except Exception as error:
                failing[name] = f"{type(error).__name__}: {error}"
        if failing != self._failing:
            for name, reason in failing.items():
                _log.error("check failed", check=name, error=reason)
            for name in self._failing.keys() - failing.keys():
                _log.info("check passes again", check=name)
        self._failing = failing
        await self._set(_NOT_SERVING if failing else _SERVING)
        return not failing

    async def watch(self) -> None:
        """Run the checks every second until cancelled."""
        while True:
            await self.run_checks()
            await asyncio.sleep(_CHECK_INTERVAL_SECS)

    async def drain(self) -> None:
        """Become NOT_SERVING for good."""
        self._status = _NOT_SERVING
        await self.servicer.enter_graceful_shutdown()

    async def _set(self, status: int) -> None:
        if status == self._status:
            return
        self._status = status
        for service in self._services:
            await self.servicer.set(service, status)
