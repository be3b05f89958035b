"""Two robots for tests of the whole: preparing the environments of all of them takes minutes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tabrl_simulation import robots

__all__ = ["ENVIRONMENTS", "few_robots", "no_robots"]

ENVIRONMENTS: Final = ("Go1JoystickFlatTerrain", "AeroCubeRotateZAxis")
"""A robot on legs and a hand."""

_INSTALLED: Final = robots.folder()  # of this machine, before the tests look at another


def few_robots(folder: Path) -> Path:
    """Makes a folder that holds the robots of ENVIRONMENTS alone, as far as this machine has them."""
    folder.mkdir()
    for robot in {robot for environment_id in ENVIRONMENTS for robot in robots.robots_of(environment_id)}:
        if (_INSTALLED / robot).is_dir():
            (folder / robot).symlink_to(_INSTALLED / robot, target_is_directory=True)
    return folder


@contextlib.contextmanager
def no_robots(empty: Path) -> Iterator[None]:
    """Has all that is started meanwhile look for robots in an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABRL_ROBOTS", str(empty))
        yield
