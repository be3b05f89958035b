"""By how much what should be the same may differ, and where it is looked at. Needs no jax.

Differences are relative to the larger of 1 and the value.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from tabrl.play.manifest import GraphOutput
from tabrl.play.player import Controller, Player, Tick

if TYPE_CHECKING:
    import mujoco

__all__ = [
    "ROUNDING_LIMIT",
    "TOLERANCE",
    "Difference",
    "allowed_by_rounding",
    "in_words",
    "label",
    "moved",
    "relative_difference",
    "rollout",
]

TOLERANCE: Final = 1e-5
"""Largest difference allowed of what is computed in float32."""

ROUNDING_LIMIT: Final = 1e-3
"""Largest difference ever allowed where float32 rounding alone makes a larger one than that."""

_ROUNDING_MULTIPLE: Final = 4.0
_TICKS_PER_EPISODE: Final = 50


@dataclass(frozen=True)
class Difference:
    """Largest difference of one output over all states and elements, and what is allowed for it."""

    name: str
    max_difference: float
    tolerance: float


def moved(outputs: Sequence[Difference]) -> tuple[Difference, ...]:
    """Returns the outputs beyond what is allowed for them, the furthest first."""
    beyond = [output for output in outputs if not output.max_difference <= output.tolerance]
    return tuple(sorted(beyond, key=lambda output: -output.max_difference))


def in_words(furthest: Difference, states: int) -> str:
    """Returns how far an output moved, for people."""
    far, allowed = furthest.max_difference, furthest.tolerance
    return f"{furthest.name} differs by {far:.2g}, where {allowed:.2g} is allowed, over {states} states"


def relative_difference(expected: np.ndarray[Any, Any], actual: np.ndarray[Any, Any]) -> float:
    """Returns the largest `|expected - actual| / max(1, |expected|)`.

    Infinite where only one is NaN, or where their shapes differ.
    """
    if np.shape(expected) != np.shape(actual):
        return float("inf")
    left, right = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(same, 0.0, np.abs(left - right) / np.maximum(1.0, np.abs(left)))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference), initial=0.0))


def allowed_by_rounding(
    double: np.ndarray[Any, Any], single: np.ndarray[Any, Any], tolerance: float = TOLERANCE
) -> float:
    """Returns how far an action may be off whose source gives these actions in float64 and in float32."""
    return min(ROUNDING_LIMIT, max(tolerance, _ROUNDING_MULTIPLE * relative_difference(double, single)))


def label(output: GraphOutput) -> str:
    """Returns what an output is called in a report: its role, and its field if it has one."""
    role = output.role.name.lower()
    return f"{role}.{output.field}" if output.field else role


def rollout(controller: Controller, model: mujoco.MjModel, *, states: int, seed: int = 0) -> list[Tick]:
    """Returns so many ticks at least: beginnings of episodes, from one reset state after another.

    Args:
        controller: drives the robot.
        model: its scene.
        states: how many ticks.
        seed: of the environment's noise.
    """
    noise = np.random.default_rng(seed)
    player = Player(controller, model)
    ticks: list[Tick] = []
    for reset in itertools.count():
        if len(ticks) >= states:
            break
        ticks.extend(itertools.islice(player.episode(reset=reset, noise=noise), _TICKS_PER_EPISODE))
    return ticks
