"""Under which licences environments and the robots in them may be used, as the files beside them say."""

from __future__ import annotations

import functools
import importlib.metadata
import re
from typing import Final

from tabrl.play.manifest import Licence

from tabrl_simulation import robots
from tabrl_simulation.custom import store

__all__ = ["UNKNOWN", "licence_of_robot", "licences_of"]

UNKNOWN: Final = "LicenseRef-unknown"
"""SPDX identifier for what names no licence, or one that is not known here."""

# What a licence's text is known by, the first that fits.
_SPDX: Final = (
    (r"Apache License,?\s+Version 2", "Apache-2.0"),
    (r"Neither the name", "BSD-3-Clause"),
    (r"Redistributions in binary form", "BSD-2-Clause"),
    (r"Permission is hereby granted, free of charge", "MIT"),
    (r"Attribution 4\.0 International", "CC-BY-4.0"),
    (r"Attribution-NonCommercial 4\.0", "CC-BY-NC-4.0"),
)


def licences_of(environment_id: str) -> tuple[Licence, ...]:
    """Returns the licences of the environment and of the robots in it, with their texts where these lie beside them."""
    if environment_id.startswith(store.PREFIX):
        robot = store.menagerie_robot(environment_id)
        return (licence_of_robot(robot) if robot else Licence("scene, as it was uploaded", UNKNOWN),)
    names = robots.robots_of(environment_id)
    covered = "environment" if names else "environment and model"
    text = _playground_text()
    return (
        Licence(f"{covered}, MuJoCo Playground", _spdx_of(text), text),
        *(licence_of_robot(name) for name in names),
    )


def licence_of_robot(robot: str) -> Licence:
    """Returns the licence of a robot, by its name in Menagerie, with its text where the robot is on this machine."""
    path = robots.folder() / robot / "LICENSE"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return Licence(f"robot {robot}, MuJoCo Menagerie", _spdx_of(text), text)


@functools.cache
def _playground_text() -> str:
    return importlib.metadata.distribution("playground").read_text("licenses/LICENSE") or ""


def _spdx_of(text: str) -> str:
    return next((identifier for pattern, identifier in _SPDX if re.search(pattern, text)), UNKNOWN)
