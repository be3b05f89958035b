"""Settings of the learner between the contract's message and the simulation's dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tabrl.trainer.v1 import trainer_pb2
from tabrl_simulation.backends import MJX, MUJOCO_C, WARP
from tabrl_simulation.settings import Settings

_BACKENDS: Final[Mapping[trainer_pb2.PhysicsBackend.ValueType, str]] = {
    trainer_pb2.PHYSICS_BACKEND_MUJOCO_C: MUJOCO_C,
    trainer_pb2.PHYSICS_BACKEND_MJX: MJX,
    trainer_pb2.PHYSICS_BACKEND_WARP: WARP,
}


def backend_of(spec: trainer_pb2.RunSpec) -> str | None:
    """Return the simulation's name for the physics of a run; None where the machine is to choose."""
    return _BACKENDS.get(spec.backend)


def settings_message(settings: Settings) -> trainer_pb2.TrainingSettings:
    """Return settings as the contract has them."""
    return trainer_pb2.TrainingSettings(**settings.to_dict())


def settings_of(message: trainer_pb2.TrainingSettings, defaults: Settings) -> Settings:
    """Return the settings of a message, its absent ones from `defaults`; raises `InvalidSettings`."""
    given: dict[str, Any] = {
        field.name: tuple(value) if field.name == "hidden_layer_sizes" else value
        for field, value in message.ListFields()
    }
    return replace(defaults, **given)
