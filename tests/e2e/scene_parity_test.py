"""Every environment's bundle, loaded by the browser's MuJoCo, moves as the native one that training uses."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
import pytest
from tabrl.scene.v1 import scene_pb2
from tabrl_cli.connection import Connection
from tabrl_simulation import environments
from tabrl_simulation.environments import DM_CONTROL

from tests.e2e.browser_tab import Tab
from tests.stack.robots import ENVIRONMENTS as ROBOTS
from tests.stack.running_stack import RunningStack

PERIODS = 100
TOLERANCE = 1e-6


@pytest.mark.parametrize("environment_id", [*DM_CONTROL, *ROBOTS])
def test_the_browser_moves_as_python_does(environment_id: str, stack: RunningStack, laboratory: Tab) -> None:
    # given the model that training uses, and its path under random controls
    try:
        environment = environments.load(environment_id)
    except environments.MissingRobot as missing:
        pytest.skip(str(missing))
    start, controls, expected = native_path(environment)

    # when the tab loads the bundle that Scene serves and takes the same steps
    rollout = laboratory.roll_out(
        {
            "kind": "physics",
            "scene": scene_files(stack.url, environment_id),
            **start,
            "ctrls": controls.tolist(),
            "stepsPerCtrl": environment.physics_steps_per_control,
        }
    )

    # then it is at the same place after each
    assert "failed" not in rollout, rollout
    difference = np.abs(np.array(rollout["qpos"]) - expected).max()
    print(f"{environment_id}: {PERIODS} control periods, qpos within {difference:.1e}")
    assert difference <= TOLERANCE


def test_a_file_that_is_not_there_is_a_typed_error(laboratory: Tab) -> None:
    missing = {"environmentId": "Nothing", "xml": {"sha256": "0" * 64}, "assets": []}

    rollout = laboratory.roll_out(
        {"kind": "physics", "scene": missing, "qpos": [], "qvel": [], "ctrls": [], "stepsPerCtrl": 1}
    )

    assert rollout["failed"]["code"] == "ARTIFACT_MISSING"


def native_path(environment: environments.Environment) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Returns a start, random controls `[PERIODS, nu]`, and the `qpos` `[PERIODS, nq]` they lead to."""
    model = environment.model
    draw = np.random.default_rng(0)
    data = mujoco.MjData(model)
    data.qvel[:] = draw.uniform(-0.1, 0.1, model.nv)
    low, high = np.where(model.actuator_ctrllimited[:, None], model.actuator_ctrlrange, [-1.0, 1.0]).T
    controls = draw.uniform(low, high, (PERIODS, model.nu))
    start = {"qpos": data.qpos.tolist(), "qvel": data.qvel.tolist()}
    path = np.zeros((PERIODS, model.nq))
    for period, control in enumerate(controls):
        data.ctrl[:] = control
        mujoco.mj_step(model, data, environment.physics_steps_per_control)
        path[period] = data.qpos
    return start, controls, path


def scene_files(url: str, environment_id: str) -> dict[str, Any]:
    """Asks Scene, through the gateway, for a bundle's files, as the player names them."""
    connection = Connection(url)
    request = scene_pb2.GetSceneBundleRequest(environment_id=environment_id)
    bundle = connection.call(connection.scene.GetSceneBundle, request).bundle
    return {
        "environmentId": environment_id,
        "xml": {"sha256": bundle.xml.sha256},
        "assets": [{"path": asset.path, "file": {"sha256": asset.artifact.sha256}} for asset in bundle.assets],
    }
