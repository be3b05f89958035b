import subprocess
from pathlib import Path
from typing import Any

import pytest

from tabrl_simulation import environments, robots
from tabrl_simulation.environments import MissingRobot


def test_every_environment_beyond_the_control_suite_has_robots_that_a_package_brings() -> None:
    brought = {robot for folders in robots.PACKAGES.values() for robot in folders}

    needed = {name: robots.robots_of(name) for name in environments.CATEGORY}

    assert {name for name, folders in needed.items() if not folders} == set(environments.DM_CONTROL)
    assert {robot for folders in needed.values() for robot in folders} == brought
    assert needed["PandaRobotiqPushCube"] == ("franka_emika_panda", "robotiq_2f85_v4")


def test_a_missing_robot_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABRL_ROBOTS", str(tmp_path))
    (tmp_path / "franka_emika_panda").mkdir()

    with pytest.raises(MissingRobot, match="make up ROBOTS=1") as refusal:
        environments.load("PandaRobotiqPushCube")

    assert (refusal.value.environment_id, refusal.value.robot) == ("PandaRobotiqPushCube", "robotiq_2f85_v4")


def test_playground_never_clones_menagerie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a folder that lacks what the robot's scene names, and no git
    (tmp_path / "unitree_go1").mkdir()
    monkeypatch.setenv("TABRL_ROBOTS", str(tmp_path))

    start = subprocess.Popen

    def started(command: Any, *rest: Any, **options: Any) -> Any:
        assert "git" not in command, "git was started"
        return start(command, *rest, **options)

    monkeypatch.setattr(subprocess, "Popen", started)

    # when environments of each kind are loaded, then nothing is fetched
    environments.load("CartpoleBalance")
    with pytest.raises(ValueError, match="go1"):
        environments.load("Go1JoystickFlatTerrain")
    from mujoco_playground import locomotion, manipulation

    monkeypatch.setattr("mujoco_playground._src.mjx_env.MENAGERIE_PATH", tmp_path / "none")
    for category, environment_id in ((locomotion, "G1JoystickFlatTerrain"), (manipulation, "LeapCubeReorient")):
        with pytest.raises((ValueError, OSError)):
            category.load(environment_id)
