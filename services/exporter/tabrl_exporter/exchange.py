"""What the service and its export process say to each other: one line of JSON each way, files by path."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "Export",
    "Exported",
    "Origin",
    "Parity",
    "Reformat",
    "Reformatted",
    "Refusal",
    "RewardFiles",
    "parse_export",
    "parse_order",
    "parse_reply",
    "to_line",
]


@dataclass(frozen=True)
class RewardFiles:
    """A sealed reward: its two forms as files, and the weights of its terms."""

    program: str
    onnx: str
    program_sha256: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Origin:
    """What the caller knows of where a checkpoint comes from, for the manifest's lineage; empty where it does not."""

    run_id: str = ""
    parent_checkpoint_sha256: str = ""
    reward_id: str = ""
    prompt: str = ""


@dataclass(frozen=True)
class Export:
    """An order: export the checkpoint in file `checkpoint` into the empty folder `folder`."""

    environment_id: str
    checkpoint: str
    checkpoint_sha256: str
    reward: RewardFiles | None
    folder: str
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True)
class Reformat:
    """An order: write a published policy in another form into the empty folder `folder`.

    Attributes:
        form: `fp16`, `int8`, `policy` or `weights`.
        environment_id: environment it drives.
        controller: file of its graph.
        manifest: file of its manifest.
        scene: file of the MJCF.
        assets: files that the MJCF names, by its names for them.
        checkpoint: file of its checkpoint; empty where it, or the reward, is not here: then `fp16` and `int8` are
            measured against the published controller.
        checkpoint_sha256: digest of the checkpoint.
        reward: the reward it was trained for; None for the environment's own.
        folder: where to write.
    """

    form: str
    environment_id: str
    controller: str
    manifest: str
    scene: str
    assets: Mapping[str, str]
    checkpoint: str
    checkpoint_sha256: str
    reward: RewardFiles | None
    folder: str


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
class Reformatted:
    """An order carried out: the folder holds `file`, and for a controller `manifest.json`."""

    parity: Parity
    has_manifest: bool


@dataclass(frozen=True)
class Refusal:
    """An order that cannot be carried out.

    Attributes:
        reason: `CHECKPOINT_INCOMPATIBLE`, `CONTROLLER_INCOMPATIBLE`, `PARITY_FAILED`, `REWARD_MISMATCH`,
            `ROBOT_NOT_INSTALLED`, `STORAGE_FULL`, or `INTERNAL` for a defect.
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


def to_line(message: Export | Reformat | Exported | Reformatted | Refusal) -> bytes:
    """Returns a message as a line of JSON."""
    return json.dumps({"kind": type(message).__name__, **asdict(message)}).encode() + b"\n"


def parse_order(line: bytes) -> Export | Reformat:
    """Returns the order in a line, of whichever kind."""
    if json.loads(line)["kind"] != "Reformat":
        return parse_export(line)
    fields = _fields(line, "Reformat")
    return Reformat(reward=_reward(fields.pop("reward")), **fields)


def parse_export(line: bytes) -> Export:
    """Returns the order in a line."""
    fields = _fields(line, "Export")
    return Export(reward=_reward(fields.pop("reward")), origin=Origin(**fields.pop("origin")), **fields)


def parse_reply(line: bytes) -> Exported | Reformatted | Refusal:
    """Returns the reply in a line."""
    kind = json.loads(line)["kind"]
    if kind == "Refusal":
        fields = _fields(line, "Refusal")
        parity = fields.pop("parity")
        return Refusal(**fields, parity=Parity(**parity) if parity else None)
    if kind == "Reformatted":
        fields = _fields(line, "Reformatted")
        return Reformatted(parity=Parity(**fields["parity"]), has_manifest=fields["has_manifest"])
    fields = _fields(line, "Exported")
    return Exported(parity=Parity(**fields["parity"]), env_steps=fields["env_steps"], assets=tuple(fields["assets"]))


def _reward(fields: dict[str, Any] | None) -> RewardFiles | None:
    return RewardFiles(**fields) if fields else None


def _fields(line: bytes, kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(line)
    if fields.pop("kind") != kind:
        raise ValueError(f"this is no {kind}: {line[:100]!r}")
    return fields
