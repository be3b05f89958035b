"""One bundle of the malicious corpus."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Malicious"]


@dataclass(frozen=True)
class Malicious:
    """A bundle with what it does, and the rule by which it must be refused."""

    what: str
    rule: str
    content: bytes = field(repr=False)
