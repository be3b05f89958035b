"""A robot as plain data: the names and index tables that reward source may use, and nothing that needs MuJoCo."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabrl_simulation.feet import Foot, foot_of_plain

__all__ = ["QUOTABLE", "Actuator", "Body", "Joint", "Robot", "Sensor", "Stance"]


QUOTABLE = re.compile(r'[^"\\\x00-\x1f\x7f]{1,100}')
"""Names that can stand between double quotes in source as they are."""


@dataclass(frozen=True)
class Body:
    """A rigid body; `parent` is its parent's index, body 0 is the world."""

    name: str
    parent: int


@dataclass(frozen=True)
class Joint:
    """A joint: `kind` is free, ball, slide or hinge; the range is in rad or m and None without limits."""

    name: str
    kind: str
    body: int
    qpos_address: int
    qvel_address: int
    range_low: float | None = None
    range_high: float | None = None


@dataclass(frozen=True)
class Actuator:
    """An actuator and the joint, tendon or site it drives."""

    name: str
    target: str = ""
    gear: float = 1.0
    ctrl_low: float | None = None
    ctrl_high: float | None = None


@dataclass(frozen=True)
class Sensor:
    """A sensor: its `dim` numbers start at `address` in `sensordata`."""

    name: str
    type: str
    address: int
    dim: int
    target: str = ""


@dataclass(frozen=True)
class Stance:
    """How a robot stands: the body that the others hang on, its z axis up and its x axis ahead, and its height in m."""

    body: str
    height_m: float


@dataclass(frozen=True)
class Robot:
    """One environment's robot.

    `arrays` maps each readable mjData array to its shape in one environment. `command_size` is 3 where the environment
    tells the robot how fast to go (ahead and to the left in m/s, turning to the left in rad/s), else 0.
    """

    environment_id: str
    environment_fingerprint: str
    bodies: tuple[Body, ...]
    joints: tuple[Joint, ...]
    actuators: tuple[Actuator, ...]
    sensors: tuple[Sensor, ...]
    sites: tuple[str, ...]
    geoms: tuple[str, ...]
    arrays: Mapping[str, tuple[int, ...]]
    action_size: int
    control_period_secs: float
    name: str = ""
    task: str = ""
    stance: Stance | None = None
    feet: tuple[Foot, ...] = ()
    command_size: int = 0

    def root_of(self, body: int) -> int:
        """Return the index of the tree's root above `body`; `cvel` refers to the centre of mass of that tree."""
        while body > 0 and self.bodies[body].parent > 0:
            body = self.bodies[body].parent
        return body

    def body_names(self) -> tuple[str, ...]:
        """Return the names of the named bodies, the world left out."""
        return tuple(body.name for body in self.bodies[1:] if body.name)

    def joint(self, name: str) -> Joint | None:
        """Return the joint of this name, or None."""
        return next((joint for joint in self.joints if joint.name == name), None)

    def body_index(self, name: str) -> int | None:
        """Return the index of the body of this name, or None."""
        return next((index for index, body in enumerate(self.bodies) if body.name and body.name == name), None)

    def plain(self) -> dict[str, Any]:
        """Return the robot as JSON-ready data, read back by `from_plain`."""
        data = asdict(self)
        data["arrays"] = {name: list(shape) for name, shape in self.arrays.items()}
        return data

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Robot:
        """Return the robot that `plain` wrote.

        Raises:
            ValueError: a field is missing or of the wrong kind.
        """
        try:
            fields = dict(data)
            fields["bodies"] = tuple(Body(**body) for body in data["bodies"])
            fields["joints"] = tuple(Joint(**joint) for joint in data["joints"])
            fields["actuators"] = tuple(Actuator(**actuator) for actuator in data["actuators"])
            fields["sensors"] = tuple(Sensor(**sensor) for sensor in data["sensors"])
            fields["sites"], fields["geoms"] = tuple(data["sites"]), tuple(data["geoms"])
            fields["stance"] = Stance(**data["stance"]) if data.get("stance") else None
            fields["feet"] = tuple(foot_of_plain(foot) for foot in data.get("feet", ()))
            fields["arrays"] = {str(name): _shape(shape) for name, shape in data["arrays"].items()}
            return cls(**fields)
        except (KeyError, TypeError, AttributeError) as e:
            raise ValueError(f"not a robot: {e}") from e


def _shape(shape: Sequence[int]) -> tuple[int, ...]:
    found = tuple(int(length) for length in shape)
    if any(length < 0 for length in found) or math.prod(found) > 1_000_000:
        raise ValueError(f"no shape of a readable array: {found}")
    return found
