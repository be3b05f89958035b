"""Shaping functions of the reward language, and stand-ins for Python's builtins that understand traced arrays.

`tolerance` follows dm_control's `rewards.tolerance` (Tassa et al. 2018, arXiv:1801.00690), with 0.1 at the margin.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["LoopTooLong", "namespace"]

_VALUE_AT_MARGIN = 0.1
_LONGEST_LOOP = 1024


class LoopTooLong(Exception):
    """The loops of the source together run more often than a reward may."""


def tolerance(x: Any, lower: Any, upper: Any, margin: Any = 0.0, sigmoid: str = "gaussian") -> jax.Array:
    """Return 1 between the bounds, and outside a value that falls with the distance in units of the margin.

    Args:
        x: A quantity, any shape.
        lower: Lower bound.
        upper: Upper bound, not below the lower.
        margin: Distance at which 0.1 is left (0 for `linear`); a margin of 0 gives a hard edge.
        sigmoid: `gaussian`, `long_tail` or `linear`.

    Raises:
        ValueError: another sigmoid.
    """
    value = jnp.asarray(x, jnp.float32)
    outside = jnp.maximum(jnp.maximum(lower - value, value - upper), 0.0)
    if isinstance(margin, int | float) and margin <= 0:
        return jnp.where(outside > 0, 0.0, 1.0)
    return _falling(sigmoid)(outside / margin)


def near(x: Any, target: Any, margin: Any) -> jax.Array:
    """Return 1 at the target and 0.1 at a distance of margin, with a tail that still points the way from far off."""
    return tolerance(x, target, target, margin, "long_tail")


def at_least(x: Any, bound: Any, margin: Any) -> jax.Array:
    """Return 1 from the bound upwards, falling in a line to 0 at bound - margin."""
    return _falling("linear")(jnp.maximum(bound - jnp.asarray(x, jnp.float32), 0.0) / margin)


def at_most(x: Any, bound: Any, margin: Any) -> jax.Array:
    """Return 1 up to the bound, falling in a line to 0 at bound + margin."""
    return _falling("linear")(jnp.maximum(jnp.asarray(x, jnp.float32) - bound, 0.0) / margin)


def _falling(sigmoid: str) -> Callable[[jax.Array], jax.Array]:
    if sigmoid == "gaussian":
        rate = math.log(_VALUE_AT_MARGIN)
        return lambda ratio: jnp.exp(rate * ratio * ratio)
    if sigmoid == "long_tail":
        scale = 1.0 / _VALUE_AT_MARGIN - 1.0
        return lambda ratio: 1.0 / (1.0 + scale * ratio * ratio)
    if sigmoid == "linear":
        return lambda ratio: jnp.maximum(1.0 - ratio, 0.0)
    raise ValueError(f"tolerance knows the sigmoids gaussian, long_tail and linear, not {sigmoid!r}")


def namespace() -> dict[str, Any]:
    """Return the names that traced source may call beside `jnp`; loops share one budget of steps."""
    steps = 0

    def bounded_range(*bounds: int) -> tuple[int, ...]:
        nonlocal steps
        values = builtins.range(*bounds)
        # A range may be longer than Python can say.
        steps += builtins.len(values[: _LONGEST_LOOP + 1])
        if steps > _LONGEST_LOOP:
            raise LoopTooLong(f"the loops run more than {_LONGEST_LOOP} times")
        return builtins.tuple(values)

    plain = {name: getattr(builtins, name) for name in ("dict", "len", "list", "tuple")}
    # In Python these are used up when they are read once, and the next to read them would find nothing.
    plain |= {name: _whole(getattr(builtins, name)) for name in ("enumerate", "reversed", "zip")}
    shaped = {"tolerance": tolerance, "near": near, "at_least": at_least, "at_most": at_most}
    numbers = {"abs": jnp.abs, "max": _extreme(jnp.max), "min": _extreme(jnp.min), "sum": _sum, "round": jnp.round}
    casts = {"float": _cast(builtins.float, jnp.float32), "int": _cast(builtins.int, jnp.int32), "range": bounded_range}
    return plain | shaped | numbers | casts


def _whole(iterator: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    def whole(*values: Any, **options: Any) -> tuple[Any, ...]:
        return builtins.tuple(iterator(*values, **options))

    return whole


def _extreme(reduce: Callable[[Any], Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        operands = list(values[0]) if builtins.len(values) == 1 else values
        if builtins.all(isinstance(value, int | float) for value in operands):
            return builtins.max(operands) if reduce is jnp.max else builtins.min(operands)
        result = operands[0]
        pairwise = jnp.maximum if reduce is jnp.max else jnp.minimum
        for value in operands[1:]:
            result = pairwise(result, value)
        return result

    return extreme


def _sum(values: Any, start: Any = 0) -> Any:
    return jnp.sum(values) + start if isinstance(values, jax.Array) else builtins.sum(values, start)


def _cast(plain: Callable[[Any], Any], dtype: Any) -> Callable[[Any], Any]:
    return lambda value: jnp.asarray(value, dtype) if isinstance(value, jax.Array) else plain(value)
