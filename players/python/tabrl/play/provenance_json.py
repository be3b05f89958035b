"""What people and careful players read of a manifest: versions, sizes, actuators, commands, origin and licences."""

from __future__ import annotations

from typing import Any

from tabrl.play.manifest import (
    Actuator,
    Command,
    CommandElement,
    Format,
    Licence,
    Lineage,
    Manifest,
    ModelSizes,
    VersionRange,
)

__all__ = ["provenance_from", "provenance_to"]

Json = dict[str, Any]


def provenance_to(manifest: Manifest) -> Json:
    """Returns the entries of the manifest's JSON."""
    lineage = manifest.lineage
    return {
        "mujocoVersions": {"minimum": manifest.mujoco_versions.minimum, "below": manifest.mujoco_versions.below},
        "onnxruntimeVersion": manifest.onnxruntime_version,
        "format": f"CONTROLLER_FORMAT_{manifest.format.name}",
        **({"model": _sizes_to(manifest.model)} if manifest.model else {}),
        "actuators": [_actuator_to(actuator) for actuator in manifest.actuators],
        "commands": [
            {
                "field": command.field,
                "elements": [{"name": e.name, "unit": e.unit, "low": e.low, "high": e.high} for e in command.elements],
            }
            for command in manifest.commands
        ],
        "lineage": {
            "runId": lineage.run_id,
            "envSteps": str(lineage.env_steps),  # protobuf JSON writes 64-bit integers as strings
            "parentCheckpointSha256": lineage.parent_checkpoint_sha256,
            "rewardId": lineage.reward_id,
            "prompt": lineage.prompt,
        },
        "licences": [
            {"covers": licence.covers, "spdxId": licence.spdx_id, "text": licence.text} for licence in manifest.licences
        ],
    }


def provenance_from(message: Json) -> Json:
    """Returns the fields of `Manifest`; entries left out have their protobuf defaults."""
    versions, lineage = message.get("mujocoVersions", {}), message.get("lineage", {})
    form = message.get("format", "CONTROLLER_FORMAT_UNSPECIFIED").removeprefix("CONTROLLER_FORMAT_")
    return {
        "mujoco_versions": VersionRange(versions.get("minimum", ""), versions.get("below", "")),
        "onnxruntime_version": message.get("onnxruntimeVersion", ""),
        "format": Format.FP32 if form == "UNSPECIFIED" else Format[form],
        "model": _sizes_from(message["model"]) if "model" in message else None,
        "actuators": tuple(_actuator_from(actuator) for actuator in message.get("actuators", [])),
        "commands": tuple(
            Command(
                command["field"],
                tuple(
                    CommandElement(
                        e.get("name", ""), e.get("unit", ""), float(e.get("low", 0)), float(e.get("high", 0))
                    )
                    for e in command.get("elements", [])
                ),
            )
            for command in message.get("commands", [])
        ),
        "lineage": Lineage(
            run_id=lineage.get("runId", ""),
            env_steps=int(lineage.get("envSteps", 0)),
            parent_checkpoint_sha256=lineage.get("parentCheckpointSha256", ""),
            reward_id=lineage.get("rewardId", ""),
            prompt=lineage.get("prompt", ""),
        ),
        "licences": tuple(
            Licence(each.get("covers", ""), each.get("spdxId", ""), each.get("text", ""))
            for each in message.get("licences", [])
        ),
    }


def _sizes_to(sizes: ModelSizes) -> Json:
    return {
        "nq": sizes.nq,
        "nv": sizes.nv,
        "nu": sizes.nu,
        "na": sizes.na,
        "nbody": sizes.nbody,
        "nsensordata": sizes.nsensordata,
        "nmocap": sizes.nmocap,
        "timestepSecs": sizes.timestep_secs,
    }


def _sizes_from(message: Json) -> ModelSizes:
    counts = {name: int(message.get(name, 0)) for name in ("nq", "nv", "nu", "na", "nbody", "nsensordata", "nmocap")}
    return ModelSizes(**counts, timestep_secs=float(message.get("timestepSecs", 0)))


def _actuator_to(actuator: Actuator) -> Json:
    limits = {"ctrlLow": actuator.ctrl_low, "ctrlHigh": actuator.ctrl_high}
    return {
        "name": actuator.name,
        **{key: value for key, value in limits.items() if value is not None},
        "unit": actuator.unit,
    }


def _actuator_from(message: Json) -> Actuator:
    return Actuator(message.get("name", ""), message.get("ctrlLow"), message.get("ctrlHigh"), message.get("unit", ""))
