"""Recommends how a behaviour is best come by, by how long the person has to wait for it."""

from __future__ import annotations

import re
from typing import Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_simulation.rewards.robot import Robot

__all__ = ["recommended"]

# What a velocity command says whole: where to go, how fast, and which way to turn.
_GOING: Final = re.compile(
    r"\b(walk|walks|walking|trot|trots|trotting|stroll|go|move|run|running|turn|turning|spin|sideways|strafe|forwards?|"
    r"backwards?|left|right|faster|slower|stop|stand still|on the spot)\b"
)
_MORE: Final = re.compile(
    r"\b(dance\w*|danc\w*|wave|waving|jump\w*|hop\w*|bounc\w*|crouch\w*|squat\w*|handstand|flip\w*|somersault\w*|kneel\w*|"
    r"crawl\w*|reach\w*|touch\w*|nod\w*|wiggl\w*|like)\b"
)


def recommended(prompt: str, robot: Robot, *, improves: bool = False) -> rewardgen_pb2.TierRecommendation:
    """Return the tier for a behaviour of a robot, with the reason.

    Args:
        prompt: the behaviour in the person's words.
        robot: whose behaviour.
        improves: whether the reward goes on from an earlier one, whose policy training may go on from.
    """
    text = prompt.lower()
    if robot.command_size and _GOING.search(text) and not _MORE.search(text):
        reason = (
            "This robot's own task is to follow commanded velocities, which is all that is asked: a policy that was "
            "trained for it does this when commanded, without more training."
        )
        return rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_COMMAND, reason=reason)
    if improves:
        reason = "It changes a reward that a policy was trained for: going on from that policy takes about a minute."
        return rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_FINE_TUNE, reason=reason)
    reason = "No policy here does anything like it yet, so training begins anew."
    return rewardgen_pb2.TierRecommendation(tier=rewardgen_pb2.TIER_FULL, reason=reason)
