"""Has a bundle read and played by a jailed process before this one looks at it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Final

from tabrl.play.refusal import BundleError
from tabrl_simulation.rewards.diagnostics import JailUnavailable

__all__ = ["JailUnavailable", "try_in_jail"]

_LIMIT_SECS: Final = 120.0
_LONGEST_ANSWER: Final = 64 << 10
# No variable of the service's reaches the jail.
_ENVIRONMENT: Final = {"HOME": "/nonexistent", "LANG": "C.UTF-8", "MUJOCO_GL": "disabled"}
_TOO_HEAVY: Final = "MuJoCo or onnxruntime broke down on it, or it takes more memory or time than it may"


async def try_in_jail(content: bytes) -> None:
    """Reads and plays a bundle where nothing can be reached; a second or two, and more for large meshes.

    Raises:
        BundleError: as `tabrl.play.bundle.read_bundle` and `tabrl.play.trial.try_out`, or TRIAL_TOO_HEAVY.
        JailUnavailable: this machine cannot make the jail.
    """
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        *("nice", "-n", "5", sys.executable, "-I", "-m", "tabrl_exporter.jailed_trial"),
        stdin=pipe,
        stdout=pipe,
        stderr=nothing,
        cwd="/",
        env={**_ENVIRONMENT, "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LIMIT_SECS):
            _, answer = await asyncio.gather(_write(child, content), _read(child))
    except (TimeoutError, ValueError) as error:
        raise BundleError("TRIAL_TOO_HEAVY", _TOO_HEAVY) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    _believe(answer)


def _believe(answer: bytes) -> None:
    try:
        _obey(answer)
    except (BundleError, JailUnavailable):
        raise
    # A bundle that broke the reader may have it say anything: what is no answer is a refusal.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BundleError("TRIAL_TOO_HEAVY", _TOO_HEAVY) from error


async def _write(child: asyncio.subprocess.Process, content: bytes) -> None:
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):  # a child that is gone shows where its answer is read
        child.stdin.write(content)
        await child.stdin.drain()
        child.stdin.close()


async def _read(child: asyncio.subprocess.Process) -> bytes:
    assert child.stdout is not None
    answer = bytearray()
    while part := await child.stdout.read(_LONGEST_ANSWER):
        answer += part
        if len(answer) > _LONGEST_ANSWER:
            raise ValueError("the answer is too long")
    return bytes(answer)


def _obey(answer: bytes) -> None:
    fields = json.loads(answer)
    if "unavailable" in fields:
        raise JailUnavailable(str(fields["unavailable"])[:500])
    if "refused" in fields:
        given = fields["refused"]
        raise BundleError(str(given["rule"])[:60], str(given["message"])[:1000], str(given["file"]))
    if fields.get("passed") is not True:
        raise BundleError("TRIAL_TOO_HEAVY", _TOO_HEAVY)
