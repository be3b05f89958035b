"""How much memory a training takes, reckoned from its settings; imports nothing heavy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

from tabrl_simulation.settings import Settings

__all__ = ["TrainingMemory", "training_memory"]

_BYTES: Final = 4
# What a step keeps besides its observation: raw action and the distribution's two numbers for each number of the
# action, and reward, return, probability, two flags and the reward's terms.
_PER_ACTION: Final = 3
_BESIDES: Final = 20
# Rollouts are there as they were collected, stacked, laid out for the loss, and shuffled into minibatches.
_COPIES: Final = 6
# Outputs of every layer and their gradients, and what the loss makes of them.
_ACTIVATIONS: Final = 3
# Policy and value network: the weights, their gradient, Adam's two moments, and the next of all three.
_NETWORKS: Final = 2
_WEIGHTS: Final = 7
_PROCESS_BYTES: Final = 800 << 20
"""Of a worker that has loaded everything and compiled a small training (measured: 775 MiB)."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training takes, by what they are for; the names are those of the settings that decide them most."""

    num_envs: int
    num_minibatches: int
    hidden_layer_sizes: int

    @property
    def total(self) -> int:
        """All of it, with what every worker takes."""
        return _PROCESS_BYTES + self.num_envs + self.num_minibatches + self.hidden_layer_sizes

    @property
    def largest(self) -> str:
        """Setting that decides the largest part."""
        return max(vars(self), key=lambda name: int(vars(self)[name]))


def training_memory(settings: Settings, *, observation_size: int, action_size: int) -> TrainingMemory:
    """Returns what a training takes with physics on the processor, whose simulations are small beside the rest.

    Args:
        settings: of the training.
        observation_size: numbers of an observation.
        action_size: numbers of an action.
    """
    widths = (observation_size, *settings.hidden_layer_sizes, 2 * action_size)
    step = _BYTES * (observation_size + _PER_ACTION * action_size + _BESIDES)
    minibatch_steps = -(-settings.batch_steps // settings.num_minibatches)
    weights = sum(a * b + b for a, b in itertools.pairwise(widths))
    return TrainingMemory(
        num_envs=settings.batch_steps * step * _COPIES,
        num_minibatches=minibatch_steps * sum(widths) * _NETWORKS * _BYTES * _ACTIVATIONS,
        hidden_layer_sizes=weights * _NETWORKS * _BYTES * _WEIGHTS,
    )
