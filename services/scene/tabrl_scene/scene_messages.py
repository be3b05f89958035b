"""Between an uploaded scene and the messages of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import json_format
from tabrl.scene.v1 import scene_pb2
from tabrl.type.v1 import tensor_pb2
from tabrl_simulation import structure
from tabrl_simulation.custom.config import SceneConfig
from tabrl_simulation.custom.store import StoredScene
from tabrl_simulation.feet import foot_of_plain

from tabrl_scene.messages import structure_message

__all__ = ["CATEGORY", "config_message", "config_of", "environment_of_facts", "scene_message"]

CATEGORY: Final = "custom"
"""Category of every uploaded scene."""
_STANDING_PROMPTS: Final = ("Stand upright and keep still", "Walk forward", "Turn on the spot")
"""What the built-in library writes a reward for wherever a robot stands upright."""


def config_message(config: SceneConfig) -> scene_pb2.SceneConfig:
    """Returns a configuration as the contract has it."""
    return json_format.ParseDict(config.to_dict(), scene_pb2.SceneConfig())


def config_of(message: scene_pb2.SceneConfig) -> SceneConfig:
    """Returns the configuration that a message says.

    Raises:
        InvalidSceneConfig: a field is out of range.
    """
    values: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return SceneConfig.from_dict(_without_infinities(values))


def _without_infinities(values: Any) -> Any:
    """Turns what JSON cannot say, which arrives as text, back into numbers, so that they are refused as such."""
    if isinstance(values, dict):
        return {
            name: value if name == "home_keyframe" else _without_infinities(value) for name, value in values.items()
        }
    return float(values) if values in ("NaN", "Infinity", "-Infinity") else values


def scene_message(environment_id: str, scene: StoredScene) -> scene_pb2.Scene:
    """Returns a kept scene as the contract has it, without its files."""
    return scene_pb2.Scene(
        environment_id=environment_id,
        title=scene.title,
        file_name=scene.source,
        config=config_message(scene.config),
        replaces=scene.replaces,
    )


def environment_of_facts(environment_id: str, scene: StoredScene, fingerprint: str) -> scene_pb2.Environment:
    """Returns a kept scene's environment from the facts that were found in it.

    Raises:
        KeyError, TypeError, ValueError: the facts are not as `inspection.Inspected` says.
    """
    facts = scene.facts
    robot = _structure(facts["structure"])
    floating = any(joint.type is structure.JointType.FREE for joint in robot.joints)
    return scene_pb2.Environment(
        summary=scene_pb2.EnvironmentSummary(
            environment_id=environment_id,
            category=CATEGORY,
            title=scene.title,
            description=("The robot by itself. Its" if scene.menagerie else "A scene of yours. Its")
            + " own reward asks it to keep its pose"
            + (", stay upright and follow a commanded speed." if floating else " with little effort."),
            robot=scene.title,
            actuator_count=robot.nu,
            dof_count=robot.nv,
            example_prompts=_STANDING_PROMPTS if "stance" in facts else (),
        ),
        fingerprint=fingerprint,
        structure=structure_message(robot),
        timing=scene_pb2.Timing(**facts["timing"]),
        observation_size=int(facts["observation_size"]),
        action_size=int(facts["action_size"]),
        command_size=int(facts["command_size"]),
        arrays=[
            tensor_pb2.TensorSpec(name=name, shape=shape, dtype=tensor_pb2.DATA_TYPE_FLOAT32)
            for name, shape in facts["arrays"].items()
            if 0 not in shape
        ],
        stance=scene_pb2.Stance(**facts["stance"]) if "stance" in facts else None,
    )


def _structure(values: Mapping[str, Any]) -> structure.RobotStructure:
    joints = [
        {**joint, "type": structure.JointType[joint["type"]], "range": joint["range"] and tuple(joint["range"])}
        for joint in values["joints"]
    ]
    actuators = [
        {**actuator, "ctrl_range": actuator["ctrl_range"] and tuple(actuator["ctrl_range"])}
        for actuator in values["actuators"]
    ]
    return structure.RobotStructure(
        **{
            **values,
            "bodies": tuple(structure.Body(**body) for body in values["bodies"]),
            "joints": tuple(structure.Joint(**joint) for joint in joints),
            "actuators": tuple(structure.Actuator(**actuator) for actuator in actuators),
            "sensors": tuple(structure.Sensor(**sensor) for sensor in values["sensors"]),
            "sites": tuple(values["sites"]),
            "geoms": tuple(values["geoms"]),
            "feet": tuple(foot_of_plain(foot) for foot in values["feet"]),
        }
    )
