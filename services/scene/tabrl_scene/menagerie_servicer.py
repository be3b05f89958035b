"""The RPCs of the Menagerie service: robots that are on this machine, one click from being environments."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from tabrl.scene.v1 import menagerie_pb2, menagerie_pb2_grpc
from tabrl_chassis.errors import invalid_field
from tabrl_chassis.tasks import SharedWork

from tabrl_scene import menagerie
from tabrl_scene.menagerie import MenagerieScene, Portraits
from tabrl_scene.scenes import Scenes
from tabrl_scene.shelf import ShelvedEnvironment

__all__ = ["MenagerieServicer"]


class MenagerieServicer(menagerie_pb2_grpc.MenagerieServiceServicer):
    """Lists Menagerie's scenes and makes environments of them; a TabrlError becomes the call's status."""

    def __init__(self, scenes: Scenes, portraits: Portraits) -> None:
        """Adds to the scenes that people uploaded."""
        self._scenes = scenes
        self._portraits = portraits
        self._adding: SharedWork[str, ShelvedEnvironment] = SharedWork()

    async def ListMenagerieScenes(
        self, _request: menagerie_pb2.ListMenagerieScenesRequest, _context: Any
    ) -> menagerie_pb2.ListMenagerieScenesResponse:
        """Lists the scenes of the robots on this machine."""
        self._scenes.require_all_loaded()
        found = await asyncio.to_thread(menagerie.scenes)
        portraits = await asyncio.gather(*(asyncio.to_thread(self._portraits.of, scene) for scene in found))
        messages = [
            menagerie_pb2.MenagerieScene(
                robot=scene.robot,
                main_file=scene.main_file,
                title=scene.title,
                picture=portrait,
                licences=[scene.spdx_id] if scene.spdx_id else [],
                environment_id=self._scenes.of_menagerie(scene.name),
            )
            for scene, portrait in zip(found, portraits, strict=True)
        ]
        return menagerie_pb2.ListMenagerieScenesResponse(scenes=messages)

    async def AddMenagerieScene(
        self, request: menagerie_pb2.AddMenagerieSceneRequest, _context: Any
    ) -> menagerie_pb2.AddMenagerieSceneResponse:
        """Makes an environment of a scene, also when the caller does not wait for it."""
        self._scenes.require_all_loaded()
        scene = _chosen(request, await asyncio.to_thread(menagerie.scenes))
        added = await self._adding.of(scene.name, functools.partial(self._add, scene), name=f"adding {scene.name}")
        return menagerie_pb2.AddMenagerieSceneResponse(environment=added.message)

    async def stop(self) -> None:
        """Ends what is under way."""
        await self._adding.stop()

    async def _add(self, scene: MenagerieScene) -> ShelvedEnvironment:
        if known := self._scenes.of_menagerie(scene.name):
            return self._scenes.environments[known]
        content = await asyncio.to_thread(menagerie.packed, scene.robot)
        return await self._scenes.add(
            content, f"{scene.robot}.zip", title=scene.title, main_file=scene.main_file, menagerie_name=scene.name
        )


def _chosen(request: menagerie_pb2.AddMenagerieSceneRequest, scenes: tuple[MenagerieScene, ...]) -> MenagerieScene:
    of_robot = [scene for scene in scenes if scene.robot == request.robot]
    if not of_robot:
        names = ", ".join(dict.fromkeys(scene.robot for scene in scenes)) or "none; install the robots first"
        raise invalid_field("robot", f"is none of those on this machine: {names}")
    for scene in of_robot:
        if request.main_file in ("", scene.main_file):
            return scene
    raise invalid_field("main_file", f"is none of its scenes: {', '.join(scene.main_file for scene in of_robot)}")
