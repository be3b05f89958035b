"""A throwaway process that reads and plays one bundle in the jail: `python -I -m tabrl_exporter.jailed_trial`.

It gives up files, loads MuJoCo, onnx and onnxruntime and plays an honest bundle with them, gives up the rest, and only
then reads a bundle from its standard input, to the end. It answers with one JSON object on its standard output.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tabrl_simulation.rewards.diagnostics import JailUnavailable
from tabrl_simulation.rewards.jail import confine_calls, confine_files

__all__ = ["main"]

_MEMORY_BYTES: Final = 3 << 30
_PROCESSOR_SECS: Final = 60
_PARENT_DEATH_SIGNAL: Final = 1


def main() -> int:
    """Serves one request and returns the exit status."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    # The answer leaves through a descriptor of our own: whatever a library prints goes nowhere.
    answer = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        confine_files(_player())
        try_bundle = _prepare()
        confine_calls(memory_above_present=_MEMORY_BYTES, processor_secs=_PROCESSOR_SECS)
    except JailUnavailable as error:
        _send(answer, {"unavailable": str(error)})
        return 1
    _send(answer, try_bundle(sys.stdin.buffer.read()))
    return 0


def _player() -> Path:
    """Returns the folder from which `tabrl.play` is imported; importing it already would start threads."""
    found = importlib.util.find_spec("tabrl.play")
    if found is None or found.origin is None:
        raise JailUnavailable("the package tabrl.play is not installed")
    return Path(found.origin).parents[2]


def _prepare() -> Callable[[bytes], dict[str, Any]]:
    """Loads and tries all that a trial needs; returns what makes one."""
    import mujoco
    from tabrl.play.bundle import BundleError, read_bundle, write_bundle
    from tabrl.play.sample import sample_contents
    from tabrl.play.trial import try_out

    mujoco.set_mju_user_warning(lambda _text: None)
    try_out(read_bundle(write_bundle(sample_contents())))

    def try_bundle(content: bytes) -> dict[str, Any]:
        try:
            try_out(read_bundle(content))
        except BundleError as error:
            return {"refused": {"rule": error.rule, "message": error.message, "file": error.file}}
        except MemoryError:
            message = f"playing it takes more than {_MEMORY_BYTES >> 30} GiB"
            return {"refused": {"rule": "TRIAL_TOO_HEAVY", "message": message, "file": ""}}
        return {"passed": True}

    return try_bundle


def _send(descriptor: int, fields: dict[str, Any]) -> None:
    view = memoryview(json.dumps(fields).encode())
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    sys.exit(main())
