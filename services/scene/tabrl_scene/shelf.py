"""The environments as the service hands them out: the baked catalogue with texts, thumbnails and files in the store."""

from __future__ import annotations

import asyncio
import importlib.metadata
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from tabrl.scene.v1 import scene_pb2
from tabrl.type.v1 import artifact_pb2
from tabrl_chassis import processes
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context
from tabrl_simulation import environments

from tabrl_scene.catalogue import BakedEnvironment, catalogue_path, read_catalogue, version
from tabrl_scene.descriptions import descriptions, picture

__all__ = ["Shelf", "ShelvedEnvironment"]

_RETRY_BAKE_SECS = 30.0
_MEDIA_TYPES = {
    ".xml": "application/xml",
    ".png": "image/png",
    ".obj": "model/obj",
    ".stl": "model/stl",
}


@dataclass(frozen=True)
class ShelvedEnvironment:
    """One environment, ready to be handed out."""

    message: scene_pb2.Environment
    bundle: scene_pb2.SceneBundle


class Shelf:
    """Holds every environment once the catalogue is there; until then it says how far the baking is."""

    def __init__(self, context: Context[ServiceConfig]) -> None:
        """Starts empty; `load` or `prepare` fills it."""
        self._context = context
        self._progress = "Preparing the environments"
        self._environments: dict[str, ShelvedEnvironment] | None = None

    async def load(self) -> bool:
        """Fills the shelf from the data folder's catalogue; returns whether there is one of this version."""
        baked = await asyncio.to_thread(read_catalogue, catalogue_path(self._context.config.data))
        if baked is None:
            return False
        self._environments = await asyncio.to_thread(_shelved, baked, self._context.artifacts)
        return True

    async def prepare(self) -> None:
        """Bakes the catalogue in a child process until it can be loaded, trying again after a failure."""
        while not (await self._bake() and await self.load()):
            self._context.log.error("the environments could not be prepared", retry_secs=_RETRY_BAKE_SECS)
            await asyncio.sleep(_RETRY_BAKE_SECS)
        self._context.log.info("environments prepared", count=len(self.environments), version=version())

    async def check(self) -> None:
        """Raises while the shelf is empty; for the health of the service."""
        if self._environments is None:
            raise RuntimeError("the environments are being prepared")

    @property
    def environments(self) -> Mapping[str, ShelvedEnvironment]:
        """Every environment by id, in the order of the ids.

        Raises:
            TabrlError: they are being prepared (UNAVAILABLE); the message says how far that is.
        """
        if self._environments is None:
            raise TabrlError(
                grpc.StatusCode.UNAVAILABLE,
                "SERVICE_UNAVAILABLE",
                f"{self._progress}. Try again in a moment.",
                metadata={"service": "scene"},
                retry_after_secs=2.0,
            )
        return self._environments

    def find(self, environment_id: str) -> ShelvedEnvironment:
        """Returns one environment.

        Raises:
            TabrlError: there is no such environment (NOT_FOUND), or they are being prepared (UNAVAILABLE).
        """
        found = self.environments.get(environment_id)
        if found is None:
            unknown = environments.UnknownEnvironment(environment_id)
            raise not_found(environment_id, str(unknown), unknown.nearest)
        return found

    async def _bake(self) -> bool:
        self._context.log.info("preparing the environments", version=version())
        child = await processes.start_python(
            ["-m", "tabrl_scene.bake", "--with-parent", "--data", str(self._context.config.data)],
            niceness=5,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        try:
            assert child.stdout is not None
            async for line in child.stdout:
                self._progress = line.decode(errors="replace").strip() or self._progress
                self._context.log.info(self._progress)
            return await child.wait() == 0
        finally:
            await processes.stop(child, grace_secs=1.0)


def not_found(environment_id: str, message: str, nearest: str) -> TabrlError:
    """Returns the error for an environment that does not exist."""
    return TabrlError(
        grpc.StatusCode.NOT_FOUND,
        "ENVIRONMENT_NOT_FOUND",
        message,
        metadata={"environment_id": environment_id, "nearest": nearest},
    )


def _shelved(baked: Mapping[str, BakedEnvironment], artifacts: ArtifactStore) -> dict[str, ShelvedEnvironment]:
    return {environment_id: _shelve(environment, artifacts) for environment_id, environment in baked.items()}


def _shelve(baked: BakedEnvironment, artifacts: ArtifactStore) -> ShelvedEnvironment:
    """Adds what is written for people and the thumbnail, and puts every file into the store."""
    message = scene_pb2.Environment()
    message.CopyFrom(baked.message)
    environment_id = message.summary.environment_id
    text = descriptions()[environment_id]
    message.summary.title = text.title
    message.summary.description = text.sentence
    message.summary.robot = text.robot
    message.summary.example_prompts.extend(text.prompts)
    message.summary.thumbnail.CopyFrom(artifacts.put(picture(environment_id), "image/webp"))
    bundle = scene_pb2.SceneBundle(
        environment_id=environment_id,
        fingerprint=message.fingerprint,
        xml=artifacts.put(baked.xml, "application/xml"),
        assets=[
            scene_pb2.SceneAsset(path=path, artifact=_put_asset(path, content, artifacts))
            for path, content in baked.assets.items()
        ],
        mujoco_version=importlib.metadata.version("mujoco"),
    )
    return ShelvedEnvironment(message, bundle)


def _put_asset(path: str, content: bytes, artifacts: ArtifactStore) -> artifact_pb2.Artifact:
    suffix = "." + path.rpartition(".")[2].lower()
    return artifacts.put(content, _MEDIA_TYPES.get(suffix, "application/octet-stream"))
