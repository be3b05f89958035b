"""What people read about each environment, kept as data in `descriptions.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

__all__ = ["Description", "descriptions", "picture"]


@dataclass(frozen=True)
class Description:
    """What people read about one environment."""

    robot: str
    title: str
    """Such as `Cartpole · Balance`."""
    sentence: str
    """What the environment's own reward pays for."""
    prompts: tuple[str, ...]
    """Prompts that suit the robot."""


@functools.cache
def descriptions() -> Mapping[str, Description]:
    """Returns every description by environment id, in the order of the ids."""
    table = tomllib.loads(resources.files(__package__).joinpath("descriptions.toml").read_text(encoding="utf-8"))
    return {
        environment_id: Description(
            robot=entry["robot"],
            title=f"{entry['robot']} · {entry['task']}",
            sentence=entry["description"],
            prompts=tuple(entry["prompts"]),
        )
        for environment_id, entry in sorted(table.items())
    }


def picture(environment_id: str) -> bytes:
    """Returns the environment's thumbnail, a WebP of 480 by 360 pixels."""
    return resources.files(__package__).joinpath("pictures", f"{environment_id}.webp").read_bytes()
