"""What a reward is given beside the state of the moment: what was before, and what it is told.

`N` is the number of environments, `A` the size of an action, `F` the number of feet.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from tabrl_simulation.feet import find_feet
from tabrl_simulation.rewards import contact
from tabrl_simulation.rewards.inputs import AIR_TIME, COMMAND, PREVIOUS_ACTION

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["Memory", "RewardMemory"]


class Memory(NamedTuple):
    """What a reward remembers of the steps before in this episode; None what it does not ask for.

    Attributes:
        action: the action of the control step before, [N, A]; 0 in the first.
        air_time: how long each foot has been off the ground, [N, F], s.
    """

    action: jax.Array | None
    air_time: jax.Array | None


class RewardMemory:
    """Keeps what the inputs of one reward ask for in one environment; its methods are traceable."""

    def __init__(self, environment: Environment, inputs: Collection[str]) -> None:
        """Keeps for a reward with these `inputs`, as `rewards.inputs` names them."""
        self._inputs = inputs
        self._action_size = environment.action_size
        self._period_secs = environment.control_period_secs
        self._feet = find_feet(environment.model) if AIR_TIME in inputs else ()

    def nothing(self, count: int) -> Memory:
        """Returns what is remembered at the beginning of `count` episodes."""
        return Memory(
            action=jnp.zeros((count, self._action_size)) if PREVIOUS_ACTION in self._inputs else None,
            air_time=jnp.zeros((count, len(self._feet))) if AIR_TIME in self._inputs else None,
        )

    def after(self, memory: Memory, action: jax.Array, data: Mapping[str, jax.Array]) -> Memory:
        """Returns what is remembered after a control step with `action`, [N, A], that led to `data`, each [N, ...]."""
        air_time = memory.air_time
        if air_time is not None:
            after = functools.partial(contact.air_times_after, self._feet, period_secs=self._period_secs)
            air_time = jax.vmap(after)(air_time, data["geom_xpos"], data["geom_xmat"])
        return Memory(None if memory.action is None else action, air_time)

    def inputs(self, memory: Memory, data: Mapping[str, Any], carry: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the reward's inputs by name, each [N, ...].

        Args:
            memory: what it remembers of the steps before.
            data: arrays after the step, and those before it under `before.<name>`.
            carry: the environment's, as it was before the step.
        """
        remembered = {PREVIOUS_ACTION: memory.action, AIR_TIME: memory.air_time}
        known = {**data, **remembered, COMMAND: carry.get(COMMAND)}
        return {name: known[name] for name in self._inputs}
