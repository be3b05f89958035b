"""Lets a controller drive its robot and judges the motion by a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tabrl_simulation.motion.checks import Check, Judgement
from tabrl_simulation.motion.recording import record

if TYPE_CHECKING:
    from tabrl.play.player import Controller

    from tabrl_simulation.environments import Environment

__all__ = ["ROLLOUTS", "Measures", "measure", "measures_of"]

ROLLOUTS: Final = 5


@dataclass(frozen=True)
class Measures:
    """What came of some rollouts.

    Attributes:
        held: in how many the check held.
        rollouts: how many there were.
        score: how near the motion came to the check, from 0 to 1, on average.
        measures: the sides of the check's comparisons, by their text, on average.
    """

    held: int
    rollouts: int
    score: float
    measures: Mapping[str, float]


def measure(controller: Controller, environment: Environment, check: Check, *, rollouts: int = ROLLOUTS) -> Measures:
    """Returns what a controller does from the first of its starting states.

    Raises:
        CheckError: the check names what the robot does not have.
    """
    return measures_of([check.judged(record(controller, environment.model, reset=index)) for index in range(rollouts)])


def measures_of(judged: Sequence[Judgement]) -> Measures:
    """Returns what at least one rollout comes to."""
    return Measures(
        held=sum(each.holds for each in judged),
        rollouts=len(judged),
        score=sum(each.score for each in judged) / len(judged),
        measures=_averaged(judged),
    )


def _averaged(judged: Sequence[Judgement]) -> dict[str, float]:
    names = dict.fromkeys(name for each in judged for name in each.sides)
    values = {name: [each.sides[name] for each in judged if name in each.sides] for name in names}
    return {name: sum(found) / len(found) for name, found in values.items()}
