"""The Scene service as a process."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator

import grpc
from tabrl.artifacts.v1 import artifacts_pb2_grpc
from tabrl.scene.v1 import menagerie_pb2_grpc, scene_pb2_grpc
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.references import ReferenceServicer
from tabrl_chassis.service import Context, Service

from tabrl_scene.menagerie import Portraits
from tabrl_scene.menagerie_servicer import MenagerieServicer
from tabrl_scene.recordings import Recordings
from tabrl_scene.references import named_files
from tabrl_scene.scenes import Scenes
from tabrl_scene.servicer import SceneServicer
from tabrl_scene.shelf import Shelf

__all__ = ["SERVICE"]


@contextlib.asynccontextmanager
async def _serve(server: grpc.aio.Server, context: Context[ServiceConfig]) -> AsyncIterator[None]:
    shelf = Shelf(context)
    context.ready_when("environments", shelf.check)
    if not await shelf.load():
        context.background(shelf.prepare(), "preparing the environments")
    portraits = Portraits(context.artifacts, context.log)
    scenes = Scenes(context, portraits)
    context.background(scenes.load(), "loading the uploaded scenes")
    recordings = Recordings(context)
    scene_pb2_grpc.add_SceneServiceServicer_to_server(SceneServicer(context, shelf, scenes, recordings), server)
    menagerie = MenagerieServicer(scenes, portraits)
    menagerie_pb2_grpc.add_MenagerieServiceServicer_to_server(menagerie, server)
    references = ReferenceServicer(functools.partial(named_files, shelf, scenes, recordings, portraits))
    artifacts_pb2_grpc.add_ReferenceServiceServicer_to_server(references, server)
    try:
        yield
    finally:
        await menagerie.stop()


SERVICE = Service(
    "scene",
    ServiceConfig,
    ("tabrl.scene.v1.SceneService", "tabrl.scene.v1.MenagerieService", "tabrl.artifacts.v1.ReferenceService"),
    _serve,
    description="Which environments exist and what their robots are made of.",
)
