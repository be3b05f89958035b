"""Whether a controller can be played here: by this MuJoCo, on this model. Others look like a policy that falls."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from tabrl.play.manifest import Manifest, ModelSizes, VersionRange

if TYPE_CHECKING:
    import mujoco

__all__ = ["ControllerError", "check", "sizes_of"]


class ControllerError(ValueError):
    """A controller cannot be run as asked.

    Attributes:
        field: the input, output or entry of the manifest concerned, by its name there.
    """

    def __init__(self, field: str, message: str) -> None:
        """Names what is wrong, and where."""
        self.field = field
        super().__init__(f"{field}: {message}")


def check(manifest: Manifest, model: mujoco.MjModel, *, mujoco_version: str) -> None:
    """Refuses a MuJoCo or a model that the controller was not made for; what the manifest leaves unsaid is not checked.

    Raises:
        ControllerError: names the entry of the manifest, what it says and what is here.
    """
    versions = manifest.mujoco_versions
    if not _within(mujoco_version, versions):
        raise ControllerError(
            "mujoco_versions",
            f"made for MuJoCo {versions.minimum} to below {versions.below}; this is {mujoco_version}. "
            "Install one of those, or export the policy again.",
        )
    if manifest.model is None:
        return
    expected, found = asdict(manifest.model), asdict(sizes_of(model))
    for name, value in expected.items():
        if found[name] != value:
            raise ControllerError(
                f"model.{name}",
                f"the controller was made for {value}, this model has {found[name]}: it is of another scene. "
                "Load the scene that the manifest names.",
            )


def sizes_of(model: mujoco.MjModel) -> ModelSizes:
    """Returns what a manifest says of a model."""
    return ModelSizes(
        nq=int(model.nq),
        nv=int(model.nv),
        nu=int(model.nu),
        na=int(model.na),
        nbody=int(model.nbody),
        nsensordata=int(model.nsensordata),
        nmocap=int(model.nmocap),
        timestep_secs=float(model.opt.timestep),
    )


def _within(version: str, versions: VersionRange) -> bool:
    low, high = versions.minimum, versions.below
    return (not low or _numbers(version) >= _numbers(low)) and (not high or _numbers(version) < _numbers(high))


def _numbers(version: str) -> tuple[int, ...]:
    """Returns 3.17.0 as (3, 17, 0); what follows the numbers, as in 3.17.0rc1, is left out."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
