"""Objects as models write them when they mean JSON: read where the meaning is plain.

Beside JSON: raw newlines in strings, backslashes that escape nothing, single and triple quotes, trailing commas,
comments, and Python's words for true, false and null. What is cut short is not read: its end is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["objects_in", "unescaped"]

_MOST_TRIES = 50
_DEEPEST = 20
_START = re.compile(r"""\{\s*["']""")
_SPACE = re.compile(r"(?:\s|//[^\n]*|\#[^\n]*)*")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_WORD = re.compile(r"[A-Za-z]+")
_QUOTE = re.compile(r"[rR]?(\"\"\"|'''|\"|')")
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "/": "/"}


class _Unreadable(ValueError):
    """This is no such object, or it is cut short."""


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the objects in a text, from its start: those that are JSON, then those that nearly are."""
    decoder = json.JSONDecoder(strict=False)
    for found in re.finditer(r"\{", text):
        try:
            value, _ = decoder.raw_decode(text, found.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
    for tried, found in enumerate(_START.finditer(text)):
        if tried == _MOST_TRIES:
            return
        try:
            yield _Reading(text, found.start()).read_object(0)
        except _Unreadable:
            continue


def unescaped(escape: str) -> str:
    r"""Return what an escape such as `\n` or `\u00e9` stands for; one that is none stands for itself."""
    if escape[1] != "u":
        return _ESCAPES.get(escape[1], escape)
    try:
        return chr(int(escape[2:], 16)) if len(escape) == 6 else escape
    except ValueError:
        return escape


class _Reading:
    """A place in a text, moved on by what is read."""

    def __init__(self, text: str, position: int) -> None:
        self._text = text
        self._position = position

    def read_object(self, depth: int) -> dict[str, Any]:
        """Return the object that starts here."""
        found: dict[str, Any] = {}
        self._take("{")
        while not self._taken("}"):
            key = self._string()
            self._take(":")
            found[key] = self._value(depth + 1)
            self._separated("}")
        return found

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _Unreadable
        self._skip_space()
        letter = self._text[self._position : self._position + 1]
        if letter == "{":
            return self.read_object(depth)
        if letter == "[":
            return self._list(depth)
        if number := _NUMBER.match(self._text, self._position):
            self._position = number.end()
            return float(number[0])
        if _QUOTE.match(self._text, self._position):
            return self._string()
        word = _WORD.match(self._text, self._position)
        if word is None or word[0] not in _WORDS:
            raise _Unreadable
        self._position = word.end()
        return _WORDS[word[0]]

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self._take("[")
        while not self._taken("]"):
            found.append(self._value(depth + 1))
            self._separated("]")
        return found

    def _string(self) -> str:
        self._skip_space()
        opened = _QUOTE.match(self._text, self._position)
        if opened is None:
            raise _Unreadable
        quote, letters, position = opened[1], [], opened.end()
        while not self._text.startswith(quote, position):
            if position >= len(self._text):
                raise _Unreadable
            length = 1
            if self._text[position] == "\\":
                length = 6 if self._text[position + 1 : position + 2] == "u" else 2
            part = self._text[position : position + length]
            if len(part) < length:
                raise _Unreadable
            letters.append(unescaped(part) if length > 1 else part)
            position += length
        self._position = position + len(quote)
        return _paired("".join(letters))

    def _skip_space(self) -> None:
        found = _SPACE.match(self._text, self._position)
        assert found is not None
        self._position = found.end()

    def _taken(self, letter: str) -> bool:
        self._skip_space()
        if not self._text.startswith(letter, self._position):
            return False
        self._position += 1
        return True

    def _take(self, letter: str) -> None:
        if not self._taken(letter):
            raise _Unreadable

    def _separated(self, end: str) -> None:
        """Read a comma, which may also stand before the end."""
        if not self._taken(","):
            self._skip_space()
            if not self._text.startswith(end, self._position):
                raise _Unreadable


def _paired(text: str) -> str:
    """Return the text with each pair of surrogates as the one letter that JSON means by it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
