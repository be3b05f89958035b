"""The service's side of the export process: started when needed, ended when idle, replaced when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

import grpc
from prometheus_client import Gauge
from tabrl_chassis import processes
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.logs import Logger

from tabrl_exporter import exchange

__all__ = ["WORKER", "ExportProcess"]

WORKER = ("-m", "tabrl_exporter.worker")
"""Arguments of Python that start the process."""

_RUNNING = Gauge("tabrl_exporter_worker_running", "Whether the export process is running.")
_ANSWER_LIMIT_BYTES = 1 << 20
_STOP_SECS = 2.0

_Order = exchange.Export | exchange.Reformat
_Reply = exchange.Exported | exchange.Reformatted | exchange.Refusal


class _ProcessDiedError(Exception):
    """The process ended, or did not answer, before its answer was complete."""


class ExportProcess:
    """Carries out exports one after the other, in a process of its own that dies with this one."""

    def __init__(self, log: Logger, *, worker: Sequence[str], timeout_secs: float, idle_secs: float) -> None:
        """Starts nothing yet.

        Args:
            log: where starts and deaths are told.
            worker: arguments of Python that start the process.
            timeout_secs: how long one export may take, the start of the process included.
            idle_secs: the process is ended after so long without an export, to give its memory back.
        """
        self._log = log
        self._worker = worker
        self._timeout_secs = timeout_secs
        self._idle_secs = idle_secs
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._last_use = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def export(self, order: exchange.Export) -> exchange.Exported | exchange.Refusal:
        """Carries out an order; a process that dies meanwhile is replaced once.

        Raises:
            TabrlError: INTERNAL / WORKER_CRASHED when the replacement died too, or when there was no answer in time.
        """
        reply = await self._carry_out(order)
        if isinstance(reply, exchange.Reformatted):
            raise TypeError("the export process answered another order")
        return reply

    async def reformat(self, order: exchange.Reformat) -> exchange.Reformatted | exchange.Refusal:
        """Carries out an order, as `export` does."""
        reply = await self._carry_out(order)
        if isinstance(reply, exchange.Exported):
            raise TypeError("the export process answered another order")
        return reply

    async def _carry_out(self, order: _Order) -> _Reply:
        async with self._turn:
            try:
                try:
                    return await self._ask(order)
                except _ProcessDiedError as death:
                    self._log.warning("export process died; starting another", reason=str(death))
                    return await self._ask(order)
            except _ProcessDiedError as death:
                raise TabrlError(
                    grpc.StatusCode.INTERNAL,
                    "WORKER_CRASHED",
                    f"The export process failed twice ({death}); the log of the Exporter may say why. Try again.",
                    metadata={"exit": str(death)},
                ) from death
            finally:
                self._last_use = time.monotonic()

    async def end_when_idle(self) -> None:
        """Ends the process whenever it has been idle for long enough; runs until cancelled."""
        while True:
            rest = self._last_use + self._idle_secs - time.monotonic()
            if self._process is None or rest > 0:
                await asyncio.sleep(max(rest, self._idle_secs / 10))
                continue
            async with self._turn:
                if time.monotonic() - self._last_use >= self._idle_secs:
                    self._log.info("export process idle; ending it")
                    await self.stop()

    async def stop(self) -> None:
        """Ends the process, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            _RUNNING.set(0)
            await processes.stop(process, grace_secs=_STOP_SECS)

    async def _ask(self, order: _Order) -> _Reply:
        process = await self._running()
        try:
            async with asyncio.timeout(self._timeout_secs):
                line = await self._exchange(process, exchange.to_line(order))
        except TimeoutError:
            await self.stop()
            raise _ProcessDiedError(f"no answer within {self._timeout_secs:g} s") from None
        except BaseException:
            # Whoever comes next must not read the answer to this order.
            await self.stop()
            raise
        return exchange.parse_reply(line)

    async def _exchange(self, process: asyncio.subprocess.Process, order: bytes) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the export process was started without pipes")
        with contextlib.suppress(ConnectionError):  # a dead process shows below
            process.stdin.write(order)
            await process.stdin.drain()
        line = await process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _ProcessDiedError(_exit(await process.wait()))
        return line

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await processes.start_python(
                self._worker,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_ANSWER_LIMIT_BYTES,
            )
            _RUNNING.set(1)
            self._log.info("export process started", pid=self._process.pid)
        return self._process


def _exit(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
