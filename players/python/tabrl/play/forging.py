"""Makes bundles that lie: the honest sample with one thing changed, and all else in order."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final

from tabrl.play.bundle import write_bundle
from tabrl.play.sample import sample_contents, sample_controller

__all__ = [
    "changed_within",
    "forged",
    "gap",
    "overlapping",
    "patched",
    "said_to_be_huge",
    "sample_files",
    "two_formats",
    "with_controller",
    "with_scene",
    "zip64",
    "zipped",
]

Files = dict[str, bytes]
Json = dict[str, Any]
_CENTRAL: Final = b"PK\x01\x02"


def sample_files() -> Files:
    """Returns the entries of the honest sample."""
    return dict(sample_contents().files)


def with_controller(graph: bytes) -> bytes:
    """Returns a bundle with another graph, of which the manifest says the digest."""
    files = sample_files()
    manifest = json.loads(files["manifest.json"])
    manifest["controllerSha256"] = hashlib.sha256(graph).hexdigest()
    return forged({**files, "controller.onnx": graph, "manifest.json": json.dumps(manifest).encode()})


def with_scene(xml: bytes, assets: Mapping[str, bytes]) -> bytes:
    """Returns a bundle with another scene and more assets, of which the manifest says the digests."""
    files = sample_files()
    manifest = json.loads(files["manifest.json"])
    manifest["sceneXml"].update(sha256=hashlib.sha256(xml).hexdigest(), sizeBytes=str(len(xml)))
    for path, content in assets.items():
        artifact = {"sha256": hashlib.sha256(content).hexdigest(), "sizeBytes": str(len(content))}
        manifest["sceneAssets"].append({"path": path, "artifact": artifact})
    added = {f"scene/{path}": content for path, content in assets.items()}
    return forged({**files, **added, "scene/scene.xml": xml, "manifest.json": json.dumps(manifest).encode()})


def two_formats() -> bytes:
    """Returns the sample's graph for a reader of protobuf, and what onnxruntime takes for its own format."""
    # A field of ONNX's that does not exist, which holds five bytes.
    return b"\xfa\x06\x05\0ORTM" + bytes(sample_controller().SerializeToString(deterministic=True))


_BINARY: Final = "application/octet-stream"
_MEDIA_TYPES: Final = {
    ".json": "application/json",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".webp": "image/webp",
}


def _media_type(path: str) -> str:
    is_asset = path.startswith("scene/") and path != "scene/scene.xml"
    return _BINARY if is_asset else _MEDIA_TYPES.get(path[path.rfind(".") :], _BINARY)


def forged(
    files: Mapping[str, bytes],
    *,
    index: Callable[[Json], Any] | None = None,
    method: int = zipfile.ZIP_DEFLATED,
    modes: Mapping[str, int] | None = None,
) -> bytes:
    """Returns a bundle of these files that is right in itself, but for what `index` changes of its list."""
    listed = [
        {
            "path": path,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "media_type": _media_type(path),
        }
        for path, content in files.items()
    ]
    said: Json = {"format": 1, "policy_id": "p", "environment_id": "SamplePole", "title": "", "files": listed}
    if index is not None:
        index(said)
    return zipped({**files, "bundle.json": json.dumps(said).encode()}, method=method, modes=modes)


def zipped(
    files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, modes: Mapping[str, int] | None = None
) -> bytes:
    """Returns a zip of these entries, and nothing else."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.compress_type = method
            entry.external_attr = (modes or {}).get(path, stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, content)
    return packed.getvalue()


def patched(
    content: bytes,
    path: str,
    *,
    name: bytes | None = None,
    flags: int | None = None,
    method: int | None = None,
    crc: int | None = None,
    size: int | None = None,
    halves: int = 2,
) -> bytes:
    """Returns a zip with fields of one entry changed: in the directory, and with `halves` 2 before the entry too."""
    changed = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo(path)
        central = archive.start_dir
    old = path.encode()
    while changed[central + 46 : central + 46 + len(old)] != old:
        central = changed.index(_CENTRAL, central + 4)
    starts = ((central, 8, 46), (entry.header_offset, 6, 30))[:halves]
    for start, at, name_at in starts:
        for offset, form, value in (
            (at, "<H", flags),
            (at + 2, "<H", method),
            (at + 8, "<L", crc),
            (at + 16, "<L", size),
        ):
            if value is not None:
                struct.pack_into(form, changed, start + offset, value)
        if name is not None:
            assert len(name) == len(old)
            changed[start + name_at : start + name_at + len(old)] = name
    return bytes(changed)


def changed_within(content: bytes, name: bytes, distance: int) -> bytes:
    """Returns the bytes with one turned round, so far behind a name."""
    at = content.index(name) + len(name) + distance
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def overlapping() -> bytes:
    """Returns a zip in which two entries of the directory share the bytes of one."""
    content = forged({**sample_files(), "scene/pole2.obj": sample_files()["scene/pole.obj"]})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        first = archive.getinfo("scene/pole.obj").header_offset
        central = archive.start_dir
    at = content.index(b"scene/pole2.obj", central) - 46
    return content[: at + 42] + struct.pack("<L", first) + content[at + 46 :]


def said_to_be_huge() -> bytes:
    """Returns a bundle whose entries say that they come to terabytes."""
    content = write_bundle(sample_contents())
    for path in sample_files():
        content = patched(content, path, size=0xFFFFFFF0)
    return content


def gap(content: bytes) -> bytes:
    """Returns a zip with bytes before its directory that belong to no entry."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        central = archive.start_dir
    end = bytearray(content[-22:])
    struct.pack_into("<L", end, 16, central + 8)
    return content[:central] + b"PAYLOAD!" + content[central:-22] + bytes(end)


def zip64(content: bytes) -> bytes:
    """Returns a zip whose directory ends in what a reader of zip64 takes for the way to another directory."""
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    end = bytearray(content[-22:])
    size = struct.unpack_from("<L", end, 12)[0]
    struct.pack_into("<L", end, 12, size + len(locator))
    return content[:-22] + locator + bytes(end)
