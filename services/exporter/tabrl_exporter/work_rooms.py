"""Rooms for the files of one order of the export process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from tabrl_chassis.errors import TabrlError

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
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise TabrlError(
            grpc.StatusCode.RESOURCE_EXHAUSTED if full else grpc.StatusCode.UNAVAILABLE,
            "STORAGE_FULL" if full else "STORAGE_UNAVAILABLE",
            f"An export cannot write its files to {work_folder}: {error.strerror or error}.",
            retry_after_secs=None if full else 1.0,
        ) from error
    try:
        yield room.name
    finally:
        await asyncio.to_thread(room.cleanup)
