"""Has an upload read by a jailed process, and believes nothing of the answer but its shape.

MuJoCo's parser and its mesh and image readers are C code that was not written against enemies. So a file that nobody
has vouched for is read where nothing can be reached, and what comes back is MJCF that MuJoCo itself wrote.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from tabrl_simulation.custom.archive import SceneRefused
from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig
from tabrl_simulation.custom.jailed import LENGTH
from tabrl_simulation.rewards.diagnostics import JailUnavailable

__all__ = ["Examined", "examine"]

_LIMIT_SECS: Final = 90.0
_LONGEST_JSON: Final = 8 << 20
_LONGEST_FILES: Final = 320 << 20
_TOO_HEAVY: Final = "SCENE_TOO_HEAVY"
# What file systems take, and a scene is kept as files.
_LONGEST_NAME_BYTES: Final = 255
# No variable of the service's reaches the jail.
_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LANG": "C.UTF-8", "MUJOCO_GL": "disabled"}


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A scene that was read; see `inspection.Inspected`."""

    xml: str
    assets: Mapping[str, bytes]
    config: SceneConfig
    facts: Mapping[str, Any]


async def examine(content: bytes, source: str, *, main: str = "", config: SceneConfig | None = None) -> Examined:
    """Reads an upload in a jailed process of its own; a second or two, and more for large meshes.

    Args:
        content: a zip, or one XML file.
        source: its file name.
        main: the scene's file in the zip; empty to find it.
        config: of the environment; None for what suits the model.

    Raises:
        SceneRefused: it cannot become an environment; the error says why, and where.
        InvalidSceneConfig: the configuration does not fit the model.
        JailUnavailable: this machine cannot make the jail.
    """
    request = {"source": source, "main": main, "config": None if config is None else config.to_dict()}
    head = json.dumps(request).encode()
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        *("nice", "-n", "5", sys.executable, "-I", "-m", "tabrl_simulation.custom.jailed"),
        stdin=pipe,
        stdout=pipe,
        stderr=nothing,
        cwd="/",
        env={**_ENVIRONMENT, "PATH": os.environ.get("PATH", _ENVIRONMENT["PATH"])},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LIMIT_SECS):
            _, answer = await asyncio.gather(
                _write(child, [LENGTH.pack(len(head)), head, content]), _read(child), return_exceptions=False
            )
    except TimeoutError as e:
        message = f"reading it takes more than {_LIMIT_SECS:g} s; take fewer bodies or simpler meshes"
        raise SceneRefused(_TOO_HEAVY, message) from e
    except (asyncio.IncompleteReadError, ValueError) as e:
        message = (
            "MuJoCo broke down reading it, or took more memory or time than it may; "
            "simplify it: fewer bodies, smaller or repaired meshes"
        )
        raise SceneRefused(_TOO_HEAVY, message) from e
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
    return _believed(*answer)


async def _write(child: asyncio.subprocess.Process, parts: list[bytes]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):  # a child that is gone shows where its answer is read
        for part in parts:
            child.stdin.write(part)
            await child.stdin.drain()
        child.stdin.close()


async def _read(child: asyncio.subprocess.Process) -> tuple[dict[str, Any], list[bytes]]:
    assert child.stdout is not None
    (length,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
    if length > _LONGEST_JSON:
        raise ValueError("the answer is too long")
    fields = json.loads(await child.stdout.readexactly(length))
    lengths = [int(size) for size in fields["lengths"]]
    if min(lengths, default=0) < 0 or sum(lengths) > _LONGEST_FILES:
        raise ValueError("the answer is too long")
    return fields, [await child.stdout.readexactly(size) for size in lengths]


def _believed(fields: dict[str, Any], files: list[bytes]) -> Examined:
    if "unavailable" in fields:
        raise JailUnavailable(str(fields["unavailable"])[:500])
    if "refused" in fields:
        given = fields["refused"]
        place = str(given["file"])[:200], int(given["line"])
        raise SceneRefused(str(given["reason"])[:60], str(given["message"])[:2000], *place)
    if "invalid" in fields:
        raise InvalidSceneConfig(str(fields["invalid"]["field"])[:200], str(fields["invalid"]["remedy"])[:2000])
    names = [str(name) for name in fields["assets"]]
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise SceneRefused("FILE_OUTSIDE", f"the scene names {name[:100]}, which leads out of its folder")
        if any(len(part.encode()) > _LONGEST_NAME_BYTES for part in path.parts):
            message = f"the name of this file has more than {_LONGEST_NAME_BYTES} bytes; give it a shorter one"
            raise SceneRefused("ARCHIVE_PATH", message, name[:100])
    return Examined(
        xml=files[0].decode(),
        assets=dict(zip(names, files[1:], strict=True)),
        config=SceneConfig.from_dict(fields["config"]),
        facts=fields["facts"],
    )
