"""Diagnostics for names that do not exist, with the nearest that does and the full list."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tabrl_simulation.rewards.diagnostics import Diagnostic

__all__ = ["nearest", "unknown_name"]


def nearest(name: object, names: Iterable[str]) -> str:
    """Return the name most like this one, or an empty string when none is."""
    close = difflib.get_close_matches(str(name).lower(), list(names), n=1, cutoff=0.5)
    return close[0] if close else ""


def unknown_name(kind: str, name: object, names: Iterable[str], line: int = 0, column: int = 0) -> Diagnostic:
    """Return the diagnostic for a body, joint, sensor, … that the robot does not have; it lists those it has."""
    known = tuple(names)
    like = nearest(name, known)
    listed = f"its {_plural(kind)} are: {', '.join(known)}" if known else f"it has no named {_plural(kind)}"
    suggestion = f"use {like!r}; {listed}" if like else listed
    rule = f"unknown-{kind.replace(' ', '-')}"
    return Diagnostic(rule, line, column, f"the robot has no {kind} named {str(name)[:80]!r}", suggestion)


def _plural(kind: str) -> str:
    return {"body": "bodies", "foot": "feet"}.get(kind, f"{kind}s")
