"""What a model answers: read leniently where the meaning is plain, checked strictly where it matters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tabrl_simulation.rewards.diagnostics import Diagnostic, RewardRejected
from tabrl_simulation.rewards.repair import repaired

from tabrl_rewardgen.lenient import objects_in, unescaped

__all__ = ["Answer", "SourceStream", "not_taken", "parse_answer"]

_LONGEST_TEXT = 2000
_LONGEST_NAME = 100
_LARGEST_WEIGHT = 1000.0
_LONGEST_SHOWN = 60
_MOST_REMARKS = 8
_SOURCE_KEY = re.compile(r"""(["'])source\1\s*:\s*[rR]?(?P<quote>\"{3}|'{3}|["'])""")
_COMMANDS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_THOUGHT_START = re.compile(r"<think(?:ing)?>")
_THOUGHT_END = re.compile(r"</think(?:ing)?>")


@dataclass(frozen=True)
class Answer:
    """A reward as a model wrote it.

    `lines_above` lines stood above the source that is kept; `remarks` say what of the answer could not be taken.
    """

    source: str
    explanation: str
    weights: Mapping[str, float]
    term_explanations: Mapping[str, str]
    left_out: tuple[str, ...]
    lines_above: int = 0
    name: str = ""
    expected_behaviour: str = ""
    check: str = ""
    remarks: tuple[Diagnostic, ...] = ()


def parse_answer(text: str) -> Answer:
    """Return the answer in a model's text: a JSON object, alone or among other words, or bare source.

    Raises:
        RewardRejected: there is no source in it; the diagnostic says what was found instead.
    """
    text = text[_end_of_thoughts(text) :]
    fields = next((found for found in objects_in(text) if "source" in found), None)
    begun = _SOURCE_KEY.search(text) is not None
    if fields is None and "def reward" in text and not begun:
        fixed = repaired(text)
        return Answer(fixed.source, "", {}, {}, (), fixed.lines_above)
    if fields is None:
        cut = begun or text.lstrip().startswith("{")
        found = "the JSON object is cut short or malformed" if cut else "the answer holds no JSON object"
        raise RewardRejected([Diagnostic("answer-unreadable", 0, 0, found, 'answer with {"source": ..., ...} alone')])
    source = fields.get("source")
    if not isinstance(source, str) or not source.strip():
        raise RewardRejected([Diagnostic("answer-unreadable", 0, 0, 'there is no "source" in the answer', "add it")])
    weights, explanations, remarks = _terms(fields.get("terms"))
    fixed = repaired(source)
    return Answer(
        source=fixed.source,
        explanation=_said(fields, "explanation", remarks),
        weights=weights,
        term_explanations=explanations,
        left_out=_list(fields.get("left_out"), remarks),
        lines_above=fixed.lines_above,
        name=_said(fields, "name", remarks)[:_LONGEST_NAME],
        expected_behaviour=_said(fields, "expected_behaviour", remarks),
        check=_said(fields, "check", remarks),
        remarks=tuple(remarks[:_MOST_REMARKS]),
    )


def _end_of_thoughts(text: str) -> int:
    """Return where the answer starts: after what a model thought before it, also where the first mark is missing."""
    ends = [found.end() for found in _THOUGHT_END.finditer(text)]
    return ends[-1] if ends else 0


def _terms(terms: object) -> tuple[dict[str, float], dict[str, str], list[Diagnostic]]:
    """Return weights and explanations by term, and what is said of terms that could not be taken."""
    weights: dict[str, float] = {}
    explanations: dict[str, str] = {}
    remarks: list[Diagnostic] = []
    if terms is not None and not isinstance(terms, list):
        remarks.append(not_taken('its "terms" are no list, so every weight is 1'))
    for term in terms if isinstance(terms, list) else []:
        if not isinstance(term, dict) or not isinstance(term.get("name"), str):
            remarks.append(not_taken('one of its "terms" has no name'))
            continue
        name, weight = term["name"], term.get("weight", 1.0)
        if name in explanations:
            remarks.append(not_taken(f"it has the term {_shown(name)} twice, and the last one counts"))
        # Of what is not a number or not finite, the comparison is false.
        if isinstance(weight, int | float) and not isinstance(weight, bool) and abs(weight) <= _LARGEST_WEIGHT:
            weights[name] = float(weight)
        else:
            remarks.append(not_taken(f"its weight {_shown(weight)} of {_shown(name)} is no number from -1000 to 1000"))
        explanations[name] = _text(term.get("explanation"))
    return weights, explanations, remarks


def _list(values: object, remarks: list[Diagnostic]) -> tuple[str, ...]:
    if isinstance(values, str):
        values = [values]
    phrases = values if isinstance(values, list) else []
    if values is not None and not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        remarks.append(not_taken('its "left_out" is no list of phrases'))
    return tuple(_text(value) for value in phrases[:20] if _text(value))


def not_taken(what: str) -> Diagnostic:
    """Return the remark that something of a model's answer was not taken as it was meant."""
    message = f"the model's answer was not taken whole: {what}"
    return Diagnostic("answer-not-taken", 0, 0, message, "look at what was taken, and change it yourself", "warning")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _said(fields: Mapping[str, object], key: str, remarks: list[Diagnostic]) -> str:
    value = fields.get(key)
    if value is not None and not isinstance(value, str):
        remarks.append(not_taken(f"its {key!r} is no text"))
    return _text(value)


def _text(value: object) -> str:
    """Return text that can be shown and kept: half a letter becomes `?`, and nothing commands a terminal."""
    if not isinstance(value, str):
        return ""
    return _COMMANDS.sub("", value.encode("utf-8", "replace").decode()).strip()[:_LONGEST_TEXT]


class SourceStream:
    """Finds the source in an answer that is still being written, and gives it out piece by piece."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._text = ""
        self._position: int | None = None
        self._quote = ""
        self._done = False

    def feed(self, piece: str) -> str:
        """Return the source that has become known with this piece of the answer; empty when there is none yet."""
        self._text += piece
        if self._done:
            return ""
        if self._position is None:
            found = self._found()
            if found is None:
                return ""
            self._position, self._quote = found.end(), found["quote"]
        return self._decoded()

    def _found(self) -> re.Match[str] | None:
        """Return where the source starts: after what the model thinks, and once its first quotes have all come."""
        start = _end_of_thoughts(self._text)
        if _THOUGHT_START.search(self._text, start):
            return None
        found = _SOURCE_KEY.search(self._text, start)
        return found if found and len(self._text) >= found.start("quote") + 3 else None

    def _decoded(self) -> str:
        assert self._position is not None
        text, position, letters = self._text, self._position, []
        while position < len(text):
            letter = text[position]
            if text.startswith(self._quote, position):
                self._done = True
                break
            if self._quote.startswith(text[position:]):
                break
            if letter != "\\":
                letters.append(letter)
                position += 1
                continue
            length = 6 if text[position + 1 : position + 2] == "u" else 2
            if position + length > len(text):
                break
            letters.append(unescaped(text[position : position + length]))
            position += length
        self._position = position
        return "".join(letters)
