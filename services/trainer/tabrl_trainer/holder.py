"""Who a Trainer is among those that share a database: the same after each start from its data folder."""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path

__all__ = ["Holder"]


class Holder:
    """A name that one process at a time goes by.

    It is kept in a file, so that a Trainer that starts again may take up its own runs at once. A second process with
    the same folder takes a name of its own, which nobody goes by after it.
    """

    def __init__(self, folder: Path) -> None:
        """Take the name in the folder, or make one."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / "holder", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.name = f"trainer-{uuid.uuid4().hex[:16]}"
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        kept = os.pread(self._file, 100, 0).decode(errors="replace").strip()
        if kept.startswith("trainer-") and len(kept) == len(self.name):
            self.name = kept
        else:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, self.name.encode(), 0)

    def close(self) -> None:
        """Let another process go by the name."""
        os.close(self._file)
