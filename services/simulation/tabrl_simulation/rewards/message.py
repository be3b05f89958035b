"""Messages between a process and its jailed children: JSON and blobs of bytes, with every length bounded.

Layout: uint32 length of the JSON (little-endian), the JSON object with `blobs`, the lengths of the blobs that follow.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

__all__ = ["LENGTH", "LONGEST_JSON", "MessageRefused", "lengths_of", "pack_message", "parse_head"]

LENGTH = struct.Struct("<I")
"""How the length before a message is written."""
LONGEST_JSON = 2 << 20
"""Bytes of JSON in a message at most."""

_LONGEST_BLOB = 4 << 20
_MOST_BLOBS = 4


class MessageRefused(ValueError):
    """The other side sent what is no message."""


def pack_message(fields: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """Return the bytes of a message."""
    text = json.dumps({**fields, "blobs": [len(blob) for blob in blobs]}).encode()
    return b"".join([LENGTH.pack(len(text)), text, *blobs])


def parse_head(text: bytes) -> dict[str, Any]:
    """Return the JSON object of a message.

    Raises:
        MessageRefused: it is no JSON object.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise MessageRefused(f"the answer is no JSON: {e}") from e
    if not isinstance(fields, dict):
        raise MessageRefused("the answer is no JSON object")
    return fields


def lengths_of(fields: dict[str, Any]) -> list[int]:
    """Return the lengths of the blobs that follow.

    Raises:
        MessageRefused: there are too many, or one is too long.
    """
    lengths = fields.get("blobs")
    if not isinstance(lengths, list) or len(lengths) > _MOST_BLOBS:
        raise MessageRefused("the answer does not say what follows")
    if not all(isinstance(length, int) and 0 <= length <= _LONGEST_BLOB for length in lengths):
        raise MessageRefused("the answer is too long")
    return lengths
