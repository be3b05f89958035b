"""Words and what is left of them without their endings, and words that a slip of the pen makes of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

__all__ = ["inflections", "slips", "slips_index", "stem"]

_VOWELS = frozenset("aeiouy")
_HISSING = ("s", "x", "z", "sh", "ch", "o")
_SHORTEST_SLIP = 5


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Return a lower-case word without its plural, past or participle ending, so that inflections are alike.

    What is left need be no word: `dance`, `dances`, `danced` and `dancing` all leave `danc`.
    """
    left = _without_ending(word)
    if len(left) > 3 and left.endswith("e"):
        left = left[:-1]
    # hopping leaves hop as patrolling leaves patrol; fall and falling lose an l alike.
    return left[:-1] if len(left) > 3 and left[-1] == left[-2] else left


def _without_ending(word: str) -> str:
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        left = word.removesuffix(ending)
        if left != word and len(left) > 2 and _VOWELS & set(left) and not word.endswith("eed"):
            return left
    if word.endswith("es") and word[:-2].endswith(_HISSING):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def inflections(word: str) -> tuple[str, ...]:
    """Return a verb or noun in its plain form and with the regular endings of English."""
    bare = word.removesuffix("e")
    doubled = word + word[-1] if _doubles(word) else bare
    in_y = len(word) > 2 and word.endswith("y") and word[-2] not in _VOWELS
    plural = word[:-1] + "ies" if in_y else word + ("es" if word.endswith(_HISSING) else "s")
    past = word[:-1] + "ied" if in_y else doubled + "ed"
    return (word, plural, past, doubled + "ing")


def _doubles(word: str) -> bool:
    return len(word) > 2 and word[-1] not in _VOWELS | set("wx") and word[-2] in _VOWELS and word[-3] not in _VOWELS


def slips_index(words: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """Return an index for `slips`: each word of five letters or more by itself and by what is left without a letter."""
    index: dict[str, set[str]] = {}
    for word in words:
        if len(word) >= _SHORTEST_SLIP:
            for key in (word, *_shortened(word)):
                index.setdefault(key, set()).add(word)
    return {key: frozenset(found) for key, found in index.items()}


def slips(word: str, index: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the words at a Damerau-Levenshtein distance of 1: one letter more, less or other, or two exchanged.

    A word is seldom wrong in its first letter, where another letter usually makes another word: talk, walk. So the
    first letters agree, or the first two are exchanged. Shorter words than five letters are none's slips.
    """
    if not _SHORTEST_SLIP <= len(word) <= 30:
        return frozenset()
    near = {other for key in (word, *_shortened(word)) for other in index.get(key, ())}
    return frozenset(other for other in near if _first_letters_agree(word, other) and _one_apart(word, other))


def _shortened(word: str) -> set[str]:
    return {word[:place] + word[place + 1 :] for place in range(len(word))}


def _first_letters_agree(word: str, other: str) -> bool:
    return word[0] == other[0] or (word[:2] == other[1::-1] and word[2:] == other[2:])


def _one_apart(word: str, other: str) -> bool:
    if abs(len(word) - len(other)) == 1:
        return min(word, other, key=len) in _shortened(max(word, other, key=len))
    if len(word) != len(other):
        return False
    wrong = [place for place, (one, two) in enumerate(zip(word, other, strict=True)) if one != two]
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
        first, second = wrong
        return word[first] == other[second] and word[second] == other[first]
    return len(wrong) == 1
