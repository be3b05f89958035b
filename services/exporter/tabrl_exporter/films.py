"""Pictures and videos of policies, drawn in a process of its own by the player that everybody has."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Final

from tabrl_chassis import processes

__all__ = ["FILES", "NotDrawn", "film"]

FILES: Final = ("thumbnail.webp", "video.webp")
"""Entries of a bundle that are drawn."""

_SECS: Final = 4.0
_LIMIT_SECS: Final = 90.0
_STOP_SECS: Final = 2.0


class NotDrawn(Exception):
    """Nothing was drawn; the message says why."""


async def film(bundle: bytes, work_folder: Path) -> dict[str, bytes]:
    """Returns a picture of the robot and a short video of what it does, by their names in a bundle.

    Args:
        bundle: a bundle without them.
        work_folder: where files may lie meanwhile.

    Raises:
        NotDrawn: this machine cannot draw, or not in time.
    """
    await asyncio.to_thread(work_folder.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_folder) as name:
        folder = Path(name)
        await asyncio.to_thread((folder / "robot.tabrl").write_bytes, bundle)
        await _draw(folder)
        return {file: await asyncio.to_thread((folder / file).read_bytes) for file in FILES}


async def _draw(folder: Path) -> None:
    picture, video = (str(folder / file) for file in FILES)
    drawing = ["--secs", f"{_SECS:g}", "--picture", picture, "--video", video, "--headless"]
    process = await processes.start_python(
        ["-m", "tabrl.play", str(folder / "robot.tabrl"), *drawing],
        niceness=5,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_LIMIT_SECS):
            _, errors = await process.communicate()
    except TimeoutError:
        raise NotDrawn(f"drawing takes longer than {_LIMIT_SECS:g} s here") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                await processes.stop(process, grace_secs=_STOP_SECS)
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise NotDrawn(last[0][:500] if last else f"the player ended with status {process.returncode}")
