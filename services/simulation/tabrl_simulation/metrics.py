"""What a training says about itself while it goes on; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tabrl_simulation.term_statistics import TermStatistics
from tabrl_simulation.term_warnings import TermWarning

__all__ = ["Metrics"]


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How training goes; the fields of `tabrl.trainer.v1.TrainingMetrics`.

    Attributes:
        env_steps: control steps so far, over all parallel environments.
        episode_return: mean return of the newest finished episodes, exploration noise included; None before the first.
        episode_length: mean length of those episodes in control steps; None before the first.
        term_returns: mean return of each reward term over those episodes, weights applied.
        policy_loss: of the last update.
        value_loss: of the last update.
        entropy: of the policy, in nats.
        kl: mean Kullback-Leibler divergence of the last update, in nats.
        env_steps_per_sec: since the metrics before.
        elapsed_secs: since `train` was called.
        remaining_secs: estimated until the final checkpoint, from the mean speed since `train` was called.
        projected_return: mean reward per control step of the newest rollouts times the episode length.
        survival: share of those episodes that the environment did not end before their time; None before the first.
        episode_share: mean length of those episodes as a share of a whole one; None before the first.
        term_statistics: how each reward term was, per control step, since the metrics before, weights applied.
        plateau_since_env_steps: control steps after which returns last improved; None while they do. See `plateau`.
        warnings: what is to be said about the reward's terms.
        gradient_norm: mean over the last update, before it is clipped.
        easier_until_env_steps: control steps until which the environment is easier than its own (see `curriculum`), and
            returns are of that easier one; None where it is its own.
    """

    env_steps: int
    episode_return: float | None
    episode_length: float | None
    term_returns: Mapping[str, float]
    policy_loss: float
    value_loss: float
    entropy: float
    kl: float
    env_steps_per_sec: float
    elapsed_secs: float
    remaining_secs: float
    projected_return: float
    survival: float | None = None
    episode_share: float | None = None
    term_statistics: Mapping[str, TermStatistics] = field(default_factory=dict)
    plateau_since_env_steps: int | None = None
    warnings: tuple[TermWarning, ...] = ()
    gradient_norm: float = 0.0
    easier_until_env_steps: int | None = None
