"""States that robots really get into, from the Scene service, to try rewards on."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError

__all__ = ["States"]

_MOST_KEPT: Final = 4
_EVERY_SECS: Final = 0.5


class States:
    """Fetches recorded states and keeps those of the robots that were used last."""

    def __init__(self, channel: grpc.aio.Channel, artifacts: ArtifactStore) -> None:
        """Ask the Scene service behind `channel`."""
        self._scene = scene_pb2_grpc.SceneServiceStub(channel)
        self._artifacts = artifacts
        self._kept: dict[str, bytes] = {}

    async def find(self, environment_id: str, *, wait_secs: float = 0.0) -> bytes | None:
        """Return the file of an environment's states; None when it cannot be had within `wait_secs`.

        A reward can do without: whatever goes wrong here is no reason to refuse one.
        """
        deadline = time.monotonic() + wait_secs
        request = scene_pb2.GetRealStatesRequest(environment_id=environment_id)
        while True:
            try:
                response = await call(self._scene.GetRealStates, request, service="scene")
                if response.state == scene_pb2.REAL_STATES_STATE_READY:
                    return await self._read(response.states.sha256)
            except TabrlError:
                return None
            left = deadline - time.monotonic()
            if response.state != scene_pb2.REAL_STATES_STATE_RECORDING or left <= 0:
                return None
            await asyncio.sleep(min(_EVERY_SECS, left))

    async def _read(self, sha256: str) -> bytes:
        states = self._kept.pop(sha256, None)
        if states is None:
            states = await asyncio.to_thread(self._artifacts.read, sha256)
        self._kept[sha256] = states
        for oldest in list(self._kept)[:-_MOST_KEPT]:
            del self._kept[oldest]
        return states
