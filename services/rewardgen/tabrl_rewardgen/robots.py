"""The robot of an environment, from the Scene service's description."""

from __future__ import annotations

from tabrl.scene.v1 import scene_pb2
from tabrl_simulation.feet import Foot, FootGeom
from tabrl_simulation.rewards.robot import Actuator, Body, Joint, Robot, Sensor, Stance

__all__ = ["robot_from"]

_JOINT_KINDS = {
    scene_pb2.JOINT_TYPE_FREE: "free",
    scene_pb2.JOINT_TYPE_BALL: "ball",
    scene_pb2.JOINT_TYPE_SLIDE: "slide",
    scene_pb2.JOINT_TYPE_HINGE: "hinge",
}


def robot_from(environment: scene_pb2.Environment) -> Robot:
    """Return the plain description that the reward language works with."""
    structure = environment.structure
    return Robot(
        environment_id=environment.summary.environment_id,
        environment_fingerprint=environment.fingerprint,
        bodies=tuple(Body(body.name, body.parent) for body in structure.bodies),
        joints=tuple(_joint(joint) for joint in structure.joints),
        actuators=tuple(_actuator(actuator) for actuator in structure.actuators),
        sensors=tuple(
            Sensor(sensor.name, sensor.type, sensor.address, sensor.dim, sensor.target) for sensor in structure.sensors
        ),
        sites=tuple(structure.sites),
        geoms=tuple(structure.geoms),
        arrays={array.name: tuple(array.shape) for array in environment.arrays},
        action_size=environment.action_size,
        control_period_secs=environment.timing.control_period_secs,
        name=environment.summary.robot,
        task=environment.summary.description,
        stance=Stance(environment.stance.body, environment.stance.height_m) if environment.HasField("stance") else None,
        feet=tuple(_foot(foot) for foot in structure.feet),
        command_size=environment.command_size,
    )


def _foot(foot: scene_pb2.Foot) -> Foot:
    geoms = []
    for geom in foot.geoms:
        x, y, z = geom.half_m
        geoms.append(FootGeom(geom.index, (x, y, z), geom.radius_m))
    return Foot(foot.name, tuple(geoms))


def _joint(joint: scene_pb2.Joint) -> Joint:
    return Joint(
        name=joint.name,
        kind=_JOINT_KINDS.get(joint.type, "hinge"),
        body=joint.body,
        qpos_address=joint.qpos_address,
        qvel_address=joint.qvel_address,
        range_low=joint.range_low if joint.HasField("range_low") else None,
        range_high=joint.range_high if joint.HasField("range_high") else None,
    )


def _actuator(actuator: scene_pb2.Actuator) -> Actuator:
    return Actuator(
        name=actuator.name,
        target=actuator.target,
        gear=actuator.gear,
        ctrl_low=actuator.ctrl_low if actuator.HasField("ctrl_low") else None,
        ctrl_high=actuator.ctrl_high if actuator.HasField("ctrl_high") else None,
    )
