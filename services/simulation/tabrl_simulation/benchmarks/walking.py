"""Whether a controller walks: ten seconds on MuJoCo C, judged by how the robot moves and never by its reward."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation.motion.recording import SECS, SETTLED_AFTER_SECS

if TYPE_CHECKING:
    import mujoco
    import numpy as np
    from numpy.typing import NDArray
    from tabrl.play.player import Controller

__all__ = ["SECS", "SETTLED_AFTER_SECS", "Walk", "draw", "follows", "walk", "walk_from_each_start"]

_UPRIGHT: Final = 0.7
_HEIGHT_SHARE: Final = 0.5
_SPEED_TOLERANCE_M_PER_S: Final = 0.1
_PICTURES: Final = 6
_PICTURE_SIZE: Final = (240, 320)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Ten seconds of one robot.

    Attributes:
        fell_after_secs: when the environment ended the episode, or the base tilted by more than 45 degrees or sank
            below half the height it started from; None if it never did.
        forward_m_per_s: mean speed along the base's x axis, projected on the ground, from two seconds on.
        sideways_m_per_s: the same along its y axis.
    """

    fell_after_secs: float | None
    forward_m_per_s: float
    sideways_m_per_s: float


def follows(walks: Sequence[Walk], speed_m_per_s: float) -> bool:
    """Tells whether none fell, and all went forwards within 0.1 m/s of a speed, and no faster than that sideways."""
    return all(
        walk.fell_after_secs is None
        and abs(walk.forward_m_per_s - speed_m_per_s) <= _SPEED_TOLERANCE_M_PER_S
        and abs(walk.sideways_m_per_s) <= _SPEED_TOLERANCE_M_PER_S
        for walk in walks
    )


def walk_from_each_start(
    controller: Controller, model: mujoco.MjModel, base: str, held: Mapping[str, NDArray[np.float32]] | None = None
) -> list[Walk]:
    """Walks from each of the reset states that the controller's manifest names; arguments as for `walk`."""
    return [walk(controller, model, base, held, reset=index) for index in range(len(controller.manifest.resets))]


def walk(
    controller: Controller,
    model: mujoco.MjModel,
    base: str,
    held: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    reset: int = 0,
    on_tick: Any = lambda _time_secs, _data: None,
) -> Walk:
    """Lets a controller drive MuJoCo C for ten seconds.

    Args:
        controller: what drives.
        model: of the robot; it is not changed.
        base: name of the body that is to move.
        held: entries of the carry that stay as they are, such as a command.
        reset: number of the reset state to start from.
        on_tick: called with the simulated time, in seconds, and the MjData, at every control step.
    """
    from tabrl.play.player import Player

    player = Player(controller, model)
    forward, sideways = [], []
    fell_after_secs, start_height = None, None
    for tick in player.episode(reset=reset, held=held):
        body = player.data.body(base)
        turned = body.xmat.reshape(3, 3)
        start_height = start_height or float(body.xpos[2])
        on_tick(tick.time_secs, player.data)
        if tick.decision.done or turned[2, 2] < _UPRIGHT or body.xpos[2] < _HEIGHT_SHARE * start_height:
            fell_after_secs = tick.time_secs
            break
        if tick.time_secs >= SETTLED_AFTER_SECS:
            velocity = player.data.qvel[:2]
            forward.append(_along(turned[:2, 0], velocity))
            sideways.append(_along(turned[:2, 1], velocity))
        if tick.time_secs >= SECS:
            break
    return Walk(
        fell_after_secs=fell_after_secs,
        forward_m_per_s=statistics.fmean(forward) if forward else 0.0,
        sideways_m_per_s=statistics.fmean(sideways) if sideways else 0.0,
    )


def draw(
    controller: Controller,
    model: mujoco.MjModel,
    base: str,
    path: Path,
    held: Mapping[str, NDArray[np.float32]] | None = None,
) -> None:
    """Writes pictures of one walk, every tenth of a second from two seconds on, side by side as a PNG; none of a fall.

    Does nothing unless `MUJOCO_GL` says what draws, such as osmesa; other arguments as for `walk`.
    """
    if not os.environ.get("MUJOCO_GL"):
        return
    import mujoco
    import numpy as np
    from matplotlib import image

    camera = mujoco.MjvCamera()
    camera.distance, camera.azimuth, camera.elevation = 1.6 * max(0.8, float(model.stat.extent) / 2), 90.0, -12.0
    frames: list[NDArray[np.uint8]] = []
    with mujoco.Renderer(model, *_PICTURE_SIZE) as renderer:

        def picture(time_secs: float, data: mujoco.MjData) -> None:
            if len(frames) < _PICTURES and time_secs + 1e-6 >= SETTLED_AFTER_SECS + len(frames) / 10:
                camera.lookat = data.body(base).xpos
                camera.azimuth = 90.0 + math.degrees(math.atan2(*data.body(base).xmat.reshape(3, 3)[1::-1, 0]))
                renderer.update_scene(data, camera)
                frames.append(renderer.render().copy())

        walk(controller, model, base, held, on_tick=picture)
    if frames:
        image.imsave(path, np.concatenate(frames, axis=1))


def _along(axis: NDArray[np.float64], velocity: NDArray[np.float64]) -> float:
    length = math.hypot(*axis)
    return float(axis @ velocity) / length if length > 0 else 0.0
