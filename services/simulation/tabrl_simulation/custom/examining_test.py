import io
import zipfile

import pytest

from tabrl_simulation.custom.archive import SceneRefused
from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig
from tabrl_simulation.custom.examining import examine

_ARM = b"""<mujoco>
  <asset><mesh name="link" file="link.obj"/></asset>
  <worldbody><body><joint name="j"/><geom type="mesh" mesh="link"/></body></worldbody>
  <actuator><motor joint="j" ctrlrange="-1 1"/></actuator>
</mujoco>"""
_SCENE = b"""<mujoco>
  <compiler meshdir="meshes"/>
  <include file="arm.xml"/>
  <worldbody><geom type="plane" size="1 1 1"/></worldbody>
</mujoco>"""
_MESH = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def _zip(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(
                "robot/" + name.replace("__", "/").replace("_xml", ".xml").replace("_obj", ".obj"), content
            )
    return out.getvalue()


async def test_a_zip_becomes_one_scene_with_its_meshes() -> None:
    found = await examine(_zip(scene_xml=_SCENE, arm_xml=_ARM, meshes__link_obj=_MESH), "robot.zip")
    assert list(found.assets.values()) == [_MESH]
    assert all(f'file="{name}"' in found.xml for name in found.assets)
    assert "include" not in found.xml
    assert found.facts["action_size"] == 1
    assert [joint["name"] for joint in found.facts["structure"]["joints"]] == ["j"]
    assert found.config == SceneConfig()


_TWINS = b"""<mujoco>
  <compiler meshdir="meshes"/>
  <asset><mesh name="link" file="link.obj"/><mesh name="hull" file="simple/link.obj"/></asset>
  <worldbody>
    <body><joint name="j"/><geom type="mesh" mesh="link" contype="0"/><geom type="mesh" mesh="hull"/></body>
  </worldbody>
  <actuator><motor joint="j" ctrlrange="-1 1"/></actuator>
</mujoco>"""


async def test_meshes_of_one_name_in_two_folders_are_told_apart() -> None:
    larger = _MESH.replace(b"1", b"2", 1)
    files = {"scene_xml": _TWINS, "meshes__link_obj": _MESH, "meshes__simple__link_obj": larger}

    found = await examine(_zip(**files, unused__link_obj=b"no mesh at all"), "robot.zip")

    assert sorted(found.assets.values()) == sorted([_MESH, larger])
    assert all(f'file="{name}"' in found.xml for name in found.assets)


_GROUND = '<geom type="plane" size="1 1 1"/>'
_WAGON = """<mujoco><compiler angle="degree"/><worldbody>{ground}
  <body {name} pos="0 0 .3" euler="{roll} 0 0"><freejoint/><geom type="box" size=".3 .2 .1"/>
    <body pos="0 0 -.1"><joint name="wheel"/><geom size="0.1"/></body></body>
</worldbody><actuator><motor joint="wheel"/></actuator></mujoco>"""


@pytest.mark.parametrize(
    ("name", "roll", "ground", "stance"),
    [
        ("trunk", 0, _GROUND, {"body": "trunk", "height_m": pytest.approx(0.2, abs=0.01)}),
        ("trunk (1)", 0, _GROUND, {"body": "trunk (1)", "height_m": pytest.approx(0.2, abs=0.01)}),
        ("trunk", 90, _GROUND, None),
        ("", 0, _GROUND, None),
        ("tr\\unk", 0, _GROUND, None),
        # who hovers does not stand
        ("trunk", 0, "", None),
    ],
)
async def test_it_is_said_how_a_robot_stands_if_it_does(name: str, roll: int, ground: str, stance: object) -> None:
    named = f'name="{name}"' if name else ""
    found = await examine(_WAGON.format(name=named, roll=roll, ground=ground).encode(), "wagon.xml")

    assert found.facts.get("stance") == stance


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (_zip(scene_xml=_SCENE, arm_xml=_ARM, meshes__link_obj=b"no mesh"), "MUJOCO_REFUSED", "link"),
        (b"<mujoco>\n<worldbody><blob/></worldbody></mujoco>", "MUJOCO_REFUSED", "blob"),
        (b"<mujoco><worldbody><body><joint/><geom size='1'/></body></worldbody></mujoco>", "NOT_A_ROBOT", "actuators"),
        (_zip(scene_xml=_SCENE, arm_xml=_ARM), "FILE_MISSING", "link.obj"),
        # A bomb of bodies: the jail's limits end it, not the machine.
        (
            b"<mujoco><worldbody>" + b"<replicate count='1000'>" * 4 + b"<body><geom size='1'/></body>"
            b"" + b"</replicate>" * 4 + b"</worldbody></mujoco>",
            "SCENE_TOO_HEAVY",
            "meshes",
        ),
    ],
)
async def test_what_cannot_be_a_scene_is_refused_with_the_reason(content: bytes, reason: str, says: str) -> None:
    with pytest.raises(SceneRefused, match=says) as refused:
        await examine(content, "robot.xml")
    assert refused.value.reason == reason


async def test_a_file_whose_name_no_folder_can_hold_is_refused_where_the_scene_needs_it() -> None:
    # given a name that a zip can have, and no file system
    name = f"{'腿' * 90}.obj"
    scene = _ARM.replace(b"link.obj", name.encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("scene.xml", scene)
        archive.writestr(name, _MESH)

    with pytest.raises(SceneRefused, match="more than 255 bytes") as refused:
        await examine(packed.getvalue(), "robot.zip")

    assert (refused.value.reason, refused.value.file) == ("ARCHIVE_PATH", name)
    # and one that the scene does not need may be called anything
    assert (await examine(_zip(scene_xml=_SCENE, arm_xml=_ARM, meshes__link_obj=_MESH, **{name: b""}), "r.zip")).assets


async def test_a_configuration_is_checked_against_the_model() -> None:
    content = _zip(scene_xml=_SCENE, arm_xml=_ARM, meshes__link_obj=_MESH)
    with pytest.raises(InvalidSceneConfig) as refused:
        await examine(content, "robot.zip", config=SceneConfig(home_joints={"k": 1.0}))
    assert refused.value.field == "home_joints.k"
