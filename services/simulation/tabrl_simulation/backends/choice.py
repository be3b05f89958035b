"""Which physics trains: MuJoCo C on the processor, MJX-JAX or MJX-Warp on a GPU; imports nothing heavy."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

__all__ = ["MJX", "MUJOCO_C", "NAMES", "WARP", "BackendUnavailable", "candidates", "has_gpu", "require"]

MUJOCO_C: Final = "mujoco-c"
MJX: Final = "mjx"
WARP: Final = "warp"

NAMES: Final[tuple[str, ...]] = (MUJOCO_C, MJX, WARP)
"""Names of the backends: MuJoCo C, MJX-JAX, MJX-Warp."""

_CUDA_PLUGINS: Final = ("jax_cuda12_plugin", "jax_cuda13_plugin")
_WITHOUT_A_GPU: Final = (
    "install `jax[cuda13]` on a machine that has one, or train with mujoco-c, the fastest on a processor"
)
# On Linux, and on Linux within Windows.
_NVIDIA_DRIVERS: Final = (Path("/dev/nvidiactl"), Path("/dev/dxg"))


class BackendUnavailable(RuntimeError):
    """The physics asked for cannot be had here.

    Attributes:
        backend: what was asked for.
        remedy: what to do.
    """

    def __init__(self, backend: str, problem: str, remedy: str) -> None:
        """Says what is missing, and what to do."""
        self.backend = backend
        self.remedy = remedy
        super().__init__(f"The physics backend {backend[:50]!r} cannot be had: {problem}; {remedy}")


def require(backend: str) -> None:
    """Makes sure that a backend can be had on this machine, without starting jax.

    Raises:
        BackendUnavailable: there is no such backend, or it needs what is not here.
    """
    if backend not in NAMES:
        raise BackendUnavailable(backend, "there is no such backend", f"take one of {', '.join(NAMES)}")
    if backend == WARP and not _has_warp():
        raise BackendUnavailable(WARP, "warp-lang is not installed", "run `uv pip install warp-lang`")
    if backend == WARP and not has_gpu():
        raise BackendUnavailable(WARP, "no NVIDIA GPU that jax could use is here", _WITHOUT_A_GPU)


def has_gpu() -> bool:
    """Tells, without starting jax, whether it would find an NVIDIA GPU: the driver is there, and jax's part for it."""
    has_driver = any(driver.exists() for driver in _NVIDIA_DRIVERS)
    return has_driver and any(importlib.util.find_spec(plugin) for plugin in _CUDA_PLUGINS)


def candidates(wanted: str | None) -> tuple[str, ...]:
    """Returns the backends to try, the best one first. Starts jax to look for a GPU, unless MuJoCo C is wanted.

    Args:
        wanted: name of the one to take; None for whichever suits this machine.

    Raises:
        BackendUnavailable: the one that is wanted does not exist, or needs what is not here.
    """
    if wanted is not None:
        require(wanted)
        if wanted == WARP and not _jax_has_gpu():
            raise BackendUnavailable(WARP, "jax does not see the NVIDIA GPU", _WITHOUT_A_GPU)
        return (wanted,)
    if not _jax_has_gpu():
        return (MUJOCO_C,)
    return (WARP, MJX, MUJOCO_C) if _has_warp() else (MJX, MUJOCO_C)


def _has_warp() -> bool:
    return importlib.util.find_spec("warp") is not None


def _jax_has_gpu() -> bool:
    if not has_gpu():
        return False
    import jax

    # What an environment variable such as JAX_PLATFORMS=cpu hides is not there.
    return any(device.platform == "gpu" for device in jax.devices())
