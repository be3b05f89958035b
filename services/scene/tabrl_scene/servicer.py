"""The RPCs of the Scene service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.api import httpbody_pb2
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import invalid_field
from tabrl_chassis.pagination import page_of
from tabrl_chassis.service import Context
from tabrl_chassis.uploads import Uploads

from tabrl_scene.installation import Installation
from tabrl_scene.recordings import Recordings
from tabrl_scene.robots import DISK_BYTES, DOWNLOAD_BYTES
from tabrl_scene.scenes import Scenes
from tabrl_scene.shelf import Shelf, ShelvedEnvironment, not_found

__all__ = ["SceneServicer"]


class SceneServicer(scene_pb2_grpc.SceneServiceServicer):
    """Answers from the shelf and the uploaded scenes; a TabrlError that it raises becomes the call's status."""

    def __init__(self, context: Context[ServiceConfig], shelf: Shelf, scenes: Scenes, recordings: Recordings) -> None:
        """Serves what is on the shelf, and what people uploaded."""
        self._artifacts = context.artifacts
        self._shelf = shelf
        self._scenes = scenes
        self._uploads = Uploads(
            Path(context.config.data) / "scene" / "uploads", self._read, said_once=("file_name", "title", "main_file")
        )
        self._installation = Installation(context, shelf)
        self._recordings = recordings

    async def ListEnvironments(
        self, request: scene_pb2.ListEnvironmentsRequest, _context: Any
    ) -> scene_pb2.ListEnvironmentsResponse:
        """Lists the environments that match, one page at a time."""
        page = page_of(request, default_size=100, maximum_size=1000)
        summaries = sorted((*self._shelf.summaries, *self._scenes.summaries), key=lambda each: each.environment_id)
        matching = [summary for summary in summaries if _matches(summary, request)]
        rest = [summary for summary in matching if page.after is None or summary.environment_id > page.after]
        shown = rest[: page.size]
        return scene_pb2.ListEnvironmentsResponse(
            environments=shown,
            next_page_token=page.token(shown[-1].environment_id) if len(rest) > page.size else "",
            total_size=len(matching),
            robot_download=scene_pb2.RobotDownload(download_bytes=DOWNLOAD_BYTES, disk_bytes=DISK_BYTES)
            if any(summary.robot_missing for summary in summaries)
            else None,
        )

    async def GetEnvironment(
        self, request: scene_pb2.GetEnvironmentRequest, _context: Any
    ) -> scene_pb2.GetEnvironmentResponse:
        """Describes one environment."""
        return scene_pb2.GetEnvironmentResponse(environment=self._find(request.environment_id).message)

    async def GetSceneBundle(
        self, request: scene_pb2.GetSceneBundleRequest, _context: Any
    ) -> scene_pb2.GetSceneBundleResponse:
        """Names the files of one scene."""
        return scene_pb2.GetSceneBundleResponse(bundle=self._find(request.environment_id).bundle)

    async def GetRealStates(
        self, request: scene_pb2.GetRealStatesRequest, _context: Any
    ) -> scene_pb2.GetRealStatesResponse:
        """Returns states that a robot really gets into."""
        return await self._recordings.find(self._find(request.environment_id).message)

    async def GetEnvironmentXml(
        self, request: scene_pb2.GetEnvironmentXmlRequest, _context: Any
    ) -> httpbody_pb2.HttpBody:
        """Returns one scene's MJCF."""
        found = self._find(request.environment_id)
        category = found.message.summary.category
        if request.category != category:
            message = f"{request.environment_id} is not in the category {request.category!r} but in {category!r}."
            raise not_found(request.environment_id, message, request.environment_id)
        xml = await asyncio.to_thread(self._artifacts.read, found.bundle.xml.sha256)
        return httpbody_pb2.HttpBody(content_type="application/xml", data=xml)

    async def UploadScene(self, request: scene_pb2.UploadSceneRequest, _context: Any) -> scene_pb2.UploadSceneResponse:
        """Takes a piece of a scene."""
        received, found = await self._uploads.receive(request)
        environment = None if found is None else found.message
        return scene_pb2.UploadSceneResponse(received_bytes=received, environment=environment)

    async def _read(self, content: bytes, request: scene_pb2.UploadSceneRequest) -> ShelvedEnvironment:
        return await self._scenes.add(content, request.file_name, title=request.title, main_file=request.main_file)

    async def GetScene(self, request: scene_pb2.GetSceneRequest, _context: Any) -> scene_pb2.GetSceneResponse:
        """Returns what was uploaded and decided."""
        self._find(request.environment_id)
        return scene_pb2.GetSceneResponse(scene=await self._scenes.describe(request.environment_id))

    async def UpdateSceneConfig(
        self, request: scene_pb2.UpdateSceneConfigRequest, _context: Any
    ) -> scene_pb2.UpdateSceneConfigResponse:
        """Makes an environment of the same scene with another configuration."""
        self._find(request.environment_id)
        found = await self._scenes.configure(request.environment_id, request.config)
        scene = await self._scenes.describe(found.message.summary.environment_id)
        return scene_pb2.UpdateSceneConfigResponse(environment=found.message, scene=scene)

    def _find(self, environment_id: str) -> ShelvedEnvironment:
        self._scenes.require_loaded(environment_id)
        return self._scenes.environments.get(environment_id) or self._shelf.find(environment_id)

    async def InstallRobots(
        self, request: scene_pb2.InstallRobotsRequest, _context: Any
    ) -> AsyncIterator[scene_pb2.InstallRobotsResponse]:
        """Installs the robots once the person agreed to the download's size."""
        if request.accepted_download_bytes != DOWNLOAD_BYTES:
            raise invalid_field("accepted_download_bytes", f"the download is {DOWNLOAD_BYTES} bytes")
        async for progress in self._installation.follow():
            yield progress


def _matches(summary: scene_pb2.EnvironmentSummary, request: scene_pb2.ListEnvironmentsRequest) -> bool:
    if request.category not in ("", summary.category):
        return False
    text = "\n".join((summary.environment_id, summary.title, summary.description)).casefold()
    return request.query.strip().casefold() in text
