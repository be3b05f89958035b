"""Which of a model's keyframes is home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import mujoco

__all__ = ["home_keyframe"]

_HOME_NAMES: Final = ("home", "standing", "stand")


def home_keyframe(model: mujoco.MjModel) -> str:
    """Returns the name of the keyframe that is home: by its name, else the first that has one; empty for none."""
    names = [model.key(index).name for index in range(model.nkey)]
    return next((name for name in _HOME_NAMES if name in names), next((name for name in names if name), ""))
