"""Settings of the learner between the contract's message and the simulation's dataclass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tabrl.trainer.v1 import trainer_pb2
from tabrl_simulation.settings import Settings


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
