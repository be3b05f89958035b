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
from tabrl_simulation import environments, licences, robots

from tabrl_scene.catalogue import BakedEnvironment, catalogue_path, content, read_catalogue, version
from tabrl_scene.descriptions import descriptions, picture
from tabrl_scene.robots import DOWNLOAD_BYTES

__all__ = ["Shelf", "ShelvedEnvironment", "not_found", "put_asset"]

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
        self._missing: list[scene_pb2.EnvironmentSummary] = []

    async def load(self) -> bool:
        """Fills the shelf from the data folder's catalogue; returns whether there is one of this version."""
        baked = await asyncio.to_thread(read_catalogue, catalogue_path(self._context.config.data))
        if baked is None:
            return False
        self._environments, self._missing = await asyncio.to_thread(_shelved, baked, self._context.artifacts)
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
    def progress(self) -> str:
        """How far the baking is, in words."""
        return self._progress

    @property
    def summaries(self) -> list[scene_pb2.EnvironmentSummary]:
        """Summaries of every environment, with those whose robot is missing, in the order of the ids.

        Raises:
            TabrlError: they are being prepared (UNAVAILABLE); the message says how far that is.
        """
        present = [environment.message.summary for environment in self.environments.values()]
        return sorted((*present, *self._missing), key=lambda summary: summary.environment_id)

    @property
    def environments(self) -> Mapping[str, ShelvedEnvironment]:
        """Every environment whose robot is here by id, in the order of the ids.

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
            TabrlError: there is no such environment (NOT_FOUND), its robot is not installed (FAILED_PRECONDITION), or
                they are being prepared (UNAVAILABLE).
        """
        found = self.environments.get(environment_id)
        if found is None:
            if environment_id in environments.CATEGORY:
                raise _not_installed(environment_id)
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


def _not_installed(environment_id: str) -> TabrlError:
    # The robot may have come since the catalogue was baked; the remedy is the same.
    robot = robots.robots_of(environment_id)[-1]
    missing = robots.missing(environment_id) or robots.MissingRobot(environment_id, robot)
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "ROBOT_NOT_INSTALLED",
        str(missing),
        metadata={
            "environment_id": environment_id,
            "robot": missing.robot,
            "remedy": missing.remedy,
            "download_bytes": str(DOWNLOAD_BYTES),
        },
    )


def _shelved(
    baked: Mapping[str, BakedEnvironment], artifacts: ArtifactStore
) -> tuple[dict[str, ShelvedEnvironment], list[scene_pb2.EnvironmentSummary]]:
    shelved = {environment_id: _shelve(environment, artifacts) for environment_id, environment in baked.items()}
    missing = [
        scene_pb2.EnvironmentSummary(environment_id=environment_id, category=category, robot_missing=True)
        for environment_id, category in environments.CATEGORY.items()
        if environment_id not in baked
    ]
    for summary in missing:
        _describe(summary, artifacts)
    return shelved, missing


def _describe(summary: scene_pb2.EnvironmentSummary, artifacts: ArtifactStore) -> None:
    """Adds what is written for people and the thumbnail."""
    text = descriptions()[summary.environment_id]
    summary.title = text.title
    summary.description = text.sentence
    summary.robot = text.robot
    summary.example_prompts.extend(text.prompts)
    spdx = (licence.spdx_id for licence in licences.licences_of(summary.environment_id))
    summary.licences.extend(dict.fromkeys(each for each in spdx if each != licences.UNKNOWN))
    summary.thumbnail.CopyFrom(artifacts.put(picture(summary.environment_id), "image/webp"))


def _shelve(baked: BakedEnvironment, artifacts: ArtifactStore) -> ShelvedEnvironment:
    """Adds what is written for people and the thumbnail, and puts every file into the store."""
    message = scene_pb2.Environment()
    message.CopyFrom(baked.message)
    environment_id = message.summary.environment_id
    _describe(message.summary, artifacts)
    bundle = scene_pb2.SceneBundle(
        environment_id=environment_id,
        fingerprint=message.fingerprint,
        xml=artifacts.put(baked.xml, "application/xml"),
        assets=[
            scene_pb2.SceneAsset(path=path, artifact=put_asset(path, content(asset), artifacts))
            for path, asset in baked.assets.items()
        ],
        mujoco_version=importlib.metadata.version("mujoco"),
    )
    return ShelvedEnvironment(message, bundle)


def put_asset(path: str, data: bytes, artifacts: ArtifactStore) -> artifact_pb2.Artifact:
    """Stores a file that a scene names, with the media type that its name says."""
    suffix = "." + path.rpartition(".")[2].lower()
    return artifacts.put(data, _MEDIA_TYPES.get(suffix, "application/octet-stream"))
