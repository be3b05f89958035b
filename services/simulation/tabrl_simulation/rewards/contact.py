"""Which feet touch the ground, and for how long they have not; traceable, for any physics."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from tabrl_simulation.feet import TOUCHING_M, Foot

__all__ = ["air_times_after", "foot_height", "touches"]


def foot_height(foot: Foot, geom_xpos: jax.Array, geom_xmat: jax.Array) -> jax.Array:
    """Returns how high the lowest point of a foot is above z = 0, in m: below 0 where it presses into the ground.

    Args:
        foot: the foot.
        geom_xpos: where the geoms are, [ngeom, 3].
        geom_xmat: how they are turned, [ngeom, 3, 3].
    """
    lowest = [
        geom_xpos[geom.index, 2]
        - jnp.sum(jnp.abs(geom_xmat[geom.index, 2]) * jnp.asarray(geom.half_m, jnp.float32))
        - geom.radius_m
        for geom in foot.geoms
    ]
    return lowest[0] if len(lowest) == 1 else jnp.min(jnp.stack(lowest))


def touches(foot: Foot, geom_xpos: jax.Array, geom_xmat: jax.Array) -> jax.Array:
    """Returns whether a foot touches the ground, []; takes what `foot_height` takes."""
    return foot_height(foot, geom_xpos, geom_xmat) < TOUCHING_M


def air_times_after(
    feet: Sequence[Foot], air_time: jax.Array, geom_xpos: jax.Array, geom_xmat: jax.Array, period_secs: float
) -> jax.Array:
    """Returns how long each foot has been off the ground after a control step, [F] in s; 0 where it touches it.

    Args:
        feet: the feet, `F` of them.
        air_time: the same before the step.
        geom_xpos: where the geoms are after it, [ngeom, 3].
        geom_xmat: how they are turned then, [ngeom, 3, 3].
        period_secs: how long the step lasted.
    """
    touching = jnp.stack([touches(foot, geom_xpos, geom_xmat) for foot in feet])
    return jnp.where(touching, 0.0, air_time + period_secs)
