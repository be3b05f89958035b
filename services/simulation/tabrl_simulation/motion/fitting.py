"""Whether a check can be computed for a robot, known before anything is trained for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tabrl_simulation.motion.checks import Check, CheckError
from tabrl_simulation.motion.recording import SECS, Recording
from tabrl_simulation.rewards.robot import Robot

__all__ = ["require_fits", "require_fits_names"]


def require_fits(check: Check, robot: Robot) -> None:
    """Makes sure that a check compares something of the motion, and names and computes only what the robot has.

    Raises:
        CheckError: as `Check.holds`.
    """
    require_fits_names(
        check,
        bodies=[body.name for body in robot.bodies],
        joints=[joint.name for joint in robot.joints if joint.kind in {"hinge", "slide"}],
        control_period_secs=robot.control_period_secs,
    )


def require_fits_names(
    check: Check, *, bodies: Sequence[str], joints: Sequence[str], control_period_secs: float
) -> None:
    """Makes sure of the same where only names are known.

    All of the check is computed, also what stands behind a false part, on a robot that does not move.

    Args:
        check: what is to be computed.
        bodies: names of all bodies in their order, the world first; empty for those without one.
        joints: names of the hinges and slides.
        control_period_secs: time between two samples.

    Raises:
        CheckError: as `Check.holds`.
    """
    if not check.judged(_motionless(bodies, joints, control_period_secs)).sides:
        raise CheckError(f"{check.text!r} compares nothing of the motion, as in mean(up('torso')) > 0.9")


def _motionless(bodies: Sequence[str], joints: Sequence[str], control_period_secs: float) -> Recording:
    samples = round(SECS / control_period_secs)
    still = np.zeros((samples, len(bodies), 3))
    angles = {joint: np.zeros(samples) for joint in joints}
    return Recording(
        control_period_secs=control_period_secs,
        survived=1.0,
        positions=still,
        rotations=np.broadcast_to(np.eye(3), (samples, len(bodies), 3, 3)),
        velocities=still,
        spins=still,
        joint_positions=angles,
        joint_velocities=angles,
        bodies={name: index for index, name in enumerate(bodies) if name},
    )
