"""Plays and unpacks bundles here, by the player as a process of its own: it needs MuJoCo, and this program does not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tabrl_cli.connection import UsageError
from tabrl_cli.errors import EXIT_INTERRUPTED

__all__ = ["play"]

_MISSING = (
    "Playing needs the package tabrl-play with MuJoCo and onnxruntime, which is not installed. In a clone of "
    "TabRL, `make install` brings it; beside a tabrl elsewhere, `pip install ./players/python` there does."
)


def play(path: Path, options: Sequence[str]) -> int:
    """Starts the player on a bundle with options of its own; returns its exit status.

    Raises:
        UsageError: the player is not installed.
    """
    if importlib.util.find_spec("tabrl.play") is None:
        raise UsageError(_MISSING)
    try:
        return subprocess.run([sys.executable, "-m", "tabrl.play", str(path), *options], check=False).returncode
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
