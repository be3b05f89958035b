"""Fine-tuning: what a training keeps of a checkpoint that it starts from, and which checkpoints it can start from.

Importing this module is cheap; only `carry_over` brings in jax.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
from tabrl_simulation.settings import Settings

if TYPE_CHECKING:
    from tabrl_simulation.learner import LearnerState

__all__ = ["NetworkSizes", "carry_over", "fine_tuning_defaults", "network_sizes", "require_fits"]

EXPLORING_STD: Final = 1.0
"""Standard deviation of a fine-tuned policy's first actions, before tanh."""

_POLICY: Final = "learner/params/policy/params"


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of a policy network: of the observation, [O], of the action, [A], and of the layers between them."""

    observation: int
    action: int
    hidden_layers: tuple[int, ...]


def network_sizes(checkpoint: Checkpoint) -> NetworkSizes:
    """Returns the sizes of a checkpoint's policy network.

    Raises:
        CheckpointError: it holds none.
    """
    hidden = checkpoint.settings.hidden_layer_sizes
    try:
        first = checkpoint.arrays[f"{_POLICY}/hidden_0/kernel"]
        last = checkpoint.arrays[f"{_POLICY}/hidden_{len(hidden)}/bias"]
    except KeyError as e:
        raise CheckpointError(f"The checkpoint holds no policy network: {e} is missing") from e
    # Its outputs are a mean and a deviation for each number of the action.
    return NetworkSizes(first.shape[0], last.shape[0] // 2, hidden)


def require_fits(
    checkpoint: Checkpoint, *, observation_size: int, action_size: int, hidden_layer_sizes: tuple[int, ...]
) -> None:
    """Makes sure that a training with these sizes can go on from a checkpoint.

    Raises:
        CheckpointError: it cannot; the message says which size differs.
    """
    sizes = network_sizes(checkpoint)
    for name, theirs, ours in (
        ("observations", sizes.observation, observation_size),
        ("actions", sizes.action, action_size),
    ):
        if theirs != ours:
            raise CheckpointError(
                f"The checkpoint of {checkpoint.environment_id} has {name} of {theirs} numbers, "
                f"this training has {ours}"
            )
    if sizes.hidden_layers != hidden_layer_sizes:
        raise CheckpointError(
            f"The checkpoint's network has hidden layers of {_listed(sizes.hidden_layers)}, "
            f"the settings ask for {_listed(hidden_layer_sizes)}; leave hidden_layer_sizes out"
        )


def fine_tuning_defaults(defaults: Settings, checkpoint: Checkpoint) -> Settings:
    """Returns an environment's default settings as they are good for going on from a checkpoint: with its network."""
    return replace(defaults, hidden_layer_sizes=checkpoint.settings.hidden_layer_sizes)


def carry_over(fresh: LearnerState, checkpoint: Checkpoint) -> LearnerState:
    """Returns the state that a training starts from, made of a fresh one and what a checkpoint has learned.

    Kept: the policy's means, the value network, Adam's moments, and the statistics of observations, which go on moving
    for the first part of the training as in any other. Fresh: the statistics of returns, which are the new reward's
    alone; Adam's step size, which had shrunk to end the training before; and the policy's deviation, which had shrunk
    too: a policy that does not try anything finds out nothing (`EXPLORING_STD`, the same in every state). A walker that
    is to walk backwards learns it later with deviations of 0.5 and 0.25; tests/benchmarks/results/finetuning.md has
    the curves.

    Raises:
        CheckpointError: it does not fit.
    """
    from tabrl_simulation import learner, tree_paths

    try:
        learned = tree_paths.unflatten("learner", fresh, checkpoint.group("learner"))
    except (KeyError, ValueError) as e:
        raise CheckpointError(f"The checkpoint does not fit these settings: {e}") from e
    step_size = fresh.optimizer.hyperparams["learning_rate"]
    optimizer = learned.optimizer
    params = learned.params
    started: LearnerState = learned._replace(
        params=params.replace(
            policy=learner.with_deviation(params.policy, EXPLORING_STD, mean_scale=1.0, deviation_scale=0.0)
        ),
        optimizer=optimizer._replace(hyperparams={**optimizer.hyperparams, "learning_rate": step_size}),
        return_scale=fresh.return_scale,
        key=fresh.key,
    )
    return started


def _listed(sizes: tuple[int, ...]) -> str:
    return "-".join(str(size) for size in sizes)
