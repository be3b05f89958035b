"""Jailed children, kept warm for a while after use. Each serves one request and ends."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Any, Self

from tabrl_simulation.rewards.diagnostics import JailSlowToStart, JailUnavailable
from tabrl_simulation.rewards.message import LENGTH, LONGEST_JSON, MessageRefused, lengths_of, pack_message, parse_head

__all__ = ["ChildDied", "ChildTooSlow", "JailPool"]

_ROLES = ("trace", "verify")
_START_SECS = 120.0
# A reward takes half a second on a busy machine; what escaped the language has no more time than this to do anything.
_ANSWER_SECS = 15.0
_STAY_WARM_SECS = 300.0
_DISCARDED_AT_ONCE = 65_536
_READY = b"\x01"
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

Child = asyncio.subprocess.Process


class ChildDied(Exception):
    """The child ended without an answer: a limit stopped it, or it crashed."""


class ChildTooSlow(Exception):
    """The child gave no answer in time and was killed."""

    def __init__(self, limit_secs: float) -> None:
        """Say which limit it was."""
        self.limit_secs = limit_secs
        super().__init__(f"no answer within {limit_secs:g} s")


class JailPool:
    """One warm jail for each role at most, for as long as rewards are being written.

    Use as an async context manager.
    """

    def __init__(self, stay_warm_secs: float = _STAY_WARM_SECS, answer_secs: float = _ANSWER_SECS) -> None:
        """Start nothing yet. Warm jails end `stay_warm_secs` after the last request.

        Answers are awaited `answer_secs`.
        """
        self._stay_warm_secs = stay_warm_secs
        self._answer_secs = answer_secs
        self._warm: dict[str, asyncio.Task[Child]] = {}
        self._retirement: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Return the pool."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the warm jails."""
        await self.close()

    def warm(self) -> None:
        """Start a jail for each role, if none is warm, without waiting."""
        if self._closed:
            return
        for role in _ROLES:
            if role not in self._warm:
                self._warm[role] = asyncio.create_task(_started(role))
        if self._retirement is not None:
            self._retirement.cancel()
        self._retirement = asyncio.get_running_loop().call_later(self._stay_warm_secs, self._retire)

    async def ready(self) -> None:
        """Wait for the jails that are being started.

        Raises:
            JailUnavailable: as `ask`.
        """
        await asyncio.gather(*(asyncio.shield(task) for task in self._warm.values()))

    async def ask(
        self, role: str, request: dict[str, Any], blobs: Sequence[bytes] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Return the answer of a fresh jail in this role: a JSON object and blobs.

        Raises:
            JailUnavailable: the jail could not be entered; `JailSlowToStart` when it did not start in time.
            ChildTooSlow: no answer came in time.
            ChildDied: the child ended without an answer.
            MessageRefused: what it sent is no answer.
        """
        child = await self._child(role)
        try:
            async with asyncio.timeout(self._answer_secs):
                return await _exchange(child, request, blobs)
        except TimeoutError as e:
            raise ChildTooSlow(self._answer_secs) from e
        finally:
            await _killed(child)

    async def _child(self, role: str) -> Child:
        """Return the warm jail of this role if it still lives, else a new one."""
        kept = self._warm.pop(role, None)
        for waiting in (kept, None):
            task = waiting or asyncio.create_task(_started(role))
            try:
                child = await asyncio.shield(task)
            except asyncio.CancelledError:
                self._end(task)
                raise
            if waiting is None or not _has_ended(child):
                return child
            await _killed(child)  # it died while it waited, of which no request is to blame
        raise AssertionError("a new jail is returned as it is")

    async def close(self) -> None:
        """End every warm jail and start no more."""
        self._closed = True
        self._retire()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _retire(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
        for waiting in self._warm.values():
            self._end(waiting)
        self._warm.clear()

    def _end(self, waiting: asyncio.Task[Child]) -> None:
        async def end() -> None:
            with contextlib.suppress(JailUnavailable):
                await _killed(await waiting)

        task = asyncio.create_task(end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _started(role: str) -> Child:
    arguments = [sys.executable, "-I", "-m", "tabrl_simulation.rewards.child", role]
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        *arguments, stdin=pipe, stdout=pipe, stderr=nothing, cwd="/", env=_ENVIRONMENT, start_new_session=True
    )
    try:
        async with asyncio.timeout(_START_SECS):
            first = await _stdout(child).readexactly(1)
            if first == _READY:
                return child
            reason = str((await _message(child))[0].get("reason", ""))[:500]
    except TimeoutError as e:
        await _killed(child)
        raise JailSlowToStart(f"the jailed process was not ready within {_START_SECS:g} s") from e
    except (asyncio.IncompleteReadError, MessageRefused) as e:
        await _killed(child)
        raise JailUnavailable(f"the jailed process ended while starting, with status {child.returncode}") from e
    except asyncio.CancelledError:
        await _killed(child)
        raise
    await _killed(child)
    raise JailUnavailable(reason)


async def _exchange(
    child: Child, request: dict[str, Any], blobs: Sequence[bytes]
) -> tuple[dict[str, Any], list[bytes]]:
    assert child.stdin is not None
    try:
        child.stdin.write(pack_message(request, blobs))
        await child.stdin.drain()
        return await _message(child)
    except (asyncio.IncompleteReadError, ConnectionError) as e:
        raise ChildDied("the jailed process ended without an answer") from e


async def _message(child: Child) -> tuple[dict[str, Any], list[bytes]]:
    stream = _stdout(child)
    (length,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
    if length > LONGEST_JSON:
        raise MessageRefused("the answer is too long")
    fields = parse_head(await stream.readexactly(length))
    return fields, [await stream.readexactly(size) for size in lengths_of(fields)]


def _stdout(child: Child) -> asyncio.StreamReader:
    assert child.stdout is not None
    return child.stdout


def _has_ended(child: Child) -> bool:
    # Its end is known from the pipe at once, from the status a moment later.
    return child.returncode is not None or _stdout(child).at_eof()


async def _killed(child: Child) -> None:
    if child.stdin is not None:
        child.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    # A pipe that is too full to be read on keeps asyncio from noticing the end; what is in it is of no use any more.
    while child.stdout is not None and await child.stdout.read(_DISCARDED_AT_ONCE):
        pass
    await child.wait()
