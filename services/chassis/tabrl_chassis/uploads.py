"""Uploads under way: pieces that arrive in order, kept in files until the last one is there and the whole is read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import grpc

from tabrl_chassis.errors import TabrlError, invalid_field

__all__ = ["Piece", "Uploads"]

_ANSWER_WITHIN_SECS: Final = 15.0
_FORGET_AFTER_SECS: Final = 24 * 3600.0
_MOST_UNFINISHED: Final = 16
_MOST_REMEMBERED: Final = 64


class Piece(Protocol):
    """A request that carries a piece of an upload, as a message of the contracts."""

    upload_id: str
    size_bytes: int
    offset_bytes: int
    data: bytes


PieceT = TypeVar("PieceT", bound=Piece)
Found = TypeVar("Found")


class Uploads(Generic[PieceT, Found]):
    """Takes pieces and answers with how far they are, and at the end with what the upload was read to be.

    Safe to repeat: a piece that is sent again changes nothing, and what an upload was read to be is remembered for a
    while, a refusal too.
    """

    def __init__(
        self,
        folder: Path,
        read: Callable[[bytes, PieceT], Awaitable[Found]],
        *,
        said_once: Sequence[str] = (),
        most_read: int = 8,
    ) -> None:
        """Sweeps what was left behind long ago.

        Args:
            folder: where pieces are kept until all are there.
            read: reads an upload that is all there; its second argument is the last piece's request. It raises a
                TabrlError with INVALID_ARGUMENT for what is refused for good; after any other error it is tried again.
            said_once: fields of the request that must be the same in every piece, beside `size_bytes`.
            most_read: how many may be read, or wait for that with all of their bytes in memory.
        """
        self._folder = folder
        self._read = read
        self._most_read = most_read
        self._said_once = ("size_bytes", *said_once)
        self._locks: dict[str, asyncio.Lock] = {}
        self._readings: OrderedDict[str, asyncio.Task[Found]] = OrderedDict()
        self._descriptions: dict[str, dict[str, Any]] = {}
        self._sweep()

    async def receive(self, request: PieceT) -> tuple[int, Found | None]:
        """Takes a piece; after the last one, waits a while for what the upload is read to be.

        Returns:
            How many bytes have arrived, and what was found; None until then.

        Raises:
            TabrlError: INVALID_FIELD, UPLOAD_OUT_OF_STEP, STORAGE_FULL, TOO_MANY_REQUESTS, or what reading raised.
        """
        upload_id = request.upload_id.lower()
        if request.offset_bytes + len(request.data) > request.size_bytes:
            raise invalid_field("data", f"the piece ends beyond the upload's {request.size_bytes} bytes")
        async with self._locks.setdefault(upload_id, asyncio.Lock()):
            self._require_same(upload_id, request)
            reading = self._readings.get(upload_id)
            if reading is None:
                received = await asyncio.to_thread(self._append, self._path(upload_id), request)
                if received < request.size_bytes:
                    return received, None
                reading = self._begin(upload_id, request)
        done, _ = await asyncio.wait([reading], timeout=_ANSWER_WITHIN_SECS)
        return request.size_bytes, reading.result() if done else None

    def _require_same(self, upload_id: str, request: PieceT) -> None:
        """Refuses a piece that says something else of the upload than the first one."""
        said = {name: getattr(request, name) for name in self._said_once}
        before = self._descriptions.setdefault(upload_id, said)
        for name, value in said.items():
            if before[name] != value:
                raise invalid_field(name, f"was {before[name]!r} in the pieces before; choose a new upload_id")

    def _append(self, path: Path, request: PieceT) -> int:
        """Writes what is new of a piece; returns how many bytes have arrived."""
        received = path.stat().st_size if path.exists() else 0
        if request.offset_bytes > received:
            raise TabrlError(
                grpc.StatusCode.OUT_OF_RANGE,
                "UPLOAD_OUT_OF_STEP",
                f"{received} bytes have arrived, the piece starts at {request.offset_bytes}. Go on from {received}.",
                metadata={"received_bytes": str(received)},
            )
        fresh = request.data[received - request.offset_bytes :]
        if not fresh:
            return received
        if received == 0:
            self._make_room()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(fresh)
        except OSError as error:
            # Half a piece would put the next one out of step.
            with contextlib.suppress(OSError):
                if path.exists():
                    with path.open("r+b") as file:
                        file.truncate(received)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            message = "The disk is full. Free some space and send the piece again."
            raise TabrlError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", message) from error
        return received + len(fresh)

    def _begin(self, upload_id: str, request: PieceT) -> asyncio.Task[Found]:
        """Starts reading an upload that is all there."""
        if sum(not reading.done() for reading in self._readings.values()) >= self._most_read:
            raise TabrlError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "TOO_MANY_REQUESTS",
                f"{self._most_read} uploads are being read already; send the last piece again in a moment.",
                retry_after_secs=2.0,
            )
        task = asyncio.create_task(self._reading(upload_id, request))
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)
        self._readings[upload_id] = task
        while len(self._readings) > _MOST_REMEMBERED:
            forgotten, _ = self._readings.popitem(last=False)
            self._descriptions.pop(forgotten, None)
            self._locks.pop(forgotten, None)
        return task

    async def _reading(self, upload_id: str, request: PieceT) -> Found:
        path = self._path(upload_id)
        try:
            found = await self._read(await asyncio.to_thread(path.read_bytes), request)
        except BaseException as error:
            # What passes by itself is tried again with the next call; what was refused stays refused.
            if isinstance(error, TabrlError) and error.code is grpc.StatusCode.INVALID_ARGUMENT:
                await asyncio.to_thread(path.unlink, missing_ok=True)
            else:
                self._readings.pop(upload_id, None)
            raise
        await asyncio.to_thread(path.unlink, missing_ok=True)
        return found

    def _path(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.part"

    def _make_room(self) -> None:
        """Removes the oldest unfinished uploads beyond a number that nobody needs."""
        parts = sorted(self._folder.glob("*.part"), key=lambda path: path.stat().st_mtime)
        for path in parts[: max(0, len(parts) - _MOST_UNFINISHED + 1)]:
            path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        for path in self._folder.glob("*.part"):
            if time.time() - path.stat().st_mtime > _FORGET_AFTER_SECS:
                path.unlink(missing_ok=True)
