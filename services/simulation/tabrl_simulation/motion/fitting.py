"""Whether a check can be computed for a robot, known before anything is trained for it."""

from __future__ import annotations

import numpy as np

from tabrl_simulation.motion.checks import Check, CheckError
from tabrl_simulation.motion.recording import SECS, Recording
from tabrl_simulation.rewards.robot import Robot

__all__ = ["require_fits"]


def require_fits(check: Check, robot: Robot) -> None:
    """Makes sure that a check compares something of the motion, and names and computes only what there is.

    All of it is computed, also what stands behind a false part, on a robot that does not move.

    Raises:
        CheckError: as `Check.holds`.
    """
    if not check.judged(_motionless(robot)).sides:
        raise CheckError(f"{check.text!r} compares nothing of the motion, as in mean(up('torso')) > 0.9")


def _motionless(robot: Robot) -> Recording:
    samples, bodies = round(SECS / robot.control_period_secs), len(robot.bodies)
    still = np.zeros((samples, bodies, 3))
    joints = {joint.name: np.zeros(samples) for joint in robot.joints if joint.kind in {"hinge", "slide"}}
    return Recording(
        control_period_secs=robot.control_period_secs,
        survived=1.0,
        positions=still,
        rotations=np.broadcast_to(np.eye(3), (samples, bodies, 3, 3)),
        velocities=still,
        spins=still,
        joint_positions=joints,
        joint_velocities=joints,
        bodies={body.name: index for index, body in enumerate(robot.bodies) if body.name},
    )
