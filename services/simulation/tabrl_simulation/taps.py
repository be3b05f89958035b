"""Standing between a Playground environment and its physics.

Environments reach physics only through `mjx_env.make_data`, `mjx.forward` and `mjx_env.step`. While `tapped` is in
force those three functions answer from a `Physics` of ours, in the thread that asked for it alone; every other thread
goes on with the real ones.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import jax
    import mujoco
    from mujoco import mjx

__all__ = ["Physics", "are_in_force", "blank_data", "tapped"]

_LOCK: Final = threading.RLock()
_depth: Final = threading.local()

# Rotation matrices, which MuJoCo C keeps flat.
_MATRICES: Final = frozenset({"xmat", "ximat", "geom_xmat", "site_xmat", "cam_xmat"})


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What answers an environment in place of MJX.

    Attributes:
        forward: takes data, returns it with every derived array computed.
        step: takes data, ctrl of shape [nu] and a number of physics steps; returns the data after them.
    """

    forward: Callable[[mjx.Data], mjx.Data]
    step: Callable[[mjx.Data, jax.Array, int], mjx.Data]


@contextlib.contextmanager
def tapped(physics: Physics) -> Iterator[None]:
    """Answers this thread's environments from `physics` until the block is left, by whatever way."""
    from mujoco import mjx
    from mujoco_playground._src import mjx_env

    owner = threading.get_ident()

    def routed(original: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return (ours if threading.get_ident() == owner else original)(*args, **kwargs)

        return call

    replacements: list[tuple[Any, str, Callable[..., Any]]] = [
        (mjx, "forward", lambda _model, data: physics.forward(data)),
        (mjx, "step", lambda _model, data: physics.step(data, data.ctrl, 1)),
        (mjx_env, "step", lambda _model, data, action, n_substeps=1: physics.step(data, action, n_substeps)),
        (mjx_env, "make_data", _make_data),
    ]
    with _LOCK, contextlib.ExitStack() as undo:
        for module, name, ours in replacements:
            original = getattr(module, name)
            undo.callback(setattr, module, name, original)
            setattr(module, name, routed(original, ours))
        before = getattr(_depth, "value", 0)
        undo.callback(setattr, _depth, "value", before)
        _depth.value = before + 1
        yield


def are_in_force() -> bool:
    """Returns whether this thread's environments are answered by a `Physics` of ours just now."""
    return getattr(_depth, "value", 0) > 0


def blank_data(model: mujoco.MjModel) -> mjx.Data:
    """Returns data of the model's default state in MJX's layout, with its derived arrays not yet computed.

    It holds the public arrays only, read off MuJoCo C: what MJX keeps beside them is for its own physics, and MJX
    refuses to make it for models with features that only MuJoCo C has.
    """
    import jax.numpy as jnp
    import mujoco
    import numpy as np
    from mujoco import mjx

    default = mujoco.MjData(model)

    def array(name: str) -> jax.Array:
        value = np.asarray(getattr(default, name))
        if name in _MATRICES:
            value = value.reshape(-1, 3, 3)
        return jnp.asarray(value, bool if name == "eq_active" else jnp.float32)

    names = [name for name in mjx.Data.__dataclass_fields__ if not name.startswith("_")]
    return mjx.Data(**{name: array(name) for name in names}, _impl=None)


def _make_data(model: mujoco.MjModel, **given: Any) -> mjx.Data:
    """Stands in for `mjx_env.make_data`, whose buffer sizes are of no use to MuJoCo C."""
    import jax.numpy as jnp

    data = blank_data(model)
    for name in ("qpos", "qvel", "ctrl", "act", "mocap_pos", "mocap_quat"):
        if given.get(name) is not None:
            data = data.replace(**{name: jnp.reshape(given[name], getattr(data, name).shape)})
    return data
