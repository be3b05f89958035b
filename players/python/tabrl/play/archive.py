"""Zip files that nobody has vouched for, read entry by entry into memory.

A zip says everything twice: in its central directory, and before each entry. Readers that believe different halves see
different files, and entries may lie over each other so that few bytes unpack to many. So the only layout taken is the
plain one: entries one after the other from the first byte, both halves saying the same, the directory right behind
them, nothing after it. Sizes are counted while unpacking, whatever the directory says.
"""

from __future__ import annotations

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from tabrl.play.refusal import BundleError

__all__ = ["MOST_ENTRIES", "MOST_FILE_BYTES", "MOST_UNPACKED_BYTES", "is_safe_path", "pack", "unpack"]

MOST_FILE_BYTES: Final = 256 << 20
"""Bytes of a bundle at most."""
MOST_UNPACKED_BYTES: Final = 384 << 20
"""Bytes of all its entries at most."""
MOST_ENTRIES: Final = 1_000

_MOST_DIRECTORY_BYTES: Final = 1 << 20
_MOST_RATIO: Final = 200
_RATIO_COUNTS_FROM_BYTES: Final = 1 << 20
_LONGEST_PATH: Final = 200
_CHUNK: Final = 1 << 16
_END: Final = struct.Struct("<4s4H2LH")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_ZIP64_LOCATOR: Final = b"PK\x06\x07"
_ENCRYPTED: Final = 0x1 | 0x40 | 0x2000
_UTF8: Final = 0x800
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_WRITTEN: Final = (1980, 1, 1, 0, 0, 0)
_ANEW: Final = "make or fetch the bundle anew"
# What some file system obeys in a name, Windows' own devices among it.
_ODD_CHARACTERS: Final = frozenset('\\:*?"<>|')
_DEVICES: Final = frozenset(
    {
        *("con", "prn", "aux", "nul", "conin$", "conout$", "clock$"),
        *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"),
    }
)


def unpack(content: bytes) -> dict[str, bytes]:
    """Returns the entries of a zip by path.

    Raises:
        BundleError: FILE_TOO_LARGE, NOT_A_ZIP, ZIP_LAYOUT, TOO_MANY_ENTRIES, ENTRY_NAME, ENTRY_DUPLICATE, ENTRY_KIND,
            ENTRY_ENCRYPTED, ENTRY_COMPRESSION, UNPACKED_TOO_LARGE, RATIO or DAMAGED.
    """
    if len(content) > MOST_FILE_BYTES:
        raise BundleError("FILE_TOO_LARGE", f"it has {len(content):,} bytes; {MOST_FILE_BYTES:,} is the most")
    directory_starts = _directory(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            _check_layout(content, entries, directory_starts)
            return _contents(archive, entries)
    except UnicodeDecodeError as error:
        raise BundleError("ENTRY_NAME", "the name of an entry is no UTF-8") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError("NOT_A_ZIP", f"its zip cannot be read ({error}); {_ANEW}") from error


def pack(files: Mapping[str, bytes]) -> bytes:
    """Returns a zip of these files by path; the same files give the same bytes.

    Raises:
        BundleError: ENTRY_NAME, ENTRY_DUPLICATE, TOO_MANY_ENTRIES or FILE_TOO_LARGE: `unpack` would refuse it.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(path, _WRITTEN)
            # Pictures and videos are packed already.
            entry.compress_type = zipfile.ZIP_STORED if path.endswith(_PACKED_ALREADY) else zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[path], compresslevel=6)
        _check_entries(archive.infolist())
    if packed.tell() > MOST_FILE_BYTES:
        raise BundleError("FILE_TOO_LARGE", f"it would have {packed.tell():,} bytes; {MOST_FILE_BYTES:,} is the most")
    return packed.getvalue()


_PACKED_ALREADY: Final = (".webp", ".png", ".webm", ".mp4")


def is_safe_path(path: str) -> bool:
    """Whether a path is relative, leads nowhere else, and means the same on every file system."""
    parts = path.split("/")
    return (
        0 < len(path) <= _LONGEST_PATH
        and path.isprintable()
        and unicodedata.normalize("NFC", path) == path
        and not _ODD_CHARACTERS & set(path)
        and all(_is_safe_part(part) for part in parts)
    )


def _is_safe_part(part: str) -> bool:
    return bool(part) and part == part.rstrip(". ") and part.partition(".")[0].rstrip(" ").lower() not in _DEVICES


def _directory(content: bytes) -> int:
    """Returns where the central directory starts, after what the last record says of it was checked."""
    if len(content) < _END.size or content[:4] != b"PK\x03\x04":
        raise BundleError("NOT_A_ZIP", f"it is no `.tabrl` file: no zip starts here; {_ANEW}")
    signature, disk, first_disk, here, total, size, start, comment = _END.unpack(content[-_END.size :])
    if signature != b"PK\x05\x06" or comment:
        raise BundleError("NOT_A_ZIP", f"its end is missing, or something lies behind it; {_ANEW}")
    if here > MOST_ENTRIES or total > MOST_ENTRIES or size > _MOST_DIRECTORY_BYTES:
        raise BundleError("TOO_MANY_ENTRIES", f"it lists more than {MOST_ENTRIES:,} entries")
    if disk or first_disk or here != total or start + size + _END.size != len(content):
        raise BundleError("ZIP_LAYOUT", f"its directory is not where it says; {_ANEW}")
    if content[-_END.size - 20 : -_END.size].startswith(_ZIP64_LOCATOR):
        raise BundleError("ZIP_LAYOUT", f"it is a zip64, for which no bundle is large enough; {_ANEW}")
    return int(start)


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise BundleError("TOO_MANY_ENTRIES", f"it has {len(entries):,} entries; {MOST_ENTRIES:,} is the most")
    seen: set[str] = set()
    for entry in entries:
        path, name = entry.filename, entry.filename[:100]
        if entry.orig_filename != path or not is_safe_path(path):
            raise BundleError(
                "ENTRY_NAME", "its name is absolute, leads elsewhere, is too long or has odd characters", name
            )
        if not (entry.flag_bits & _UTF8 or path.isascii()):
            raise BundleError("ENTRY_NAME", "its name is not UTF-8", name)
        if path.casefold() in seen:
            raise BundleError("ENTRY_DUPLICATE", "another entry has this name, or one that differs in case alone", name)
        seen.add(path.casefold())
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if entry.is_dir() or entry.external_attr & 0x10 or kind not in (0, stat.S_IFREG):
            raise BundleError("ENTRY_KIND", "it is a link, a folder or something else that is no plain file", name)
        if entry.flag_bits & _ENCRYPTED:
            raise BundleError("ENTRY_ENCRYPTED", "it is encrypted", name)
        if entry.compress_type not in _METHODS:
            raise BundleError("ENTRY_COMPRESSION", "it is neither stored nor deflated", name)
    folders = {str(folder) for path in seen for folder in _folders(path)}
    if both := sorted(folders & seen):
        raise BundleError("ENTRY_DUPLICATE", "it is a file and a folder at once", both[0])


def _folders(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _check_layout(content: bytes, entries: list[zipfile.ZipInfo], directory_starts: int) -> None:
    """Checks that entries follow each other without gap or overlap, and say the same as the directory."""
    position = 0
    for entry in entries:
        name = entry.filename
        if entry.header_offset != position or position + _LOCAL.size > directory_starts:
            raise BundleError("ZIP_LAYOUT", "it does not start where the entry before it ends", name)
        signature, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack_from(
            content, position
        )
        said = (flags, method, crc, packed, unpacked)
        listed = (entry.flag_bits, entry.compress_type, entry.CRC, entry.compress_size, entry.file_size)
        local_name = content[position + _LOCAL.size : position + _LOCAL.size + name_length]
        if signature != b"PK\x03\x04" or said != listed or local_name != name.encode() or extra_length or entry.extra:
            raise BundleError("ZIP_LAYOUT", "the directory says something else of it than what lies before it", name)
        position += _LOCAL.size + name_length + entry.compress_size
    if position != directory_starts:
        raise BundleError("ZIP_LAYOUT", f"something that is no entry lies before its directory; {_ANEW}")


def _contents(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo]) -> dict[str, bytes]:
    said = sum(entry.file_size for entry in entries)
    if said > MOST_UNPACKED_BYTES:
        raise _too_large()
    files: dict[str, bytes] = {}
    left = MOST_UNPACKED_BYTES
    for entry in entries:
        try:
            files[entry.filename] = _content(archive, entry, left)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BundleError("DAMAGED", f"its bytes are damaged ({error}); {_ANEW}", entry.filename) from error
        left -= len(files[entry.filename])
    return files


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    read = bytearray()
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK):
            read += chunk
            if len(read) > left:
                raise _too_large(entry.filename)
            if len(read) > max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * entry.compress_size):
                raise BundleError("RATIO", f"it unpacks to over {_MOST_RATIO} times its packed size", entry.filename)
    if len(read) != entry.file_size:
        raise BundleError("DAMAGED", f"it has not the size that the zip says; {_ANEW}", entry.filename)
    return bytes(read)


def _too_large(file: str = "") -> BundleError:
    return BundleError("UNPACKED_TOO_LARGE", f"it unpacks to more than {MOST_UNPACKED_BYTES:,} bytes", file)
