"""States that robots really get into, recorded when they are first asked for and kept for as long as they are true."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import Final

import grpc
from google.protobuf import json_format
from tabrl.scene.v1 import scene_pb2
from tabrl.type.v1 import artifact_pb2
from tabrl_chassis import processes
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context
from tabrl_simulation.rewards.real_states import REVISION

__all__ = ["Recordings"]

_MEDIA_TYPE: Final = "application/vnd.tabrl.real-states"
_LONGEST_SECS: Final = 600.0
# What fails on a busy machine, or for want of memory, may go well later.
_AGAIN_AFTER_SECS: Final = 600.0


class Recordings:
    """Records in a process of its own, one robot at a time; what was recorded is found again after a start."""

    def __init__(self, context: Context[ServiceConfig]) -> None:
        """Records nothing until it is asked."""
        self._context = context
        self._folder = Path(context.config.data) / "scene" / "recordings"
        self._one_at_a_time = asyncio.Semaphore(1)
        self._under_way: set[str] = set()
        self._failed: dict[str, float] = {}

    async def find(self, environment: scene_pb2.Environment) -> scene_pb2.GetRealStatesResponse:
        """Returns the states of an environment, or begins to record them and says so."""
        fingerprint = environment.fingerprint
        kept = await asyncio.to_thread(self._kept, fingerprint)
        if kept is not None:
            return scene_pb2.GetRealStatesResponse(state=scene_pb2.REAL_STATES_STATE_READY, states=kept)
        failed = self._failed.get(fingerprint)
        if failed is not None and time.monotonic() < failed + _AGAIN_AFTER_SECS:
            return scene_pb2.GetRealStatesResponse(state=scene_pb2.REAL_STATES_STATE_FAILED)
        if fingerprint not in self._under_way:
            self._under_way.add(fingerprint)
            environment_id = environment.summary.environment_id
            self._context.background(self._record(environment_id, fingerprint), f"recording states of {environment_id}")
        return scene_pb2.GetRealStatesResponse(state=scene_pb2.REAL_STATES_STATE_RECORDING)

    def kept(self) -> list[artifact_pb2.Artifact]:
        """Returns everything that was recorded and can be found again. Blocks.

        Raises:
            TabrlError: the disk does not let it be read (STORAGE_UNAVAILABLE).
        """
        found = []
        try:
            for path in self._folder.glob("*.json"):
                with contextlib.suppress(json_format.ParseError):  # a damaged one counts as none, and is recorded again
                    found.append(json_format.Parse(path.read_text(), artifact_pb2.Artifact()))
        except OSError as error:
            message = f"The recorded states cannot be read: {error}."
            raise TabrlError(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", message) from error
        return found

    async def _record(self, environment_id: str, fingerprint: str) -> None:
        try:
            async with self._one_at_a_time:
                with tempfile.TemporaryDirectory() as folder:
                    file = Path(folder) / "states"
                    if not await self._recorded(environment_id, file):
                        self._failed[fingerprint] = time.monotonic()
                        return
                    await asyncio.to_thread(self._keep, fingerprint, file)
        except (TabrlError, OSError) as error:
            # A full disk may be emptied: the next call tries again.
            self._context.log.warning("the recorded states could not be kept", cause=str(error))
        finally:
            self._under_way.discard(fingerprint)

    async def _recorded(self, environment_id: str, file: Path) -> bool:
        child = await processes.start_python(
            ["-m", "tabrl_scene.recording", environment_id, str(file)],
            niceness=10,
            environment={"JAX_PLATFORMS": "cpu"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, said = await asyncio.wait_for(child.communicate(), _LONGEST_SECS)
        except TimeoutError:
            self._context.log.warning("recording took too long", environment_id=environment_id)
            return False
        finally:
            await processes.stop(child, grace_secs=1.0)
        if child.returncode != 0:
            words = said.decode(errors="replace").strip()[-500:]
            self._context.log.warning("recording failed", environment_id=environment_id, cause=words)
        return child.returncode == 0

    def _path(self, fingerprint: str) -> Path:
        return self._folder / f"{fingerprint}-{REVISION}.json"

    def _kept(self, fingerprint: str) -> artifact_pb2.Artifact | None:
        try:
            kept = json_format.Parse(self._path(fingerprint).read_text(), artifact_pb2.Artifact())
            self._context.artifacts.describe(kept.sha256)
        except (OSError, json_format.ParseError, TabrlError):
            return None
        return kept

    def _keep(self, fingerprint: str, states: Path) -> None:
        artifact = self._context.artifacts.put(states.read_bytes(), _MEDIA_TYPE)
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._path(fingerprint).with_suffix(".unfinished")
        unfinished.write_text(json_format.MessageToJson(artifact))
        unfinished.replace(self._path(fingerprint))
