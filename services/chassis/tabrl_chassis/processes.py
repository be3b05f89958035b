"""Child processes that die with their service, whatever ends it. Imports only the standard library."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

PARENT_VARIABLE = "TABRL_PARENT_PID"
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process (SIGKILL) when its parent ends; call it first thing in a child's main.

    The signal follows the parent's *thread* that forked, so services start children from their main thread. Exits at
    once when the parent that `start_python` named is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    expected = os.environ.get(PARENT_VARIABLE)
    if expected and os.getppid() != int(expected):
        os._exit(0)


async def start_python(
    arguments: Sequence[str],
    *,
    niceness: int = 0,
    environment: Mapping[str, str] | None = None,
    **options: Any,
) -> asyncio.subprocess.Process:
    """Start `python <arguments>` as a child whose main calls `die_with_parent`.

    `niceness` (0–19) keeps the machine responsive beside heavy work. `environment` is added to this process's own; the
    child gets its own session, so that Ctrl-C in a terminal reaches only the service. `options` go to
    `asyncio.create_subprocess_exec`.
    """
    command = [sys.executable, *arguments]
    if niceness:
        command = ["nice", "-n", str(niceness), *command]
    variables = {**os.environ, **(environment or {}), PARENT_VARIABLE: str(os.getpid())}
    return await asyncio.create_subprocess_exec(*command, env=variables, start_new_session=True, **options)


async def stop(process: asyncio.subprocess.Process, *, grace_secs: float) -> int:
    """End a child: SIGTERM, and SIGKILL when it has not ended after `grace_secs`. Returns its exit status."""
    if process.returncode is None:
        _signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_secs):
                return await process.wait()
        except TimeoutError:
            _signal(process, signal.SIGKILL)
    return await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except ProcessLookupError:
        return
