"""What a search may vary: settings of the learner and weights of the reward, by name; values travel as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from tabrl.trainer.v1 import trainer_pb2
from tabrl_simulation.settings import LAYER_WIDTHS, WHOLE_NUMBERS

__all__ = ["SETTINGS", "WEIGHT_PREFIX", "InvalidParameter", "is_whole", "with_parameters"]

WEIGHT_PREFIX: Final = "reward.weights."
_FIELDS: Final = trainer_pb2.TrainingSettings.DESCRIPTOR.fields_by_name
SETTINGS: Final = tuple(name for name in _FIELDS if name != "env_steps")
"""Settings that may be searched; the number of steps is what all trials have in common."""
_WHOLE: Final = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
_BOOLEANS: Final = {"true": True, "false": False}


class InvalidParameter(ValueError):
    """A value cannot be one of the parameter; the message says why."""


def is_whole(name: str) -> bool:
    """Whether a parameter takes whole numbers only."""
    return not name.startswith(WEIGHT_PREFIX) and _FIELDS[name].cpp_type in _WHOLE


def is_number(name: str) -> bool:
    """Whether a parameter may have a range."""
    if name.startswith(WEIGHT_PREFIX):
        return True
    field = _FIELDS[name]
    return not field.is_repeated and field.cpp_type in (*_WHOLE, FieldDescriptor.CPPTYPE_DOUBLE)


def with_parameters(base: trainer_pb2.RunSpec, values: Mapping[str, str]) -> trainer_pb2.RunSpec:
    """Return a spec in which the parameters have these values.

    Raises:
        InvalidParameter: a value is of another kind than its parameter, or a whole number out of range.
    """
    spec = trainer_pb2.RunSpec()
    spec.CopyFrom(base)
    for name, text in values.items():
        if name.startswith(WEIGHT_PREFIX):
            spec.reward.weights[name.removeprefix(WEIGHT_PREFIX)] = _parsed(float, text, "a number")
            continue
        field = _FIELDS[name]
        if field.is_repeated:
            widths = [_whole(part, LAYER_WIDTHS, "widths of layers such as 64,64") for part in text.split(",")]
            del spec.settings.hidden_layer_sizes[:]
            spec.settings.hidden_layer_sizes.extend(widths)
        else:
            setattr(spec.settings, name, _value(field, text))
    return spec


def _value(field: FieldDescriptor, text: str) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if text.lower() not in _BOOLEANS:
            raise InvalidParameter(f"{text!r} is neither true nor false")
        return _BOOLEANS[text.lower()]
    if field.cpp_type in _WHOLE:
        return _whole(text, WHOLE_NUMBERS[field.name], "a whole number")
    return _parsed(float, text, "a number")


def _whole(text: str, ends: tuple[int, int], what: str) -> int:
    """Return a whole number between two ends; the message has no room for others, so they are refused before."""
    number: int = _parsed(int, text, what)
    if not ends[0] <= number <= ends[1]:
        raise InvalidParameter(f"{number} is not between {ends[0]} and {ends[1]}")
    return number


def _parsed(kind: Any, text: str, what: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidParameter(f"{text!r} is not {what}") from error
