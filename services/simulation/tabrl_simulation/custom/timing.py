"""The clocks of a scene: how long a physics step takes, and how many make a control period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree

from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig

if TYPE_CHECKING:
    import mujoco

__all__ = ["physics_steps_per_control", "timed"]

_PERIOD_TOLERANCE_SECS: Final = 1e-6


def timed(xml: str, config: SceneConfig) -> str:
    """Returns a scene's MJCF with the physics timestep that the configuration asks for."""
    if not config.physics_timestep_secs:
        return xml
    root = ElementTree.fromstring(xml)
    option = root.find("option")
    if option is None:
        option = ElementTree.Element("option")
        root.insert(0, option)
    option.set("timestep", repr(config.physics_timestep_secs))
    return ElementTree.tostring(root, encoding="unicode")


def physics_steps_per_control(model: mujoco.MjModel, config: SceneConfig) -> int:
    """Returns how many physics steps make a control period.

    Args:
        model: the scene; its timestep counts where the configuration gives none.
        config: its configuration.

    Raises:
        InvalidSceneConfig: the period is not a whole number of them.
    """
    timestep = config.physics_timestep_secs or float(model.opt.timestep)
    steps = round(config.control_period_secs / timestep)
    if steps < 1 or abs(steps * timestep - config.control_period_secs) > _PERIOD_TOLERANCE_SECS:
        message = f"{config.control_period_secs:g} is not a whole number of physics steps of {timestep:g} s"
        raise InvalidSceneConfig("control_period_secs", f"{message}; try {max(1, steps) * timestep:.6g}")
    return steps
