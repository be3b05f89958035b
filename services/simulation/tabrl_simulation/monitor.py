"""What a training shows of itself: returns, survival, terms, plateaus; all of it kept with its checkpoints.

It is fed once per update with what happened since the update before, so that two trainings that do the same show the
same, whenever they are asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation import term_statistics
from tabrl_simulation.plateau import Plateau
from tabrl_simulation.term_warnings import TermWarning, TermWatch

if TYPE_CHECKING:
    from tabrl_simulation.tally import EpisodeTally

__all__ = ["Monitor"]

_EPISODES_REPORTED: Final = 32
_SUMS: Final = ("episodes", "steps", "returns", "survived")


class Monitor:
    """Watches one training."""

    def __init__(self, terms: Sequence[str], weights: Sequence[float] | None, env_steps: int) -> None:
        """Watches anew.

        Args:
            terms: names of the reward's terms.
            weights: what each is multiplied with, where its author may want to hear of it; None for a reward that is
                as it is.
            env_steps: control steps that the training is to make.
        """
        self._terms = tuple(terms)
        # Each with the sums of _SUMS, then those of the terms' returns.
        self._episodes: deque[NDArray[np.float32]] = deque()
        self._plateau = Plateau(env_steps)
        self._watch = TermWatch(terms, weights, env_steps) if weights is not None else None
        self._reward_per_step = 0.0
        self._shown = term_statistics.no_moments(len(terms)).astype(np.float64)

    def add(self, tally: EpisodeTally, gathered: term_statistics.Moments, *, env_steps: int, made: int) -> None:
        """Takes what happened in an update.

        Args:
            tally: of its episodes, on the host.
            gathered: moments of its terms, [6, terms].
            env_steps: control steps so far.
            made: control steps of this update.
        """
        if tally.episodes > 0:
            sums = [getattr(tally, name) for name in _SUMS]
            self._episodes.append(np.asarray(sums + [tally.term_returns[name] for name in self._terms], np.float32))
            # Enough remain without the oldest.
            while sum(float(each[0]) for each in list(self._episodes)[1:]) >= _EPISODES_REPORTED:
                self._episodes.popleft()
        self._reward_per_step = float(tally.rewards) / made
        self._shown = term_statistics.merge(self._shown, gathered)
        if self._watch is not None:
            self._watch.add(gathered, terminated=bool(tally.terminated), env_steps=env_steps, made=made)
        if (episode_return := self.episode_return) is not None:
            self._plateau.add(env_steps, episode_return)

    @property
    def episode_return(self) -> float | None:
        """Mean return of the newest finished episodes; None before the first."""
        return self._mean(_SUMS.index("returns"))

    @property
    def episode_length(self) -> float | None:
        """Mean length of those episodes in control steps; None before the first."""
        return self._mean(_SUMS.index("steps"))

    @property
    def survival(self) -> float | None:
        """Share of those episodes that the environment did not end before their time; None before the first."""
        return self._mean(_SUMS.index("survived"))

    @property
    def term_returns(self) -> dict[str, float]:
        """Mean return of each term over those episodes, weights applied; empty before the first."""
        means = {name: self._mean(len(_SUMS) + i) for i, name in enumerate(self._terms)}
        return {name: mean for name, mean in means.items() if mean is not None}

    @property
    def reward_per_step(self) -> float:
        """Mean reward per control step of the last update."""
        return self._reward_per_step

    def plateau_since(self, env_steps: int) -> int | None:
        """Returns the step since which returns have not improved; see `plateau`."""
        return self._plateau.since(env_steps)

    def take_term_statistics(self) -> Mapping[str, term_statistics.TermStatistics]:
        """Returns how each term was since the last call."""
        shown = self._shown
        self._shown = term_statistics.no_moments(len(self._terms)).astype(np.float64)
        return term_statistics.statistics(self._terms, shown)

    def warnings(self) -> tuple[TermWarning, ...]:
        """Returns what is to be said about the terms."""
        return self._watch.warnings() if self._watch is not None else ()

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns, as arrays by path, what `restore` goes on from."""
        width = len(_SUMS) + len(self._terms)
        return {
            "episodes": np.reshape(np.asarray(self._episodes, np.float32), (-1, width)),
            "reward_per_step": np.asarray(self._reward_per_step),
            **{f"plateau/{name}": value for name, value in self._plateau.save().items()},
            **({f"terms/{name}": value for name, value in self._watch.save().items()} if self._watch else {}),
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned for the same terms.

        Raises:
            KeyError, ValueError: an array is missing or of another shape.
        """
        episodes = np.asarray(saved["episodes"], np.float32)
        if episodes.ndim != 2 or episodes.shape[1] != len(_SUMS) + len(self._terms):
            raise ValueError(f"episodes is {episodes.shape}, not of {len(self._terms)} terms")
        self._episodes = deque(episodes)
        self._reward_per_step = float(saved["reward_per_step"])
        self._plateau.restore(_within(saved, "plateau"))
        if self._watch is not None:
            self._watch.restore(_within(saved, "terms"))

    def _mean(self, column: int) -> float | None:
        episodes = sum(float(sums[0]) for sums in self._episodes)
        return sum(float(sums[column]) for sums in self._episodes) / episodes if episodes else None


def _within(saved: Mapping[str, NDArray[Any]], folder: str) -> dict[str, NDArray[Any]]:
    return {path.removeprefix(f"{folder}/"): value for path, value in saved.items() if path.startswith(f"{folder}/")}
