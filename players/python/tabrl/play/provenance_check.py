"""Refuses what a manifest says of itself to people where it is no fact of its kind: it is kept, listed and shown."""

from __future__ import annotations

import math
import re
from typing import Final

from tabrl.play.manifest import InputSource, Lineage, Manifest
from tabrl.play.refusal import BundleError

__all__ = ["DIGEST", "check_lineage", "check_provenance", "is_text", "require"]

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
"""A SHA-256 as it is written."""

_FILE: Final = "manifest.json"
_LONGEST_TEXT: Final = 200
_LONGEST_PROMPT: Final = 4_000
_LONGEST_LICENCE: Final = 64 << 10
_MOST_LICENCES: Final = 100
_MOST_ACTUATORS: Final = 1_000
_MOST_COMMANDS: Final = 100
_MOST_STEPS: Final = 1 << 50
_MOST_OF_A_SIZE: Final = 1 << 30


def check_provenance(manifest: Manifest) -> None:
    """Checks versions, sizes, actuators, commands, lineage and licences.

    Raises:
        BundleError: MANIFEST_RANGE.
    """
    versions = (manifest.mujoco_versions.minimum, manifest.mujoco_versions.below)
    for text in (*versions, manifest.mujoco_version, manifest.onnxruntime_version):
        require(is_text(text), f"its versions have {_LONGEST_TEXT} characters at most")
    _check_sizes(manifest)
    _check_actuators(manifest)
    _check_commands(manifest)
    check_lineage(manifest.lineage)
    require(len(manifest.licences) <= _MOST_LICENCES, f"it has {_MOST_LICENCES} licences at most")
    for licence in manifest.licences:
        require(is_text(licence.covers) and is_text(licence.spdx_id), "its licences have short names")
        require(is_text(licence.text, _LONGEST_LICENCE), f"a licence has {_LONGEST_LICENCE:,} characters at most")


def check_lineage(lineage: Lineage, file: str = _FILE) -> None:
    """Checks where a controller says that it comes from.

    Raises:
        BundleError: MANIFEST_RANGE, of the file.
    """
    parent = lineage.parent_checkpoint_sha256
    known = isinstance(parent, str) and (not parent or bool(DIGEST.fullmatch(parent)))
    require(known, "parentCheckpointSha256 is a SHA-256, or empty", file)
    ids = is_text(lineage.run_id) and is_text(lineage.reward_id)
    require(ids, f"runId and rewardId have {_LONGEST_TEXT} characters at most", file)
    require(is_text(lineage.prompt, _LONGEST_PROMPT), f"prompt has {_LONGEST_PROMPT:,} characters at most", file)
    require(0 <= lineage.env_steps <= _MOST_STEPS, "envSteps is a number of steps", file)


def is_text(value: object, longest: int = _LONGEST_TEXT) -> bool:
    """Whether a value is a text of so many characters at most, without NUL, that can be written as UTF-8."""
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        return False
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in value)


def require(holds: bool, rule: str, file: str = _FILE) -> None:
    """Raises MANIFEST_RANGE, of the file, where a rule does not hold."""
    if not holds:
        raise BundleError("MANIFEST_RANGE", f"it breaks the rule that {rule}", file)


def _check_sizes(manifest: Manifest) -> None:
    if (model := manifest.model) is None:
        return
    sizes = (model.nq, model.nv, model.nu, model.na, model.nbody, model.nsensordata, model.nmocap)
    require(all(0 <= size <= _MOST_OF_A_SIZE for size in sizes), "the sizes of its model can be")
    require(math.isfinite(model.timestep_secs) and model.timestep_secs >= 0, "timestepSecs is a time")


def _check_actuators(manifest: Manifest) -> None:
    require(len(manifest.actuators) <= _MOST_ACTUATORS, f"it has {_MOST_ACTUATORS:,} actuators at most")
    for actuator in manifest.actuators:
        require(is_text(actuator.name) and is_text(actuator.unit), "its actuators have short names and units")
        for limit in (actuator.ctrl_low, actuator.ctrl_high):
            require(limit is None or _is_number(limit), "an actuator's limits are numbers")


def _check_commands(manifest: Manifest) -> None:
    require(len(manifest.commands) <= _MOST_COMMANDS, f"it has {_MOST_COMMANDS} commands at most")
    carried = {given.field for given in manifest.inputs if given.source is InputSource.CARRY}
    for command in manifest.commands:
        known = isinstance(command.field, str) and command.field in carried
        require(known, "a command is an entry of the carry")
        require(len(command.elements) <= _MOST_COMMANDS, f"a command has {_MOST_COMMANDS} elements at most")
        for element in command.elements:
            require(is_text(element.name) and is_text(element.unit), "a command's elements have short names and units")
            require(_is_number(element.low) and _is_number(element.high), "the range of a command is of numbers")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
