"""The scenes that people uploaded, beside the catalogue: kept in `DATA/scenes`, read by jailed processes alone."""

from __future__ import annotations

import asyncio
import errno
import importlib.metadata
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import grpc
from tabrl.scene.v1 import scene_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.service import Context
from tabrl_simulation.custom import store, timing
from tabrl_simulation.custom.archive import SceneRefused
from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig
from tabrl_simulation.custom.examining import Examined, examine
from tabrl_simulation.rewards.diagnostics import JailUnavailable

from tabrl_scene import menagerie
from tabrl_scene.menagerie import Portraits
from tabrl_scene.scene_messages import config_of, environment_of_facts, scene_message
from tabrl_scene.shelf import ShelvedEnvironment, put_asset

__all__ = ["Scenes"]

_FIELD = "config."
_MOST_CONFIGURED = 8


class Scenes:
    """Every uploaded scene, ready to be handed out, and the way in for new ones."""

    def __init__(self, context: Context[ServiceConfig], portraits: Portraits) -> None:
        """Starts empty; `load` fills it."""
        self._context = context
        self._portraits = portraits
        self._root = Path(context.config.data) / "scenes"
        self._shelved: dict[str, ShelvedEnvironment] = {}
        self._replaces: dict[str, str] = {}
        self._menagerie: dict[str, str] = {}
        self._loading = True
        # A scene may take gigabytes to read, so one is read at a time.
        self._reading = asyncio.Lock()
        self._configuring: dict[tuple[str, bytes], asyncio.Task[ShelvedEnvironment]] = {}

    async def load(self) -> None:
        """Fills it from the data folder; a damaged scene is left out, and said to be."""
        try:
            await asyncio.to_thread(store.tidy, self._root)
            for environment_id in await asyncio.to_thread(store.ids, self._root):
                try:
                    scene = await asyncio.to_thread(store.read, environment_id, self._root)
                    found = scene.facts.get("mujoco_version"), scene.facts.get("revision")
                    if found != (_mujoco_version(), store.FACTS_REVISION):
                        scene = await self._read_again(environment_id, scene)
                    await self._shelve(environment_id, scene)
                except (
                    OSError,
                    ValueError,
                    TypeError,
                    LookupError,
                    SceneRefused,
                    JailUnavailable,
                    TabrlError,
                ) as error:
                    self._context.log.warning(
                        "an uploaded scene cannot be used", environment_id=environment_id, error=str(error)
                    )
        finally:
            self._loading = False

    def require_loaded(self, environment_id: str) -> None:
        """Makes sure that a scene that is not there is not only still to be read.

        Raises:
            TabrlError: it may be one that is read soon (SERVICE_UNAVAILABLE).
        """
        if environment_id.startswith(store.PREFIX) and environment_id not in self._shelved:
            self.require_all_loaded()

    def require_all_loaded(self) -> None:
        """Makes sure that no scene is still to be read.

        Raises:
            TabrlError: some are (SERVICE_UNAVAILABLE).
        """
        if self._loading:
            message = "The uploaded scenes are still being read after a start; try again in a moment."
            raise TabrlError(grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE", message, retry_after_secs=1.0)

    @property
    def environments(self) -> Mapping[str, ShelvedEnvironment]:
        """Every uploaded scene by id."""
        return self._shelved

    @property
    def summaries(self) -> list[scene_pb2.EnvironmentSummary]:
        """Summaries of the scenes to list: those that no later configuration replaces."""
        replaced = set(self._replaces.values())
        shelved = self._shelved.items()
        return [each.message.summary for environment_id, each in shelved if environment_id not in replaced]

    def of_menagerie(self, name: str) -> str:
        """Returns the id of the environment that a scene of Menagerie became, as it is now; empty for none."""
        replaced = set(self._replaces.values())
        return next((of for of, made_of in self._menagerie.items() if made_of == name and of not in replaced), "")

    async def describe(self, environment_id: str) -> scene_pb2.Scene:
        """Returns what was uploaded and decided.

        Raises:
            TabrlError: it is not an uploaded scene (SCENE_NOT_EDITABLE).
        """
        return scene_message(environment_id, await self._stored(environment_id))

    async def add(
        self, content: bytes, file_name: str, *, title: str, main_file: str, menagerie_name: str = ""
    ) -> ShelvedEnvironment:
        """Reads an upload, or a scene of Menagerie by its name, and keeps it.

        Raises:
            TabrlError: SCENE_REFUSED, JAIL_UNAVAILABLE or STORAGE_FULL.
        """
        async with self._reading:
            found = await _examined(content, file_name, main_file=main_file)
        name = title.strip() or Path(file_name.replace("\\", "/")).stem.replace("_", " ")[:60] or "Robot"
        scene = store.StoredScene(
            title=name,
            source=file_name,
            menagerie=menagerie_name,
            config=found.config,
            xml=found.xml,
            assets=found.assets,
            facts=found.facts,
        )
        shelved = await self._keep(scene)
        if menagerie_name:  # it may be there as an upload already
            self._menagerie[shelved.message.summary.environment_id] = menagerie_name
        return shelved

    async def configure(self, environment_id: str, message: scene_pb2.SceneConfig) -> ShelvedEnvironment:
        """Returns the environment of an uploaded scene with another configuration.

        It is made also when the caller does not wait for it, so that calling again finds it.

        Raises:
            TabrlError: SCENE_NOT_EDITABLE, SCENE_REFUSED, INVALID_FIELD, JAIL_UNAVAILABLE or STORAGE_FULL.
        """
        asked = environment_id, message.SerializeToString(deterministic=True)
        if asked not in self._configuring:
            if len(self._configuring) >= _MOST_CONFIGURED:
                raise TabrlError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    "TOO_MANY_REQUESTS",
                    f"{_MOST_CONFIGURED} configurations are being made already; call again in a moment.",
                    retry_after_secs=2.0,
                )
            task = asyncio.create_task(self._configured(environment_id, message))
            self._configuring[asked] = task
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, whoever waits
            task.add_done_callback(lambda _: self._configuring.pop(asked))
        return await asyncio.shield(self._configuring[asked])

    async def _configured(self, environment_id: str, message: scene_pb2.SceneConfig) -> ShelvedEnvironment:
        scene = await self._stored(environment_id)
        try:
            config = config_of(message)
        except InvalidSceneConfig as error:
            raise invalid_field(_FIELD + error.field, error.remedy) from error
        if config == scene.config:
            return self._shelved[environment_id]
        changed = replace(scene, config=config, replaces=environment_id)
        async with self._reading:
            known = await asyncio.to_thread(store.identify, changed)  # reads all of a scene's files
            if known in self._shelved:
                self._list_in_place_of(environment_id, known)
                return self._shelved[known]
            packed = await asyncio.to_thread(_packed, scene)
            found = await _examined(packed, "scene.zip", main_file="scene.xml", config=config)
            return await self._keep(replace(changed, facts=found.facts))

    async def _stored(self, environment_id: str) -> store.StoredScene:
        if environment_id not in self._shelved:
            raise TabrlError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "SCENE_NOT_EDITABLE",
                f"{environment_id} comes with MuJoCo Playground. Upload a scene of your own to configure one.",
                metadata={"environment_id": environment_id},
            )
        return await asyncio.to_thread(store.read, environment_id, self._root)

    async def _keep(self, scene: store.StoredScene) -> ShelvedEnvironment:
        try:
            environment_id = await asyncio.to_thread(store.write, self._root, scene)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise TabrlError(
                grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", "The disk is full. Free some space and try again."
            ) from error
        kept = await asyncio.to_thread(store.read, environment_id, self._root)
        self._context.log.info("scene kept", environment_id=environment_id, replaces=scene.replaces)
        shelved = await self._shelve(environment_id, kept)
        if scene.replaces:
            self._list_in_place_of(scene.replaces, environment_id)
        return shelved

    def _list_in_place_of(self, older: str, newer: str) -> None:
        # An earlier configuration that is wanted again is the newer one again, until the next start.
        self._replaces = {**{each: of for each, of in self._replaces.items() if of != newer}, newer: older}

    async def _shelve(self, environment_id: str, scene: store.StoredScene) -> ShelvedEnvironment:
        shelved = await asyncio.to_thread(_shelved, environment_id, scene, self._context.artifacts)
        if scene.menagerie:
            await asyncio.to_thread(self._introduce, shelved.message.summary, scene.menagerie)
            self._menagerie[environment_id] = scene.menagerie
        self._shelved[environment_id] = shelved
        if scene.replaces and scene.replaces != environment_id:
            self._replaces[environment_id] = scene.replaces
        return shelved

    def _introduce(self, summary: scene_pb2.EnvironmentSummary, name: str) -> None:
        """Says what is known of a scene of Menagerie, as long as its robot is on this machine."""
        for known in menagerie.scenes():
            if known.name == name:
                summary.licences.extend([known.spdx_id] if known.spdx_id else [])
                portrait = self._portraits.of(known)
                if portrait is not None:
                    summary.thumbnail.CopyFrom(portrait)

    async def _read_again(self, environment_id: str, scene: store.StoredScene) -> store.StoredScene:
        """Returns the scene with what this version of MuJoCo finds in it."""
        async with self._reading:
            packed = await asyncio.to_thread(_packed, scene)
            found = await examine(packed, "scene.zip", main="scene.xml", config=scene.config)
        await asyncio.to_thread(store.write_facts, self._root, environment_id, found.facts)
        return replace(scene, facts=found.facts)


async def _examined(content: bytes, file_name: str, *, main_file: str, config: SceneConfig | None = None) -> Examined:
    try:
        return await examine(content, file_name, main=main_file, config=config)
    except SceneRefused as error:
        raise TabrlError(
            grpc.StatusCode.INVALID_ARGUMENT,
            "SCENE_REFUSED",
            f"{error}.",
            metadata={"rule": error.reason, "file": error.file, "line": str(error.line)},
        ) from error
    except InvalidSceneConfig as error:
        raise invalid_field(_FIELD + error.field, error.remedy) from error
    except JailUnavailable as error:
        message = f"Uploads cannot be read on this machine: {error}"
        raise TabrlError(grpc.StatusCode.UNAVAILABLE, "JAIL_UNAVAILABLE", message) from error


def _packed(scene: store.StoredScene) -> bytes:
    """Returns a kept scene as a zip, about as small as the one that was uploaded, which is what may be read."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scene.xml", scene.xml)
        for path, content in scene.assets.items():
            archive.writestr(path, content)
    return packed.getvalue()


def _shelved(environment_id: str, scene: store.StoredScene, artifacts: ArtifactStore) -> ShelvedEnvironment:
    fingerprint = store.motion_digest(scene, _mujoco_version())
    bundle = scene_pb2.SceneBundle(
        environment_id=environment_id,
        fingerprint=fingerprint,
        xml=artifacts.put(timing.timed(scene.xml, scene.config).encode(), "application/xml"),
        assets=[
            scene_pb2.SceneAsset(path=path, artifact=put_asset(path, content, artifacts))
            for path, content in scene.assets.items()
        ],
        mujoco_version=_mujoco_version(),
    )
    return ShelvedEnvironment(environment_of_facts(environment_id, scene, fingerprint), bundle)


def _mujoco_version() -> str:
    return importlib.metadata.version("mujoco")
