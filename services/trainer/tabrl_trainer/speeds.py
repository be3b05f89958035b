"""Speeds of training each environment with its default settings on two processors.

Estimates start from them until this machine has runs of its own. `measure_speeds` measures physics anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Speed:
    """Seconds from the start of the worker until it learns, and control steps per second from then on."""

    startup_secs: float
    env_steps_per_sec: float


# Processor time of one control step in MuJoCo C, in microseconds, measured on one processor of a 2-core machine.
_PHYSICS_USECS: Final[dict[str, float]] = {
    "AcrobotSwingup": 2.39,
    "AcrobotSwingupSparse": 2.35,
    "BallInCup": 39.8,
    "CartpoleBalance": 2.67,
    "CartpoleBalanceSparse": 2.59,
    "CartpoleSwingup": 2.87,
    "CartpoleSwingupSparse": 2.61,
    "CheetahRun": 7.81,
    "FingerSpin": 18.4,
    "FingerTurnEasy": 17.3,
    "FingerTurnHard": 18.1,
    "FishSwim": 84.9,
    "HopperHop": 30.4,
    "HopperStand": 31.6,
    "HumanoidRun": 159,
    "HumanoidStand": 154,
    "HumanoidWalk": 164,
    "PendulumSwingup": 3.84,
    "PointMass": 2.74,
    "ReacherEasy": 9.7,
    "ReacherHard": 10.4,
    "SwimmerSwimmer6": 53.2,
    "WalkerRun": 82.8,
    "WalkerStand": 95.9,
    "WalkerWalk": 109,
}
_PROCESSORS: Final = 2
# Everything else in a step: policy, observation, reward, learning. CartpoleBalance trained at 47,000 to 62,000 steps a
# second on such a machine, 1.3 microseconds of each step being physics; the networks are alike in all environments.
_OTHER_USECS: Final = 17.0
# Loading took 3.5 s, compiling 3 s with a warm compilation cache and 8 s with a cold one, as it is on a first run.
_STARTUP_SECS: Final = 11.0
_GUESS_SECS: Final = 2.0
# A robot that a person brought was never measured; most are cheaper than a humanoid, many dearer than a walker.
_CUSTOM: Final = "custom-"
_CUSTOM_STEPS_PER_SEC: Final = 3000.0

RENTED: Final = Speed(startup_secs=120.0, env_steps_per_sec=100_000.0)
"""What to reckon with on a rented GPU before a run was measured there: a guess, for none was seen yet.

MuJoCo Playground's authors tell of 200 million steps of Go1JoystickFlatTerrain in 7 minutes (476,000 a second) on an
RTX 4090 with 8,192 environments; defaults here have fewer environments.
"""


def default_speed(environment_id: str) -> Speed:
    """Return the speed to reckon with; that of the slowest environment for one that was never measured."""
    if environment_id.startswith(_CUSTOM):
        return Speed(_STARTUP_SECS, _CUSTOM_STEPS_PER_SEC)
    physics_usecs = _PHYSICS_USECS.get(environment_id, max(_PHYSICS_USECS.values()))
    return Speed(_STARTUP_SECS, 1e6 / (physics_usecs / _PROCESSORS + _OTHER_USECS))


@dataclass
class RemainingTime:
    """Seconds that a training still needs, by its mean speed since its first metrics.

    The speed of one moment jumps with checkpoints, exports and whatever else the machine does, and before the second
    metrics there is none; so the mean starts from a guess, which counts as much as two seconds of training.
    """

    total_env_steps: int
    guess_env_steps_per_sec: float
    _first: tuple[float, int] | None = None

    def after(self, env_steps: int, elapsed_secs: float) -> float:
        """Return the seconds left at metrics of `env_steps` steps in all, `elapsed_secs` after the start."""
        first_secs, first_steps = self._first = self._first or (elapsed_secs, env_steps)
        steps = env_steps - first_steps + _GUESS_SECS * self.guess_env_steps_per_sec
        speed = steps / (elapsed_secs - first_secs + _GUESS_SECS)
        return max(self.total_env_steps - env_steps, 0) / speed
