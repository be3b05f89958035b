"""Results as JSON that a person can read and git can keep: one line for each run, numbers no longer than they mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

__all__ = ["compact", "thinned"]

_DIGITS: Final = 4
_POINTS: Final = 100

Item = TypeVar("Item")


def compact(result: Mapping[str, Any]) -> str:
    """Returns a result as JSON: each entry on a line of its own, and each item of an entry that is a list."""
    lines = []
    for name, value in result.items():
        if isinstance(value, (list, tuple)):
            items = ",\n  ".join(json.dumps(_rounded(item)) for item in value)
            lines.append(f" {json.dumps(name)}: [\n  {items}\n ]" if value else f" {json.dumps(name)}: []")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(_rounded(value))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def thinned(curve: Sequence[Item], points: int = _POINTS) -> list[Item]:
    """Returns at most so many points of a curve, evenly spread, the last one among them."""
    stride = -(-len(curve) // points)
    return list(curve[::-1][:: max(1, stride)])[::-1]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if abs(value) < 10**_DIGITS else round(value)
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, (list, tuple)) else value
