"""What is counted while environments are driven, between two updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["EpisodeTally", "nothing"]


class EpisodeTally(NamedTuple):
    """Sums over what happened since the last update; each [], float32.

    Attributes:
        episodes: episodes that ended and had begun at their first step.
        survived: those of them that the environment did not end before their time.
        terminated: episodes that the environment ended, whether they had begun at their first step or not.
        steps: control steps in the episodes.
        returns: sum of their returns.
        term_returns: sum of their returns by term, weights applied.
        rewards: sum of all rewards, finished episode or not.
        diverged: control steps after which physics had no finite state left.
        bad_terms: control steps, by term, at which a reward term of a finite state was not finite.
    """

    episodes: jax.Array
    survived: jax.Array
    terminated: jax.Array
    steps: jax.Array
    returns: jax.Array
    term_returns: dict[str, jax.Array]
    rewards: jax.Array
    diverged: jax.Array
    bad_terms: dict[str, jax.Array]


def nothing(terms: Sequence[str]) -> EpisodeTally:
    """Returns the tally of nothing."""
    zero = jnp.zeros(())
    zeros = dict.fromkeys(terms, zero)
    return EpisodeTally(
        episodes=zero,
        survived=zero,
        terminated=zero,
        steps=zero,
        returns=zero,
        term_returns=zeros,
        rewards=zero,
        diverged=zero,
        bad_terms=zeros,
    )
