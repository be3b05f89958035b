"""Names of files that are given away, of names that a stranger may have chosen."""

from __future__ import annotations

import re

__all__ = ["file_stem"]


def file_stem(name: str) -> str:
    """Returns a name with a dash for each character that a file system, a header or a shell might obey."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)
