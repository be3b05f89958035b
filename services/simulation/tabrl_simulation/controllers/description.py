"""What a manifest tells people and careful players of an environment: actuators, commands, units and licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tabrl.play.manifest import Actuator, Command, CommandElement, GraphInput, InputSource, VersionRange

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.environments import Environment

__all__ = ["MUJOCO_VERSIONS", "UNITS", "actuators", "commands"]

MUJOCO_VERSIONS: Final = VersionRange("3.14.0", "5.0.0")
"""From the browser's to the newest that controllers were seen to move alike with."""

_MIXED: Final = "m for slides, rad for hinges, m and a unit quaternion w x y z for free joints"
_RATES: Final = "m/s for slides, rad/s for hinges, m/s and rad/s for free joints"
_ROTATION: Final = "rotation matrix, rows first"
_QUATERNION: Final = "unit quaternion w x y z"

UNITS: Final[Mapping[str, str]] = {
    "time": "s",
    "qpos": _MIXED,
    "qvel": _RATES,
    "mocap_pos": "m",
    "mocap_quat": _QUATERNION,
    "xfrc_applied": "N, then N m, in the world's frame",
    "qacc": "m/s^2 for slides, rad/s^2 for hinges",
    "sensordata": "SI units, by sensor",
    "xpos": "m",
    "xquat": _QUATERNION,
    "xmat": _ROTATION,
    "xipos": "m",
    "xanchor": "m",
    "xaxis": "unit vector",
    "geom_xpos": "m",
    "geom_xmat": _ROTATION,
    "site_xpos": "m",
    "site_xmat": _ROTATION,
    "subtree_com": "m",
    "cvel": "rad/s, then m/s",
    "ten_length": "m",
    "actuator_length": "m for slides, rad for hinges",
    "actuator_force": "N for slides, N m for hinges",
    "qfrc_actuator": "N for slides, N m for hinges",
}
"""Units of the mjData arrays; those left out have none of their own."""

_COMMAND: Final = "command"
_SPEEDS: Final = (("forward velocity", "m/s"), ("velocity to the left", "m/s"), ("turning to the left", "rad/s"))
_RANGES: Final = ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")


def actuators(model: mujoco.MjModel) -> tuple[Actuator, ...]:
    """Returns the actuators in the order of `ctrl`."""
    return tuple(_actuator(model, index) for index in range(model.nu))


def commands(environment: Environment, inputs: Sequence[GraphInput]) -> tuple[Command, ...]:
    """Returns the carry entries among the inputs that command the robot, with the ranges that training draws from."""
    has_command = any(given.source is InputSource.CARRY and given.field == _COMMAND for given in inputs)
    ranges = _command_ranges(environment)
    if not has_command or ranges is None:
        return ()
    elements = tuple(
        CommandElement(name, unit, low, high) for (name, unit), (low, high) in zip(_SPEEDS, ranges, strict=True)
    )
    return (Command(_COMMAND, elements),)


def _actuator(model: mujoco.MjModel, index: int) -> Actuator:
    limited = bool(model.actuator_ctrllimited[index])
    low, high = (float(limit) for limit in model.actuator_ctrlrange[index])
    return Actuator(
        name=model.actuator(index).name,
        ctrl_low=low if limited else None,
        ctrl_high=high if limited else None,
        unit=_ctrl_unit(model, index),
    )


def _ctrl_unit(model: mujoco.MjModel, index: int) -> str:
    """Returns the unit of a servo's target or a plain motor's force; a scaled one has none that the model tells."""
    import mujoco

    if model.actuator_trntype[index] != mujoco.mjtTrn.mjTRN_JOINT:
        return ""
    joint = model.jnt_type[model.actuator_trnid[index, 0]]
    if joint == mujoco.mjtJoint.mjJNT_HINGE:
        position, speed, force = "rad", "rad/s", "N m"
    elif joint == mujoco.mjtJoint.mjJNT_SLIDE:
        position, speed, force = "m", "m/s", "N"
    else:
        return ""
    gear, gain = model.actuator_gear[index, 0], model.actuator_gainprm[index, 0]
    _, stiffness, damping = model.actuator_biasprm[index, :3]
    if model.actuator_biastype[index] == mujoco.mjtBias.mjBIAS_AFFINE and gear == 1:
        if stiffness and stiffness == -gain:
            return position
        return speed if damping and damping == -gain else ""
    is_motor = model.actuator_biastype[index] == mujoco.mjtBias.mjBIAS_NONE and gain == gear == 1
    return force if is_motor else ""


def _command_ranges(environment: Environment) -> list[tuple[float, float]] | None:
    """Returns the lowest and highest of each speed, as the environment's configuration has them."""
    if environment.command_size != len(_SPEEDS):
        return None
    scene = getattr(environment.playground, "scene_config", None)
    if scene is not None:
        spans = (scene.commands.forward_m_per_s, scene.commands.left_m_per_s, scene.commands.turn_rad_per_s)
        return [(span.low, span.high) for span in spans]
    config: Mapping[str, Any] = getattr(environment.playground, "_config", {})
    nested: Mapping[str, Any] = config.get("command_config") or {}
    for place in (nested, config):
        if all(name in place for name in _RANGES):
            return [(float(place[name][0]), float(place[name][1])) for name in _RANGES]
    if "a" in nested:
        return [(-float(bound), float(bound)) for bound in nested["a"]]
    if "min" in nested and "max" in nested:
        return [(float(low), float(high)) for low, high in zip(nested["min"], nested["max"], strict=True)]
    return None
