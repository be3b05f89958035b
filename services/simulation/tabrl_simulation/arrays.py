"""The mjData arrays that rewards and controllers may read, in the layout MJX gives them.

MuJoCo C keeps rotation matrices flat, as `(n, 9)`, and computes in float64; MJX keeps them as `(n, 3, 3)` and computes
in float32. Environments, rewards and controllers are written against MJX, so whoever feeds them from MuJoCo C reads
through this module.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mujoco

__all__ = ["READABLE", "STATE", "read", "read_batch", "shapes"]

Shape = tuple[int, ...]

# Each array with its shape for one environment: a name stands for that count of the model, a number for itself.
_LAYOUT: Final[dict[str, tuple[str | int, ...]]] = {
    "time": (),
    "qpos": ("nq",),
    "qvel": ("nv",),
    "act": ("na",),
    "ctrl": ("nu",),
    "mocap_pos": ("nmocap", 3),
    "mocap_quat": ("nmocap", 4),
    "xfrc_applied": ("nbody", 6),
    "qacc": ("nv",),
    "sensordata": ("nsensordata",),
    "xpos": ("nbody", 3),
    "xquat": ("nbody", 4),
    "xmat": ("nbody", 3, 3),
    "xipos": ("nbody", 3),
    "xanchor": ("njnt", 3),
    "xaxis": ("njnt", 3),
    "geom_xpos": ("ngeom", 3),
    "geom_xmat": ("ngeom", 3, 3),
    "site_xpos": ("nsite", 3),
    "site_xmat": ("nsite", 3, 3),
    "subtree_com": ("nbody", 3),
    "cvel": ("nbody", 6),
    "ten_length": ("ntendon",),
    "actuator_length": ("nu",),
    "actuator_force": ("nu",),
    "qfrc_actuator": ("nv",),
}

READABLE: Final[tuple[str, ...]] = tuple(_LAYOUT)
"""The mjData arrays that rewards and controllers may read: fields of MjData, `mjx.Data` and `mujoco.batch.Batch`."""

STATE: Final[tuple[str, ...]] = ("qpos", "qvel", "act", "ctrl", "mocap_pos", "mocap_quat")
"""The arrays that, written before `mj_forward`, decide all the others."""


def shapes(model: mujoco.MjModel) -> dict[str, Shape]:
    """Returns the shape each readable array has for one environment.

    An array of which the model has nothing (such as `act` without activations) is there with a zero in its shape.
    """
    return {
        name: tuple(axis if isinstance(axis, int) else int(getattr(model, axis)) for axis in layout)
        for name, layout in _LAYOUT.items()
    }


def read(data: mujoco.MjData, names: Iterable[str] = READABLE) -> dict[str, NDArray[np.float32]]:
    """Copies the named arrays out of one simulation, as float32 in the layout of `shapes`.

    Raises:
        KeyError: a name is not in READABLE.
    """
    return {name: _laid_out(name, getattr(data, name), 0) for name in names}


def read_batch(batch: Any, names: Iterable[str] = READABLE) -> dict[str, NDArray[np.float32]]:
    """Copies the named arrays out of a `mujoco.batch.Batch`, as float32; the first axis counts the simulations.

    A Batch fills only the arrays that were bound before its last step, so read (or bind) the same names once before it.

    Raises:
        KeyError: a name is not in READABLE.
    """
    return {name: _laid_out(name, batch.bind(name), 1) for name in names}


def _laid_out(name: str, values: Any, batch_axes: int) -> NDArray[np.float32]:
    layout = _LAYOUT[name]
    copied = np.array(values, dtype=np.float32)
    if layout[1:] == (3, 3):
        return copied.reshape(*copied.shape[: batch_axes + 1], 3, 3)
    return copied
