"""What an episode came to, and its course for whoever compares players."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabrl.play.manifest import InputSource, Manifest
from tabrl.play.player import Tick

__all__ = ["Recording", "Summary", "Tally", "command_fields"]


@dataclass(frozen=True)
class Summary:
    """An episode, or the part of it that was played.

    Attributes:
        steps: control periods played.
        secs: simulated time.
        total_return: sum of rewards.
        survived: part of the episode length that was reached, 0 to 1.
        ended: whether the environment ended it, as when the robot falls.
        terms: sum of each reward term.
    """

    steps: int
    secs: float
    total_return: float
    survived: float
    ended: bool
    terms: dict[str, float]

    def lines(self) -> list[str]:
        """Returns it for people, a line each."""
        end = "ended by the environment" if self.ended else "to its end" if self.survived == 1 else "stopped"
        width = max(map(len, ("survived", *self.terms)))
        return [
            f"{'return':<{width}}  {self.total_return:.3f}",
            f"{'survived':<{width}}  {self.survived:.1%} ({self.steps} steps, {self.secs:.2f} s, {end})",
            *(f"{name:<{width}}  {value:.3f}" for name, value in self.terms.items()),
        ]


class Tally:
    """Adds up an episode tick by tick."""

    def __init__(self, manifest: Manifest) -> None:
        """Starts with nothing."""
        self._manifest = manifest
        self._return = 0.0
        self._terms = {term.name: 0.0 for term in manifest.terms}
        self._steps = 0
        self._ended = False

    def add(self, tick: Tick) -> None:
        """Takes the next tick."""
        self._return += tick.decision.reward
        for name, value in tick.decision.terms.items():
            self._terms[name] += value
        self._steps, self._ended = tick.step, tick.decision.done

    def summary(self) -> Summary:
        """Returns what it came to so far."""
        return Summary(
            steps=self._steps,
            secs=self._steps * self._manifest.control_period_secs,
            total_return=self._return,
            survived=self._steps / self._manifest.episode_length,
            ended=self._ended,
            terms=dict(self._terms),
        )


class Recording:
    """The course of an episode: `qpos` [T, nq], `ctrl` [T, nu], `reward` [T] and `time_secs` [T], tick by tick."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self._ticks: list[Tick] = []

    def add(self, tick: Tick) -> None:
        """Takes the next tick."""
        self._ticks.append(tick)

    def save(self, path: Path) -> None:
        """Writes it as NumPy's `.npz`, without pickles."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                qpos=np.array([tick.qpos for tick in self._ticks]),
                ctrl=np.array([tick.decision.ctrl for tick in self._ticks]),
                reward=np.array([tick.decision.reward for tick in self._ticks]),
                time_secs=np.array([tick.time_secs for tick in self._ticks]),
            )


def command_fields(manifest: Manifest) -> list[str]:
    """Returns the carry entries by which the robot is commanded; none for robots that do one thing."""
    said = [command.field for command in getattr(manifest, "commands", ())]
    carried = [given.field for given in manifest.inputs if given.source is InputSource.CARRY]
    return said or [name for name in carried if name == "command"]
