"""Remarks on reward source: which rule, where, what is wrong, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ERROR", "WARNING", "Diagnostic", "JailSlowToStart", "JailUnavailable", "RewardRejected", "from_plain"]

ERROR = "error"
WARNING = "warning"

_LONGEST_TEXT = 2000
_MOST_DIAGNOSTICS = 50


@dataclass(frozen=True)
class Diagnostic:
    """One remark. Lines and columns count from 1; 0 means that no single place is to blame."""

    rule: str
    line: int
    column: int
    message: str
    suggestion: str = ""
    severity: str = ERROR

    def __str__(self) -> str:
        """Return the remark on one line, as a compiler prints it."""
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        remedy = f" ({self.suggestion})" if self.suggestion else ""
        return f"{place}{self.message}{remedy} [{self.rule}]"

    def plain(self) -> dict[str, Any]:
        """Return the remark as JSON-ready data."""
        return dict(vars(self))

    def moved(self, lines: int) -> Diagnostic:
        """Return the remark as seen from a text with `lines` more lines above."""
        if not self.line or not lines:
            return self
        return Diagnostic(self.rule, self.line + lines, self.column, self.message, self.suggestion, self.severity)


class RewardRejected(Exception):
    """The source breaks the rules of the language; `diagnostics` says which and where."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep the remarks; the first is the message."""
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(map(str, self.diagnostics[:3])) or "the reward was rejected")


class JailUnavailable(Exception):
    """This kernel lacks what the jail needs, so no reward source may run here. Nothing was run."""


class JailSlowToStart(JailUnavailable):
    """No jail was ready in time, as on a machine under load. Nothing was run; it may work when tried again."""


def from_plain(values: object) -> tuple[Diagnostic, ...]:
    """Return remarks from JSON data of a process that is not trusted: fields are coerced and cut to a sane length."""
    if not isinstance(values, list):
        return ()
    return tuple(_diagnostic(value) for value in values[:_MOST_DIAGNOSTICS] if isinstance(value, Mapping))


def _diagnostic(value: Mapping[str, Any]) -> Diagnostic:
    def text(key: str) -> str:
        return str(value.get(key, ""))[:_LONGEST_TEXT]

    def number(key: str) -> int:
        found = value.get(key, 0)
        return found if isinstance(found, int) and 0 <= found < 1_000_000 else 0

    severity = WARNING if value.get("severity") == WARNING else ERROR
    return Diagnostic(text("rule"), number("line"), number("column"), text("message"), text("suggestion"), severity)
