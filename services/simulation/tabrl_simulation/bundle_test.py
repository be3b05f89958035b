from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

from tabrl_simulation import bundle, environments


def _environment(model: mujoco.MjModel, xml_path: str, assets: dict[str, bytes]) -> Any:
    """An environment of a model of ours, with what `scene_bundle` looks at."""
    playground = SimpleNamespace(xml_path=xml_path, model_assets=assets)
    return SimpleNamespace(id="Ours", model=model, playground=playground)


# One that its code puts together, one with files of one name, one that is edited after it is compiled.
_ROBOTS = ("BarkourJoystick", "Op3Joystick", "PandaOpenCabinet")


@pytest.mark.parametrize("environment_id", [*environments.DM_CONTROL, *_ROBOTS])
def test_a_bundle_moves_exactly_as_its_environment(environment_id: str) -> None:
    try:
        environment = environments.load(environment_id)
    except environments.MissingRobot as missing:
        pytest.skip(str(missing))

    model = bundle.load_scene(bundle.scene_bundle(environment))

    assert bundle.differences(environment.model, model) == []
    ours, theirs = mujoco.MjData(environment.model), mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        ctrl = rng.uniform(-1, 1, environment.model.nu)
        for moved, data in ((environment.model, ours), (model, theirs)):
            data.ctrl[:] = ctrl
            mujoco.mj_step(moved, data)
    np.testing.assert_array_equal(theirs.qpos, ours.qpos)
    np.testing.assert_array_equal(theirs.sensordata, ours.sensordata)


def test_edits_after_parsing_are_in_the_bundle(tmp_path: Any) -> None:
    source = tmp_path / "scene.xml"
    source.write_text(
        '<mujoco><worldbody><body name="a"><joint name="j"/><geom size="0.1"/></body></worldbody></mujoco>'
    )
    model = mujoco.MjModel.from_xml_path(str(source))
    model.dof_damping[0] = 1 / 3
    model.opt.timestep = 0.1 + 0.2

    files = bundle.scene_bundle(_environment(model, str(source), {}))

    loaded = bundle.load_scene(files)
    assert loaded.dof_damping[0] == 1 / 3
    assert loaded.opt.timestep == 0.1 + 0.2
    assert files.assets == {}


_TETRAHEDRON = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def test_meshes_come_along_under_plain_names(tmp_path: Any) -> None:
    source = tmp_path / "scene.xml"
    source.write_text(
        '<mujoco><compiler meshdir="assets"/><asset><mesh name="m" file="parts/m.obj"/></asset>'
        '<worldbody><geom type="mesh" mesh="m"/></worldbody></mujoco>'
    )
    available = {"assets/parts/m.obj": _TETRAHEDRON, "unused.obj": b""}
    model = mujoco.MjModel.from_xml_string(source.read_text(), available)

    files = bundle.scene_bundle(_environment(model, str(source), available))

    assert files.assets == {"m.obj": _TETRAHEDRON}
    assert bundle.differences(model, bundle.load_scene(files)) == []


def test_a_model_that_its_source_cannot_give_is_refused() -> None:
    model = mujoco.MjModel.from_xml_string('<mujoco><worldbody><geom size="1"/></worldbody></mujoco>')

    with pytest.raises(bundle.BundleError, match=r"the scene of PendulumSwingup .*from its source: .*from its code: "):
        bundle.scene_bundle(replace(environments.load("PendulumSwingup"), model=model))


def test_differences_names_what_differs() -> None:
    model, other = (mujoco.MjModel.from_xml_string("<mujoco/>") for _ in range(2))
    other.opt.gravity[2] = -1
    other.vis.map.fogend = 3
    other.body_mass[0] = 1
    assert bundle.differences(model, other) == ["body_mass", "opt.gravity", "vis.map.fogend"]
    assert bundle.differences(model, model) == []
