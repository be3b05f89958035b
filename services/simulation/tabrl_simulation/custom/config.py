"""What a person may decide about an environment made from a scene: plain numbers, read from and written to JSON.

Imports nothing heavy: a service checks an edited configuration with it. The defaults here suit most robots; `anatomy`
derives the rest from the model.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, Final, Self

__all__ = [
    "Commands",
    "InvalidSceneConfig",
    "Observations",
    "Range",
    "ResetNoise",
    "RewardWeights",
    "SceneConfig",
    "Termination",
]


class InvalidSceneConfig(ValueError):
    """A field of a scene's configuration cannot be used.

    Attributes:
        field: the field, with a dot before a field of a group, such as `termination.max_tilt_rad`.
        remedy: what is wrong with it, and what to do.
    """

    def __init__(self, field: str, remedy: str) -> None:
        """Names the field, and says what to do."""
        self.field = field
        self.remedy = remedy
        super().__init__(f"{field}: {remedy}")


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Observations:
    """What the policy observes, in this order. Parts that the robot lacks (a fixed base has no speed) are left out.

    Attributes:
        base_orientation: direction of gravity in the base's frame: 3 numbers.
        base_linear_velocity: in the base's frame, m/s: 3.
        base_angular_velocity: in the base's frame, rad/s: 3.
        joint_positions: hinges (rad) and slides (m) relative to home, then balls (quaternion less home's: 4 each).
        joint_velocities: rad/s and m/s, balls 3 each.
        last_action: the action before, one number for each actuator.
        command: the speeds asked for: forward (m/s), to the left (m/s), turning to the left (rad/s).
        clock: sine and cosine of a clock that turns `clock_hz` times a second from the start of the episode.
        objects: of each free body beside the base: position relative to the base in its frame, two axes of its frame
            and its velocity: 12 each.
    """

    base_orientation: bool = True
    base_linear_velocity: bool = True
    base_angular_velocity: bool = True
    joint_positions: bool = True
    joint_velocities: bool = True
    last_action: bool = True
    command: bool = True
    clock: bool = False
    objects: bool = True


@dataclass(frozen=True, kw_only=True)
class Termination:
    """What ends an episode before its time, besides numbers that are not finite. 0 switches a rule off.

    Attributes:
        max_tilt_rad: the base has turned over by more than this from home.
        min_height_fraction: the base is lower than this part of its height at home.
        max_distance_m: the base is further than this from where the world's origin is, in any direction.
        max_joint_speed: a joint is faster than this, in rad/s or m/s: physics has lost it.
    """

    max_tilt_rad: float = 1.2
    min_height_fraction: float = 0.4
    max_distance_m: float = 100.0
    max_joint_speed: float = 1000.0


@dataclass(frozen=True, kw_only=True)
class ResetNoise:
    """How far from home an episode may start: each number is drawn evenly between minus and plus this.

    Attributes:
        joint_position: rad or m; positions stay within their joint's limits.
        joint_velocity: rad/s or m/s.
        base_velocity: m/s and rad/s.
        base_yaw_rad: heading.
    """

    joint_position: float = 0.05
    joint_velocity: float = 0.1
    base_velocity: float = 0.1
    base_yaw_rad: float = math.pi


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Ranges that the command of an episode is drawn from.

    Attributes:
        forward_m_per_s: speed forwards, along the base's x axis.
        left_m_per_s: speed to the left, along its y axis.
        turn_rad_per_s: turning speed about the vertical, positive to the left.
    """

    forward_m_per_s: Range = Range()
    left_m_per_s: Range = Range()
    turn_rad_per_s: Range = Range()


@dataclass(frozen=True, kw_only=True)
class RewardWeights:
    """Weights of the terms of the environment's own reward, which is their sum. 0 leaves a term out.

    Attributes:
        alive: 1 at every step that does not end the episode.
        upright: 1 with the base as at home, 0 upside down.
        height: 1 at the base's height at home, falling to both sides.
        track_velocity: 1 at the commanded speed over ground.
        track_turn: 1 at the commanded turning speed.
        posture: 1 with every joint at home.
        energy: mechanical power of the actuators over the robot's weight, in m/s; wants a negative weight.
        smoothness: mean squared change of the action; wants a negative weight.
    """

    alive: float = 0.2
    upright: float = 0.5
    height: float = 0.3
    track_velocity: float = 1.5
    track_turn: float = 0.7
    posture: float = 0.3
    energy: float = -0.05
    smoothness: float = -0.1


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """All that turns a scene into an environment.

    Attributes:
        physics_timestep_secs: time between two physics steps; 0 for the model's own.
        control_period_secs: time between two actions; a whole number of physics steps.
        episode_length: control steps after which an episode is cut off.
        home_keyframe: name of the keyframe that is home; empty for the model's initial pose.
        home_joints: positions at home by joint name, in place of the keyframe's; rad or m, hinges and slides only.
        home_height_m: height of the base at home; None for the keyframe's, or, for a pose that is no keyframe's, where
            the robot just touches the ground.
        action_scale: how far an action of 1 moves a position servo's target from home: rad, or m for a slide.
        clock_hz: turns of the observed clock in a second.
        observations: what the policy observes.
        termination: what ends an episode before its time.
        reset_noise: how far from home an episode may start.
        commands: what the policy is asked to do.
        reward_weights: of the environment's own reward.
    """

    physics_timestep_secs: float = 0.0
    control_period_secs: float = 0.02
    episode_length: int = 1000
    home_keyframe: str = ""
    home_joints: Mapping[str, float] = field(default_factory=dict)
    home_height_m: float | None = None
    action_scale: float = 0.5
    clock_hz: float = 1.5
    observations: Observations = Observations()
    termination: Termination = Termination()
    reset_noise: ResetNoise = ResetNoise()
    commands: Commands = Commands()
    reward_weights: RewardWeights = RewardWeights()

    def __post_init__(self) -> None:
        """Refuses numbers that no environment can use.

        Raises:
            InvalidSceneConfig: naming the first field that is out of range.
        """
        for path, (low, high) in _LIMITS.items():
            value = _at(self, path)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InvalidSceneConfig(path, f"{value} is not between {low:g} and {high:g}; choose a number that is")
        if 0 < self.control_period_secs < self.physics_timestep_secs:
            message = f"{self.control_period_secs} is shorter than a physics step of {self.physics_timestep_secs}"
            raise InvalidSceneConfig("control_period_secs", f"{message}; make it a multiple of that")
        for name, value in self.home_joints.items():
            if not (math.isfinite(value) and abs(value) <= 1000):
                raise InvalidSceneConfig(f"home_joints.{name}", f"{value} is no position of a joint")
        for group in fields(Commands):
            given: Range = getattr(self.commands, group.name)
            for end in ("low", "high"):
                value = getattr(given, end)
                if not (math.isfinite(value) and abs(value) <= 100):
                    raise InvalidSceneConfig(f"commands.{group.name}.{end}", f"{value} is not between -100 and 100")
            if given.low > given.high:
                message = f"{given.low} is above {given.high}; exchange the two"
                raise InvalidSceneConfig(f"commands.{group.name}.low", message)
        for weight in fields(RewardWeights):
            value = getattr(self.reward_weights, weight.name)
            if not (math.isfinite(value) and abs(value) <= 1000):
                raise InvalidSceneConfig(f"reward_weights.{weight.name}", f"{value} is not between -1000 and 1000")

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as plain data for JSON, read back by `from_dict`."""
        return {**asdict(self), "home_joints": dict(self.home_joints)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote; fields that are left out take their defaults.

        Raises:
            InvalidSceneConfig: a field is unknown, of another type or out of range.
        """
        read: Self = _read(cls, values, "")
        return read


_ANY: Final = 1e9
_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "physics_timestep_secs": (0.0, 0.1),
    "control_period_secs": (1e-4, 1.0),
    "episode_length": (1, 1_000_000),
    "home_height_m": (-1000.0, 1000.0),
    "action_scale": (1e-6, 1e6),
    "clock_hz": (0.01, 100.0),
    "termination.max_tilt_rad": (0.0, math.pi),
    "termination.min_height_fraction": (0.0, 0.99),
    "termination.max_distance_m": (0.0, _ANY),
    "termination.max_joint_speed": (0.0, _ANY),
    "reset_noise.joint_position": (0.0, 10.0),
    "reset_noise.joint_velocity": (0.0, 100.0),
    "reset_noise.base_velocity": (0.0, 100.0),
    "reset_noise.base_yaw_rad": (0.0, math.pi),
}


def _at(config: SceneConfig, path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _read(kind: Any, values: Any, path: str) -> Any:
    """Reads a dataclass from plain data; `path` is where it stands in the whole."""
    if not isinstance(values, Mapping):
        raise InvalidSceneConfig(path or "config", f"{_short(values)} is no group of fields")
    hints = typing.get_type_hints(kind)
    read = {}
    for name, value in values.items():
        where = f"{path}.{name}" if path else str(name)
        if name not in hints:
            known = ", ".join(hints)
            raise InvalidSceneConfig(where[:200], f"there is no such field; there are: {known}")
        read[name] = _value(hints[name], value, where)
    return kind(**read)


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _read(hint, value, where)
    if typing.get_origin(hint) is types.UnionType and value is None:
        return None
    if typing.get_origin(hint) in (dict, Mapping) or hint == Mapping[str, float]:
        if not isinstance(value, Mapping):
            raise InvalidSceneConfig(where, f"{_short(value)} is no table of joints and positions")
        return {str(name): _value(float, item, f"{where}.{name}") for name, item in value.items()}
    wanted, word = _KINDS[hint]
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise InvalidSceneConfig(where, f"{_short(value)} is not {word}")
    return float(value) if isinstance(value, int | float) and word == "a number" else value


_KINDS: Final[dict[Any, tuple[tuple[type, ...], str]]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    str: ((str,), "a text"),
    float: ((int, float), "a number"),
    float | None: ((int, float), "a number"),
}


def _short(value: Any) -> str:
    return repr(value)[:60]
