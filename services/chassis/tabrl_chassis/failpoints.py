"""Named points in the code at which a test ends the process, as the kernel or a lost machine would.

`TABRL_FAILPOINT=trainer.attempt_begun:2` kills (SIGKILL) the process that comes to the point the second time.
`TABRL_FAILPOINT_FILE` names a file that it makes just before, and that disarms the point for every process once it is
there. Without the variables a point costs a comparison. Imports only the standard library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading

__all__ = ["reach"]

_NAME, _, _COUNT = os.environ.get("TABRL_FAILPOINT", "").partition(":")
_remaining = int(_COUNT or 1)
_lock = threading.Lock()


def reach(name: str) -> None:
    """Come to a point; return unless it is the one at which this process is to end."""
    if name != _NAME:
        return
    global _remaining  # noqa: PLW0603  one count for the process, as there is one point
    with _lock:
        _remaining -= 1
        if _remaining != 0:
            return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(os.environ["TABRL_FAILPOINT_FILE"], os.O_CREAT | os.O_EXCL))
        os.kill(os.getpid(), signal.SIGKILL)
