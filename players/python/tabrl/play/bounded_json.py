"""JSON that nobody has vouched for: bounded in length and depth, no name twice in an object, numbers finite."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from tabrl.play.refusal import BundleError

__all__ = ["read_json"]

_MOST_DEPTH: Final = 24
_BRACKETS: Final = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_QUOTE, _BACKSLASH = ord('"'), ord("\\")


def read_json(content: bytes, file: str, *, most_bytes: int) -> Any:
    """Returns the value of a JSON text in UTF-8.

    Raises:
        BundleError: JSON_LIMITS when it is too long or too deep, JSON when it is none; `file` is what they name.
    """
    if len(content) > most_bytes:
        raise BundleError("JSON_LIMITS", f"it has {len(content):,} bytes; {most_bytes:,} is the most", file)
    if _depth(content) > _MOST_DEPTH:
        raise BundleError("JSON_LIMITS", f"it is nested more than {_MOST_DEPTH} deep", file)
    try:
        return json.loads(content.decode(), object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BundleError("JSON", f"it is no JSON: {str(error)[:200]}", file) from error


def _depth(content: bytes) -> int:
    """Returns how deep arrays and objects are nested, before a parser has to."""
    deepest = depth = 0
    in_text = escaped = False
    for byte in content.translate(None, b"0123456789 .,:-+eE"):
        if in_text:
            in_text = escaped or byte != _QUOTE
            escaped = not escaped and byte == _BACKSLASH
        elif byte == _QUOTE:
            in_text = True
        elif step := _BRACKETS.get(byte, 0):
            depth += step
            deepest = max(deepest, depth)
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has one name twice")
    return found


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is no finite number")
    return value
