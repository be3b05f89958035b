"""Many simulations of one model on MJX-JAX or MJX-Warp: physics as a pure function of a few arrays.

`N` is the number of simulations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import jax
import jax.numpy as jnp
from mujoco import mjx
from mujoco_playground._src import mjx_env

from tabrl_simulation import arrays
from tabrl_simulation.backends import choice

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.environments import Environment

__all__ = ["DevicePhysics", "Physical"]

# The state of simulations by mjData name, each [N, ...]: all that outlives a control step. MJX computes the rest anew.
Physical = dict[str, jax.Array]

_AT_REST: Final = ("xfrc_applied", "qacc_warmstart", "time")
_IMPLEMENTATION: Final = {choice.MJX: "jax", choice.WARP: "warp"}
# Playground gives MJX-Warp room for the contacts of all its environments together; it trains at least this many.
_PLAYGROUND_ENVS: Final = 2048
_MOST_ROWS_OF_EQUALITY: Final = 6


class DevicePhysics:
    """The physics of one environment, on whichever device jax computes on.

    Attributes:
        backend: which one.
        model: MJX's model. It is an argument of what is traced, as a constant of its own would slow compiling.
    """

    def __init__(self, environment: Environment, *, backend: str, count: int) -> None:
        """Puts the model on the device.

        Args:
            environment: whose model.
            backend: `choice.MJX` or `choice.WARP`.
            count: simulations, `N`, to make room for.

        Raises:
            BackendUnavailable: the backend does not have all that the model needs.
        """
        self.backend = backend
        implementation = _IMPLEMENTATION[backend]
        try:
            self.model = _uncommitted(_put(environment.model, implementation))
            self._blank: mjx.Data = mjx.make_data(
                environment.model, impl=implementation, **_room(environment, implementation, count)
            )
        except NotImplementedError as error:
            raise choice.BackendUnavailable(
                backend, f"it lacks what {environment.id} needs ({error})", f"train with {choice.MUJOCO_C}"
            ) from error
        self._steps = environment.physics_steps_per_control

    def at(self, state: dict[str, jax.Array]) -> Physical:
        """Returns simulations in a state of `arrays.STATE`, each [n, ...], at rest in everything it does not name."""
        count = state["qpos"].shape[0]
        given = {name: state[name].reshape(count, *getattr(self._blank, name).shape) for name in arrays.STATE}
        rest = {name: jnp.zeros((count, *getattr(self._blank, name).shape), jnp.float32) for name in _AT_REST}
        return given | rest

    def run(self, model: mjx.Model, physical: Physical, names: Sequence[str]) -> tuple[Physical, dict[str, jax.Array]]:
        """Steps every simulation through a control period with the ctrl that it holds; traceable.

        Args:
            model: the model, or one of the same structure.
            physical: simulations.
            names: of `arrays.READABLE`, to return as they are straight after the last physics step.

        Returns:
            The simulations after it, and the named arrays, each [N, ...], float32.
        """

        def one(physical: Physical) -> tuple[Physical, dict[str, jax.Array]]:
            data = self._blank.replace(**physical)
            data = mjx_env.step(model, data, physical["ctrl"], self._steps)
            return _read(data, physical), _read(data, names)

        results: tuple[Physical, dict[str, jax.Array]] = jax.vmap(one)(physical)
        return results


def _uncommitted(model: mjx.Model) -> mjx.Model:
    """Undoes the model's binding to a device, which results would inherit: their first use would compile again."""
    free: mjx.Model = jax.tree.map(jnp.asarray, jax.device_get(model))
    return free


def _read(data: mjx.Data, names: Any) -> dict[str, jax.Array]:
    return {name: jnp.asarray(getattr(data, name), jnp.float32) for name in names}


def _put(model: mujoco.MjModel, implementation: str) -> mjx.Model:
    put = mjx.put_model(model, impl=implementation)
    if implementation == "warp":
        # Playground's models stop their solvers early on purpose; MJX-Warp would print a line each time.
        from mujoco.mjx.third_party.mujoco_warp import OverflowType

        told = put.opt._impl.warn_overflow & ~(OverflowType.ITERATIONS | OverflowType.LS_ITERATIONS)
        put = put.tree_replace({"opt._impl.warn_overflow": int(told)})
    return put


def _room(environment: Environment, implementation: str, count: int) -> dict[str, int]:
    """Returns how many contacts and constraints MJX-Warp, which wants to know, is to have room for."""
    if implementation != "warp":
        return {}
    config = getattr(environment.playground, "_config", {})
    contacts, constraints = config.get("naconmax"), config.get("njmax")
    if contacts is None or constraints is None:
        # Without limits given, it makes room for one simulation by what the model looks like.
        return {"naconmax": mjx.make_data(environment.model, impl="warp")._impl.naconmax * count}
    # Playground leaves no room for Reacher's joint limits, which then do not hold.
    constraints = max(constraints, _constraints_without_contacts(environment.model))
    return {"naconmax": math.ceil(contacts / _PLAYGROUND_ENVS) * count, "njmax": constraints}


def _constraints_without_contacts(model: mujoco.MjModel) -> int:
    """Returns how many constraints of a model may hold at once where nothing touches."""
    limited = model.jnt_limited.sum() + model.tendon_limited.sum()
    friction = (model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum()
    return int(limited + friction + _MOST_ROWS_OF_EQUALITY * model.neq)
