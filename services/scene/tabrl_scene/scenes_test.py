"""Uploads through the servicer, read by real jailed processes; the catalogue is left empty, for it is not asked."""

import asyncio
import io
import os
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from tabrl.scene.v1 import scene_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.logs import configure_logs
from tabrl_simulation.custom import examining, store

from tabrl_scene import scenes
from tabrl_scene.menagerie import Portraits
from tabrl_scene.recordings import Recordings
from tabrl_scene.scene_messages import config_message, config_of
from tabrl_scene.scenes import Scenes
from tabrl_scene.servicer import SceneServicer

_HOPPER = b"""<mujoco>
  <worldbody>
    <geom type="plane" size="1 1 1"/>
    <body name="trunk" pos="0 0 1"><freejoint/><geom size="0.1"/>
      <body name="leg"><joint name="knee" axis="0 1 0" range="-1 1"/>
        <geom type="capsule" fromto="0 0 0 0 0 -.5" size=".05"/>
      </body>
    </body>
  </worldbody>
  <actuator><position joint="knee" kp="20" ctrlrange="-1 1"/></actuator>
</mujoco>"""


class _Shelf:
    summaries: list[scene_pb2.EnvironmentSummary] = []  # noqa: RUF012

    def find(self, environment_id: str) -> Any:
        raise LookupError(environment_id)


async def _servicer(data: Path) -> SceneServicer:
    context: Any = SimpleNamespace(
        config=ServiceConfig(data=data), artifacts=ArtifactStore(data / "artifacts"), log=configure_logs("scene")
    )
    scenes = Scenes(context, Portraits(context.artifacts, context.log))
    await scenes.load()
    return SceneServicer(context, _Shelf(), scenes, Recordings(context))  # type: ignore[arg-type]


def _pieces(content: bytes, length: int, **said: Any) -> Iterator[scene_pb2.UploadSceneRequest]:
    upload_id = str(uuid.uuid4())
    for start in range(0, len(content), length):
        yield scene_pb2.UploadSceneRequest(
            upload_id=upload_id,
            size_bytes=len(content),
            offset_bytes=start,
            data=content[start : start + length],
            **{"file_name": "hopper.xml", **said},
        )


async def test_pieces_become_an_environment_that_survives_a_restart(tmp_path: Path) -> None:
    servicer = await _servicer(tmp_path)
    pieces = list(_pieces(_HOPPER, 150, title="My Hopper"))

    first = await servicer.UploadScene(pieces[0], None)
    with pytest.raises(TabrlError) as gap:
        await servicer.UploadScene(pieces[2], None)
    again = await servicer.UploadScene(pieces[0], None)
    for piece in pieces[1:]:
        response = await servicer.UploadScene(piece, None)

    assert (first.received_bytes, again.received_bytes, response.received_bytes) == (150, 150, len(_HOPPER))
    assert (gap.value.reason, gap.value.metadata["received_bytes"]) == ("UPLOAD_OUT_OF_STEP", "150")
    environment = response.environment
    assert environment.summary.environment_id.startswith("custom-my-hopper-")
    # what it can be asked for follows from how it stands
    assert environment.stance == scene_pb2.Stance(body="trunk", height_m=environment.stance.height_m)
    assert 0.4 < environment.stance.height_m < 0.7
    assert "Walk forward" in environment.summary.example_prompts
    assert (environment.action_size, environment.timing.physics_steps_per_control) == (1, 10)
    assert not list((tmp_path / "scene" / "uploads").iterdir())
    assert await servicer.UploadScene(pieces[-1], None) == response

    restarted = await _servicer(tmp_path)
    request = scene_pb2.GetEnvironmentRequest(environment_id=environment.summary.environment_id)
    assert (await restarted.GetEnvironment(request, None)).environment == environment
    bundle = await restarted.GetSceneBundle(
        scene_pb2.GetSceneBundleRequest(environment_id=environment.summary.environment_id), None
    )
    assert bundle.bundle.fingerprint == environment.fingerprint


async def test_uploads_beyond_those_that_are_read_wait_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer = await _servicer(tmp_path)
    may_read = asyncio.Event()

    async def examine(*arguments: Any, **options: Any) -> Any:
        await may_read.wait()
        return await examining.examine(*arguments, **options)

    monkeypatch.setattr(scenes, "examine", examine)
    waiting = [asyncio.create_task(servicer.UploadScene(next(_pieces(_HOPPER, 1 << 20)), None)) for _ in range(8)]
    async with asyncio.timeout(60):
        while len(servicer._uploads._readings) < len(waiting):
            await asyncio.sleep(0.01)
    piece = next(_pieces(_HOPPER, 1 << 20))

    with pytest.raises(TabrlError) as refused:
        await servicer.UploadScene(piece, None)

    assert (refused.value.reason, refused.value.retry_after_secs) == ("TOO_MANY_REQUESTS", 2.0)
    # and nothing of it is lost
    may_read.set()
    await asyncio.gather(*waiting)
    assert (await servicer.UploadScene(piece, None)).HasField("environment")


async def test_another_configuration_is_another_environment_that_takes_the_place_of_the_first(tmp_path: Path) -> None:
    servicer = await _servicer(tmp_path)
    (piece,) = _pieces(_HOPPER, 1 << 20)
    first = (await servicer.UploadScene(piece, None)).environment.summary.environment_id
    scene = (await servicer.GetScene(scene_pb2.GetSceneRequest(environment_id=first), None)).scene
    scene.config.physics_timestep_secs = 0.005
    scene.config.observations.clock = True
    request = scene_pb2.UpdateSceneConfigRequest(environment_id=first, config=scene.config)

    changed = await servicer.UpdateSceneConfig(request, None)
    repeated = await servicer.UpdateSceneConfig(request, None)

    assert changed == repeated
    assert changed.scene.replaces == first
    assert changed.environment.summary.environment_id != first
    assert changed.environment.timing.physics_steps_per_control == 4
    listed = await servicer.ListEnvironments(scene_pb2.ListEnvironmentsRequest(category="custom"), None)
    assert [each.environment_id for each in listed.environments] == [changed.environment.summary.environment_id]
    assert (
        await servicer.GetScene(scene_pb2.GetSceneRequest(environment_id=first), None)
    ).scene.environment_id == first
    # what training will load moves as what is described here
    kept = store.read(changed.environment.summary.environment_id, tmp_path / "scenes")
    assert config_message(kept.config) == scene.config
    assert config_of(scene.config) == kept.config


async def test_other_callers_are_answered_while_a_large_scene_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer = await _servicer(tmp_path)
    (piece,) = _pieces(_HOPPER, 1 << 20)
    first = (await servicer.UploadScene(piece, None)).environment.summary.environment_id
    config = (await servicer.GetScene(scene_pb2.GetSceneRequest(environment_id=first), None)).scene.config
    config.physics_timestep_secs = 0.005
    identify, blocked = store.identify, list[bool]()

    def slowly(scene: store.StoredScene) -> str:
        blocked.append(threading.current_thread() is threading.main_thread())
        return identify(scene)

    monkeypatch.setattr(store, "identify", slowly)

    await servicer.UpdateSceneConfig(scene_pb2.UpdateSceneConfigRequest(environment_id=first, config=config), None)

    assert blocked
    assert not any(blocked)


async def test_a_configuration_is_made_whoever_waits_for_it_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer = await _servicer(tmp_path)
    (piece,) = _pieces(_HOPPER, 1 << 20)
    first = (await servicer.UploadScene(piece, None)).environment.summary.environment_id
    config = (await servicer.GetScene(scene_pb2.GetSceneRequest(environment_id=first), None)).scene.config
    config.physics_timestep_secs = 0.005
    request = scene_pb2.UpdateSceneConfigRequest(environment_id=first, config=config)
    examined: list[bytes] = []
    examining_began, may_go_on = asyncio.Event(), asyncio.Event()

    async def examine(*arguments: Any, **options: Any) -> Any:
        examined.append(arguments[0])
        examining_began.set()
        await may_go_on.wait()
        return await examining.examine(*arguments, **options)

    monkeypatch.setattr(scenes, "examine", examine)

    # when the caller leaves while it is examined
    caller = asyncio.create_task(servicer.UpdateSceneConfig(request, None))
    await examining_began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    may_go_on.set()

    # then it is made all the same, and who asks again finds it
    listing = scene_pb2.ListEnvironmentsRequest(category="custom")
    async with asyncio.timeout(60):
        while (await servicer.ListEnvironments(listing, None)).environments[0].environment_id == first:
            await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(servicer.UpdateSceneConfig(request, None) for _ in range(2)))
    answers.append(await servicer.UpdateSceneConfig(request, None))

    assert len(examined) == 1
    assert len({answer.environment.summary.environment_id for answer in answers} - {first}) == 1


async def test_the_newest_configuration_is_listed_after_a_restart_too(
    tmp_path: Path,
) -> None:
    servicer = await _servicer(tmp_path)
    (piece,) = _pieces(_HOPPER, 1 << 20)
    first = (await servicer.UploadScene(piece, None)).environment.summary.environment_id
    config = (await servicer.GetScene(scene_pb2.GetSceneRequest(environment_id=first), None)).scene.config
    ids = [first]
    # given configurations of each other, whose ids come in any order
    for timestep in (0.005, 0.002, 0.004):
        changed = scene_pb2.SceneConfig()
        changed.CopyFrom(config)
        changed.physics_timestep_secs = timestep
        request = scene_pb2.UpdateSceneConfigRequest(environment_id=ids[-1], config=changed)
        ids.append((await servicer.UpdateSceneConfig(request, None)).environment.summary.environment_id)
    assert await _listed(servicer) == [ids[-1]]

    # then it is the same after a restart
    assert await _listed(await _servicer(tmp_path)) == [ids[-1]]
    # and the first may be wanted again
    request = scene_pb2.UpdateSceneConfigRequest(environment_id=ids[-1], config=config)
    assert (await servicer.UpdateSceneConfig(request, None)).environment.summary.environment_id == first
    assert await _listed(servicer) == [first]


async def _listed(servicer: SceneServicer) -> list[str]:
    listed = await servicer.ListEnvironments(scene_pb2.ListEnvironmentsRequest(category="custom"), None)
    return [each.environment_id for each in listed.environments]


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"home_joints": {"elbow": 1.0}}, "config.home_joints.elbow", "there are: knee"),
        ({"control_period_secs": 0.003}, "config.control_period_secs", "whole number of physics steps"),
        ({"termination": {"max_tilt_rad": -1.0}}, "config.termination.max_tilt_rad", "between"),
        ({"action_scale": float("nan")}, "config.action_scale", "between"),
    ],
)
async def test_a_configuration_that_cannot_be_used_names_the_field(
    tmp_path: Path, change: dict[str, Any], field: str, says: str
) -> None:
    servicer = await _servicer(tmp_path)
    (piece,) = _pieces(_HOPPER, 1 << 20)
    environment_id = (await servicer.UploadScene(piece, None)).environment.summary.environment_id
    scene = (await servicer.GetScene(scene_pb2.GetSceneRequest(environment_id=environment_id), None)).scene
    scene.config.MergeFrom(scene_pb2.SceneConfig(**change))

    with pytest.raises(TabrlError, match=says) as refused:
        await servicer.UpdateSceneConfig(
            scene_pb2.UpdateSceneConfigRequest(environment_id=environment_id, config=scene.config), None
        )

    assert refused.value.reason == "INVALID_FIELD"
    assert [name for name, _ in refused.value.fields] == [field]


async def test_what_was_half_written_when_the_service_was_killed_goes_with_a_later_start(tmp_path: Path) -> None:
    # given what two kills left, the one long ago, the other in this moment
    for name, age_secs in ((".writing-old", 7200.0), (".writing-young", 0.0)):
        left = tmp_path / "scenes" / name
        (left / "assets").mkdir(parents=True)
        (left / "assets" / "leg.stl").write_bytes(bytes(100))
        os.utime(left, (0, time.time() - age_secs))

    servicer = await _servicer(tmp_path)

    assert [path.name for path in (tmp_path / "scenes").iterdir()] == [".writing-young"]
    assert await _listed(servicer) == []


async def test_a_refused_upload_says_where_and_stays_refused(tmp_path: Path) -> None:
    servicer = await _servicer(tmp_path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("robot/scene.xml", b"<mujoco>\n  <include file='leg.xml'/>\n</mujoco>")
    (piece,) = _pieces(packed.getvalue(), 1 << 20, file_name="robot.zip")

    for _ in range(2):
        with pytest.raises(TabrlError, match=r"scene\.xml, line 2: <include> names leg\.xml") as refused:
            await servicer.UploadScene(piece, None)
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SCENE_REFUSED")
        assert refused.value.metadata == {"rule": "FILE_MISSING", "file": "scene.xml", "line": "2"}
    assert store.ids(tmp_path / "scenes") == ()
