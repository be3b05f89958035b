"""Plays a robot in MuJoCo's own viewer, as fast as time passes."""

from __future__ import annotations

import time

import numpy as np
from tabrl.play.manifest import Manifest
from tabrl.play.player import Player, Values

__all__ = ["show"]


def show(
    player: Player,
    manifest: Manifest,
    *,
    first_reset: int,
    held: Values,
    noise: np.random.Generator | None,
    secs: float | None,
) -> None:
    """Plays episode after episode, each from the next reset state, until the window is closed.

    Args:
        player: the robot.
        manifest: what it is played by.
        first_reset: number of the reset state to start from.
        held: entries of the carry that stay at these values.
        noise: draws for the environment's own noise; None for none of it.
        secs: simulated time after which the next episode starts; None for whole episodes.
    """
    import mujoco.viewer

    with mujoco.viewer.launch_passive(player.data.model, player.data) as viewer:
        reset = first_reset
        while viewer.is_running():
            begin = time.monotonic()
            for tick in player.episode(reset=reset % len(manifest.resets), noise=noise, held=held):
                viewer.sync()
                if not viewer.is_running() or (secs is not None and tick.time_secs >= secs):
                    break
                time.sleep(max(0.0, begin + tick.time_secs - time.monotonic()))
            reset += 1
