"""Scene names every file that it has stored, over a real socket, and says nothing while it does not know them all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.logs import configure_logs
from tabrl_chassis.service import started

from tabrl_scene.catalogue import BakedEnvironment, catalogue_path, write_catalogue
from tabrl_scene.menagerie import Portraits
from tabrl_scene.recordings import Recordings
from tabrl_scene.references import named_files
from tabrl_scene.scenes import Scenes
from tabrl_scene.scenes_test import _HOPPER, _pieces
from tabrl_scene.service import SERVICE
from tabrl_scene.shelf import Shelf

pytestmark = pytest.mark.asyncio


def _bake(data: Path) -> None:
    """Writes a catalogue of one environment, whose scene names a file."""
    summary = scene_pb2.EnvironmentSummary(environment_id="CartpoleBalance")
    baked = BakedEnvironment(scene_pb2.Environment(summary=summary), b"<mujoco/>", {"pole.stl": b"solid"})
    write_catalogue(catalogue_path(data), [baked])


async def test_every_file_that_scene_has_stored_is_named(tmp_path: Path) -> None:
    # Given a catalogue, an uploaded scene, and recorded states
    _bake(tmp_path)
    async with started(SERVICE, ServiceConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        scene = scene_pb2_grpc.SceneServiceStub(channel)
        for piece in _pieces(_HOPPER, 1000, title="My Hopper"):
            response = await scene.UploadScene(piece)
        assert response.environment.summary.environment_id
        states = tmp_path / "states"
        states.write_bytes(b"recorded")
        Recordings(running.context)._keep("fingerprint", states)
        store = running.context.artifacts
        unnamed = store.put(b"of nobody").sha256

        # when it is asked what it names
        stub = artifacts_pb2_grpc.ReferenceServiceStub(channel)
        told = [part async for part in stub.ListReferences(artifacts_pb2.ListReferencesRequest())]

    # then that is all it has stored: pictures of all environments, both scenes with their files, the states
    named = {digest for part in told for digest in part.sha256}
    stored = {file.sha256 for file in store.stored()}
    assert named == stored - {unnamed}
    assert {store.put(content).sha256 for content in (b"<mujoco/>", b"solid", b"recorded")} <= named
    assert len(named) > 54


async def test_while_not_all_is_known_it_says_so_instead(tmp_path: Path) -> None:
    context: Any = SimpleNamespace(
        config=ServiceConfig(data=tmp_path),
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        log=configure_logs("scene"),
    )
    portraits = Portraits(context.artifacts, context.log)
    shelf, scenes, recordings = Shelf(context), Scenes(context, portraits), Recordings(context)

    async def refused() -> grpc.StatusCode:
        with pytest.raises(TabrlError) as caught:
            await named_files(shelf, scenes, recordings, portraits)
        return caught.value.code

    # Given uploads that are still to be read, then environments that are still to be baked
    _bake(tmp_path)
    await shelf.load()
    assert await refused() is grpc.StatusCode.UNAVAILABLE
    await scenes.load()
    assert await named_files(shelf, scenes, recordings, portraits)
    shelf = Shelf(context)
    assert await refused() is grpc.StatusCode.UNAVAILABLE

    # and what was recorded but cannot be read, though not what is damaged for good
    await shelf.load()
    (tmp_path / "scene" / "recordings" / "unreadable.json").mkdir(parents=True)
    assert await refused() is grpc.StatusCode.UNAVAILABLE
    (tmp_path / "scene" / "recordings" / "unreadable.json").rmdir()
    (tmp_path / "scene" / "recordings" / "damaged.json").write_text("{")
    assert await named_files(shelf, scenes, recordings, portraits)
