"""The RPCs of the Scene service."""

from __future__ import annotations

import asyncio
from typing import Any

from google.api import httpbody_pb2
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.pagination import page_of
from tabrl_chassis.service import Context

from tabrl_scene.shelf import Shelf, not_found

__all__ = ["SceneServicer"]


class SceneServicer(scene_pb2_grpc.SceneServiceServicer):
    """Answers from the shelf; a TabrlError that it raises becomes the call's status."""

    def __init__(self, context: Context[ServiceConfig], shelf: Shelf) -> None:
        """Serves what is on the shelf."""
        self._artifacts = context.artifacts
        self._shelf = shelf

    async def ListEnvironments(
        self, request: scene_pb2.ListEnvironmentsRequest, _context: Any
    ) -> scene_pb2.ListEnvironmentsResponse:
        """Lists the environments that match, one page at a time."""
        page = page_of(request, default_size=100, maximum_size=1000)
        summaries = (environment.message.summary for environment in self._shelf.environments.values())
        matching = [summary for summary in summaries if _matches(summary, request)]
        rest = [summary for summary in matching if page.after is None or summary.environment_id > page.after]
        shown = rest[: page.size]
        return scene_pb2.ListEnvironmentsResponse(
            environments=shown,
            next_page_token=page.token(shown[-1].environment_id) if len(rest) > page.size else "",
            total_size=len(matching),
        )

    async def GetEnvironment(
        self, request: scene_pb2.GetEnvironmentRequest, _context: Any
    ) -> scene_pb2.GetEnvironmentResponse:
        """Describes one environment."""
        return scene_pb2.GetEnvironmentResponse(environment=self._shelf.find(request.environment_id).message)

    async def GetSceneBundle(
        self, request: scene_pb2.GetSceneBundleRequest, _context: Any
    ) -> scene_pb2.GetSceneBundleResponse:
        """Names the files of one scene."""
        return scene_pb2.GetSceneBundleResponse(bundle=self._shelf.find(request.environment_id).bundle)

    async def GetEnvironmentXml(
        self, request: scene_pb2.GetEnvironmentXmlRequest, _context: Any
    ) -> httpbody_pb2.HttpBody:
        """Returns one scene's MJCF."""
        found = self._shelf.find(request.environment_id)
        category = found.message.summary.category
        if request.category != category:
            message = f"{request.environment_id} is not in the category {request.category!r} but in {category!r}."
            raise not_found(request.environment_id, message, request.environment_id)
        xml = await asyncio.to_thread(self._artifacts.read, found.bundle.xml.sha256)
        return httpbody_pb2.HttpBody(content_type="application/xml", data=xml)


def _matches(summary: scene_pb2.EnvironmentSummary, request: scene_pb2.ListEnvironmentsRequest) -> bool:
    if request.category not in ("", summary.category):
        return False
    text = "\n".join((summary.environment_id, summary.title, summary.description)).casefold()
    return request.query.strip().casefold() in text
