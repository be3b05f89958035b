"""Names that rewritten source holds and that no source can: each has a colon, and no Python identifier does.

So nobody can write, shadow or guess them, and what the grammar sees of them was put there by `rewriting`.
"""

from __future__ import annotations

import re

__all__ = [
    "BOTH",
    "CHOOSE",
    "EITHER",
    "INTERNALS",
    "KNOWN",
    "NEGATION",
    "OTHERWISE",
    "POSSIBLE",
    "numbered",
    "written",
    "written_message",
]

CHOOSE = "choose:"
"""`a if c else b`: called with the condition and two functions without arguments."""
BOTH = "both:"
"""`and`: called with the first operand and functions without arguments for the others."""
EITHER = "either:"
"""`or`: called like `BOTH`."""
NEGATION = "negation:"
"""`not`."""
POSSIBLE = "possible:"
"""Whether a branch can be taken: called with its condition."""
OTHERWISE = "otherwise:"
"""Whether the branch of `else` can be taken: called with the condition."""
KNOWN = "known:"
"""A condition that must be known before the robot moves."""

INTERNALS = frozenset({CHOOSE, BOTH, EITHER, NEGATION, POSSIBLE, OTHERWISE, KNOWN})
"""All of them. Each takes one value, and some take functions without arguments after it."""

_QUOTED = re.compile(r"'(\w+):\d+'")


def numbered(name: str, number: int) -> str:
    """Return a name that stands for `name` in one branch."""
    return f"{name}:{number}"


def written(name: str) -> str:
    """Return a name as the source has it."""
    return name.partition(":")[0]


def written_message(message: str) -> str:
    """Return one of Python's messages with the names in it as the source has them."""
    return _QUOTED.sub(r"'\1'", message)
