"""From a prompt to reward source, or to an honest "I do not know this"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.library.draft import Draft
from tabrl_rewardgen.library.families import Family, family_of
from tabrl_rewardgen.library.lexicon import CONCEPTS, TITLES
from tabrl_rewardgen.library.reading import Wish, read

__all__ = ["BehaviourUnknown", "LibraryReward", "write"]

# Concepts that say how, not what: alone they ask for nothing.
_MANNERS = frozenset({"slow", "gentle", "straight", "left", "right", "up"})
_TRAVEL = frozenset({"forward", "backward", "fast"})


class BehaviourUnknown(Exception):
    """The library has no behaviour for this prompt on this robot; `nearest` is the most similar that it has."""

    def __init__(self, nearest: str, known: tuple[str, ...], robot: str) -> None:
        """Name the behaviours that the robot's family has."""
        self.nearest = nearest
        self.known = known
        if known:
            message = (
                f"I can't do that without an LLM; nearest: {nearest}. "
                f"Of the {robot} the library knows: {', '.join(known)}."
            )
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
    """

    source: str
    weights: Mapping[str, float]
    term_explanations: Mapping[str, str]
    explanation: str
    left_out: tuple[str, ...]
    draft: Draft
    name: str = ""
    expected_behaviour: str = ""


def write(prompt: str, robot: Robot) -> LibraryReward:
    """Return a reward for the prompt.

    Raises:
        BehaviourUnknown: nothing in the prompt is a behaviour that the library has for this robot.
    """
    family = family_of(robot)
    if family is None:
        raise BehaviourUnknown("", (), robot.name or robot.environment_id)
    wish = read(prompt)
    asked = _asked(wish, family)
    titles = tuple(TITLES[each] for each in family.behaviours)
    if not asked & (set(family.behaviours) | _TRAVEL):
        raise BehaviourUnknown(_nearest(prompt, wish, family), titles, family.title)
    draft, covered = family.draft(wish)
    if not asked & covered:
        raise BehaviourUnknown(_nearest(prompt, wish, family), titles, family.title)
    missed = tuple(TITLES[each] for each in TITLES if each in wish.concepts - covered)
    return LibraryReward(
        source=draft.source(),
        weights={term.name: term.weight for term in draft.terms},
        term_explanations={term.name: term.explanation for term in draft.terms},
        explanation=f"Understood: {draft.summary} Written by the built-in library, without an LLM.",
        left_out=(*wish.left_out, *missed),
        draft=draft,
        expected_behaviour=draft.summary,
    )


def _asked(wish: Wish, family: Family) -> set[str]:
    asked = set(wish.concepts - _MANNERS)
    if wish.speed_mps is not None:
        asked.add("walk")
    if wish.side or wish.distance_m is not None:
        asked.add("goto")
    if not {"walk", "run", "swim"} & set(family.behaviours):
        asked -= _TRAVEL
    return asked


def _nearest(prompt: str, wish: Wish, family: Family) -> str:
    """Return the family's behaviour whose words are most like the prompt's."""
    words = re.findall(r"[a-z]+", prompt.lower())

    def likeness(concept: str) -> float:
        vocabulary = re.findall(r"[a-z]{3,}", CONCEPTS[concept].pattern) + TITLES[concept].split()
        return max(
            (difflib.SequenceMatcher(None, word, known).ratio() for word in words for known in vocabulary), default=0.0
        )

    return TITLES[max(family.behaviours, key=likeness)]
