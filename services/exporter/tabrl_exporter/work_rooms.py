"""Rooms for the files of one order of the export process."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from tabrl_chassis.errors import storage_error

__all__ = ["work_room"]


@contextlib.asynccontextmanager
async def work_room(work_folder: Path) -> AsyncIterator[str]:
    """Gives an empty folder in `work_folder`, which is made where it is missing; it goes with all that is in it.

    Raises:
        TabrlError: the disk is full (STORAGE_FULL), or the folder cannot be written (STORAGE_UNAVAILABLE).
    """
    try:
        await asyncio.to_thread(work_folder.mkdir, parents=True, exist_ok=True)
        room = await asyncio.to_thread(tempfile.TemporaryDirectory, dir=work_folder)
    except OSError as error:
        message = f"An export cannot write its files to {work_folder}: {error.strerror or error}."
        raise storage_error(error, message, retry_after_secs=1.0) from error
    try:
        yield room.name
    finally:
        await asyncio.to_thread(room.cleanup)
