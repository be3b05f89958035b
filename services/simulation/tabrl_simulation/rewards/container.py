"""The file a reward program is kept in: a header in JSON and the bytes of a `jax.export` program.

Layout, little-endian: 8 bytes `TABRLRWD`, uint32 version, uint32 length of the header, the header, the program. The
header says what the program is for and what goes in and out, so that a process without jax can read it too.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabrl_simulation.rewards.inputs import NAME

__all__ = ["LONGEST_PROGRAM", "TERM_NAME", "ProgramHeader", "ProgramRefused", "pack", "unpack"]

LONGEST_PROGRAM = 1 << 20
"""Bytes a reward program may have at most, header included."""
TERM_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
"""What the name of a reward term looks like."""

_MAGIC = b"TABRLRWD"
_VERSION = 1
_PREFIX = struct.Struct("<8sII")
_LONGEST_HEADER = 1 << 16
_MOST_NAMES = 64


class ProgramRefused(ValueError):
    """The bytes are no reward program of this version, or a program that does more than compute terms."""


@dataclass(frozen=True)
class ProgramHeader:
    """What a reward program is for.

    `inputs` maps each array it reads to its shape in one environment, in the order of the program's arguments.
    """

    environment_id: str
    environment_fingerprint: str
    inputs: Mapping[str, tuple[int, ...]]
    action_size: int
    uses_action: bool
    terms: tuple[str, ...]


def pack(header: ProgramHeader, program: bytes) -> bytes:
    """Return the container of a serialized `jax.export` program."""
    fields = dict(vars(header))
    fields["inputs"] = [[name, list(shape)] for name, shape in header.inputs.items()]
    fields["terms"] = list(header.terms)
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True).encode()
    return _PREFIX.pack(_MAGIC, _VERSION, len(text)) + text + program


def unpack(data: bytes) -> tuple[ProgramHeader, bytes]:
    """Return the header and the serialized `jax.export` program of a container.

    Raises:
        ProgramRefused: the bytes are malformed, too long, or of another version.
    """
    if len(data) > LONGEST_PROGRAM:
        raise ProgramRefused(f"a reward program has at most {LONGEST_PROGRAM} bytes, this has {len(data)}")
    if len(data) < _PREFIX.size:
        raise ProgramRefused(f"a reward program starts with {_PREFIX.size} bytes of prefix, this has {len(data)}")
    magic, version, length = _PREFIX.unpack_from(data)
    if magic != _MAGIC:
        raise ProgramRefused("these bytes are no reward program: the first eight are not TABRLRWD")
    if version != _VERSION:
        raise ProgramRefused(f"this reward program is of version {version}; this release reads version {_VERSION}")
    if length > _LONGEST_HEADER or _PREFIX.size + length >= len(data):
        raise ProgramRefused("the reward program is cut short or its header is too long")
    end = _PREFIX.size + length
    try:
        fields = json.loads(data[_PREFIX.size : end])
        return _header(fields), data[end:]
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise ProgramRefused(f"the header of the reward program is malformed: {e}") from e


def _header(fields: Any) -> ProgramHeader:
    inputs = {str(name): tuple(_length(axis) for axis in shape) for name, shape in fields["inputs"]}
    terms = tuple(str(term) for term in fields["terms"])
    if not all(NAME.fullmatch(name) for name in inputs) or len(inputs) > _MOST_NAMES or "action" in inputs:
        raise ValueError("an input has no proper name")
    if not terms or len(terms) > _MOST_NAMES or len(set(terms)) != len(terms):
        raise ValueError("the terms are missing, too many, or named twice")
    if not all(TERM_NAME.fullmatch(term) for term in terms):
        raise ValueError("a term has no proper name")
    if any(math.prod(shape) > 1_000_000 for shape in inputs.values()):
        raise ValueError("an input is too large")
    identity = [fields[key] for key in ("environment_id", "environment_fingerprint")]
    if not all(isinstance(value, str) and len(value) <= 200 for value in identity):
        raise ValueError("the environment has no proper name")
    if not isinstance(fields["uses_action"], bool):
        raise TypeError("uses_action is no truth value")
    return ProgramHeader(identity[0], identity[1], inputs, _length(fields["action_size"]), fields["uses_action"], terms)


def _length(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100_000:
        raise ValueError(f"{value!r} is no length")
    return value
