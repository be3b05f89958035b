"""What the machine has."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["memory_bytes"]

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def memory_bytes() -> int:
    """Return the memory that this process may use at most: the machine's, or less where a container limits it."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, ValueError):
        return min(installed, int(_CGROUP_LIMIT.read_text()))
    return installed
