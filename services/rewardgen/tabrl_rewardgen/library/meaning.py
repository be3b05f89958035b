"""What words mean: which concepts a text speaks of by its words and phrases, in any inflection and with slips of the
pen."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tabrl_rewardgen.library.lexicon import FILLERS, TITLES
from tabrl_rewardgen.library.stemming import inflections, slips, slips_index, stem

__all__ = ["WORD", "Thesaurus", "thesaurus"]

_FILE = Path(__file__).with_name("thesaurus.toml")
WORD = re.compile(r"[a-z0-9][a-z0-9']*")
"""A word of lower-case text."""

# Which of them stands before a noun says nothing: "on your hind legs", "on its hind legs".
_DETERMINERS = frozenset(
    {"a", "an", "the", "your", "its", "his", "her", "their", "my", "our", "that", "this", "those", "these", "it"}
)
# These stand within phrases, and still say which: "swing your left arm".
_BETWEEN = frozenset({"left", "right", "both", "two"})

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Thesaurus:
    """The words of `thesaurus.toml`, by their stems.

    Attributes:
        words: concepts by stem.
        phrases: concepts by the stems of a phrase's words, without articles and possessives.
        longest_phrase: how many words the longest phrase has.
        beyond: the group of wishes that the library cannot fulfil, by stem.
        near: the behaviours nearest to a concept or a group of such wishes, best first.
        kin: the concepts that mean nearly the same as one.
        slips: what `slips` needs, for the words.
        others: words that mean something else, even where one that is known has the same stem: a spine does not spin.
        guarded: their stems, which are no slips of the pen.
    """

    words: Mapping[str, frozenset[str]]
    phrases: Mapping[Phrase, frozenset[str]]
    longest_phrase: int
    beyond: Mapping[str, str]
    near: Mapping[str, tuple[str, ...]]
    kin: Mapping[str, tuple[str, ...]]
    slips: Mapping[str, frozenset[str]]
    others: frozenset[str]
    guarded: frozenset[str]

    def concepts(self, word: str) -> frozenset[str]:
        """Return what a lower-case word stands for; nothing for a word that is not known."""
        if word in self.others:
            return frozenset()
        if found := self.words.get(stem(word)):
            return found
        if word in FILLERS or stem(word) in self.guarded or stem(word) in self.beyond:
            return frozenset()
        meant = {self.words[stem(other)] for other in slips(word, self.slips)}
        # A slip that could have been two different words is none that can be read.
        return meant.pop() if len(meant) == 1 else frozenset()

    def knows(self, word: str) -> bool:
        """Whether a lower-case word means anything to the library, be it something that no reward brings about."""
        return bool(self.concepts(word)) or stem(word) in self.beyond

    def wish_beyond(self, words: Iterable[str]) -> str:
        """Return the group of wishes beyond the library that a word asks for, or nothing."""
        return next((group for word in words if (group := self.beyond.get(stem(word)))), "")

    def without_phrases(self, text: str) -> tuple[str, frozenset[str]]:
        """Return lower-case text with blanks for the phrases that are known, and the concepts these stand for."""
        text, concepts = self._without(text, _DETERMINERS)
        text, others = self._without(text, _DETERMINERS | _BETWEEN)
        return text, concepts | others

    def _without(self, text: str, passed_over: frozenset[str]) -> tuple[str, frozenset[str]]:
        found = [word for word in WORD.finditer(text) if word[0] not in passed_over]
        stems = [stem(word[0]) for word in found]
        concepts: set[str] = set()
        place = 0
        while place < len(found):
            length, meant = self._longest(stems, place)
            concepts |= meant
            for word in found[place : place + length]:
                text = text[: word.start()] + " " * len(word[0]) + text[word.end() :]
            place += length or 1
        return text, frozenset(concepts)

    def _longest(self, stems: list[str], place: int) -> tuple[int, frozenset[str]]:
        for length in range(min(self.longest_phrase, len(stems) - place), 0, -1):
            if meant := self.phrases.get(tuple(stems[place : place + length])):
                return length, meant
        return 0, frozenset()


@cache
def thesaurus() -> Thesaurus:
    """Return the thesaurus, read once."""
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    concepts: dict[str, dict[str, list[str]]] = table["concepts"]
    words = _by_key((stem(word), name) for name, entry in concepts.items() for word in entry["words"])
    phrases = _by_key((_phrase(text), name) for name, entry in concepts.items() for text in entry["phrases"])
    beyond = {stem(word): name for name, entry in table["beyond"].items() for word in entry["words"]}
    others = frozenset(table["guard"]["words"])
    return Thesaurus(
        words=words,
        phrases=phrases,
        longest_phrase=max(map(len, phrases)),
        beyond={word: group for word, group in beyond.items() if word not in words},
        near=_tuples(table["nearest"]) | _tuples({name: entry["near"] for name, entry in table["beyond"].items()}),
        kin=_tuples(table["kin"]),
        slips=slips_index(
            form
            for name, entry in concepts.items()
            for word in entry["words"]
            # Manners are adjectives and adverbs, which have no such endings.
            for form in (inflections(word) if name in TITLES else (word,))
        ),
        others=others,
        guarded=frozenset(map(stem, others)),
    )


def _phrase(text: str) -> Phrase:
    return tuple(stem(word) for word in WORD.findall(text) if word not in _DETERMINERS)


def _by_key(pairs: Iterable[tuple[Any, str]]) -> dict[Any, frozenset[str]]:
    found: dict[Any, set[str]] = {}
    for key, name in pairs:
        found.setdefault(key, set()).add(name)
    return {key: frozenset(names) for key, names in found.items()}


def _tuples(table: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in table.items()}
