"""States to try a reward on: random ones, ones that look like a robot's, and the robot at rest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation.rewards.inputs import AIR_TIME, BEFORE, COMMAND, PREVIOUS_ACTION
from tabrl_simulation.rewards.robot import Joint, Robot

__all__ = ["KINDS", "sample_states"]

KINDS = ("at rest", "in motion", "in wild motion")
"""Kinds of states, from the first third of the samples to the last."""

Floats = NDArray[np.float32]


def sample_states(robot: Robot, count: int, seed: int = 0) -> tuple[dict[str, Floats], Floats]:
    """Return `count` states `{input: [count, ...]}` and actions `[count, action_size]`, all float32.

    They hold all that a program may read (`inputs.shapes`): the state before is another of the same kind.

    The first third is at rest with untouched orientation, the second moves moderately, the last wildly. Joints stay
    within their ranges, quaternions are units, rotation matrices are rotations and agree with the quaternions of
    `xquat`.
    """
    draw = np.random.default_rng(seed)
    third = count // 3
    pace = np.concatenate([np.zeros(third), np.ones(third), np.full(count - 2 * third, 8.0)])
    states = _arrays(robot, pace, draw)
    actions = np.tanh(draw.normal(size=(count, robot.action_size)) * pace[:, None])
    states |= {BEFORE + name: values for name, values in _arrays(robot, pace, draw).items()}
    states[PREVIOUS_ACTION] = np.tanh(draw.normal(size=(count, robot.action_size)) * pace[:, None])
    states[COMMAND] = draw.uniform(-1.0, 1.0, size=(count, robot.command_size))
    up = draw.random(size=(count, len(robot.feet))) < 0.5
    states[AIR_TIME] = np.where(up, draw.uniform(0.0, 0.5, size=up.shape), 0.0) * (pace[:, None] > 0)
    # Adding 0 turns -0 into 0: angles such as atan2(0, -0) would otherwise depend on a sign nothing gives a meaning to.
    return {name: np.asarray(values, np.float32) + 0.0 for name, values in states.items()}, actions.astype(np.float32)


def _arrays(robot: Robot, pace: Floats, draw: np.random.Generator) -> dict[str, Any]:
    arrays = {name: _array(robot, name, shape, pace, draw) for name, shape in robot.arrays.items()}
    if "xmat" in arrays and "xquat" in arrays:
        arrays["xmat"] = _matrices(arrays["xquat"])
    return arrays


def _array(  # noqa: PLR0911  a table of arrays
    robot: Robot, name: str, shape: tuple[int, ...], pace: Floats, draw: np.random.Generator
) -> Any:
    count = len(pace)
    scale = pace.reshape(-1, *(1,) * len(shape))
    noise = draw.normal(size=(count, *shape))
    if name == "time":
        return draw.uniform(0.0, 20.0, size=count) * (pace > 0)
    if name == "qpos":
        return _positions(robot, shape, pace, draw)
    if name.endswith("quat"):
        return _unit(np.array([1.0, 0.0, 0.0, 0.0]) + 0.3 * scale * noise)
    if name.endswith("mat"):
        turned = 0.3 * pace.reshape(-1, *(1,) * (len(shape) - 1)) * draw.normal(size=(count, *shape[:-2], 4))
        return _matrices(_unit(np.array([1.0, 0.0, 0.0, 0.0]) + turned))
    if name in ("xpos", "xipos", "xanchor", "geom_xpos", "site_xpos", "subtree_com", "mocap_pos"):
        places = draw.uniform(-0.5, 0.5, size=shape) + np.array([0.0, 0.0, 1.0])
        return places + 0.5 * scale * noise
    if name == "xaxis":
        return _unit(noise)
    if name in ("ten_length", "actuator_length", "sensordata"):
        return draw.uniform(-0.5, 0.5, size=shape) + scale * noise
    return scale * noise


def _positions(robot: Robot, shape: tuple[int, ...], pace: Floats, draw: np.random.Generator) -> Any:
    values = np.zeros((len(pace), *shape))
    for joint in robot.joints:
        start = joint.qpos_address
        if joint.kind in ("free", "ball"):
            offset = 3 if joint.kind == "free" else 0
            values[:, start : start + offset] = draw.normal(size=(len(pace), offset)) * pace[:, None] * 0.3
            turned = np.array([1.0, 0.0, 0.0, 0.0]) + 0.3 * pace[:, None] * draw.normal(size=(len(pace), 4))
            values[:, start + offset : start + offset + 4] = _unit(turned)
        else:
            values[:, start] = _within(joint, pace, draw)
    return values


def _within(joint: Joint, pace: Floats, draw: np.random.Generator) -> Any:
    low = -3.0 if joint.range_low is None else joint.range_low
    high = 3.0 if joint.range_high is None else joint.range_high
    home = min(max(0.0, low), high)
    return np.where(pace == 0, home, draw.uniform(low, high, size=len(pace)))


def _unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _matrices(quaternions: Any) -> Any:
    """Return rotation matrices `[..., 3, 3]` of unit quaternions `[..., 4]` (w, x, y, z)."""
    w, x, y, z = np.moveaxis(np.asarray(quaternions, np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
