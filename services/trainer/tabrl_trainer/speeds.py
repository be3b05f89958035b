"""Speeds of training each environment with its default settings, measured on two processors.

Estimates start from them until this machine has runs of its own. `make bench` measures them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Speed:
    """Seconds from the start of the worker until it learns, and control steps per second from then on."""

    startup_secs: float
    env_steps_per_sec: float


DEFAULT_SPEEDS: Final[dict[str, Speed]] = {}
