"""Loads only those parts of jax2onnx that convert plain jax operations.

On first use jax2onnx imports every converter it has, examples for Equinox, Flax and others included, and some of those
compile models while they are imported: 8 s of processor time. Operations that are already lowered to `lax` need none
of them.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["load_lax_plugins"]


def load_lax_plugins() -> None:
    """Register the converters of `jax.lax` and `jax.core`, and keep jax2onnx from importing the others."""
    from jax2onnx.plugins import plugin_system

    if plugin_system._already_imported_plugins:
        return
    plugins = Path(plugin_system.__file__).parent
    for family in ("core", "lax"):
        plugin_system._import_tree(plugins / "jax" / family, f"jax2onnx.plugins.jax.{family}")
    plugin_system._already_imported_plugins = True
