"""What conditions do when rewritten source is traced: Python's own way where they are known, and `jnp.where` where not.

A condition is known unless it is an array: comparisons of names, loop variables, shapes and constants are. Only the way
that is taken is computed then. Of an array nothing is known before the robot moves, so that both ways are computed and
one is kept, element by element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from tabrl_simulation.rewards.internals import BOTH, CHOOSE, EITHER, KNOWN, NEGATION, OTHERWISE, POSSIBLE

__all__ = ["ChoiceRefused", "choices"]

Way = Callable[[], Any]


class ChoiceRefused(Exception):
    """What hangs on the condition cannot be kept or left at every step; the message says what it is."""


def choices() -> dict[str, Any]:
    """Return what rewritten source calls, by its names."""
    return {
        CHOOSE: _choose,
        BOTH: _both,
        EITHER: _either,
        NEGATION: _negation,
        POSSIBLE: _possible,
        OTHERWISE: _otherwise,
        KNOWN: _known,
    }


def _choose(condition: Any, then: Way, otherwise: Way) -> Any:
    if not isinstance(condition, jax.Array):
        return then() if condition else otherwise()
    return _merged(_truth(condition), then(), otherwise())


def _both(first: Any, *others: Way) -> Any:
    value = first
    for other in others:
        if isinstance(value, jax.Array):
            further = other()
            truths = _is_truth(value) and _is_truth(further)
            value = jnp.logical_and(value, further) if truths else _merged(_truth(value), further, value)
        elif not value:
            return value
        else:
            value = other()
    return value


def _either(first: Any, *others: Way) -> Any:
    value = first
    for other in others:
        if isinstance(value, jax.Array):
            further = other()
            truths = _is_truth(value) and _is_truth(further)
            value = jnp.logical_or(value, further) if truths else _merged(_truth(value), value, further)
        elif value:
            return value
        else:
            value = other()
    return value


def _negation(value: Any) -> Any:
    return jnp.logical_not(_truth(value)) if isinstance(value, jax.Array) else not value


def _possible(condition: Any) -> bool:
    return isinstance(condition, jax.Array) or bool(condition)


def _otherwise(condition: Any) -> bool:
    return isinstance(condition, jax.Array) or not condition


def _known(condition: Any) -> bool:
    if isinstance(condition, jax.Array):
        raise ChoiceRefused(
            "what hangs on this condition changes a list or a dict or leaves elements out, and the condition is known "
            "only while the robot moves"
        )
    return bool(condition)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, jax.Array) and value.dtype == jnp.bool_)


def _truth(value: jax.Array) -> jax.Array:
    """Return where Python would see a true value: NaN is one."""
    return value if _is_truth(value) else value != 0


def _merged(condition: jax.Array, then: Any, otherwise: Any) -> Any:
    """Return `then` where the condition holds; of dicts and sequences, the same for each element."""
    if isinstance(then, jax.Array | int | float) and isinstance(otherwise, jax.Array | int | float):
        return jnp.where(condition, then, otherwise)
    if isinstance(then, dict) and isinstance(otherwise, dict):
        if then.keys() != otherwise.keys():
            differing = ", ".join(sorted(map(str, then.keys() ^ otherwise.keys())))
            raise ChoiceRefused(f"both ways of a condition need the same keys; only one has {differing}")
        return {key: _merged(condition, value, otherwise[key]) for key, value in then.items()}
    if isinstance(then, list | tuple) and type(then) is type(otherwise) and len(then) == len(otherwise):
        return type(then)(_merged(condition, *pair) for pair in zip(then, otherwise, strict=True))
    if isinstance(then, str) and then == otherwise:
        return then
    kinds = " and ".join(sorted({type(then).__name__, type(otherwise).__name__}))
    raise ChoiceRefused(f"the condition is known only while the robot moves; it cannot choose between values ({kinds})")
