"""Recommends how a behaviour is best come by, by how long the person has to wait for it."""

from __future__ import annotations

from typing import Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.library.lexicon import TITLES
from tabrl_rewardgen.library.reading import read

__all__ = ["recommended"]

_COMMANDED: Final = frozenset({"walk", "run", "turn", "spin", "sideways", "stand", "still"})
"""Behaviours that a velocity command says whole: where to go, how fast, and which way to turn."""


def recommended(prompt: str, robot: Robot, *, trained_before: bool = False) -> rewardgen_pb2.TierRecommendation:
    """Return the tier for a behaviour of a robot, with the reason.

    Args:
        prompt: the behaviour in the person's words.
        robot: whose behaviour.
        trained_before: whether a policy was trained for the reward that this one improves on.
    """
    wish = read(prompt)
    behaviours = wish.concepts & TITLES.keys()
    if robot.command_size and behaviours and behaviours <= _COMMANDED and not wish.left_out:
        reason = (
            "This robot's own task is to follow commanded velocities, which is all that is asked: a policy that was "
            "trained for it does this when commanded, without more training."
        )
        return rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_COMMAND, reason=reason)
    if trained_before:
        reason = "It changes a reward that a policy was trained for: going on from that policy takes about a minute."
        return rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_FINE_TUNE, reason=reason)
    reason = "No policy here does anything like it yet, so training begins anew."
    return rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_FULL, reason=reason)
