"""A manifest as the protobuf JSON of `tabrl.exporter.v1.ControllerManifest`, written and read without protobuf."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from tabrl.play.manifest import (
    SPECIFICATION,
    Array,
    CarryCopy,
    FileReference,
    GraphInput,
    GraphOutput,
    InputSource,
    Manifest,
    OutputRole,
    ResetState,
    Tensor,
    Term,
)
from tabrl.play.provenance_json import provenance_from, provenance_to

__all__ = ["ManifestError", "dumps", "loads"]

_XML_TYPE: Final = "application/xml"
_ASSET_TYPE: Final = "application/octet-stream"
_DTYPES: Final = frozenset({"float32", "int32", "uint32", "bool"})
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Json = dict[str, Any]


class ManifestError(ValueError):
    """The text is no manifest of this specification."""


def dumps(manifest: Manifest) -> str:
    """Writes a manifest; the same manifest gives the same text."""
    message: Json = {
        "specification": manifest.specification,
        "environmentId": manifest.environment_id,
        "environmentFingerprint": manifest.environment_fingerprint,
        "controllerSha256": manifest.controller_sha256,
        "sceneXml": _file_to(manifest.scene_xml, _XML_TYPE),
        "sceneAssets": [
            {"path": path, "artifact": _file_to(file, _ASSET_TYPE)} for path, file in manifest.scene_assets.items()
        ],
        "controlPeriodSecs": manifest.control_period_secs,
        "physicsStepsPerControl": manifest.physics_steps_per_control,
        "episodeLength": manifest.episode_length,
        "inputs": [
            {"tensor": _spec_to(i.tensor), "source": f"INPUT_SOURCE_{i.source.name}", "field": i.field, "unit": i.unit}
            for i in manifest.inputs
        ],
        "outputs": [
            {"tensor": _spec_to(o.tensor), "role": f"OUTPUT_ROLE_{o.role.name}", "field": o.field, "unit": o.unit}
            for o in manifest.outputs
        ],
        "copies": [{"field": copy.field, "input": copy.input} for copy in manifest.copies],
        "resets": [{"data": _arrays_to(state.data), "carry": _arrays_to(state.carry)} for state in manifest.resets],
        "terms": [{"name": term.name, "weight": term.weight} for term in manifest.terms],
        "actionRepeat": manifest.action_repeat,
        "onnxOpset": manifest.onnx_opset,
        "mujocoVersion": manifest.mujoco_version,
        "checkpointSha256": manifest.checkpoint_sha256,
        "rewardProgramSha256": manifest.reward_program_sha256,
        **provenance_to(manifest),
    }
    return json.dumps(message, separators=(",", ":"), allow_nan=False)


def loads(text: str | bytes) -> Manifest:
    """Reads a manifest; fields left out have their protobuf defaults.

    Raises:
        ManifestError: the text is no manifest, or of another specification.
    """
    try:
        manifest = _from(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"This is no controller manifest: {type(error).__name__}: {error}") from error
    if manifest.specification != SPECIFICATION:
        raise ManifestError(
            f"specification: this manifest is of {manifest.specification}; this player knows {SPECIFICATION}. "
            "Play it with the release of TabRL that made it, or export the policy again."
        )
    if not manifest.resets:
        raise ManifestError("This manifest has no reset state.")
    return manifest


def _from(message: Json) -> Manifest:
    inputs = tuple(
        GraphInput(
            _spec_from(entry["tensor"]),
            InputSource[entry["source"].removeprefix("INPUT_SOURCE_")],
            entry.get("field", ""),
            entry.get("unit", ""),
        )
        for entry in message.get("inputs", [])
    )
    dtypes = {given.field: given.tensor.dtype for given in inputs if given.source is InputSource.CARRY}
    return Manifest(
        specification=message.get("specification", 0),
        environment_id=message.get("environmentId", ""),
        environment_fingerprint=message.get("environmentFingerprint", ""),
        controller_sha256=message.get("controllerSha256", ""),
        scene_xml=_file_from(message.get("sceneXml", {})),
        scene_assets=_assets_from(message.get("sceneAssets", [])),
        control_period_secs=float(message.get("controlPeriodSecs", 0)),
        physics_steps_per_control=message.get("physicsStepsPerControl", 0),
        episode_length=message.get("episodeLength", 0),
        action_repeat=message.get("actionRepeat", 0),
        inputs=inputs,
        outputs=tuple(
            GraphOutput(
                _spec_from(entry["tensor"]),
                OutputRole[entry["role"].removeprefix("OUTPUT_ROLE_")],
                entry.get("field", ""),
                entry.get("unit", ""),
            )
            for entry in message.get("outputs", [])
        ),
        copies=tuple(CarryCopy(entry["field"], entry["input"]) for entry in message.get("copies", [])),
        resets=tuple(
            ResetState(_arrays_from(state.get("data", {}), {}), _arrays_from(state.get("carry", {}), dtypes))
            for state in message.get("resets", [])
        ),
        terms=tuple(Term(term["name"], float(term.get("weight", 0))) for term in message.get("terms", [])),
        onnx_opset=message.get("onnxOpset", 0),
        mujoco_version=message.get("mujocoVersion", ""),
        checkpoint_sha256=message.get("checkpointSha256", ""),
        reward_program_sha256=message.get("rewardProgramSha256", ""),
        **provenance_from(message),
    )


def _file_to(file: FileReference, media_type: str) -> Json:
    # Protobuf JSON writes 64-bit integers as strings.
    return {"sha256": file.sha256, "sizeBytes": str(file.size_bytes), "mediaType": media_type}


def _file_from(message: Json) -> FileReference:
    return FileReference(message.get("sha256", ""), int(message.get("sizeBytes", 0)))


def _assets_from(message: list[Json]) -> dict[str, FileReference]:
    assets = {asset["path"]: _file_from(asset["artifact"]) for asset in message}
    if len(assets) != len(message):
        raise ValueError("sceneAssets has a path twice")
    return assets


def _spec_to(tensor: Tensor) -> Json:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": f"DATA_TYPE_{tensor.dtype.upper()}"}


def _spec_from(message: Json) -> Tensor:
    dtype = message["dtype"].removeprefix("DATA_TYPE_").lower()
    if dtype not in _DTYPES:
        raise ValueError(f"{dtype[:60]!r} is no type of a controller's numbers")
    return Tensor(message["name"], tuple(message.get("shape", ())), dtype)


def _arrays_to(arrays: Mapping[str, Array]) -> Json:
    return {
        name: {"shape": list(np.shape(value)), "values": [_number(x) for x in np.ravel(value)]}
        for name, value in sorted(arrays.items())
    }


def _number(value: Any) -> float | str:
    if np.isfinite(value):
        return float(str(np.float32(value)))  # the shortest decimal that gives this float32 again
    return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _arrays_from(message: Json, dtypes: Mapping[str, str]) -> dict[str, Array]:
    return {
        name: np.array(
            [_NOT_FINITE[x] if isinstance(x, str) else x for x in tensor.get("values", [])], dtypes.get(name, "float32")
        ).reshape(tensor.get("shape", []))
        for name, tensor in message.items()
    }
