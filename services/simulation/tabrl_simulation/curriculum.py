"""What some environments are at first, so that a policy finds its feet: their own, with an easier reward.

Go1JoystickFlatTerrain takes off for every foot that moves near the ground, by the square root of its speed: whoever
begins to drag a foot loses more than any following of the command brings, and a policy with a small machine's batches
settles for standing still before it has found a gait. Without that part, and with slower commands, it trots within
two minutes, and then learns to lift its feet (a curriculum: Bengio et al. 2009,
https://dl.acm.org/doi/10.1145/1553374.1553380).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["Easing", "easier", "easing"]


@dataclass(frozen=True, kw_only=True)
class Easing:
    """What is easier, and for how long.

    Attributes:
        overrides: entries of the environment's configuration, by path, that decide its reward and its commands.
        steps: control steps that this takes.
        share: of a training's steps that it takes at most.
    """

    overrides: Mapping[str, Any]
    steps: int
    share: float

    def until(self, env_steps: int) -> int:
        """Returns the control step, in a training of `env_steps`, from which on the environment is its own."""
        return min(self.steps, int(self.share * env_steps))


_EASINGS: Final[Mapping[str, Easing]] = {
    "Go1JoystickFlatTerrain": Easing(
        overrides={
            "reward_config.scales.feet_clearance": 0.0,
            "reward_config.scales.feet_height": 0.0,
            "reward_config.scales.tracking_lin_vel": 2.0,
            "command_config.a": [1.0, 0.5, 0.8],
        },
        steps=2_600_000,
        share=0.65,
    )
}


def easing(environment: Environment) -> Easing | None:
    """Returns how an environment is easier at first; None for most, and wherever its configuration was changed."""
    return None if environment.overrides else _EASINGS.get(environment.id)


def easier(environment: Environment, easing: Easing) -> Environment:
    """Loads an environment as it is at first; to its checkpoints it is the environment itself."""
    from tabrl_simulation import environments

    return replace(environments.load(environment.id, easing.overrides), fingerprint=environment.fingerprint)
