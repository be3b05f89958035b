"""Whether a training still improves, by a plain rule.

The steps a training is to make are divided into 100 parts. The return of a part is the mean of the returns reported in
it; smoothed, the mean of it and the four parts before. The training improves in a part whose smoothed return exceeds
that of the last improvement by more than 2 % of the range that smoothed returns have covered so far (and by more than
0.1 % of that return, so that the jitter of a level one does not count). It stands on a plateau when it has not improved
for 20 parts. Gains too small to count add up, since they are measured from the last improvement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["GAIN", "PARTS", "PATIENCE", "SMOOTHED_OVER", "Plateau"]

PARTS: Final = 100
SMOOTHED_OVER: Final = 5
GAIN: Final = 0.02
PATIENCE: Final = 20
_LEVEL: Final = 1e-3


class Plateau:
    """Watches the returns of one training."""

    def __init__(self, env_steps: int) -> None:
        """Takes how many control steps the training is to make."""
        self._env_steps = env_steps
        self._sums = np.zeros(PARTS)
        self._counts = np.zeros(PARTS, np.int64)

    def add(self, env_steps: int, episode_return: float) -> None:
        """Takes the return reported after `env_steps` steps."""
        part = self._part(env_steps)
        self._sums[part] += episode_return
        self._counts[part] += 1

    def since(self, env_steps: int) -> int | None:
        """Returns the step since which nothing has improved, as of step `env_steps`; None off a plateau."""
        # The part under way would be judged by its first few returns.
        done = self._counts[: self._part(env_steps)] > 0
        parts = np.flatnonzero(done)
        if parts.size == 0:
            return None
        improved = self._last_improvement(parts)
        if parts[-1] - improved < PATIENCE:
            return None
        return int((improved + 1) * self._env_steps // PARTS)

    def save(self) -> dict[str, NDArray[Any]]:
        """Returns what `restore` takes."""
        return {
            "env_steps": np.asarray(self._env_steps, np.int64),
            "sums": self._sums.copy(),
            "counts": self._counts.copy(),
        }

    def restore(self, saved: Mapping[str, NDArray[Any]]) -> None:
        """Goes on from what `save` returned; from nothing, if that training was to make another number of steps."""
        sums, counts = saved["sums"], saved["counts"]
        if int(saved["env_steps"]) == self._env_steps and sums.shape == counts.shape == (PARTS,):
            self._sums, self._counts = sums.astype(np.float64), counts.astype(np.int64)

    def _part(self, env_steps: int) -> int:
        return min(PARTS - 1, max(0, env_steps - 1) * PARTS // self._env_steps)

    def _last_improvement(self, parts: NDArray[np.intp]) -> int:
        """Returns the part of `parts`, those with returns, in which the smoothed return improved last."""
        returns = self._sums[parts] / self._counts[parts]
        smoothed = [returns[max(0, i + 1 - SMOOTHED_OVER) : i + 1].mean() for i in range(len(parts))]
        level, improved = smoothed[0], int(parts[0])
        lowest = highest = level
        for part, value in zip(parts, smoothed, strict=True):
            lowest, highest = min(lowest, value), max(highest, value)
            if value - level > max(GAIN * (highest - lowest), _LEVEL * abs(level)):
                level, improved = value, int(part)
        return improved
