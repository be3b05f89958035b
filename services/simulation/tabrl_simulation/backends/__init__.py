"""Physics backends: MuJoCo C, MJX-JAX and MJX-Warp behind one interface.

Importing this package is cheap. `collector.make_collector` brings in what the chosen backend needs.
"""

from tabrl_simulation.backends.choice import MJX, MUJOCO_C, NAMES, WARP, BackendUnavailable, has_gpu, require
from tabrl_simulation.backends.collector import Collector, make_collector

__all__ = [
    "MJX",
    "MUJOCO_C",
    "NAMES",
    "WARP",
    "BackendUnavailable",
    "Collector",
    "has_gpu",
    "make_collector",
    "require",
]
