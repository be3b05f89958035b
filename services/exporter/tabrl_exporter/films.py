"""Pictures and videos of policies, drawn in a process of its own by the player that everybody has."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Final

from tabrl_chassis import processes

__all__ = ["FILES", "Films", "NotDrawn"]

FILES: Final = ("thumbnail.webp", "video.webp")
"""Entries of a bundle that are drawn."""

_SECS: Final = 4.0
_LIMIT_SECS: Final = 90.0
_STOP_SECS: Final = 2.0
_MOST_KEPT: Final = 64
_DRAWING: Final = ".drawing-"


class NotDrawn(Exception):
    """Nothing was drawn; the message says why."""


class Films:
    """Draws each policy once, and keeps the newest films: a policy that is shared again is the same file again."""

    def __init__(self, folder: Path) -> None:
        """Keeps films in this folder, which nobody else does; it may be deleted at any time."""
        self._folder = folder
        for left in folder.glob(f"{_DRAWING}*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)

    async def of(self, name: str, bundle: bytes) -> dict[str, bytes]:
        """Returns a picture of the robot and a short video of what it does, by their names in a bundle.

        Args:
            name: names what is to be seen; the same name is the same film.
            bundle: a bundle without them.

        Raises:
            NotDrawn: this machine cannot draw, or not in time, or cannot keep what it drew.
        """
        try:
            return await self._drawn_once(name, bundle)
        except OSError as error:
            raise NotDrawn(f"a file of it cannot be written or read here: {error.strerror or error}") from error

    async def _drawn_once(self, name: str, bundle: bytes) -> dict[str, bytes]:
        kept = self._folder / name
        if not await asyncio.to_thread((kept / FILES[-1]).is_file):
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder, prefix=_DRAWING) as drawing:
                await _draw(Path(drawing), bundle)
                await asyncio.to_thread(self._keep, Path(drawing), kept)
        return {file: await asyncio.to_thread((kept / file).read_bytes) for file in FILES}

    def _keep(self, drawing: Path, kept: Path) -> None:
        kept.mkdir(exist_ok=True)
        for file in FILES:  # the last one says that all are there
            (drawing / file).replace(kept / file)
        films = sorted(self._folder.glob("[!.]*"), key=lambda film: film.stat().st_mtime)
        for film in films[:-_MOST_KEPT]:
            for file in reversed(FILES):
                (film / file).unlink(missing_ok=True)
            film.rmdir()


async def _draw(folder: Path, bundle: bytes) -> None:
    picture, video = (str(folder / file) for file in FILES)
    await asyncio.to_thread((folder / "robot.tabrl").write_bytes, bundle)
    asked = ["--headless", "--secs", f"{_SECS:g}", "--picture", picture, "--video", video]
    process = await processes.start_python(
        ["-m", "tabrl.play", str(folder / "robot.tabrl"), *asked],
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
        await processes.stop(process, grace_secs=_STOP_SECS)
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise NotDrawn(last[0][:500] if last else f"the player ended with status {process.returncode}")
