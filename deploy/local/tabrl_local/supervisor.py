"""Keeps processes running: starts them, starts again what ends, stops them all."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time

from tabrl_local.logs import ProcessLog
from tabrl_local.topology import Command

FIRST_DELAY_SECS = 0.25
LONGEST_DELAY_SECS = 10.0
# A process that ran this long was well; its next end counts as the first.
WELL_AFTER_SECS = 10.0
STOP_SECS = 12.0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Runs in the child: should the launcher be killed, the kernel tells the child to stop."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class SupervisedProcess:
    """One process that is kept running."""

    def __init__(self, command: Command, log: ProcessLog, *, quiet_stdout: bool = False) -> None:
        """Starts nothing yet. With `quiet_stdout`, standard output goes to the log file alone."""
        self.command = command
        self.restarts = 0
        self.state = "not started"
        self._log = log
        self._quiet_stdout = quiet_stdout
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def name(self) -> str:
        """Name of the process."""
        return self.command.name

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def keep_running(self) -> None:
        """Runs the process until `stop`, again and again, with a growing pause while it ends early."""
        delay = FIRST_DELAY_SECS
        while not self._stopping.is_set():
            started = time.monotonic()
            outcome = await self._run_once()
            if self._stopping.is_set():
                break
            if time.monotonic() - started >= WELL_AFTER_SECS:
                delay = FIRST_DELAY_SECS
            self.restarts += 1
            self.state = f"{outcome}; starts again in {delay:g} s"
            self._log.write(f"[launcher] {self.name} {self.state}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2, LONGEST_DELAY_SECS)
        self.state = "stopped"

    async def _run_once(self) -> str:
        """Runs the process to its end and says how it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command.arguments,
                env=dict(self.command.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # a group of its own: Ctrl-C reaches the launcher alone, which then stops its children in order
                process_group=0,
                preexec_fn=_end_with_parent,
            )
        except OSError as error:
            return f"could not be started ({error})"
        self._process = process
        self.state = "runs"
        if self._stopping.is_set():
            process.terminate()
        assert process.stdout
        assert process.stderr
        logs = asyncio.gather(
            self._log.follow(process.stdout, quiet=self._quiet_stdout),
            self._log.follow(process.stderr),
        )
        code = await process.wait()
        # Workers that it leaves behind may hold the pipes open; they are no reason to wait.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(logs, 0.5)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    async def stop(self, *, patience_secs: float = STOP_SECS) -> None:
        """Asks the process to stop, and after `patience_secs` makes it; then ends whatever it left in its group."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), patience_secs)
            except TimeoutError:
                self._log.write(f"[launcher] {self.name} did not stop within {patience_secs:g} s and is killed")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def kill(self) -> None:
        """Ends the process and its group at once."""
        self._stopping.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
