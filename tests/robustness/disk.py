"""A small disk that a test can fill."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_SIZE_MIB = 64
_FILLS_EVERY_SECS = 0.05


@dataclass(frozen=True)
class SmallDisk:
    """A folder. `cannot_fill` says why it is none of a small file system, and is empty where it is one."""

    folder: Path
    cannot_fill: str = ""

    @classmethod
    @contextlib.contextmanager
    def mounted(cls, folder: Path) -> Iterator[Self]:
        """Mount a file system in memory on a folder, which needs root; without, the folder is as good as any other."""
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MIB}m", "tabrl-small-disk", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            refused = done.stderr.strip() if done.returncode else ""
        except FileNotFoundError:
            refused = "there is no mount"
        if refused:
            yield cls(folder, f"a small file system cannot be mounted here: {refused}")
            return
        try:
            yield cls(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)

    @contextlib.asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Keep the disk full: what others free meanwhile is taken too."""
        filler = self.folder / "filler"
        task = asyncio.create_task(_fill(filler))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            filler.unlink()


async def _fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        while True:
            for size in (1 << 20, 1 << 12):
                try:
                    while os.write(file.fileno(), b"\0" * size):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
            await asyncio.sleep(_FILLS_EVERY_SECS)
