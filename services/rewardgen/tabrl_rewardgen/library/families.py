"""Which robots the library knows, told by their own names or by how they stand, and which behaviours each can learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tabrl_simulation.rewards.robot import QUOTABLE, Robot

from tabrl_rewardgen.library import movers, pendulums
from tabrl_rewardgen.library.draft import Draft
from tabrl_rewardgen.library.reading import Wish
from tabrl_rewardgen.library.runners import CHEETAH, HOPPER, HUMANOID, WALKER, Arms, Runner, legged, runner

__all__ = ["FAMILIES", "ON_LEGS", "Family", "family_of"]


@dataclass(frozen=True)
class Family:
    """A kind of robot: the names that tell it, the behaviours it can learn, and who drafts its rewards."""

    title: str
    marks: frozenset[str]
    behaviours: tuple[str, ...]
    draft: Callable[[Wish], tuple[Draft, set[str] | frozenset[str]]]


_RUNNING = ("stand", "walk", "run", "still", "crouch", "hop", "flip", "dance")

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
    Family(
        "humanoid",
        frozenset({"torso", "head", "right_hand"}),
        (*_RUNNING, "spin", "turn", "sideways", "wave"),
        partial(runner, HUMANOID),
    ),
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


def _on_legs(robot: Runner, *marks: str) -> Family:
    behaviours = (
        *("stand", "walk", "run", "still", "crouch", "hop", "spin", "turn", "dance", "sideways"),
        *(("wave",) if robot.arms else ()),
        *(("handstand", "rear_up") if robot.four_legs else ()),
    )
    return Family(robot.title, frozenset({robot.body, *marks}), behaviours, partial(runner, robot))


_APOLLO_ARMS = Arms("{s}_shoulder_aa", "{s}_elbow_fe", -1.3)
_G1_ARMS = Arms("{side}_shoulder_roll_joint", "{side}_elbow_joint", -1.2, elbow_rest=0.6)
_H1_ARMS = Arms("{side}_shoulder_roll", "{side}_elbow", -1.5)
_T1_ARMS = Arms("{Side}_Shoulder_Pitch", "{Side}_Elbow_Pitch", -1.5, mirrored=False)


ON_LEGS: tuple[Family, ...] = (
    _on_legs(legged("Apollo", "torso_link", 1.05, walk=0.5, run=1.2, arms=_APOLLO_ARMS), "base_link", "neck_yaw_link"),
    _on_legs(legged("Barkour", "torso", 0.28, walk=0.5, run=1.5, four_legs=True), "leg_front_left", "leg_hind_left"),
    _on_legs(legged("Berkeley Humanoid", "torso", 0.51, walk=0.5, run=1.2), "ll_hfe", "lr_hfe"),
    _on_legs(
        legged("G1", "torso_link", 0.8, walk=0.5, run=1.5, arms=_G1_ARMS),
        "pelvis",
        "left_ankle_roll_link",
        "waist_yaw_link",
    ),
    _on_legs(legged("Go1", "trunk", 0.28, walk=0.5, run=2.0, four_legs=True), "FR_calf", "RL_calf"),
    _on_legs(legged("H1", "torso_link", 0.97, walk=0.5, run=1.5, arms=_H1_ARMS), "pelvis", "left_ankle_link"),
    _on_legs(legged("OP3", "body_link", 0.24, walk=0.2, run=0.5), "head_pan_link", "l_el_link"),
    _on_legs(legged("Spot", "body", 0.46, walk=0.8, run=1.6, four_legs=True), "fl_uleg", "hr_uleg"),
    _on_legs(legged("T1", "Trunk", 0.66, walk=0.5, run=1.2, arms=_T1_ARMS), "AL1", "H1"),
)
"""Robots on legs, by their names in MuJoCo Menagerie."""

_GRAVITY_M_PER_S2 = 9.81


def _standing(robot: Robot) -> Family | None:
    """Return the family of a robot of which only its stance is known; None where it has none.

    How fast it walks follows from its height: animals that move alike have equal Froude numbers, speed squared over
    gravity times the height of their legs (R. McNeill Alexander, "The gaits of bipedal and quadrupedal animals", 1984).
    """
    stance = robot.stance
    if stance is None or not QUOTABLE.fullmatch(stance.body):
        return None
    pace = math.sqrt(_GRAVITY_M_PER_S2 * stance.height_m)
    walk, run = (max(0.1, round(share * pace, 1)) for share in (0.3, 0.9))
    return _on_legs(legged("robot", stance.body, stance.height_m, walk=walk, run=run))


def family_of(robot: Robot) -> Family | None:
    """Return the family of a robot, told by its names of bodies and joints, or else by how it stands.

    None for a robot the library does not know.
    """
    names = {body.name for body in robot.bodies} | {joint.name for joint in robot.joints}
    # What stands was uploaded: an arm's names in it do not make it an arm.
    standing = _standing(robot)
    candidates = ON_LEGS if standing else (*FAMILIES, *ON_LEGS)
    return next((family for family in candidates if family.marks <= names), standing)
