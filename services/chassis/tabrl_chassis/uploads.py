"""Uploads under way: pieces that arrive in order, kept in files until the last one is there and the whole is read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

import grpc

from tabrl_chassis.errors import TabrlError, invalid_field

__all__ = ["Piece", "Uploads"]

_ANSWER_WITHIN_SECS: Final = 15.0
_FORGET_AFTER_SECS: Final = 24 * 3600.0
_MOST_UNFINISHED: Final = 16
_MOST_REMEMBERED: Final = 64
_MOST_KNOWN: Final = 256


class Piece(Protocol):
    """A request that carries a piece of an upload, as a message of the contracts."""

    upload_id: str
    size_bytes: int
    offset_bytes: int
    data: bytes


PieceT = TypeVar("PieceT", bound=Piece)
Found = TypeVar("Found")


@dataclass
class _Known:
    """What the first piece of an upload said of it; who takes a piece of it holds the lock."""

    said: dict[str, Any]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


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
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._readings: OrderedDict[str, asyncio.Task[Found]] = OrderedDict()
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
        known = self._know(upload_id, request)
        async with known.lock:
            _require_same(known.said, self._said(request))
            reading = self._readings.get(upload_id)
            if reading is None:
                path = self._path(upload_id)
                if request.offset_bytes == 0:
                    await self._make_room(path)
                received = await asyncio.to_thread(self._append, path, request)
                if received < request.size_bytes:
                    return received, None
                reading = self._begin(upload_id, request)
        done, _ = await asyncio.wait([reading], timeout=_ANSWER_WITHIN_SECS)
        return request.size_bytes, reading.result() if done else None

    async def stop(self) -> None:
        """Ends what is being read. The pieces stay: whoever sends the last one again has the upload read anew."""
        under_way = [reading for reading in self._readings.values() if not reading.done()]
        for reading in under_way:
            reading.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _said(self, request: PieceT) -> dict[str, Any]:
        return {name: getattr(request, name) for name in self._said_once}

    def _know(self, upload_id: str, request: PieceT) -> _Known:
        """Returns what is known of an upload, and forgets those that nobody has sent anything of for longest."""
        known = self._known.setdefault(upload_id, _Known(self._said(request)))
        self._known.move_to_end(upload_id)
        if (beyond := len(self._known) - _MOST_KNOWN) > 0:
            self._forget([each for each in self._known if each != upload_id and each not in self._readings][:beyond])
        return known

    def _forget(self, upload_ids: Sequence[str]) -> None:
        for upload_id in upload_ids:
            if upload_id in self._known and not self._known[upload_id].lock.locked():
                del self._known[upload_id]

    def _busy(self) -> set[Path]:
        """Returns the files that are being written or read."""
        written = [upload_id for upload_id, known in self._known.items() if known.lock.locked()]
        read = [upload_id for upload_id, reading in self._readings.items() if not reading.done()]
        return {self._path(upload_id) for upload_id in (*written, *read)}

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
            self._forget([forgotten])
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

    async def _make_room(self, path: Path) -> None:
        """Removes the oldest unfinished uploads beyond a number that nobody needs, where this file is a new one."""
        changed = await asyncio.to_thread(self._parts)
        if path in changed:
            return
        beyond, busy = max(0, len(changed) - _MOST_UNFINISHED + 1), self._busy()
        dropped = [each for each in sorted(changed, key=lambda each: changed[each]) if each not in busy][:beyond]
        for each in dropped:  # here and in no thread: nobody begins to write or to read one meanwhile
            each.unlink(missing_ok=True)
        self._forget([each.stem for each in dropped])

    def _sweep(self) -> None:
        for path, changed in self._parts().items():
            if time.time() - changed > _FORGET_AFTER_SECS:
                path.unlink(missing_ok=True)

    def _parts(self) -> dict[Path, float]:
        """Returns the files of uploads, and when each changed last; one whose upload ends meanwhile may be left out."""
        found = {}
        for path in self._folder.glob("*.part"):
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime
        return found


def _require_same(before: dict[str, Any], said: dict[str, Any]) -> None:
    """Refuses a piece that says something else of the upload than the first one."""
    for name, value in said.items():
        if before[name] != value:
            raise invalid_field(name, f"was {before[name]!r} in the pieces before; choose a new upload_id")
