"""What a reward program may read, by name.

- `qpos`, `xpos`, ...: an mjData array straight after the control step;
- `before.qpos`, ...: the same array as it was before the step;
- `before.action`: the action of the step before, zeros in the first of an episode;
- `command`: the velocity the robot is told to go at, where its environment gives commands;
- `air_time`: how long each foot had been off the ground before the step.

Whoever runs a program brings these: training (`control_loop`), controllers (`controllers.source`) and players.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tabrl_simulation.rewards.robot import Robot

__all__ = ["AIR_TIME", "BEFORE", "COMMAND", "NAME", "PREVIOUS_ACTION", "arrays_now", "before_arrays", "shapes"]

BEFORE: Final = "before."
PREVIOUS_ACTION: Final = "before.action"
COMMAND: Final = "command"
AIR_TIME: Final = "air_time"

NAME: Final = re.compile(r"(?:before\.)?[a-z][a-z0-9_]{0,47}")
"""What the name of an input looks like."""

_OF_FEET: Final = ("geom_xpos", "geom_xmat")

Shape = tuple[int, ...]


def shapes(robot: Robot) -> dict[str, Shape]:
    """Returns all that a program for this robot may read, with the shape for one environment; nothing empty."""
    arrays = {name: shape for name, shape in robot.arrays.items() if 0 not in shape}
    found = {**arrays, **{BEFORE + name: shape for name, shape in arrays.items()}}
    found[PREVIOUS_ACTION] = (robot.action_size,)
    if robot.command_size:
        found[COMMAND] = (robot.command_size,)
    if robot.feet:
        found[AIR_TIME] = (len(robot.feet),)
    return found


def before_arrays(inputs: Iterable[str]) -> tuple[str, ...]:
    """Returns the mjData arrays, without prefix, that are read as they were before the step."""
    return tuple(name.removeprefix(BEFORE) for name in inputs if name.startswith(BEFORE) and name != PREVIOUS_ACTION)


def arrays_now(inputs: Iterable[str]) -> tuple[str, ...]:
    """Returns the mjData arrays that have to be read after the step, for a program with these inputs.

    Those that tell whether a foot touches the ground are among them where air times are read.
    """
    names = tuple(inputs)
    plain = [name for name in names if not name.startswith(BEFORE) and name not in (COMMAND, AIR_TIME)]
    return tuple(dict.fromkeys([*plain, *(_OF_FEET if AIR_TIME in names else ())]))
