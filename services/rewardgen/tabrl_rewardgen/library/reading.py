"""Reads a prompt: which behaviours it names, where to, how fast, how gently, and which of its wishes are not
understood."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tabrl_rewardgen.library.lexicon import CONCEPTS, FILLERS, SIMILE, TITLES
from tabrl_rewardgen.library.meaning import WORD, thesaurus

__all__ = ["Wish", "read"]

_NUMBER_WORDS = {
    **{"zero": 0.0, "quarter": 0.25, "half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0},
    **{"six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "twenty": 20.0, "thirty": 30.0},
    **{"forty": 40.0, "fifty": 50.0, "hundred": 100.0, "a": 1.0, "an": 1.0},
}
_AMOUNT = rf"(?P<number>\d+(?:\.\d+)?|{'|'.join(_NUMBER_WORDS)})(?:\s+and\s+a\s+(?P<half>half))?(?:\s+an?)?"
_UNITS = {"k": 1000.0, "c": 0.01, "m": 1.0}
_METRES = r"(?P<unit>(?:kilo|centi)?met(?:re|er)s?|km|cm|m)"
_FEET = r"(?P<feet>feet|foot|ft)"
_METRES_PER_FOOT = 0.3048
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_MILES_PER_HOUR = 0.44704
_PER = r"\s*(?:per|/|an?|each)\s*(?P<time>second|sec|s|minute|min|hour|h)"
_SPEED = re.compile(
    rf"(?<![\w./])(?P<sign>-)?{_AMOUNT}\s*"
    rf"(?:(?:{_METRES}|{_FEET}){_PER}|(?P<whole>mph|miles (?:per|an) hour|kph|kmh))\b"
)
_DISTANCE = re.compile(rf"\b{_AMOUNT}\s*{_METRES}\b(?!\s*(?:/|per\b))")
# Any other number, with what it counts: the library knows speeds and distances alone.
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\w.,/]*(?:\s+(?!and\b|or\b|to\b)[a-z%\u00b0/]+(?:\s+per\s+[a-z]+)?)?")
_CLAUSE = re.compile(r"([,;.!?:]+|\b(?:and|then|while|whilst|but|before|after|until|so that|without)\b)")
_NEGATED = re.compile(
    r"\b(?:do not|don't|does not|doesn't|must not|never|without|avoid|instead of|rather than|not)\s+"
    r"(?P<what>[^,;.!?:]*?)"
    r"(?=\s*(?:$|[,;.!?:]|\b(?:and|but|then|while|whilst)\b))"
)
# What to keep away from.
_AWAY = re.compile(
    r"\b(?:(?:stay|keep|get|move|go|be|remain|back)(?:s|ing)?\s+)?(?:(?:the|your|its) \w+ |it )?(?:far |well |right )?"
    r"(?:away from|out of|far from|clear of)\b[^,;.!?:]*"
)
# Only a robot that stands on its hands can be; others would be turned the right way up instead.
_UPSIDE_DOWN = re.compile(r"\bupside[- ]down\b")
# What nobody wants, which is said to be clear; and standing still, which is a behaviour in negative words.
_HARMLESS = re.compile(
    r"\b(?:mov|budg|stir|fall|drop|tip|toppl|stumbl|tumbl|slip|collaps|lean|wobbl|shak|trembl|too\b|so\b|leaving\b)"
)
_ONE_LIMB = re.compile(r"\bon (?:only |just )?(?:one|(?:the|your|its) (?:left|right)) (?:leg|foot|paw|arm|hand)\b")
_WORDS = re.compile(r"[^\s\d,;.!?:()\"/_-]+")
_SHORTEST_WORD = 3
_SEQUENCE = re.compile(r"\b(?:then|afterwards|after|before)\b")


@dataclass(frozen=True)
class Wish:
    """What a prompt asks for, as far as it is understood.

    `distance_m` and `speed_mps` are None when the prompt gives no number; `distance_words` and `speed_words` are how it
    says them. `left_out` holds phrases that no concept
    covers, `beyond` the kind of the first wish that the library cannot fulfil for any robot, or nothing, `unwanted`
    the concepts of what shall not be, and `unknown` the words that mean nothing to the library; `knows_none` says that
    these are all its words.
    """

    text: str
    concepts: frozenset[str]
    distance_m: float | None
    speed_mps: float | None
    left_out: tuple[str, ...]
    beyond: str = ""
    unwanted: frozenset[str] = frozenset()
    distance_words: str = ""
    speed_words: str = ""
    unknown: tuple[str, ...] = ()
    knows_none: bool = False

    def has(self, *concepts: str) -> bool:
        """Whether any of these concepts is in the prompt."""
        return any(concept in self.concepts for concept in concepts)

    @property
    def heading(self) -> float:
        """-1 for backward, otherwise 1."""
        return -1.0 if self.has("backward") and not self.has("forward") else 1.0

    @property
    def side(self) -> float:
        """-1 for left, 1 for right, 0 when the prompt names neither or both."""
        return float(self.has("right")) - float(self.has("left"))

    @property
    def effort_weight(self) -> float:
        """How much control costs: more for gentle, smooth and slow."""
        return -0.3 if self.has("gentle") else -0.1 if self.has("slow", "easy", "still", "hang") else -0.03


def read(prompt: str) -> Wish:
    """Return what a prompt asks for."""
    text, unwanted = _without_negations(_plain_numbers(" ".join(prompt.lower().replace("\u2019", "'").split())))
    speed = _SPEED.search(text)
    speed_mps = _metres_per_second(speed) if speed else None
    rest = text[: speed.start()] + text[speed.end() :] if speed else text
    distance = _DISTANCE.search(rest)
    by_phrase, phrases = thesaurus().without_phrases(text)
    # "like a propeller" is a behaviour said in pictures; "like a ninja" is a style the library cannot give.
    similes = [
        found[0].strip() for found in SIMILE.finditer(_CLAUSE.sub("|", by_phrase)) if not _is_behaviour(found[0])
    ]
    styles = [f"the style {simile!r}" for simile in similes]
    for simile in similes:
        by_phrase = by_phrase.replace(simile, " " * len(simile))
    wanted, refused, beyond = _without_wishes_beyond(by_phrase, text)
    # The metres of a speed are no place to go to.
    wanted = _without_first(_SPEED, wanted)
    numbers = [found[0].strip() for found in _NUMBER.finditer(_without_first(_DISTANCE, wanted))]
    concepts = {name for name, pattern in CONCEPTS.items() if pattern.search(wanted)} | phrases
    unread = _without_patterns(wanted)
    concepts |= {concept for word in WORD.findall(unread) for concept in thesaurus().concepts(word)}
    if speed_mps is not None and speed_mps < 0:
        concepts.add("backward")
    if speed_mps == 0:
        concepts = concepts - {"walk", "run", "forward", "backward"} | {"still"}
    unread = _UPSIDE_DOWN.sub(" ", _NUMBER.sub(" ", unread))
    upside_down = ["upside down"] if _UPSIDE_DOWN.search(wanted) and "handstand" not in concepts else []
    unknown = [word for word in _unknown_words(_without_patterns(by_phrase)) if word not in _NUMBER_WORDS]
    left_out = [
        *unwanted,
        *_out_of_order(text),
        *styles,
        *_one_limb(text),
        *refused,
        *numbers,
        *upside_down,
        *_unknown(unread),
    ]
    return Wish(
        text=text,
        concepts=_settled(concepts, text),
        distance_m=_metres(distance) if distance else None,
        speed_mps=abs(speed_mps) if speed_mps else None,
        left_out=tuple(dict.fromkeys(left_out)),
        distance_words=distance[0] if distance else "",
        speed_words=speed[0] if speed else "",
        beyond=beyond,
        unwanted=frozenset(concept for wish in unwanted for concept in _concepts_of(wish)),
        unknown=tuple(dict.fromkeys(unknown)),
        knows_none=bool(unknown) and len(unknown) == len(_words(text)),
    )


def _plain_numbers(text: str) -> str:
    """Return text with its numbers written as Python does: `1,000` and `3,5` and `1/2` as people write them."""
    text = re.sub(r"(?<=\d)[, ](?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    return re.sub(r"(?<![\w./])(\d+)/([1-9]\d*)(?![\w./])", lambda f: f"{int(f[1]) / int(f[2]):.4g}", text)


def _without_first(pattern: re.Pattern[str], text: str) -> str:
    """Return text without the first place of a pattern: a second speed or place is none that can be gone for."""
    return pattern.sub(" ", text, count=1)


def _without_patterns(text: str) -> str:
    for pattern in (_DISTANCE, *CONCEPTS.values()):
        text = pattern.sub(" ", text)
    return text


def _without_negations(text: str) -> tuple[str, list[str]]:
    """Return the text without what it does not want, which a reward of the library cannot see to, and that."""
    unwanted: list[str] = []

    def keep(found: re.Match[str]) -> str:
        if not found["what"].strip() or _HARMLESS.search(found["what"]):
            return found[0]
        unwanted.append(found[0].strip())
        return " "

    text = _NEGATED.sub(keep, text)
    unwanted += [found[0].strip() for found in _AWAY.finditer(text)]
    return " ".join(_AWAY.sub(" ", text).split()), unwanted


def _is_behaviour(simile: str) -> bool:
    return not TITLES.keys().isdisjoint(_concepts_of(simile))


def _concepts_of(text: str) -> set[str]:
    words = {concept for word in WORD.findall(text) for concept in thesaurus().concepts(word)}
    return words | {name for name, pattern in CONCEPTS.items() if pattern.search(text)}


def _one_limb(text: str) -> list[str]:
    """Return which one of its limbs a robot shall stand or hop on: the library knows of all together."""
    return [f"{found[0]!r}: the library does not choose among limbs" for found in _ONE_LIMB.finditer(text)]


def _without_wishes_beyond(text: str, words: str) -> tuple[str, list[str], str]:
    """Return the text without the clauses that ask for what the library can never bring about, these, and of what kind.

    "Draw a circle" does not ask to go in circles: what depends on such a verb means something else than it does alone.
    `words` is the text as the person wrote it, with every letter in the same place.
    """
    kept: list[str] = []
    refused: list[str] = []
    first, place = "", 0
    for part in _CLAUSE.split(text):
        group = thesaurus().wish_beyond(WORD.findall(part))
        first = first or group
        if group:
            refused.append(" ".join(words[place : place + len(part)].split()))
        kept.append(" " * len(part) if group else part)
        place += len(part)
    return "".join(kept), refused, first


def _settled(found: set[str], text: str) -> frozenset[str]:
    """Let the more specific of two concepts win where one phrase speaks for both."""
    found = set(found)
    if re.search(r"\bleft (and|to) right\b|\bside[- ]to[- ]side\b", text):
        found -= {"left", "right"}
    if re.search(r"\bback[- ]and[- ]forth\b", text):
        found.discard("backward")
    if found & {"fast", "slow"}:
        found.discard("easy")
    if re.search(r"\bback[- ]?flips?\b", text):
        found.add("backward")
    if "swing_up" in found and not re.search(r"\bsway|side[- ]to[- ]side", text):
        found.discard("sway")
    if re.search(r"\bstand(s|ing)? still\b|\bhang(s|ing)? still\b", text):
        found.add("still")
    if re.search(r"\b(not|n't|without) mov(e|ing)\b", text):
        found.discard("walk")
    if "rhythm" in found and not found & TITLES.keys() - {"sway", "hop"}:
        found.add("dance")
    if "flip" in found and "spin" in found and "somersault" not in text:
        found.discard("spin")
    if {"spin", "turn_to", "flip"} & found:
        found.discard("turn")
    return frozenset(found)


def _metres_per_second(found: re.Match[str]) -> float:
    sign = -1.0 if found["sign"] else 1.0
    if found["whole"]:
        per_hour = _MILES_PER_HOUR if found["whole"].startswith("m") else 1000.0 / 3600.0
        return sign * _number(found) * per_hour
    metres = _number(found) * _METRES_PER_FOOT if found["feet"] else _metres(found)
    return sign * metres / _SECONDS[found["time"][0]]


def _metres(found: re.Match[str]) -> float:
    return _number(found) * _UNITS[found["unit"][0]]


def _number(found: re.Match[str]) -> float:
    number = found["number"]
    value = _NUMBER_WORDS.get(number)
    value = float(number) if value is None else value
    value += 0.5 if found["half"] else 0.0
    return value


def _out_of_order(text: str) -> list[str]:
    found = _SEQUENCE.search(text)
    return [f"one thing after another ({found[0]!r}): a reward sees one moment at a time"] if found else []


def _unknown(text: str) -> list[str]:
    """Return the words of each clause that no concept covers."""
    clauses = (_unknown_words(clause) for clause in _CLAUSE.sub("|", text).split("|"))
    return [" ".join(words) for words in clauses if words]


def _unknown_words(text: str) -> list[str]:
    return [word for word in _words(text) if word not in FILLERS and not thesaurus().knows(word)]


def _words(text: str) -> list[str]:
    """Return the words that are long enough to mean something; of another script than Latin's, all of them."""
    words = (found.strip("'") for found in _WORDS.findall(text))
    return [word for word in words if len(word) >= _SHORTEST_WORD or not word.isascii()]
