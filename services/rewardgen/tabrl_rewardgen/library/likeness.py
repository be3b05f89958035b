"""How much two prompts mean the same."""

from __future__ import annotations

from typing import Final

from tabrl_rewardgen.library.lexicon import TITLES
from tabrl_rewardgen.library.reading import Wish, read

__all__ = ["SAME", "likeness"]

SAME: Final = 0.75
"""From this on, two prompts ask for the same."""

_BEHAVIOUR_SHARE: Final = 0.7


def likeness(prompt: str, other: str) -> float:
    """Return how much two prompts mean the same, from 0 to 1: by the behaviours, ways and words in them.

    Prompts without any behaviour that the library knows are alike by their words alone.
    """
    first, second = read(prompt), read(other)
    words = _overlap(_words(first), _words(second))
    behaviours = _overlap(_behaviours(first), _behaviours(second))
    if not _behaviours(first) and not _behaviours(second):
        return words
    if first.heading != second.heading or first.side != second.side or _ways(first) != _ways(second):
        return 0.0
    if (first.speed_mps, first.distance_m) != (second.speed_mps, second.distance_m):
        return 0.0
    manners = _overlap(_manners(first), _manners(second), empty=1.0)
    # Words that no concept covers tell a dance in the rain from a dance.
    rest = _overlap(frozenset(first.left_out), frozenset(second.left_out), empty=1.0)
    return behaviours * (_BEHAVIOUR_SHARE + (1.0 - _BEHAVIOUR_SHARE) * (manners + rest) / 2.0)


def _behaviours(wish: Wish) -> frozenset[str]:
    return frozenset(wish.concepts & set(TITLES))


def _manners(wish: Wish) -> frozenset[str]:
    named = {"distance": wish.distance_m, "speed": wish.speed_mps}
    numbers = {f"{name} {value:g}" for name, value in named.items() if value is not None}
    return frozenset(wish.concepts - set(TITLES)) | numbers


def _ways(wish: Wish) -> frozenset[str]:
    """Return how fast, which tells one wish from another as its direction does."""
    return wish.concepts & {"fast", "slow", "easy"}


def _words(wish: Wish) -> frozenset[str]:
    return frozenset(word for word in wish.text.split() if len(word) > 2)


def _overlap(first: frozenset[str], second: frozenset[str], *, empty: float = 0.0) -> float:
    """Return the share of all that is in both; `empty` where there is nothing in either."""
    return len(first & second) / len(first | second) if first | second else empty
