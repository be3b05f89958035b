"""The robot driven twice: by a controller through its manifest, as players do, and by its source as training does.

Comparing outputs state by state finds a graph that is wrong. What is wrong around it - a clock, a scene, an array read
at another moment, a carry that starts elsewhere - shows only when the controller drives.

A robot is chaotic: two that differ in the last bit of one ctrl are elsewhere after some bounces. So the source also
drives twins, whose ctrl is moved by as much as controller and source were found to differ. For about as long as they
all stay with their source the controller must, in all episodes but one: a bounce that three twins were spared may come
to it. Then both must earn and last alike, as far as source and twins do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from tabrl.play.manifest import InputSource
from tabrl.play.player import Controller, Player, Tick

from tabrl_simulation.controllers.source_runs import BATCH, BatchedSource, SourceEpisode, drive

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.controllers.build import Workbench

__all__ = ["SECS", "ClosedLoop", "Episode", "compare", "compare_controllers"]

SECS: Final = 10.0
"""Longest time that an episode is played, in simulated seconds."""

RETURN_TOLERANCE: Final = 0.05
"""Difference of the mean return that is allowed, relative to the larger of 1 and the source's."""

TOGETHER: Final = 1e-3
"""Two robots are at the same place while every element of qpos is within this."""

_EPISODES: Final = 4
_TWINS: Final = BATCH // _EPISODES - 1
_LAST_BIT: Final = 2.0**-23
# A twin's errors are random and a graph's are not, so they may grow somewhat faster.
_PART_OF_THE_TWINS_TIME: Final = 0.5
_SPREADS: Final = 3.0


@dataclass(frozen=True)
class Episode:
    """One episode from one reset state, played by controller, source and twins. Times in simulated seconds.

    `twin_together_secs` is that of the twin that left its source first.
    """

    reset: int
    controller_return: float
    source_return: float
    twin_returns: tuple[float, ...]
    controller_steps: int
    source_steps: int
    twin_steps: tuple[int, ...]
    together_secs: float
    twin_together_secs: float

    @property
    def return_spread(self) -> float:
        """How far a twin's return is from its source's, at most."""
        return max(abs(self.source_return - twin) for twin in self.twin_returns)

    @property
    def steps_spread(self) -> float:
        """How far a twin's steps are from its source's, at most."""
        return max(abs(self.source_steps - twin) for twin in self.twin_steps)


@dataclass(frozen=True)
class ClosedLoop:
    """What became of the robots; field for field `tabrl.exporter.v1.ClosedLoopReport`.

    `reason` says what was otherwise than it should be; empty when nothing was.
    """

    secs: float
    episodes: tuple[Episode, ...]
    return_tolerance: float
    reason: str

    @property
    def passed(self) -> bool:
        """Whether nothing was otherwise than it should be."""
        return not self.reason


def compare(
    workbench: Workbench,
    batched: BatchedSource,
    controller: Controller,
    model: mujoco.MjModel,
    *,
    ctrl_error: float = 0.0,
    secs: float = SECS,
    seed: int = 0,
    by_path: bool = True,
) -> tuple[ClosedLoop, list[Tick]]:
    """Plays the same episodes, with the same draws and pushes, with a controller and with its source.

    Args:
        workbench: of the environment; what the source drives.
        batched: the source.
        controller: the controller.
        model: the scene that the controller's manifest names.
        ctrl_error: how far the controller's ctrl was found to differ from its source's on equal inputs.
        secs: longest time for each episode.
        seed: of the draws.
        by_path: whether the controller must go the same way as its source, not only earn and last alike.

    Returns:
        The comparison, and the controller's ticks.
    """
    manifest = controller.manifest
    steps = min(manifest.episode_length, max(1, round(secs / workbench.environment.control_period_secs)))
    resets = range(_EPISODES)
    player = Player(controller, model)
    played = [_played(player, reset, steps, seed) for reset in resets]
    error = max(_LAST_BIT, ctrl_error)
    driven = drive(
        batched,
        workbench,
        resets=[*resets] * (1 + _TWINS),
        draws=[i for i in manifest.inputs if i.source in (InputSource.UNIFORM, InputSource.NORMAL)],
        seeds=[(seed, reset) for reset in resets] * (1 + _TWINS),
        steps=steps,
        ctrl_error=[0.0] * _EPISODES + [error] * _EPISODES * _TWINS,
    )
    period = workbench.environment.control_period_secs
    episodes = tuple(
        _episode(reset, ticks, driven[reset], driven[reset + _EPISODES :: _EPISODES], period)
        for reset, ticks in zip(resets, played, strict=True)
    )
    reason = _reason(episodes, period, by_path=by_path)
    return ClosedLoop(steps * period, episodes, RETURN_TOLERANCE, reason), list(itertools.chain(*played))


def compare_controllers(
    controller: Controller, reference: Controller, model: mujoco.MjModel, *, secs: float = SECS, seed: int = 0
) -> ClosedLoop:
    """Plays the same episodes with a controller and with the one it was made from, where the source is not at hand.

    There is no twin then, so the means may differ by as much as the reference's own episodes do among themselves.
    """
    manifest = reference.manifest
    period = manifest.control_period_secs
    steps = min(manifest.episode_length, max(1, round(secs / period)))
    players = [Player(each, model) for each in (controller, reference)]
    episodes = []
    for reset in range(_EPISODES):
        first, second = (_played(player, reset, steps, seed) for player in players)
        path = np.stack([tick.qpos for tick in second])
        source = SourceEpisode(path, sum(tick.decision.reward for tick in second), second[-1].step)
        episodes.append(_episode(reset, first, source, [source], period))
    spread_return = float(np.std([episode.source_return for episode in episodes]))
    spread_steps = float(np.std([episode.source_steps for episode in episodes]))
    reason = _reason_of_means(episodes, spread_return=spread_return, spread_steps=spread_steps)
    return ClosedLoop(steps * period, tuple(episodes), RETURN_TOLERANCE, reason)


def _played(player: Player, reset: int, steps: int, seed: int) -> list[Tick]:
    """Returns the ticks of an episode as training has it, pushes and draws included, cut off after so many periods."""
    draws = np.random.default_rng((seed, reset))
    return list(itertools.islice(player.episode(reset=reset, noise=draws, pushes=True), steps + 1))


def _episode(
    reset: int, ticks: Sequence[Tick], source: SourceEpisode, twins: Sequence[SourceEpisode], period: float
) -> Episode:
    return Episode(
        reset=reset,
        controller_return=sum(tick.decision.reward for tick in ticks),
        source_return=source.episode_return,
        twin_returns=tuple(twin.episode_return for twin in twins),
        controller_steps=ticks[-1].step,
        source_steps=source.steps,
        twin_steps=tuple(twin.steps for twin in twins),
        together_secs=period * _ticks_together(np.stack([tick.qpos for tick in ticks]), source.qpos),
        twin_together_secs=period * min(_ticks_together(twin.qpos, source.qpos) for twin in twins),
    )


def _ticks_together(path: NDArray[np.float64], other: NDArray[np.float64]) -> int:
    """Returns how many ticks, of those that both paths have, two robots are at the same place from the start."""
    common = min(len(path), len(other))
    with np.errstate(invalid="ignore"):
        apart = ~(np.abs(path[:common] - other[:common]).max(axis=1) <= TOGETHER)
    return int(np.argmax(apart)) if apart.any() else common


def _reason(episodes: Sequence[Episode], period: float, *, by_path: bool) -> str:
    early = [e for e in episodes if e.together_secs < _PART_OF_THE_TWINS_TIME * e.twin_together_secs - 2 * period]
    if by_path and len(early) > 1:
        return (
            f"from reset {early[0].reset} the robot leaves its source's way after {early[0].together_secs:.2f} s, "
            f"where rounding alone takes {early[0].twin_together_secs:.2f} s, and so it does from {len(early) - 1} more"
        )
    return _reason_of_means(
        episodes,
        spread_return=_SPREADS * max(episode.return_spread for episode in episodes),
        spread_steps=_SPREADS * max(episode.steps_spread for episode in episodes),
    )


def _reason_of_means(episodes: Sequence[Episode], *, spread_return: float, spread_steps: float) -> str:
    returned = _differs([e.controller_return for e in episodes], [e.source_return for e in episodes], spread_return)
    if returned:
        return f"the mean return is {returned}"
    lasted = _differs(
        [float(e.controller_steps) for e in episodes], [float(e.source_steps) for e in episodes], spread_steps
    )
    return f"the mean number of control steps until the end is {lasted}" if lasted else ""


def _differs(controller: Sequence[float], source: Sequence[float], spread: float) -> str:
    """Returns how two means differ by more than the tolerance and the spread, or nothing."""
    expected, found = float(np.mean(source)), float(np.mean(controller))
    allowed = max(RETURN_TOLERANCE * max(1.0, abs(expected)), spread)
    within = abs(found - expected) <= allowed or (np.isnan(found) and np.isnan(expected))
    return "" if within else f"{found:.4g}, its source's {expected:.4g}, where {allowed:.2g} is allowed"
