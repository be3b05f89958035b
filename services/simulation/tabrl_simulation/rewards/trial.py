"""How a reward fares on states that the robot gets into: what each term is worth there, and what idling earns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tabrl_simulation.rewards.diagnostics import WARNING, Diagnostic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["TermTrial", "Trial", "still_terms", "tried", "weighed"]

_IDLE_SHARE = 0.9
_HARDLY_COUNTS = 0.01
_LARGEST = 1e30


@dataclass(frozen=True)
class TermTrial:
    """One term, before weighting.

    Attributes:
        low: least in any state.
        high: most in any state.
        mean: over all states.
        std: standard deviation over all states.
        idle: mean while nothing drives the robot.
        random: mean while it is driven at random.
    """

    low: float
    high: float
    mean: float
    std: float
    idle: float
    random: float

    @property
    def moves(self) -> bool:
        """Whether it is not the same in every state."""
        return self.high > self.low


@dataclass(frozen=True)
class Trial:
    """A reward on real states: how many there were, and each term there."""

    states: int
    terms: Mapping[str, TermTrial]

    def idle(self, weights: Mapping[str, float]) -> float:
        """Returns the reward of a step while nothing drives the robot, on average."""
        return sum(weights.get(name, 1.0) * term.idle for name, term in self.terms.items())

    def random(self, weights: Mapping[str, float]) -> float:
        """Returns the reward of a step while the robot is driven at random, on average."""
        return sum(weights.get(name, 1.0) * term.random for name, term in self.terms.items())

    def plain(self) -> dict[str, Any]:
        """Return the trial as JSON-ready data, read back by `from_plain`."""
        return {"states": self.states, "terms": {name: asdict(term) for name, term in self.terms.items()}}

    @classmethod
    def from_plain(cls, data: Any) -> Trial:
        """Return the trial that `plain` wrote.

        Raises:
            ValueError: a field is missing or of the wrong kind.
        """
        try:
            terms = {
                str(name): TermTrial(**{key: _finite(value) for key, value in term.items()})
                for name, term in data["terms"].items()
            }
            return cls(int(data["states"]), terms)
        except (KeyError, TypeError, AttributeError) as e:
            raise ValueError(f"not a trial: {e}") from e


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("a trial holds a number that is not finite")
    return number


def tried(values: Mapping[str, NDArray[np.float32]], driven: NDArray[np.bool_]) -> Trial:
    """Return how a reward fared.

    Args:
        values: of each term in each state, [K].
        driven: in which states the robot was driven at random, [K].
    """
    import numpy as np

    def mean(found: NDArray[np.float64]) -> float:
        return float(np.clip(found.mean(), -_LARGEST, _LARGEST)) if found.size else 0.0

    terms = {}
    for name, single in values.items():
        found = np.clip(np.asarray(single, np.float64), -_LARGEST, _LARGEST)
        terms[name] = TermTrial(
            low=float(found.min()),
            high=float(found.max()),
            mean=mean(found),
            std=float(found.std()) if np.ptp(found) else 0.0,
            idle=mean(found[~driven]),
            random=mean(found[driven]),
        )
    return Trial(int(driven.size), terms)


def still_terms(trial: Trial, places: Mapping[str, tuple[int, int]]) -> list[Diagnostic]:
    """Return a remark on each term of these places that is the same in every real state."""
    return [
        Diagnostic(
            "never-moves",
            *places[name],
            f"the term {name!r} is {term.low:g} in all {trial.states} states that the robot got into, idle and driven "
            "at random, so a policy that knows nothing yet does not see it",
            "widen its margin, so that it tells better from worse before the goal is reached",
            WARNING,
        )
        for name, term in trial.terms.items()
        if name in places and not term.moves
    ]


def weighed(trial: Trial, weights: Mapping[str, float], lines: Mapping[str, int]) -> list[Diagnostic]:
    """Return remarks on the reward as a whole: what hardly counts in it, and whether doing nothing pays.

    Args:
        trial: of the terms.
        weights: of the terms.
        lines: of the source that return them.
    """
    remarks = []
    spread = {name: abs(weights.get(name, 1.0)) * term.std for name, term in trial.terms.items()}
    whole = sum(spread.values())
    for name, term in trial.terms.items():
        if term.moves and whole and 0 < spread[name] < _HARDLY_COUNTS * whole:
            message = f"the term {name!r} makes {100 * spread[name] / whole:.1g} % of what the reward varies by"
            remedy = "give it more weight, or leave it out"
            remarks.append(Diagnostic("hardly-counts", lines.get(name, 0), 1, message, remedy, WARNING))
    most = sum(max(weights.get(n, 1.0) * t.low, weights.get(n, 1.0) * t.high) for n, t in trial.terms.items())
    idle, random = trial.idle(weights), trial.random(weights)
    if idle > random and most > 0 and idle >= _IDLE_SHARE * most:
        message = (
            f"doing nothing earns {idle:.3g} a step, the most that was seen is {most:.3g}: a policy may learn to idle"
        )
        remedy = "let what is wanted be a factor of the other terms, unless rest is what is wanted"
        remarks.append(Diagnostic("idling-pays", 0, 0, message, remedy, WARNING))
    return remarks
