"""Which OpenGL draws off screen here: to be known before MuJoCo is imported, and a wrong guess may end a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

__all__ = ["NoOpenGLError", "off_screen"]

_TRIED: Final = ("egl", "osmesa")
_PROBE: Final = "import mujoco; mujoco.GLContext(8, 8).make_current()"
_PROBE_SECS: Final = 60.0


class NoOpenGLError(RuntimeError):
    """Nothing can be drawn on this machine; the message says what to install."""


def off_screen(environment: Mapping[str, str] | None = None) -> str:
    """Returns what `MUJOCO_GL` must be to draw without a display; some seconds, for it tries each in a process.

    Args:
        environment: variables of that process; None for this one's. `MUJOCO_GL` among them is tried alone.

    Raises:
        NoOpenGLError: none works here.
    """
    variables = dict(os.environ if environment is None else environment)
    given = variables.get("MUJOCO_GL", "")
    for name in (given,) if given else _TRIED:
        if _works({**variables, "MUJOCO_GL": name}):
            return name
    tried = f"{given} does not work" if given else f"neither {' nor '.join(_TRIED)} works"
    raise NoOpenGLError(
        "Nothing can be drawn here: neither a graphics card nor software that MuJoCo could draw with was found "
        f"({tried}). On Debian and Ubuntu, `apt install libegl1 libgl1-mesa-dri` or "
        "`apt install libosmesa6` helps. `--headless` plays without drawing."
    )


def _works(variables: Mapping[str, str]) -> bool:
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], env=dict(variables), capture_output=True, timeout=_PROBE_SECS, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0
