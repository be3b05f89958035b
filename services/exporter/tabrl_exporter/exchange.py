"""What the service and its export process say to each other: one line of JSON each way, files by path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Export", "Exported", "Parity", "Refusal", "RewardFiles", "parse_export", "parse_reply", "to_line"]


@dataclass(frozen=True)
class RewardFiles:
    """A sealed reward: its two forms as files, and the weights of its terms."""

    program: str
    onnx: str
    program_sha256: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Export:
    """An order: export the checkpoint in file `checkpoint` into the empty folder `folder`."""

    environment_id: str
    checkpoint: str
    checkpoint_sha256: str
    reward: RewardFiles | None
    folder: str
    lineage: Mapping[str, str] = field(default_factory=dict)
    """Fields of the manifest's lineage that the caller knows."""


@dataclass(frozen=True)
class Parity:
    """How far the controller is from its source; `outputs` maps each output to (largest difference, allowed).

    `closed_loop` holds the fields of the contract's ClosedLoopReport.
    """

    states: int
    tolerance: float
    outputs: Mapping[str, tuple[float, float]]
    onnxruntime_version: str
    jax_version: str
    mujoco_version: str = ""
    onnx_opset: int = 0
    passed: bool = True
    closed_loop: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Exported:
    """An order carried out: the folder holds `controller.onnx`, `manifest.json`, `scene.xml` and `assets` by number."""

    parity: Parity
    env_steps: int
    assets: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """An order that cannot be carried out.

    Attributes:
        reason: `CHECKPOINT_INCOMPATIBLE`, `PARITY_FAILED`, `REWARD_MISMATCH`, `ROBOT_NOT_INSTALLED`, `STORAGE_FULL`,
            or `INTERNAL` for a defect.
        message: what is wrong, and what to do.
        fields: for PARITY_FAILED, each output that moved with how far.
        metadata: what else a program may want to know of it.
        parity: for PARITY_FAILED, the report.
    """

    reason: str
    message: str
    fields: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)
    parity: Parity | None = None


def to_line(message: Export | Exported | Refusal) -> bytes:
    """Returns a message as a line of JSON."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode() + b"\n"


def parse_export(line: bytes) -> Export:
    """Returns the order in a line."""
    fields = _fields(line, "Export")
    reward = fields.pop("reward")
    return Export(reward=RewardFiles(**reward) if reward else None, **fields)


def parse_reply(line: bytes) -> Exported | Refusal:
    """Returns the reply in a line."""
    if json.loads(line)["kind"] == "Refusal":
        fields = _fields(line, "Refusal")
        parity = fields.pop("parity")
        return Refusal(**fields, parity=Parity(**parity) if parity else None)
    fields = _fields(line, "Exported")
    return Exported(parity=Parity(**fields["parity"]), env_steps=fields["env_steps"], assets=tuple(fields["assets"]))


def _fields(line: bytes, kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(line)
    if fields.pop("kind") != kind:
        raise ValueError(f"this is no {kind}: {line[:100]!r}")
    return fields
