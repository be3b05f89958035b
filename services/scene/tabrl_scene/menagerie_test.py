"""Menagerie's scenes on a machine with two robots, made into environments by real jailed processes."""

import asyncio
import dataclasses
import io
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from tabrl.scene.v1 import menagerie_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.logs import configure_logs
from tabrl_simulation import licences

from tabrl_scene import menagerie
from tabrl_scene import scenes as scenes_module
from tabrl_scene.menagerie import Portraits
from tabrl_scene.menagerie_servicer import MenagerieServicer
from tabrl_scene.scenes import Scenes

_SCENE = """<mujoco>
  <include file="{robot}"/>
  <worldbody><geom type="plane" size="1 1 1"/></worldbody>
</mujoco>"""
_ROBOT = """<mujoco>
  <worldbody>
    <body name="trunk" pos="0 0 .6"><freejoint/><geom size="0.1"/>
      <body name="leg"><joint name="knee" axis="0 1 0" range="-1 1"/>
        <geom type="capsule" fromto="0 0 0 0 0 -.5" size="{thickness}"/>
      </body>
    </body>
  </worldbody>
  <actuator><position joint="knee" kp="20" ctrlrange="-1 1"/></actuator>
</mujoco>"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The robots of a machine: one with and without hands, one whose files are damaged, and one that nobody knows."""
    robots = tmp_path / "robots"
    monkeypatch.setenv("TABRL_ROBOTS", str(robots))
    monkeypatch.setenv("TABRL_SCENES", str(tmp_path / "data" / "scenes"))
    for name in ("unitree_g1", "leap_hand", "of_nobody"):
        (robots / name).mkdir(parents=True)
    g1 = robots / "unitree_g1"
    (g1 / "README.md").write_text("# Unitree G1 Description (MJCF)\n\nA humanoid.\n")
    (g1 / "LICENSE").write_text("... Neither the name of the copyright holder ...")
    (g1 / "g1.xml").write_text(_ROBOT.format(thickness=0.05))
    (g1 / "g1_with_hands.xml").write_text(_ROBOT.format(thickness=0.06))
    (g1 / "scene.xml").write_text(_SCENE.format(robot="g1.xml"))
    (g1 / "scene_mjx.xml").write_text(_SCENE.format(robot="g1.xml"))
    (g1 / "scene_with_hands.xml").write_text(_SCENE.format(robot="g1_with_hands.xml"))
    Image.new("RGBA", (1600, 900), (0, 0, 0, 0)).save(g1 / "g1.png")
    Image.new("RGB", (1600, 900), "navy").save(g1 / "g1_with_hands.png")
    hand = robots / "leap_hand"
    (hand / "scene_right.xml").write_text(_SCENE.format(robot="missing.xml"))
    (hand / "right_hand.png").write_bytes(b"no picture")
    return robots


async def _servicer(tmp_path: Path) -> tuple[MenagerieServicer, Scenes, ArtifactStore]:
    artifacts, log = ArtifactStore(tmp_path / "artifacts"), configure_logs("scene")
    context: Any = SimpleNamespace(config=ServiceConfig(data=tmp_path / "data"), artifacts=artifacts, log=log)
    portraits = Portraits(artifacts, log)
    scenes = Scenes(context, portraits)
    await scenes.load()
    return MenagerieServicer(scenes, portraits), scenes, artifacts


async def _listed(servicer: MenagerieServicer) -> list[menagerie_pb2.MenagerieScene]:
    response = await servicer.ListMenagerieScenes(menagerie_pb2.ListMenagerieScenesRequest(), None)
    return list(response.scenes)


@pytest.mark.usefixtures("folder")
async def test_the_scenes_of_this_machine_s_robots_are_listed_with_picture_and_licence(tmp_path: Path) -> None:
    servicer, _, artifacts = await _servicer(tmp_path)

    listed = await _listed(servicer)

    assert [(scene.robot, scene.main_file, scene.title, tuple(scene.licences)) for scene in listed] == [
        ("leap_hand", "scene_right.xml", "leap hand · right", ()),
        ("unitree_g1", "scene.xml", "Unitree G1", ("BSD-3-Clause",)),
        ("unitree_g1", "scene_with_hands.xml", "Unitree G1 · with hands", ("BSD-3-Clause",)),
    ]
    # what is no picture is left out; what has no background stands on white
    assert [scene.HasField("picture") for scene in listed] == [False, True, True]
    pictures = [Image.open(io.BytesIO(artifacts.read(scene.picture.sha256))) for scene in listed[1:]]
    assert {each.size for each in pictures} == {(480, 360)}
    corners = [each.convert("RGB").getpixel((0, 0)) for each in pictures]
    assert corners[0] == (255, 255, 255)
    assert corners[1] != corners[0]


def test_pictures_are_told_while_others_are_made(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a thread that makes pictures of thousands of scenes, and threads that take turns often
    monkeypatch.setattr(menagerie, "picture", lambda path: path.name.encode())
    artifacts: Any = SimpleNamespace(put=lambda content, _media_type: content)
    portraits = Portraits(artifacts, configure_logs("scene"))
    scene = menagerie.scenes()[0]

    def make() -> None:
        for number in range(20_000):
            portraits.of(dataclasses.replace(scene, picture_path=folder / f"{number}.png"))

    making = threading.Thread(target=make)
    every_secs = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        making.start()
        # when they are asked for all the while, as the collection of garbage does, then that never fails
        while making.is_alive():
            assert len(portraits.made) <= 20_000
    finally:
        sys.setswitchinterval(every_secs)
        making.join()
    assert len(portraits.made) == 20_000


async def test_a_machine_without_robots_has_no_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABRL_ROBOTS", str(tmp_path / "nowhere"))
    servicer, *_ = await _servicer(tmp_path)

    assert await _listed(servicer) == []
    with pytest.raises(TabrlError) as refused:
        await servicer.AddMenagerieScene(menagerie_pb2.AddMenagerieSceneRequest(robot="unitree_g1"), None)
    assert "install the robots first" in str(refused.value)


@pytest.mark.usefixtures("folder")
async def test_a_scene_becomes_one_environment_however_often_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a count of how often a scene is read
    read: list[str] = []
    examine = scenes_module.examine

    async def counted(*arguments: Any, **options: Any) -> Any:
        read.append(options["main"])
        return await examine(*arguments, **options)

    monkeypatch.setattr(scenes_module, "examine", counted)
    servicer, _, _ = await _servicer(tmp_path)
    request = menagerie_pb2.AddMenagerieSceneRequest(robot="unitree_g1", main_file="scene_with_hands.xml")

    # when two ask for it at the same time, and one later
    both = await asyncio.gather(servicer.AddMenagerieScene(request, None), servicer.AddMenagerieScene(request, None))
    again = await servicer.AddMenagerieScene(request, None)

    # then it was read once, and knows what it is
    assert read == ["scene_with_hands.xml"]
    assert both[0] == both[1] == again
    summary = again.environment.summary
    assert summary.title == "Unitree G1 · with hands"
    assert list(summary.licences) == ["BSD-3-Clause"]
    assert summary.description.startswith("The robot by itself.")
    assert [licence.spdx_id for licence in licences.licences_of(summary.environment_id)] == ["BSD-3-Clause"]

    # and the list says so, after a restart too
    restarted, _, _ = await _servicer(tmp_path)
    for each in (servicer, restarted):
        of = {scene.title: scene for scene in await _listed(each)}
        assert of["Unitree G1 · with hands"].environment_id == summary.environment_id
        assert of["Unitree G1 · with hands"].picture == summary.thumbnail
        assert of["Unitree G1"].environment_id == ""


async def test_robots_whose_files_have_no_time_can_be_added_too(folder: Path, tmp_path: Path) -> None:
    # given files as an archive without times leaves them
    for path in (folder / "unitree_g1").iterdir():
        os.utime(path, (0, 0))
    servicer, *_ = await _servicer(tmp_path)

    added = await servicer.AddMenagerieScene(menagerie_pb2.AddMenagerieSceneRequest(robot="unitree_g1"), None)

    assert added.environment.summary.title == "Unitree G1"


@pytest.mark.usefixtures("folder")
async def test_the_list_leads_to_the_newest_configuration(tmp_path: Path) -> None:
    servicer, scenes, _ = await _servicer(tmp_path)
    added = await servicer.AddMenagerieScene(menagerie_pb2.AddMenagerieSceneRequest(robot="unitree_g1"), None)
    first = added.environment.summary
    config = (await scenes.describe(first.environment_id)).config
    config.episode_length = 321

    changed = (await scenes.configure(first.environment_id, config)).message.summary

    assert changed.environment_id != first.environment_id
    assert {scene.environment_id for scene in await _listed(servicer)} == {"", changed.environment_id}
    assert (changed.licences, changed.thumbnail) == (first.licences, first.thumbnail)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("robot", "main_file", "reason", "says"),
    [
        ("of_nobody", "", "INVALID_FIELD", "robot: is none of those on this machine: leap_hand, unitree_g1"),
        ("../robots/unitree_g1", "", "INVALID_FIELD", "robot: is none of those"),
        ("unitree_g1", "g1.xml", "INVALID_FIELD", "main_file: is none of its scenes: scene.xml, scene_with_hands.xml"),
        ("leap_hand", "", "SCENE_REFUSED", "missing.xml"),
    ],
)
async def test_what_cannot_be_added_is_refused_and_leaves_nothing(
    robot: str, main_file: str, reason: str, says: str, tmp_path: Path
) -> None:
    servicer, scenes, _ = await _servicer(tmp_path)

    with pytest.raises(TabrlError) as refused:
        await servicer.AddMenagerieScene(menagerie_pb2.AddMenagerieSceneRequest(robot=robot, main_file=main_file), None)

    assert refused.value.reason == reason
    assert says in str(refused.value)
    assert not scenes.environments
