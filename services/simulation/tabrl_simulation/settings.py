"""The numbers of the learner, and good ones for each environment; imports nothing heavy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from tabrl_simulation import environments
from tabrl_simulation.custom import store

__all__ = ["LAYER_WIDTHS", "WHOLE_NUMBERS", "InvalidSettings", "Settings", "default_settings", "require_trainable"]


class InvalidSettings(ValueError):
    """A setting is out of range.

    Attributes:
        field: the setting.
    """

    def __init__(self, field: str, message: str) -> None:
        """Names the field, and says what is wrong with it."""
        self.field = field
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Numbers of proximal policy optimization; the fields of `tabrl.trainer.v1.TrainingSettings`.

    Attributes:
        env_steps: control steps over all parallel environments after which training ends.
        seed: of every random draw.
        num_envs: environments simulated side by side.
        unroll_length: actions of each environment between two updates.
        num_minibatches: minibatches per pass over the data.
        updates_per_batch: passes over the data per update.
        learning_rate: Adam's first step size; it then follows the policy's change per update.
        entropy_cost: weight of the entropy bonus.
        discounting: discount factor per action.
        reward_scaling: factor on every reward, after rewards are brought to the scale of one.
        hidden_layer_sizes: widths of the hidden layers of policy and value network.
        domain_randomization: whether each environment gets a robot and a ground of its own: masses, friction, gains as
            the environment's authors vary them, so that the policy gets along with more than one.
        initial_std: standard deviation, before tanh, of the first policy's actions, whose mean is then near 0; 0 for
            the network's own, about 0.7 with a mean of any size. A robot on legs that starts with less falls less.
    """

    env_steps: int
    seed: int = 0
    num_envs: int = 128
    unroll_length: int = 20
    num_minibatches: int = 8
    updates_per_batch: int = 4
    learning_rate: float = 1e-3
    entropy_cost: float = 1e-2
    discounting: float = 0.99
    reward_scaling: float = 1.0
    hidden_layer_sizes: tuple[int, ...] = (64, 64)
    domain_randomization: bool = False
    initial_std: float = 0.0

    def __post_init__(self) -> None:
        """Refuses numbers that no training can use.

        Raises:
            InvalidSettings: naming the first field that is out of range.
        """
        for name, (low, high) in WHOLE_NUMBERS.items():
            _require_between(name, getattr(self, name), low, high)
        for name, limit in _POSITIVE_LIMITS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value <= limit):
                raise InvalidSettings(name, f"{value} is not above 0 and at most {limit}")
        for name in _UP_TO_TEN:
            if not (math.isfinite(getattr(self, name)) and 0 <= getattr(self, name) <= 10):
                raise InvalidSettings(name, f"{getattr(self, name)} is not between 0 and 10")
        if self.num_minibatches > self.num_envs:
            message = f"{self.num_minibatches} is more than the {self.num_envs} environments to share out"
            raise InvalidSettings("num_minibatches", message)
        if not 1 <= len(self.hidden_layer_sizes) <= 8:
            raise InvalidSettings("hidden_layer_sizes", f"{len(self.hidden_layer_sizes)} layers; 1 to 8 can be had")
        for width in self.hidden_layer_sizes:
            _require_between("hidden_layer_sizes", width, *LAYER_WIDTHS)
        if self.batch_steps > _MOST_BATCH_STEPS:
            message = f"{self.num_envs} with an unroll_length of {self.unroll_length} make {self.batch_steps:,} steps"
            raise InvalidSettings("num_envs", f"{message} between two updates; {_MOST_BATCH_STEPS:,} can be had")
        weights = sum(a * b for a, b in itertools.pairwise(self.hidden_layer_sizes))
        if weights > _MOST_WEIGHTS:
            message = f"these layers have {weights:,} weights between them; {_MOST_WEIGHTS:,} can be had"
            raise InvalidSettings("hidden_layer_sizes", message)

    @property
    def batch_steps(self) -> int:
        """Actions between two updates, over all environments."""
        return self.num_envs * self.unroll_length

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            InvalidSettings: a field is missing, unknown, of another type or out of range.
        """
        # None stood for the network's own deviation before 0 did.
        values = {name: value for name, value in values.items() if name != "initial_std" or value is not None}
        for field in fields(cls):
            if field.name not in values and field.name not in _ADDED:
                raise InvalidSettings(field.name, "is missing")
        for name, value in values.items():
            if name not in _TYPES:
                raise InvalidSettings(name, "is no setting")
            if not isinstance(value, _TYPES[name]) or (isinstance(value, bool) and bool not in _TYPES[name]):
                raise InvalidSettings(name, f"{value!r} is of another type")
        widths = values["hidden_layer_sizes"]
        if not all(isinstance(width, int) for width in widths):
            raise InvalidSettings("hidden_layer_sizes", f"{widths!r} are not whole numbers")
        return cls(**{**values, "hidden_layer_sizes": tuple(widths)})


# Each alone may be large, together they must fit a machine: a rollout is kept whole between two updates, and a
# checkpoint holds every weight six times (policy and value network, each with Adam's two moments).
_MOST_BATCH_STEPS: Final = 1_000_000
_MOST_WEIGHTS: Final = 4_000_000
WHOLE_NUMBERS: Final = {
    "env_steps": (1_000, 10_000_000_000),
    "seed": (0, 2**31 - 1),
    "num_envs": (1, 16_384),
    "unroll_length": (1, 1_000),
    "num_minibatches": (1, 1_024),
    "updates_per_batch": (1, 64),
}
"""The least and the greatest of each setting that is a whole number."""
LAYER_WIDTHS: Final = (1, 4096)
"""The least and the greatest width of a layer."""
_POSITIVE_LIMITS: Final = {"learning_rate": 1.0, "discounting": 1.0, "reward_scaling": 1e6}
_UP_TO_TEN: Final = ("entropy_cost", "initial_std")
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(WHOLE_NUMBERS, (int,)),
    **dict.fromkeys((*_POSITIVE_LIMITS, *_UP_TO_TEN), (int, float)),
    "hidden_layer_sizes": (tuple, list),
    "domain_randomization": (bool,),
}
# What files of earlier releases do not have; they mean the default.
_ADDED: Final = frozenset({"domain_randomization", "initial_std"})


def _require_between(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidSettings(field, f"{value} is not between {low} and {high}")


# The DeepMind Control Suite: found by trial on two processors. What differs between environments is mostly how long it
# takes: how many steps until the environment's own reward is learned, kept to what its physics does in about ten
# minutes at most. Locomotion and manipulation: Playground's own settings, made for thirty times as many environments
# side by side, brought down to what two processors do in an hour or so.
_SMALL: Final = (64, 64)
_MIDDLE: Final = (128, 128)
_LARGE: Final = (256, 128)
_DEEP: Final = (256, 128, 128)
_QUADRUPED: Final = (128, 128, 128)
_STEPS_AND_LAYERS: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    "AcrobotSwingup": (6_000_000, _SMALL),
    "AcrobotSwingupSparse": (6_000_000, _SMALL),
    "BallInCup": (2_000_000, _SMALL),
    "CartpoleBalance": (3_000_000, _SMALL),
    "CartpoleBalanceSparse": (2_000_000, _SMALL),
    "CartpoleSwingup": (3_000_000, _SMALL),
    "CartpoleSwingupSparse": (4_000_000, _SMALL),
    "CheetahRun": (5_000_000, _MIDDLE),
    "FingerSpin": (3_000_000, _SMALL),
    "FingerTurnEasy": (3_000_000, _SMALL),
    "FingerTurnHard": (3_000_000, _SMALL),
    "FishSwim": (2_000_000, _MIDDLE),
    "HopperHop": (4_000_000, _MIDDLE),
    "HopperStand": (3_000_000, _MIDDLE),
    "HumanoidRun": (3_000_000, _LARGE),
    "HumanoidStand": (3_000_000, _LARGE),
    "HumanoidWalk": (3_000_000, _LARGE),
    "PendulumSwingup": (3_000_000, _SMALL),
    "PointMass": (1_000_000, _SMALL),
    "ReacherEasy": (2_000_000, _SMALL),
    "ReacherHard": (3_000_000, _SMALL),
    "SwimmerSwimmer6": (3_000_000, _MIDDLE),
    "WalkerRun": (5_000_000, _MIDDLE),
    "WalkerStand": (2_000_000, _MIDDLE),
    "WalkerWalk": (4_000_000, _MIDDLE),
    "ApolloJoystickFlatTerrain": (10_000_000, _DEEP),
    "BarkourJoystick": (20_000_000, _DEEP),
    "BerkeleyHumanoidJoystickFlatTerrain": (15_000_000, _DEEP),
    "BerkeleyHumanoidJoystickRoughTerrain": (15_000_000, _DEEP),
    "G1JoystickFlatTerrain": (10_000_000, _DEEP),
    "G1JoystickRoughTerrain": (10_000_000, _DEEP),
    "Go1Footstand": (15_000_000, _DEEP),
    "Go1Getup": (10_000_000, _DEEP),
    "Go1Handstand": (15_000_000, _DEEP),
    "Go1JoystickFlatTerrain": (4_000_000, _QUADRUPED),
    "Go1JoystickRoughTerrain": (20_000_000, _DEEP),
    "H1InplaceGaitTracking": (10_000_000, _DEEP),
    "H1JoystickGaitTracking": (10_000_000, _DEEP),
    "Op3Joystick": (15_000_000, _DEEP),
    "SpotFlatTerrainJoystick": (20_000_000, _DEEP),
    "SpotGetup": (10_000_000, _DEEP),
    "SpotJoystickGaitTracking": (20_000_000, _DEEP),
    "T1JoystickFlatTerrain": (10_000_000, _DEEP),
    "T1JoystickRoughTerrain": (10_000_000, _DEEP),
    "AeroCubeRotateZAxis": (10_000_000, _DEEP),
    "AlohaHandOver": (10_000_000, _DEEP),
    "AlohaSinglePegInsertion": (10_000_000, _DEEP),
    "LeapCubeReorient": (15_000_000, _DEEP),
    "LeapCubeRotateZAxis": (10_000_000, _DEEP),
    "PandaOpenCabinet": (5_000_000, _MIDDLE),
    "PandaPickCube": (5_000_000, _MIDDLE),
    "PandaPickCubeCartesian": (2_000_000, _MIDDLE),
    "PandaPickCubeOrientation": (5_000_000, _MIDDLE),
    "PandaRobotiqPushCube": (10_000_000, _MIDDLE),
}

# What else differs. Where each action is held for longer, there are fewer of them to learn from.
_LEGGED: Final = {"num_envs": 256, "num_minibatches": 16, "discounting": 0.97, "learning_rate": 3e-4}
_HAND: Final = {**_LEGGED, "unroll_length": 40}
_ARM: Final = {"num_envs": 256, "num_minibatches": 16, "unroll_length": 10, "discounting": 0.97, "entropy_cost": 2e-2}
_OTHER: Final[dict[str, dict[str, Any]]] = {
    **dict.fromkeys(environments.LOCOMOTION, _LEGGED),
    "Go1JoystickFlatTerrain": {
        "num_envs": 512,
        "unroll_length": 24,
        "num_minibatches": 12,
        "discounting": 0.97,
        "entropy_cost": 5e-3,
        "initial_std": 0.5,
    },
    **dict.fromkeys(environments.MANIPULATION, _ARM),
    **dict.fromkeys(("AeroCubeRotateZAxis", "LeapCubeRotateZAxis"), _HAND),
    "LeapCubeReorient": {**_HAND, "discounting": 0.99},
    "PandaRobotiqPushCube": {**_ARM, "unroll_length": 60, "discounting": 0.994, "entropy_cost": 1e-2},
    # Whoever begins to push to one side soon spins the pole, which pays better than nothing.
    "CartpoleBalance": {"initial_std": 1.0, "learning_rate": 5e-4},
    "PendulumSwingup": {"num_envs": 64, "unroll_length": 40},
}

_CUSTOM: Final = Settings(
    env_steps=5_000_000,
    num_envs=128,
    unroll_length=24,
    num_minibatches=6,
    learning_rate=5e-4,
    entropy_cost=4e-3,
    discounting=0.98,
    hidden_layer_sizes=_LARGE,
)
"""For uploaded robots, of which nothing is known."""


def require_trainable(environment_id: str, settings: Settings) -> None:
    """Makes sure that an environment can be trained with settings.

    Raises:
        InvalidSettings: they ask for a domain randomization that the environment does not have.
    """
    if settings.domain_randomization and environment_id not in environments.RANDOMIZED:
        known = ", ".join(sorted(environments.RANDOMIZED))
        message = f"nobody has said what to vary in {environment_id}; leave it out, or train one of {known}"
        raise InvalidSettings("domain_randomization", message)


def default_settings(environment_id: str) -> Settings:
    """Returns settings that learn an environment well within minutes on two processors.

    Raises:
        UnknownEnvironment: there is no such environment.
    """
    environments.check(environment_id)
    if environment_id.startswith(store.PREFIX):
        return _CUSTOM
    env_steps, hidden_layer_sizes = _STEPS_AND_LAYERS[environment_id]
    return Settings(env_steps=env_steps, hidden_layer_sizes=hidden_layer_sizes, **_OTHER.get(environment_id, {}))
