"""Trees of arrays by the paths of their leaves, as files keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

__all__ = ["flatten", "unflatten"]


def flatten(prefix: str, tree: Any) -> dict[str, NDArray[Any]]:
    """Names the arrays of a tree by their paths in it, such as `loop/tally/rewards`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_path(prefix, path): np.asarray(leaf) for path, leaf in leaves}


def unflatten(prefix: str, template: Any, arrays_by_path: Mapping[str, NDArray[Any]]) -> Any:
    """Builds the tree of `template`, of shapes and dtypes, from what `flatten` returned.

    Raises:
        KeyError: an array is missing.
        ValueError: an array is of another shape or dtype.
    """
    leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
    values = []
    for path, leaf in leaves:
        name = _path(prefix, path)
        value = arrays_by_path[name]
        if value.shape != leaf.shape or value.dtype != leaf.dtype:
            raise ValueError(f"{name} is {value.dtype}{value.shape}, not {leaf.dtype}{leaf.shape}")
        values.append(jnp.asarray(value))
    return jax.tree_util.tree_unflatten(treedef, values)


def _path(prefix: str, path: tuple[Any, ...]) -> str:
    keys = (getattr(key, "key", getattr(key, "name", getattr(key, "idx", key))) for key in path)
    return "/".join((prefix, *(str(key) for key in keys)))
