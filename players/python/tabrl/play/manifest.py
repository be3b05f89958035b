"""What a player needs beside the ONNX graph: the plain form of `tabrl.exporter.v1.ControllerManifest`.

The rules of a control tick stand in that contract. This module only holds the numbers, so that building and playing
controllers need no protobuf.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SPECIFICATION",
    "Actuator",
    "CarryCopy",
    "Command",
    "CommandElement",
    "FileReference",
    "Format",
    "GraphInput",
    "GraphOutput",
    "InputSource",
    "Licence",
    "Lineage",
    "Manifest",
    "ModelSizes",
    "OutputRole",
    "ResetState",
    "Tensor",
    "Term",
    "VersionRange",
]

SPECIFICATION: Final = 1
"""Version of the player's rules."""

Array = NDArray[np.generic]


class InputSource(enum.Enum):
    """Where an input's numbers come from; the values are those of the contract's enum."""

    DATA = 1
    DATA_BEFORE = 2
    CARRY = 3
    UNIFORM = 4
    NORMAL = 5


class OutputRole(enum.Enum):
    """What an output is; the values are those of the contract's enum."""

    CTRL = 1
    ACTION = 2
    OBSERVATION = 3
    CARRY = 4
    REWARD = 5
    TERM = 6
    DONE = 7
    STATE = 8
    PUSH = 9


class Format(enum.Enum):
    """How the graph's weights are stored; the values are those of the contract's enum. Arithmetic is float32 in all."""

    FP32 = 1
    FP16 = 2
    INT8 = 3


@dataclass(frozen=True)
class Tensor:
    """Name, shape and element type (`float32`, `int32`, `uint32` or `bool`) of an array in the graph."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    def zeros(self) -> Array:
        """Returns an array of this shape and type filled with zeros."""
        return np.zeros(self.shape, self.dtype)


@dataclass(frozen=True)
class GraphInput:
    """An input of the graph; `field` names the mjData array or carry entry and is empty for draws.

    `unit` names the units of its elements for people, and is empty where they have none.
    """

    tensor: Tensor
    source: InputSource
    field: str = ""
    unit: str = ""


@dataclass(frozen=True)
class GraphOutput:
    """An output of the graph; `field` names the carry entry, reward term or state array; empty for the others."""

    tensor: Tensor
    role: OutputRole
    field: str = ""
    unit: str = ""


@dataclass(frozen=True)
class CarryCopy:
    """Carry entry `field` takes the value that the graph input named `input` had at this tick."""

    field: str
    input: str


@dataclass(frozen=True)
class ResetState:
    """A state to start an episode from: mjData arrays to write before `mj_forward`, and the first carry."""

    data: Mapping[str, Array]
    carry: Mapping[str, Array]


@dataclass(frozen=True)
class Term:
    """A reward term with the weight that the graph applies to it."""

    name: str
    weight: float


@dataclass(frozen=True)
class FileReference:
    """A file by digest."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class VersionRange:
    """Versions from `minimum` to below `below`, such as 3.14.0 and 5.0.0."""

    minimum: str = ""
    below: str = ""


@dataclass(frozen=True)
class ModelSizes:
    """Sizes of a compiled model, by MuJoCo's names, and the time between two physics steps."""

    nq: int
    nv: int
    nu: int
    na: int
    nbody: int
    nsensordata: int
    nmocap: int
    timestep_secs: float


@dataclass(frozen=True)
class Actuator:
    """An actuator: its name, the range of its ctrl (None without limits) and the unit of it."""

    name: str
    ctrl_low: float | None = None
    ctrl_high: float | None = None
    unit: str = ""


@dataclass(frozen=True)
class CommandElement:
    """One number of a command, with the range that training drew it from."""

    name: str
    unit: str
    low: float
    high: float


@dataclass(frozen=True)
class Command:
    """A carry entry by which the robot is commanded; a player may hold it at values of its own."""

    field: str
    elements: tuple[CommandElement, ...]


@dataclass(frozen=True)
class Lineage:
    """Where a controller comes from; what is not known is empty."""

    run_id: str = ""
    env_steps: int = 0
    parent_checkpoint_sha256: str = ""
    reward_id: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Licence:
    """A licence: what it covers, its SPDX identifier, and its text where that is known."""

    covers: str
    spdx_id: str
    text: str = ""


@dataclass(frozen=True)
class Manifest:
    """Everything a player needs beside the graph. Field for field `tabrl.exporter.v1.ControllerManifest`."""

    environment_id: str
    environment_fingerprint: str
    controller_sha256: str
    scene_xml: FileReference
    scene_assets: Mapping[str, FileReference]
    control_period_secs: float
    physics_steps_per_control: int
    episode_length: int
    action_repeat: int
    inputs: tuple[GraphInput, ...]
    outputs: tuple[GraphOutput, ...]
    copies: tuple[CarryCopy, ...]
    resets: tuple[ResetState, ...]
    terms: tuple[Term, ...]
    onnx_opset: int
    mujoco_version: str
    checkpoint_sha256: str
    reward_program_sha256: str = ""
    mujoco_versions: VersionRange = field(default_factory=VersionRange)
    onnxruntime_version: str = ""
    format: Format = Format.FP32
    model: ModelSizes | None = None
    actuators: tuple[Actuator, ...] = ()
    commands: tuple[Command, ...] = ()
    lineage: Lineage = field(default_factory=Lineage)
    licences: tuple[Licence, ...] = ()
    specification: int = field(default=SPECIFICATION)
