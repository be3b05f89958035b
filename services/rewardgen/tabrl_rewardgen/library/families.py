"""Which robots the library knows, told by their own names, and which behaviours each can learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.library import movers, pendulums
from tabrl_rewardgen.library.draft import Draft
from tabrl_rewardgen.library.reading import Wish
from tabrl_rewardgen.library.runners import CHEETAH, HOPPER, HUMANOID, WALKER, runner

__all__ = ["FAMILIES", "Family", "family_of"]


@dataclass(frozen=True)
class Family:
    """A kind of robot: the names that tell it, the behaviours it can learn, and who drafts its rewards."""

    title: str
    marks: frozenset[str]
    behaviours: tuple[str, ...]
    draft: Callable[[Wish], tuple[Draft, set[str]]]


_RUNNING = ("stand", "walk", "run", "still", "crouch", "hop", "flip")

FAMILIES: tuple[Family, ...] = (
    Family(
        "cart and pole",
        frozenset({"slider", "hinge_1"}),
        ("upright", "sway", "goto", "swing_up", "hang", "spin", "still"),
        pendulums.cartpole,
    ),
    Family(
        "acrobot",
        frozenset({"upper_arm", "lower_arm", "shoulder", "elbow"}),
        ("swing_up", "upright", "hang", "spin", "flip", "still"),
        pendulums.acrobot,
    ),
    Family("humanoid", frozenset({"torso", "head", "right_hand"}), (*_RUNNING, "spin"), partial(runner, HUMANOID)),
    Family("cheetah", frozenset({"bthigh", "fthigh"}), _RUNNING, partial(runner, CHEETAH)),
    Family("walker", frozenset({"torso", "right_thigh", "left_leg"}), _RUNNING, partial(runner, WALKER)),
    Family("hopper", frozenset({"torso", "calf", "waist"}), _RUNNING, partial(runner, HOPPER)),
    Family("reacher", frozenset({"finger", "target", "wrist"}), ("reach", "spin", "still", "goto"), movers.reacher),
    Family(
        "point mass",
        frozenset({"pointmass"}),
        ("goto", "reach", "still", "spin", "sway"),
        movers.point_mass,
    ),
    Family(
        "finger and spinner",
        frozenset({"proximal", "distal", "spinner"}),
        ("flick", "spin", "turn_to", "reach", "still"),
        movers.finger,
    ),
    Family(
        "ball in cup",
        frozenset({"cup", "ball"}),
        ("catch", "hang", "still", "sway", "spin", "swing_up"),
        movers.ball_in_cup,
    ),
    Family("swimmer", frozenset({"segment_0", "segment_4"}), ("swim", "reach", "spin", "still"), movers.swimmer),
    Family("fish", frozenset({"finright", "finleft"}), ("swim", "upright", "reach", "spin", "still"), movers.fish),
    Family(
        "pendulum",
        frozenset({"pole", "hinge"}),
        ("swing_up", "upright", "spin", "hang", "sway", "still"),
        pendulums.pendulum,
    ),
)
"""The robots of the DeepMind Control Suite."""


def family_of(robot: Robot) -> Family | None:
    """Return the family of a robot, told by its names of bodies and joints.

    None for a robot the library does not know.
    """
    names = {body.name for body in robot.bodies} | {joint.name for joint in robot.joints}
    return next((family for family in FAMILIES if family.marks <= names), None)
