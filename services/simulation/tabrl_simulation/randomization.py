"""Domain randomization: what differs between simulations in the model itself, as Playground's authors chose it.

Playground randomizes an MJX model: friction, masses, gains and the like get a leading axis. The very same numbers
become per-simulation model fields of MuJoCo C here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import jax
    import mujoco

    from tabrl_simulation.environments import Environment

__all__ = ["Randomization", "randomization", "randomized"]


@dataclass(frozen=True)
class Randomization:
    """A model with what differs between its simulations."""

    model: mujoco.MjModel
    """What to make the simulations of: it moves as the environment's model does."""
    fields: Mapping[str, NDArray[np.float32]]
    """Values by the name of the MjModel field, each [N, ...], for `physics.Simulations.randomize`; maybe none."""


def randomized(environment_id: str) -> bool:
    """Returns whether Playground randomizes the model of an environment."""
    return _randomizer(environment_id) is not None


def randomization(environment: Environment, keys: jax.Array) -> Randomization:
    """Draws what differs between simulations; nothing for an environment that Playground does not randomize.

    Args:
        environment: the environment.
        keys: PRNG keys, [N, 2], uint32.
    """
    import jax

    randomize = _randomizer(environment.id)
    if randomize is None:
        return Randomization(environment.model, {})
    own = environment.playground.mjx_model
    model, _ = randomize(own, keys)
    # The axes that it returns too do not tell an axis of 0 from a count of 0.
    drawn = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
    drawn = {name: value for name, value in drawn.items() if value is not getattr(own, name)}
    fields = {name: np.asarray(value, np.float32) for name, value in jax.device_get(drawn).items()}
    return Randomization(_with_movable_masses(environment, fields), fields)


def _with_movable_masses(environment: Environment, fields: Mapping[str, NDArray[np.float32]]) -> mujoco.MjModel:
    """Returns the model in a form in which the centers of mass may move that `fields` move.

    Where a body's center of mass lies in its joint, MuJoCo C compiles a short cut for it, and refuses to move the one
    away from the other later.
    """
    import mujoco

    from tabrl_simulation import bundle

    own = environment.model
    moved = np.any(fields.get("body_ipos", own.body_ipos[None]) != own.body_ipos.astype(np.float32), axis=(0, 2))
    fixed = np.flatnonzero(moved & (own.body_simple != 0))
    if not len(fixed):
        return own
    files = bundle.scene_bundle(environment)
    specification = mujoco.MjSpec.from_string(files.xml, assets=dict(files.assets))
    for body in fixed:
        specification.body(own.body(body).name).simple = False
    return specification.compile()


def _randomizer(environment_id: str) -> Callable[..., Any] | None:
    from mujoco_playground import registry

    with contextlib.redirect_stdout(io.StringIO()):  # it tells the user where there is none
        found: Callable[..., Any] | None = registry.get_domain_randomizer(environment_id)
    return found
