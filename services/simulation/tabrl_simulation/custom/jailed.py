"""A throwaway process that reads one upload from inside the jail: `python -I -m tabrl_simulation.custom.jailed`.

It gives up files, imports MuJoCo and compiles a small scene with it, gives up the rest, and only then reads: from its
standard input a request (JSON, its length before it) and the upload, to the end. It answers on its standard output:
JSON with its length before it, then the scene's files, in the order and of the lengths that the JSON says.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation.rewards.diagnostics import JailUnavailable
from tabrl_simulation.rewards.jail import confine_calls, confine_files

if TYPE_CHECKING:
    from tabrl_simulation.custom.inspection import Inspected

__all__ = ["LENGTH", "main"]

LENGTH: Final = struct.Struct("<I")
"""How the length before a JSON object is written."""

_MEMORY_BYTES: Final = 4 << 30
_PROCESSOR_SECS: Final = 40
_PARENT_DEATH_SIGNAL: Final = 1

_WARM_SCENE: Final = """<mujoco>
  <asset><mesh name="m" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/></asset>
  <worldbody>
    <body name="b"><joint name="j"/><geom type="mesh" mesh="m"/></body>
    <body name="c" pos="3 0 0"><joint/><geom type="mesh" mesh="m"/></body>
  </worldbody>
  <actuator><position joint="j" ctrlrange="-1 1"/></actuator>
</mujoco>"""


def main() -> int:
    """Serves one request and returns the exit status."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    # Answers leave through a descriptor of our own: whatever a library prints goes nowhere.
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        confine_files()
        inspect = _prepare()
        confine_calls(memory_above_present=_MEMORY_BYTES, processor_secs=_PROCESSOR_SECS)
    except JailUnavailable as e:
        _send(answers, {"unavailable": str(e)})
        return 1
    fields, files = inspect()
    _send(answers, fields, files)
    return 0


def _prepare() -> Any:
    """Imports and tries all that reading an upload needs; returns what reads one."""
    import mujoco

    from tabrl_simulation.custom import inspection
    from tabrl_simulation.custom.archive import SceneRefused
    from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig

    mujoco.set_mju_user_warning(lambda _text: None)
    inspection.inspect_upload(_WARM_SCENE.encode(), "warm.xml")

    def inspect() -> tuple[dict[str, Any], list[bytes]]:
        stream = sys.stdin.buffer
        request = json.loads(stream.read(LENGTH.unpack(stream.read(LENGTH.size))[0]))
        content = stream.read()
        try:
            config = None if request["config"] is None else SceneConfig.from_dict(request["config"])
            found = inspection.inspect_upload(content, request["source"], main=request["main"], config=config)
        except SceneRefused as e:
            return {"refused": {"reason": e.reason, "message": e.message, "file": e.file, "line": e.line}}, []
        except InvalidSceneConfig as e:
            return {"invalid": {"field": e.field, "remedy": e.remedy}}, []
        except MemoryError:
            message = f"reading it takes more than {_MEMORY_BYTES >> 30} GiB; simplify its meshes"
            return {"refused": {"reason": "SCENE_TOO_HEAVY", "message": message, "file": "", "line": 0}}, []
        return _answer(found)

    return inspect


def _answer(found: Inspected) -> tuple[dict[str, Any], list[bytes]]:
    fields = {"config": found.config.to_dict(), "facts": dict(found.facts), "assets": list(found.assets)}
    return fields, [found.xml.encode(), *found.assets.values()]


def _send(descriptor: int, fields: dict[str, Any], files: list[bytes] | None = None) -> None:
    files = files or []
    text = json.dumps({**fields, "lengths": [len(file) for file in files]}).encode()
    for data in (LENGTH.pack(len(text)), text, *files):
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    sys.exit(main())
