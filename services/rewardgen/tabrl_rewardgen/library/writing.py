"""From a prompt to reward source, or to an honest "I do not know this"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.library.draft import Draft
from tabrl_rewardgen.library.families import Family, family_of
from tabrl_rewardgen.library.lexicon import TITLES
from tabrl_rewardgen.library.meaning import thesaurus
from tabrl_rewardgen.library.reading import Wish, read

__all__ = ["BehaviourUnknown", "LibraryReward", "write"]

# Concepts that say how, not what: alone they ask for nothing.
_MANNERS = frozenset({"slow", "easy", "gentle", "straight", "left", "right", "up", "down", "rhythm"})
_MOST_UNKNOWN = 8
_TRAVEL = frozenset({"forward", "backward", "fast"})
# What a family may leave undone though it says how: said when nothing sees to it.
_SAID_WHEN_LEFT_OUT = {
    "left": "to the left",
    "right": "to the right",
    "rhythm": "to a beat: the library has no rhythm here",
}


class BehaviourUnknown(Exception):
    """The library has no behaviour for this prompt on this robot; `nearest` is the most similar that it has."""

    def __init__(self, nearest: str, known: tuple[str, ...], robot: str, not_understood: str = "") -> None:
        """Name the behaviours that the robot's family has, and say what of the prompt it made nothing of."""
        self.nearest = nearest
        self.known = known
        if known:
            message = (
                f"I can't do that without an LLM; nearest: {nearest}. "
                f"Of the {robot} the library knows: {', '.join(known)}."
            )
            if not_understood:
                message += f" {not_understood}"
        else:
            message = (
                f"The library does not know the robot {robot!r}, and of others it knows only those that stand upright "
                "on the ground at home. Train its own task, or let an LLM write the reward."
            )
        super().__init__(message)


@dataclass(frozen=True)
class LibraryReward:
    """Reward source by the library, with the weight and purpose of each term, and what it makes of the prompt.

    `draft` is what it was made of.
    `understood` are the concepts of the prompt that it rewards, `remarks` what else a person should know, and `check`
    is what the motion may be judged by; see `tabrl_simulation.motion.checks`. It is empty where there is none.
    """

    source: str
    weights: Mapping[str, float]
    term_explanations: Mapping[str, str]
    explanation: str
    left_out: tuple[str, ...]
    draft: Draft
    name: str = ""
    expected_behaviour: str = ""
    understood: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    check: str = ""


def write(prompt: str, robot: Robot) -> LibraryReward:
    """Return a reward for the prompt.

    Raises:
        BehaviourUnknown: nothing in the prompt is a behaviour that the library has for this robot.
    """
    family = family_of(robot)
    if family is None:
        raise BehaviourUnknown("", (), robot.name or robot.environment_id)
    wish = _by_kin(read(prompt), family)
    asked = _asked(wish, family)
    titles = tuple(TITLES[each] for each in family.behaviours)

    def refusal() -> BehaviourUnknown:
        return BehaviourUnknown(_nearest(prompt, wish, family), titles, family.title, _not_understood(wish))

    if not asked & (set(family.behaviours) | _TRAVEL):
        raise refusal()
    draft, drafted = family.draft(wish)
    covered = drafted | {"gentle"}  # every draft costs more control where a wish is gentle
    if not asked & covered:
        raise refusal()
    return LibraryReward(
        source=draft.source(),
        weights={term.name: term.weight for term in draft.terms},
        term_explanations={term.name: term.explanation for term in draft.terms},
        explanation=f"Understood: {draft.summary} Written by the built-in library, without an LLM.",
        left_out=(*wish.left_out, *draft.left_out, *_numbers_missed(wish, covered), *_missed(wish, covered)),
        draft=draft,
        expected_behaviour=draft.summary,
        understood=tuple(sorted(wish.concepts & covered)),
        remarks=tuple(draft.remarks),
        check=draft.check,
    )


def _not_understood(wish: Wish) -> str:
    """Return a sentence on the words that mean nothing to the library; none where it knows them all."""
    if not wish.unknown:
        return ""
    foreign = wish.knows_none and (len(wish.unknown) > 1 or not wish.unknown[0].isascii())
    english = " It reads English alone." if foreign else ""
    return f"It does not know: {', '.join(wish.unknown[:_MOST_UNKNOWN])}.{english}"


def _by_kin(wish: Wish, family: Family) -> Wish:
    """Return the wish with what means nearly the same where the family has not the very thing."""
    kin = thesaurus().kin
    found = {
        concept: next((other for other in kin[concept] if other in family.behaviours), "")
        for concept in wish.concepts & kin.keys() - set(family.behaviours)
    }
    return replace(wish, concepts=wish.concepts | {other for other in found.values() if other})


def _numbers_missed(wish: Wish, covered: Set[str]) -> list[str]:
    """Return the speed and the distance of a wish, in its words, where the draft does not go by them."""
    speed = [wish.speed_words] if wish.speed_words and "speed" not in covered else []
    return speed + ([wish.distance_words] if wish.distance_words and "distance" not in covered else [])


def _missed(wish: Wish, covered: Set[str]) -> list[str]:
    """Return what of a wish is understood and not covered, in words."""
    kin = thesaurus().kin
    left = [each for each in TITLES if each in wish.concepts - covered and not covered & set(kin.get(each, ()))]
    manners = [words for each, words in _SAID_WHEN_LEFT_OUT.items() if each in wish.concepts - covered]
    return [TITLES[each] for each in left] + manners


def _asked(wish: Wish, family: Family) -> set[str]:
    asked = set(wish.concepts - _MANNERS)
    if wish.speed_mps is not None:
        asked.add("walk")
    if wish.side or wish.distance_m is not None:
        asked.add("goto")
    if not {"walk", "run", "swim"} & set(family.behaviours):
        asked -= _TRAVEL
    if "sideways" in asked and "sideways" not in family.behaviours:
        # A step to the side is none forward.
        asked.discard("walk")
    if "flip" in asked and "flip" not in family.behaviours:
        # A backflip is no way to go backward.
        asked -= _TRAVEL
    return asked


def _nearest(prompt: str, wish: Wish, family: Family) -> str:
    """Return the family's behaviour that comes nearest to a prompt: by meaning, else by how its words are written."""
    near = thesaurus().near
    possible = [each for each in family.behaviours if each not in wish.unwanted] or [*family.behaviours]
    understood = [concept for concept in near if concept in wish.concepts]
    for concept in (*understood, wish.beyond):
        if found := next((each for each in (concept, *near.get(concept, ())) if each in possible), ""):
            return TITLES[found]
    words = re.findall(r"[a-z]{3,}", prompt.lower())

    def likeness(concept: str) -> float:
        vocabulary = re.findall(r"[a-z]{3,}", TITLES[concept])
        return max(
            (difflib.SequenceMatcher(None, word, known).ratio() for word in words for known in vocabulary), default=0.0
        )

    likest = max(possible, key=likeness)
    # Words that look alike by chance mean nothing: then the first that the family can do is as near as any.
    return TITLES[likest if likeness(likest) > 0.7 else possible[0]]
