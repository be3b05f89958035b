"""What the terms of a reward amount to, step by step: moments, gathered update by update.

Moments are an array, [6, T] for `T` terms, with a row for each of: samples, sum, sum of squares, sum of magnitudes,
least and greatest value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import jax

__all__ = ["ROWS", "TermStatistics", "merge", "moments", "no_moments", "shares", "statistics"]

ROWS: Final = 6
_SAMPLES, _SUM, _SQUARES, _MAGNITUDES, _LEAST, _GREATEST = range(ROWS)

Moments = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True)
class TermStatistics:
    """One reward term over some control steps, weights applied.

    Attributes:
        mean: per control step.
        std: standard deviation over control steps.
        share: part of the sum of all terms' magnitudes, from 0 to 1.
        least: smallest value.
        greatest: largest value.
    """

    mean: float
    std: float
    share: float
    least: float
    greatest: float


def no_moments(terms: int) -> NDArray[np.float32]:
    """Returns the moments of no samples, [6, terms]."""
    none = np.zeros((ROWS, terms), np.float32)
    none[_LEAST], none[_GREATEST] = np.inf, -np.inf
    return none


def moments(values: jax.Array) -> jax.Array:
    """Returns the moments of terms, [..., T], float32, over all axes but the last; traceable.

    Values that are not finite do not count.
    """
    import jax.numpy as jnp

    axes = tuple(range(values.ndim - 1))
    counts = jnp.isfinite(values)
    kept = jnp.where(counts, values, 0.0)
    return jnp.stack(
        [
            counts.sum(axes, dtype=jnp.float32),
            kept.sum(axes),
            (kept * kept).sum(axes),
            jnp.abs(kept).sum(axes),
            jnp.where(counts, values, jnp.inf).min(axes),
            jnp.where(counts, values, -jnp.inf).max(axes),
        ]
    )


def merge(one: Moments, other: Moments) -> NDArray[np.float64]:
    """Returns the moments of both together, in double precision."""
    merged = np.asarray(one, np.float64) + other
    merged[_LEAST] = np.minimum(one[_LEAST], other[_LEAST])
    merged[_GREATEST] = np.maximum(one[_GREATEST], other[_GREATEST])
    return merged


def shares(gathered: Moments) -> NDArray[np.float64]:
    """Returns each term's part of the sum of all magnitudes, [T]; zeros where all terms are zero."""
    magnitudes = np.asarray(gathered[_MAGNITUDES], np.float64)
    total = magnitudes.sum()
    return magnitudes / total if total > 0 else np.zeros_like(magnitudes)


def statistics(names: Sequence[str], gathered: Moments) -> Mapping[str, TermStatistics]:
    """Reads moments, [6, T]; without those terms of which there are no samples."""
    return {
        name: _statistics(column, share)
        for name, column, share in zip(names, gathered.T.astype(np.float64), shares(gathered), strict=True)
        if column[_SAMPLES]
    }


def _statistics(column: NDArray[np.float64], share: float) -> TermStatistics:
    samples, total, squares, _, least, greatest = (float(number) for number in column)
    mean = total / samples
    # Sums were taken in single precision: what is left of a difference of equal numbers is no deviation, and squares
    # of huge numbers are infinite. Neither can be larger than half the range.
    variance = squares / samples - mean * mean
    half_range = (greatest - least) / 2
    std = min(math.sqrt(max(variance, 0.0)), half_range) if math.isfinite(variance) else half_range
    return TermStatistics(mean=mean, std=std, share=float(share), least=least, greatest=greatest)
