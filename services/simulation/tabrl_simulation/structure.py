"""What a robot and its scene are made of, as plain data: no MuJoCo is needed to use it once it is described.

Lists are in the order of MuJoCo's own ids, so an index in a list is the id; names are empty where the model gives none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from tabrl_simulation.feet import Foot, find_feet

if TYPE_CHECKING:
    import mujoco

__all__ = ["Actuator", "Body", "Joint", "JointType", "RobotStructure", "Sensor", "describe"]


class JointType(Enum):
    """How a joint moves; the values are MuJoCo's `mjtJoint`."""

    FREE = 0
    BALL = 1
    SLIDE = 2
    HINGE = 3


@dataclass(frozen=True)
class Body:
    """A rigid body."""

    name: str
    parent: int
    """Index of the parent body; the world is its own parent."""
    mass_kg: float
    """Mass without its children."""


@dataclass(frozen=True)
class Joint:
    """A joint between a body and its parent."""

    name: str
    type: JointType
    body: int
    """Index of the body it moves."""
    qpos_address: int
    qvel_address: int
    range: tuple[float, float] | None
    """Lowest and highest position (rad or m); None without limits."""


@dataclass(frozen=True)
class Actuator:
    """An actuator."""

    name: str
    target: str
    """Name of the joint, tendon, site or body it drives."""
    ctrl_range: tuple[float, float] | None
    """Lowest and highest control; None without limits."""
    gear: float
    """First number of its gear."""


@dataclass(frozen=True)
class Sensor:
    """A sensor."""

    name: str
    type: str
    """MuJoCo's type in lower case, such as `subtreelinvel`."""
    address: int
    """Where its numbers start in `sensordata`."""
    dim: int
    """How many numbers it has."""
    target: str
    """Name of the object it is attached to."""


@dataclass(frozen=True)
class RobotStructure:
    """A robot and its scene."""

    bodies: tuple[Body, ...]
    joints: tuple[Joint, ...]
    actuators: tuple[Actuator, ...]
    sensors: tuple[Sensor, ...]
    sites: tuple[str, ...]
    geoms: tuple[str, ...]
    nq: int
    nv: int
    nu: int
    na: int
    mass_kg: float
    """Mass of all bodies together."""
    feet: tuple[Foot, ...] = ()
    """Its feet; none for what does not walk."""


def describe(model: mujoco.MjModel) -> RobotStructure:
    """Returns what the model is made of."""
    return RobotStructure(
        bodies=tuple(_body(model, index) for index in range(model.nbody)),
        joints=tuple(_joint(model, index) for index in range(model.njnt)),
        actuators=tuple(_actuator(model, index) for index in range(model.nu)),
        sensors=tuple(_sensor(model, index) for index in range(model.nsensor)),
        sites=tuple(model.site(index).name for index in range(model.nsite)),
        geoms=tuple(model.geom(index).name for index in range(model.ngeom)),
        nq=int(model.nq),
        nv=int(model.nv),
        nu=int(model.nu),
        na=int(model.na),
        mass_kg=float(model.body_mass.sum()),
        feet=find_feet(model),
    )


def _body(model: mujoco.MjModel, index: int) -> Body:
    return Body(
        name=model.body(index).name, parent=int(model.body_parentid[index]), mass_kg=float(model.body_mass[index])
    )


def _joint(model: mujoco.MjModel, index: int) -> Joint:
    return Joint(
        name=model.joint(index).name,
        type=JointType(int(model.jnt_type[index])),
        body=int(model.jnt_bodyid[index]),
        qpos_address=int(model.jnt_qposadr[index]),
        qvel_address=int(model.jnt_dofadr[index]),
        range=_limits(model.jnt_range[index]) if model.jnt_limited[index] else None,
    )


# Object types by the kind of an actuator's transmission (names of mjtTrn and mjtObj).
_OBJECT_OF_TRANSMISSION: Final = {
    "mjTRN_JOINT": "mjOBJ_JOINT",
    "mjTRN_JOINTINPARENT": "mjOBJ_JOINT",
    "mjTRN_SLIDERCRANK": "mjOBJ_SITE",
    "mjTRN_TENDON": "mjOBJ_TENDON",
    "mjTRN_SITE": "mjOBJ_SITE",
    "mjTRN_BODY": "mjOBJ_BODY",
}


def _actuator(model: mujoco.MjModel, index: int) -> Actuator:
    import mujoco

    transmission = mujoco.mjtTrn(int(model.actuator_trntype[index])).name
    target_type = getattr(mujoco.mjtObj, _OBJECT_OF_TRANSMISSION.get(transmission, "mjOBJ_UNKNOWN"))
    return Actuator(
        name=model.actuator(index).name,
        target=_name(model, int(target_type), int(model.actuator_trnid[index, 0])),
        ctrl_range=_limits(model.actuator_ctrlrange[index]) if model.actuator_ctrllimited[index] else None,
        gear=float(model.actuator_gear[index, 0]),
    )


def _sensor(model: mujoco.MjModel, index: int) -> Sensor:
    import mujoco

    return Sensor(
        name=model.sensor(index).name,
        type=mujoco.mjtSensor(int(model.sensor_type[index])).name.removeprefix("mjSENS_").lower(),
        address=int(model.sensor_adr[index]),
        dim=int(model.sensor_dim[index]),
        target=_name(model, int(model.sensor_objtype[index]), int(model.sensor_objid[index])),
    )


def _name(model: mujoco.MjModel, object_type: int, index: int) -> str:
    import mujoco

    if index < 0:
        return ""
    return mujoco.mj_id2name(model, object_type, index) or ""


def _limits(pair: Sequence[float]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
