"""Uploads under way: pieces that arrive in order, kept in files until the last one is there and the scene is read."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

import grpc
from tabrl.scene.v1 import scene_pb2
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.service import Context

from tabrl_scene.scenes import Scenes
from tabrl_scene.shelf import ShelvedEnvironment

__all__ = ["Uploads"]

_ANSWER_WITHIN_SECS: Final = 15.0
_FORGET_AFTER_SECS: Final = 24 * 3600.0
_MOST_UNFINISHED: Final = 16
_MOST_READ: Final = 8
_MOST_REMEMBERED: Final = 64


class Uploads:
    """Takes pieces and answers with how far they are, and at the end with the environment."""

    def __init__(self, context: Context[ServiceConfig], scenes: Scenes) -> None:
        """Sweeps what was left behind long ago."""
        self._context = context
        self._scenes = scenes
        self._folder = Path(context.config.data) / "scene" / "uploads"
        self._locks: dict[str, asyncio.Lock] = {}
        self._readings: OrderedDict[str, asyncio.Task[ShelvedEnvironment]] = OrderedDict()
        self._descriptions: dict[str, scene_pb2.UploadSceneRequest] = {}
        self._sweep()

    async def receive(self, request: scene_pb2.UploadSceneRequest) -> scene_pb2.UploadSceneResponse:
        """Takes a piece; after the last one, waits a while for the environment.

        Raises:
            TabrlError: as the contract says of UploadScene.
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
                    return scene_pb2.UploadSceneResponse(received_bytes=received)
                reading = self._begin(upload_id, request)
        done, _ = await asyncio.wait([reading], timeout=_ANSWER_WITHIN_SECS)
        response = scene_pb2.UploadSceneResponse(received_bytes=request.size_bytes)
        if done:
            response.environment.CopyFrom(reading.result().message)
        return response

    def _require_same(self, upload_id: str, request: scene_pb2.UploadSceneRequest) -> None:
        """Refuses a piece that says something else of the upload than the first one."""
        said = scene_pb2.UploadSceneRequest()
        said.CopyFrom(request)
        said.ClearField("data")
        said.ClearField("offset_bytes")
        before = self._descriptions.setdefault(upload_id, said)
        for name in ("size_bytes", "file_name", "title", "main_file"):
            if getattr(before, name) != getattr(said, name):
                raise invalid_field(name, f"was {getattr(before, name)!r} in the pieces before; choose a new upload_id")

    def _append(self, path: Path, request: scene_pb2.UploadSceneRequest) -> int:
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

    def _begin(self, upload_id: str, request: scene_pb2.UploadSceneRequest) -> asyncio.Task[ShelvedEnvironment]:
        """Starts reading an upload that is all there."""
        if sum(not reading.done() for reading in self._readings.values()) >= _MOST_READ:
            # Each waits for its turn with all of its bytes in memory.
            raise TabrlError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "TOO_MANY_REQUESTS",
                f"{_MOST_READ} uploads are being read already; send the last piece again in a moment.",
                retry_after_secs=2.0,
            )

        async def read() -> ShelvedEnvironment:
            path = self._path(upload_id)
            try:
                content = await asyncio.to_thread(path.read_bytes)
                found = await self._scenes.add(
                    content, request.file_name, title=request.title, main_file=request.main_file
                )
            except BaseException as error:
                # What passes by itself is tried again with the next call; what was refused stays refused.
                if isinstance(error, TabrlError) and error.code is grpc.StatusCode.INVALID_ARGUMENT:
                    await asyncio.to_thread(path.unlink, missing_ok=True)
                else:
                    self._readings.pop(upload_id, None)
                raise
            await asyncio.to_thread(path.unlink, missing_ok=True)
            return found

        task = asyncio.create_task(read())
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)
        self._readings[upload_id] = task
        while len(self._readings) > _MOST_REMEMBERED:
            forgotten, _ = self._readings.popitem(last=False)
            self._descriptions.pop(forgotten, None)
            self._locks.pop(forgotten, None)
        return task

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
