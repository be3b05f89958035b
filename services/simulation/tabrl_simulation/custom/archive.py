"""What a person uploads, a zip or a single XML file, as named files; and what of it is refused before it is read.

Nothing is ever written under a name that an archive gives. Sizes are counted while unpacking, whatever the archive's
own table says of them.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

__all__ = ["MOST_BYTES", "SceneRefused", "main_folder", "open_upload"]

MOST_BYTES: Final = 64 << 20
"""Bytes of an upload at most."""

_MOST_FILES: Final = 2_000
_MOST_UNPACKED_BYTES: Final = 256 << 20
_MOST_RATIO: Final = 200
_RATIO_COUNTS_FROM_BYTES: Final = 1 << 20
_LONGEST_PATH: Final = 240
_CHUNK: Final = 1 << 16
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass
class SceneRefused(Exception):
    """An upload cannot become a scene.

    Attributes:
        reason: which rule it breaks, such as `FILE_MISSING`.
        message: what is wrong and what to do.
        file: the file of the upload that it is about; empty for the upload as a whole.
        line: the line in it; 0 for the whole file.
    """

    reason: str
    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        """Returns the place and the message."""
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}: {self.message}" if place else self.message


def open_upload(content: bytes, source: str) -> dict[str, bytes]:
    """Returns the files of an upload by path.

    Args:
        content: the upload.
        source: its file name, for an upload that is one XML file.

    Raises:
        SceneRefused: ARCHIVE_UNREADABLE, ARCHIVE_PATH or ARCHIVE_TOO_LARGE; the message names the file.
    """
    if len(content) > MOST_BYTES:
        raise _too_large(f"the upload has {len(content):,} bytes; {MOST_BYTES:,} can be had")
    if source.lower().endswith(".zip") and not content.startswith(_ZIP) and not content.lstrip().startswith(b"<"):
        raise SceneRefused("ARCHIVE_UNREADABLE", f"{source[-100:]} is no zip; pack the scene anew")
    if not content.startswith(_ZIP):
        name = PurePosixPath(source.replace("\\", "/")).name or "scene.xml"
        return {name if name.lower().endswith(".xml") else "scene.xml": content}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _unpacked(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as e:
        raise SceneRefused("ARCHIVE_UNREADABLE", f"the zip cannot be read ({e}); pack it anew") from e


def main_folder(files: Mapping[str, bytes], main: str) -> dict[str, bytes]:
    """Returns the files by their path as seen from the folder of `main`."""
    folder = PurePosixPath(main).parent
    found = {}
    for path, content in files.items():
        away = PurePosixPath(path)
        up = 0
        base = folder
        while not away.is_relative_to(base):
            base, up = base.parent, up + 1
        found[str(PurePosixPath(*[".."] * up, away.relative_to(base)))] = content
    return found


def _unpacked(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > _MOST_FILES:
        raise _too_large(f"the zip has {len(entries):,} files; {_MOST_FILES:,} can be had")
    files: dict[str, bytes] = {}
    total = 0
    for entry in entries:
        path = _safe_path(entry)
        if PurePosixPath(path).parts[0] == "__MACOSX" or PurePosixPath(path).name == ".DS_Store":
            continue
        if path in files:
            raise SceneRefused("ARCHIVE_PATH", "the zip has two files of this name; keep one", path)
        files[path] = _content(archive, entry, path, _MOST_UNPACKED_BYTES - total)
        total += len(files[path])
    return files


def _safe_path(entry: zipfile.ZipInfo) -> str:
    """Returns the path of an entry; refuses what could lead anywhere else than into the archive."""
    name = entry.filename
    shown = name[:100]
    path = PurePosixPath(name)
    mode = entry.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "no plain file"
        raise SceneRefused("ARCHIVE_PATH", f"it is {kind}; put the file itself into the zip", shown)
    if path.is_absolute() or "\\" in name or (len(name) > 1 and name[1] == ":"):
        raise SceneRefused("ARCHIVE_PATH", "its path is absolute; pack the scene's folder with relative paths", shown)
    if ".." in path.parts:
        raise SceneRefused("ARCHIVE_PATH", "its path leads out of the zip; pack the scene's folder as it is", shown)
    if len(name) > _LONGEST_PATH or not path.parts or not name.isprintable():
        raise SceneRefused("ARCHIVE_PATH", f"its path is too long (over {_LONGEST_PATH}) or has odd characters", shown)
    if entry.flag_bits & 1:
        raise SceneRefused("ARCHIVE_UNREADABLE", "it is encrypted; pack the zip without a password", shown)
    return str(path)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str, left: int) -> bytes:
    read = bytearray()
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            read += chunk
            if len(read) > left:
                raise _too_large(f"the zip unpacks to more than {_MOST_UNPACKED_BYTES:,} bytes", path)
            if len(read) > max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * entry.compress_size):
                raise _too_large(f"it unpacks to over {_MOST_RATIO} times its packed size", path)
    return bytes(read)


def _too_large(message: str, file: str = "") -> SceneRefused:
    return SceneRefused("ARCHIVE_TOO_LARGE", f"{message}; leave out what the scene does not need", file)
