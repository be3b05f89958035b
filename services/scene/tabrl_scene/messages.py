"""From what the simulation says of an environment to the messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tabrl.scene.v1 import scene_pb2
from tabrl.type.v1 import tensor_pb2
from tabrl_simulation import structure
from tabrl_simulation.feet import Foot

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["environment_message", "structure_message"]

_JOINT_TYPE = {
    structure.JointType.FREE: scene_pb2.JOINT_TYPE_FREE,
    structure.JointType.BALL: scene_pb2.JOINT_TYPE_BALL,
    structure.JointType.SLIDE: scene_pb2.JOINT_TYPE_SLIDE,
    structure.JointType.HINGE: scene_pb2.JOINT_TYPE_HINGE,
}


def environment_message(
    environment: Environment, robot: structure.RobotStructure, arrays: Mapping[str, tuple[int, ...]], *, category: str
) -> scene_pb2.Environment:
    """Returns the environment as the contract has it, without what is written for people and without a thumbnail.

    Arrays of which the model has nothing are left out: there is nothing to read.
    """
    return scene_pb2.Environment(
        summary=scene_pb2.EnvironmentSummary(
            environment_id=environment.id,
            category=category,
            actuator_count=robot.nu,
            dof_count=robot.nv,
        ),
        fingerprint=environment.fingerprint,
        structure=structure_message(robot),
        timing=scene_pb2.Timing(
            physics_timestep_secs=float(environment.model.opt.timestep),
            control_period_secs=environment.control_period_secs,
            physics_steps_per_control=environment.physics_steps_per_control,
            episode_length=environment.episode_length,
            action_repeat=environment.action_repeat,
        ),
        observation_size=environment.observation_size,
        action_size=environment.action_size,
        command_size=environment.command_size,
        arrays=[
            tensor_pb2.TensorSpec(name=name, shape=shape, dtype=tensor_pb2.DATA_TYPE_FLOAT32)
            for name, shape in arrays.items()
            if 0 not in shape
        ],
    )


def structure_message(robot: structure.RobotStructure) -> scene_pb2.RobotStructure:
    """Returns what a robot is made of as the contract has it."""
    return scene_pb2.RobotStructure(
        bodies=[scene_pb2.Body(name=body.name, parent=body.parent, mass_kg=body.mass_kg) for body in robot.bodies],
        joints=[_joint_message(joint) for joint in robot.joints],
        actuators=[_actuator_message(actuator) for actuator in robot.actuators],
        sensors=[
            scene_pb2.Sensor(
                name=sensor.name, type=sensor.type, address=sensor.address, dim=sensor.dim, target=sensor.target
            )
            for sensor in robot.sensors
        ],
        sites=robot.sites,
        geoms=robot.geoms,
        nq=robot.nq,
        nv=robot.nv,
        nu=robot.nu,
        na=robot.na,
        mass_kg=robot.mass_kg,
        feet=[_foot_message(foot) for foot in robot.feet],
    )


def _foot_message(foot: Foot) -> scene_pb2.Foot:
    geoms = [scene_pb2.FootGeom(index=geom.index, half_m=geom.half_m, radius_m=geom.radius_m) for geom in foot.geoms]
    return scene_pb2.Foot(name=foot.name, geoms=geoms)


def _joint_message(joint: structure.Joint) -> scene_pb2.Joint:
    message = scene_pb2.Joint(
        name=joint.name,
        type=_JOINT_TYPE[joint.type],
        body=joint.body,
        qpos_address=joint.qpos_address,
        qvel_address=joint.qvel_address,
    )
    if joint.range is not None:
        message.range_low, message.range_high = joint.range
    return message


def _actuator_message(actuator: structure.Actuator) -> scene_pb2.Actuator:
    message = scene_pb2.Actuator(name=actuator.name, target=actuator.target, gear=actuator.gear)
    if actuator.ctrl_range is not None:
        message.ctrl_low, message.ctrl_high = actuator.ctrl_range
    return message
