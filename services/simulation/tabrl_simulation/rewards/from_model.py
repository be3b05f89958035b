"""The plain description of a loaded environment's robot, for processes that have MuJoCo at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tabrl_simulation import arrays, structure
from tabrl_simulation.rewards.robot import Actuator, Body, Joint, Robot, Sensor

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["robot_of"]

_NO_LIMITS = (None, None)


def robot_of(environment: Environment) -> Robot:
    """Return what reward source may know of the environment's robot."""
    described = structure.describe(environment.model)
    return Robot(
        environment_id=environment.id,
        environment_fingerprint=environment.fingerprint,
        bodies=tuple(Body(body.name, body.parent) for body in described.bodies),
        joints=tuple(
            Joint(
                joint.name,
                joint.type.name.lower(),
                joint.body,
                joint.qpos_address,
                joint.qvel_address,
                *(joint.range or _NO_LIMITS),
            )
            for joint in described.joints
        ),
        actuators=tuple(
            Actuator(actuator.name, actuator.target, actuator.gear, *(actuator.ctrl_range or _NO_LIMITS))
            for actuator in described.actuators
        ),
        sensors=tuple(
            Sensor(sensor.name, sensor.type, sensor.address, sensor.dim, sensor.target) for sensor in described.sensors
        ),
        sites=tuple(described.sites),
        geoms=tuple(described.geoms),
        arrays=arrays.shapes(environment.model),
        action_size=environment.action_size,
        control_period_secs=environment.control_period_secs,
        name=environment.id,
        feet=described.feet,
        command_size=environment.command_size,
    )
