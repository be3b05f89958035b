"""Random draws as inputs: an exported graph has no random generator, so its player brings the numbers.

`jax.random.uniform` and its kin leave calls named `_uniform`, `_normal` and `_randint` in a jaxpr. Replacing those
calls leaves the keys unread, and dead-code elimination then removes every trace of the generator. Integers are drawn
from a uniform number; Bernoulli, exponential and choice are built on the three by JAX itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jax.numpy as jnp
import numpy as np

__all__ = ["DRAW_CALLS", "Draws"]

DRAW_CALLS: Final = frozenset({"_uniform", "_normal", "_randint"})
"""Names of the calls in a jaxpr that draw random numbers."""


@dataclass
class Draws:
    """Hands out slices of two vectors, `uniform` in [0, 1) and `normal`, in the order in which a trace draws.

    Without vectors it only counts: uniform draws are 0.5 and normal draws 0, which means none of the noise.
    """

    uniform: Any = None
    normal: Any = None
    uniform_count: int = field(default=0, init=False)
    normal_count: int = field(default=0, init=False)

    def replace(self, call: str, operands: Sequence[Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """Returns what the draw `call` would, made from the vectors.

        Args:
            call: one of DRAW_CALLS.
            operands: its operands: the key, then (but for `_normal`) the bounds.
            shape: shape of the result.
            dtype: element type of the result.
        """
        if call == "_normal":
            return self._take_normal(shape).astype(dtype)
        low, high = operands[1], operands[2]
        drawn = self._take_uniform(shape)
        if call == "_randint":
            low, high = jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32)
            return jnp.minimum(jnp.floor(low + drawn * (high - low)), high - 1).astype(dtype)
        return (low + drawn * (jnp.asarray(high) - low)).astype(dtype)

    def _take_uniform(self, shape: tuple[int, ...]) -> Any:
        start = self.uniform_count
        self.uniform_count += int(np.prod(shape))
        if self.uniform is None:
            return jnp.full(shape, 0.5, jnp.float32)
        return self.uniform[start : self.uniform_count].reshape(shape)

    def _take_normal(self, shape: tuple[int, ...]) -> Any:
        start = self.normal_count
        self.normal_count += int(np.prod(shape))
        if self.normal is None:
            return jnp.zeros(shape, jnp.float32)
        return self.normal[start : self.normal_count].reshape(shape)
