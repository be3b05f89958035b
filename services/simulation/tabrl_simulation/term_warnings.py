"""What deserves a word about a reward's terms while a policy trains on them: warnings with advice, never errors.

A term that is always the same teaches nothing, one that is always zero was never reached, and one that makes up nearly
all of the reward leaves the others without a say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import term_statistics

__all__ = ["CONSTANT", "DOMINATES", "NEVER_REACHED", "TermWarning", "TermWatch"]

NEVER_REACHED: Final = "never_reached"
CONSTANT: Final = "constant"
DOMINATES: Final = "dominates"
_KINDS: Final = (NEVER_REACHED, CONSTANT, DOMINATES)

PARTS: Final = 100
"""Terms are judged as often as this in a training, at equal distances."""
_FIRST_PART: Final = 5
# A term dominates above the first share of the newest parts, until it is below the second.
_DOMINATES_FROM: Final = 0.95
_DOMINATES_UNTIL: Final = 0.9
_NEWEST_PARTS: Final = 5
_SAME: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class TermWarning:
    """A remark on one reward term.

    Attributes:
        kind: `never_reached`, `constant` or `dominates`.
        term: its name.
        env_steps: control steps after which it was first so.
        text: what was seen, and what to do.
    """

    kind: str
    term: str
    env_steps: int
    text: str


class TermWatch:
    """Judges the terms of one training, from the moments of each update."""

    def __init__(self, terms: Sequence[str], weights: Sequence[float], env_steps: int) -> None:
        """Takes the terms, what each is multiplied with, and how many control steps the training is to make."""
        self._terms = tuple(terms)
        self._weights = np.asarray(weights, np.float64)
        self._env_steps = env_steps
        self._all = term_statistics.no_moments(len(terms)).astype(np.float64)
        self._newest: deque[NDArray[np.float64]] = deque(maxlen=_NEWEST_PARTS)
        self._part = self._all.copy()
        self._terminated = False
        # Step since which each kind of remark is due on each term; -1 where it is not.
        self._since = np.full((len(_KINDS), len(terms)), -1, np.int64)

    def add(self, gathered: term_statistics.Moments, *, terminated: bool, env_steps: int, made: int) -> None:
        """Takes what happened in one update.

        Args:
            gathered: moments of the terms, weights applied, [6, T].
            terminated: whether the environment itself ended an episode.
            env_steps: control steps so far.
            made: control steps of this update.
        """
        self._all = term_statistics.merge(self._all, gathered)
        self._part = term_statistics.merge(self._part, gathered)
        self._terminated |= terminated
        part = env_steps * PARTS // self._env_steps
        if part == (env_steps - made) * PARTS // self._env_steps:
            return
        self._newest.append(self._part)
        self._part = term_statistics.no_moments(len(self._terms)).astype(np.float64)
        if part >= _FIRST_PART:
            self._judge(env_steps)

    def warnings(self) -> tuple[TermWarning, ...]:
        """Returns the remarks that hold now."""
        return tuple(
            TermWarning(kind=kind, term=name, env_steps=int(since), text=self._text(kind, name))
            for kind, row in zip(_KINDS, self._since, strict=True)
            for name, since in zip(self._terms, row, strict=True)
            if since >= 0
        )

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns what `restore` takes."""
        return {
            "all": self._all,
            "part": self._part,
            "newest": np.reshape(self._newest, (-1, *self._all.shape)),
            "terminated": np.asarray(self._terminated),
            "since": self._since.copy(),
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same terms."""
        self._all, self._part = saved["all"], saved["part"]
        self._newest = deque(saved["newest"], maxlen=_NEWEST_PARTS)
        self._terminated = bool(saved["terminated"])
        self._since = saved["since"].copy()

    def _judge(self, env_steps: int) -> None:
        read = term_statistics.statistics(self._terms, self._all)
        shares = term_statistics.shares(self._newest_moments())
        several = np.count_nonzero(self._weights) > 1
        for i, name in enumerate(self._terms):
            seen = read.get(name)
            if seen is None or self._weights[i] == 0:
                continue
            same = seen.greatest - seen.least <= _SAME * max(abs(seen.greatest), abs(seen.least))
            zero = same and seen.greatest == seen.least == 0
            dominates = shares[i] > (_DOMINATES_FROM if self._since[2, i] < 0 else _DOMINATES_UNTIL)
            # Where episodes can end early, a constant rewards staying alive.
            due = (zero, same and not zero and not self._terminated, bool(several and dominates))
            for kind, holds in enumerate(due):
                if not holds:
                    self._since[kind, i] = -1
                elif self._since[kind, i] < 0:
                    self._since[kind, i] = env_steps

    def _newest_moments(self) -> term_statistics.Moments:
        total: term_statistics.Moments = term_statistics.no_moments(len(self._terms))
        for part in self._newest:
            total = term_statistics.merge(total, part)
        return total

    def _text(self, kind: str, name: str) -> str:
        i = self._terms.index(name)
        if kind == NEVER_REACHED:
            return (
                f"The term {name!r} has been 0 at every step so far: the robot never came near what it rewards. "
                "Let it grow on the way there, with a wider margin for example, or reward an easier step towards it."
            )
        if kind == CONSTANT:
            value = term_statistics.statistics(self._terms, self._all)[name].greatest
            return (
                f"The term {name!r} has been {value:.4g} at every step so far: a constant tells no action from "
                "another. Make it depend on what the robot does, or leave it out."
            )
        share = float(term_statistics.shares(self._newest_moments())[i])
        halved = float(self._weights[i]) * max(1 - share, 1e-3) / share
        return (
            f"The term {name!r} makes up {100 * share:.1f} % of the reward, so the others hardly count. Weigh it less, "
            f"or the others more; with a weight of {halved:.2g} it would be about half."
        )
