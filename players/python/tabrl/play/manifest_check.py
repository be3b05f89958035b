"""Refuses manifests whose numbers no robot has: what a player would believe is checked before one does."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from tabrl.play.bounded_json import read_json
from tabrl.play.manifest import Array, GraphInput, GraphOutput, InputSource, Manifest, OutputRole, Tensor
from tabrl.play.manifest_json import ManifestError, loads
from tabrl.play.provenance_check import DIGEST, check_provenance, is_text, require
from tabrl.play.refusal import BundleError

__all__ = ["read_manifest"]

_FILE: Final = "manifest.json"
_MOST_BYTES: Final = 16 << 20
_MOST_ENTRIES: Final = 1_000
_MOST_RESETS: Final = 1_000
_LONGEST_EPISODE: Final = 1_000_000
_LONGEST_PERIOD_SECS: Final = 10.0
_MOST_PHYSICS_STEPS: Final = 10_000
_DTYPES: Final = frozenset({"float32", "int32", "uint32", "bool"})
_ENVIRONMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Arrays of mjData that a reset or the graph may write; a name from a file must reach nothing else.
_STATE: Final = frozenset({"qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat", "qacc_warmstart", "userdata"})
_WRITABLE: Final = _STATE | {"xfrc_applied", "qfrc_applied"}
_ONE_OF_EACH: Final = (OutputRole.CTRL, OutputRole.ACTION, OutputRole.OBSERVATION, OutputRole.REWARD, OutputRole.DONE)


def read_manifest(content: bytes) -> Manifest:
    """Returns the manifest in a file.

    Raises:
        BundleError: JSON, JSON_LIMITS, MANIFEST when it is none, MANIFEST_RANGE when a number in it cannot be.
    """
    _check_keys(read_json(content, _FILE, most_bytes=_MOST_BYTES))
    try:
        manifest = loads(content)
    except (ManifestError, ArithmeticError, LookupError, RecursionError) as error:
        raise BundleError("MANIFEST", str(error)[:300], _FILE) from error
    _check_clocks(manifest)
    _check_names(manifest)
    _check_roles(manifest)
    check_provenance(manifest)
    for number, reset in enumerate(manifest.resets):
        _check_reset(number, manifest, reset.data, reset.carry)
    return manifest


def _check_keys(manifest: Any) -> None:
    """Refuses a field's other name: protobuf reads `scene_xml` as it does `sceneXml`, and whoever reads JSON does not.

    In the arrays of a reset, names are names.
    """
    waiting: list[tuple[Any, tuple[str, ...]]] = [(manifest, ())]
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, list):
            waiting += [(each, path) for each in value]
        elif isinstance(value, dict):
            if path not in (("resets", "data"), ("resets", "carry")):
                odd = [key for key in value if "_" in key]
                require(not odd, f"fields are called as in protobuf's JSON, not {''.join(odd[:1])[:60]!r}")
            waiting += [(each, (*path, key)) for key, each in value.items()]


def _check_clocks(manifest: Manifest) -> None:
    require(
        isinstance(manifest.control_period_secs, float)
        and math.isfinite(manifest.control_period_secs)
        and 0 < manifest.control_period_secs <= _LONGEST_PERIOD_SECS,
        f"a control period lasts more than 0 and at most {_LONGEST_PERIOD_SECS:g} s",
    )
    for name, value, most in (
        ("physicsStepsPerControl", manifest.physics_steps_per_control, _MOST_PHYSICS_STEPS),
        ("episodeLength", manifest.episode_length, _LONGEST_EPISODE),
        ("actionRepeat", manifest.action_repeat, _MOST_PHYSICS_STEPS),
    ):
        require(_is_whole(value) and 1 <= value <= most, f"{name} is a whole number from 1 to {most:,}")
    require(_is_whole(manifest.onnx_opset), "onnxOpset is a whole number")


def _check_names(manifest: Manifest) -> None:
    require(is_text(manifest.environment_fingerprint), "its texts are short")
    environment = manifest.environment_id
    named = isinstance(environment, str) and bool(_ENVIRONMENT.fullmatch(environment))
    require(named, "its environment's id is of 1 to 100 letters, digits and `_.-`, and starts with none of these three")
    require(all(is_text(path) for path in manifest.scene_assets), "its files have short names")
    for digest in (manifest.controller_sha256, manifest.checkpoint_sha256, manifest.reward_program_sha256):
        require(isinstance(digest, str) and (not digest or bool(DIGEST.fullmatch(digest))), "its digests are SHA-256")
    lists = (manifest.inputs, manifest.outputs, manifest.copies, manifest.terms, manifest.scene_assets)
    require(max(map(len, lists)) <= _MOST_ENTRIES, f"no list in it is longer than {_MOST_ENTRIES:,}")
    require(len(manifest.resets) <= _MOST_RESETS, f"it has {_MOST_RESETS:,} resets at most")
    entries: tuple[GraphInput | GraphOutput, ...] = (*manifest.inputs, *manifest.outputs)
    for entry in entries:
        _check_tensor(entry.tensor)
        require(is_text(entry.field) and is_text(entry.unit), "its fields have short names and units")
    inputs = [given.tensor.name for given in manifest.inputs]
    require(len(set(inputs)) == len(inputs), "each input has a name of its own")
    require(not set(inputs) & {given.tensor.name for given in manifest.outputs}, "no output is called as an input is")
    for term in manifest.terms:
        require(is_text(term.name), "its terms have short names")
        require(math.isfinite(term.weight), f"the weight of {term.name[:60]} is finite")


def _check_tensor(tensor: Tensor) -> None:
    name = tensor.name
    require(is_text(name) and bool(name), "its tensors have short names")
    require(tensor.dtype in _DTYPES, f"{name!r} is of a type that controllers have")
    require(
        len(tensor.shape) <= 8
        and all(_is_whole(size) and 0 <= size <= 1 << 20 for size in tensor.shape)
        and math.prod(tensor.shape) <= 1 << 20,
        f"{name!r} has a shape that can be",
    )


def _check_roles(manifest: Manifest) -> None:
    """Checks that what a player looks for by role or name is there, once, and of the shape that it takes."""
    carried = {given.field for given in manifest.inputs if given.source is InputSource.CARRY}
    for given in manifest.inputs:
        if given.source in (InputSource.DATA, InputSource.DATA_BEFORE):
            require(bool(_NAME.fullmatch(given.field)), f"{given.field!r} is the name of an array of mjData")
        if given.source in (InputSource.UNIFORM, InputSource.NORMAL):
            require(given.tensor.dtype == "float32", "draws are float32")
    outputs: dict[OutputRole, list[Any]] = {}
    for output in manifest.outputs:
        outputs.setdefault(output.role, []).append(output)
    for role in _ONE_OF_EACH:
        require(len(outputs.get(role, ())) == 1, f"it lists one output {role.name}")
    for role in (OutputRole.REWARD, OutputRole.DONE, OutputRole.TERM):
        scalars = all(math.prod(output.tensor.shape) == 1 for output in outputs.get(role, ()))
        require(scalars, f"{role.name} is one number")
    require(len(outputs[OutputRole.CTRL][0].tensor.shape) == 1, "ctrl has one axis")
    terms = [output.field for output in outputs.get(OutputRole.TERM, ())]
    require({term.name for term in manifest.terms} <= set(terms), "each term is an output")
    for role, output in ((role, output) for role, many in outputs.items() for output in many):
        if role.name in ("STATE", "PUSH"):
            require(output.field in _WRITABLE, f"no controller writes {output.field!r}")
        if role is OutputRole.CARRY:
            require(_shape_of(output.field, manifest) == output.tensor.shape, f"{output.field!r} keeps its shape")
    inputs = {given.tensor.name for given in manifest.inputs}
    for copy in manifest.copies:
        require(copy.field in carried and copy.input in inputs, "each copy goes from an input into the carry")


def _shape_of(field: str, manifest: Manifest) -> tuple[int, ...] | None:
    given = next((each for each in manifest.inputs if _carries(each, field)), None)
    return None if given is None else given.tensor.shape


def _carries(given: GraphInput, field: str) -> bool:
    return given.source is InputSource.CARRY and given.field == field


def _check_reset(number: int, manifest: Manifest, data: Mapping[str, Array], carry: Mapping[str, Array]) -> None:
    require(set(data) <= _STATE and {"qpos", "qvel"} <= set(data), f"reset {number} writes the state alone")
    for name, value in data.items():
        require(value.size <= 1 << 20 and bool(np.isfinite(value).all()), f"{name} of reset {number} is finite")
    for given in manifest.inputs:
        if given.source is InputSource.CARRY:
            first = carry.get(given.field)
            same = first is not None and first.shape == given.tensor.shape
            require(same, f"reset {number} has the carry {given.field!r} in its shape")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
