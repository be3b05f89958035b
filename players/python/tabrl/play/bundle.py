"""The `.tabrl` file: a robot's scene, what drives it, and where both come from, in one zip.

    bundle.json           what is in the file: format, policy, environment, title, and each other entry with its digest
    manifest.json         `tabrl.exporter.v1.ControllerManifest` as protobuf JSON
    controller.onnx       the graph that the manifest describes
    scene/scene.xml       MJCF, and beside it in scene/ the files that it names, by their paths
    parity.json           `tabrl.exporter.v1.ParityReport` as protobuf JSON
    MODEL_CARD.md         the same for people
    policy.json           `tabrl.exporter.v1.Policy` as protobuf JSON: what its maker says of it (optional)
    thumbnail.webp|.png, video.webp|.webm|.mp4, licences/*.txt (optional)

Whoever reads one may have it from anyone, so `read_bundle` verifies everything before it returns anything: sizes,
names and digests, the graph, the scene and the manifest, and that these belong to each other. Nothing is written to
disk and nothing is run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tabrl.play import archive, mjcf_check, onnx_check
from tabrl.play.archive import MOST_FILE_BYTES
from tabrl.play.bounded_json import read_json
from tabrl.play.manifest import FileReference, Manifest
from tabrl.play.manifest_check import read_manifest
from tabrl.play.provenance_check import is_text
from tabrl.play.refusal import BundleError

__all__ = ["FORMAT", "MEDIA_TYPE", "Bundle", "BundleError", "Contents", "read_bundle", "write_bundle"]

FORMAT: Final = 1
"""Version of the format; what is older can be read, what is newer cannot."""
MEDIA_TYPE: Final = "application/vnd.tabrl.bundle+zip"

_INDEX: Final = "bundle.json"
_MOST_INDEX_BYTES: Final = 2 << 20
_MOST_TEXT_BYTES: Final = 1 << 20
# Whoever imports it keeps these, and lists hundreds of them at once.
_MOST_RECORD_BYTES: Final = 32 << 10
_MOST_PICTURE_BYTES: Final = 8 << 20
_MOST_VIDEO_BYTES: Final = 64 << 20
_LONGEST_TITLE: Final = 4000
_LONGEST_ID: Final = 100
_SCENE: Final = "scene/"
_SCENE_XML: Final = "scene/scene.xml"
_REQUIRED: Final = ("MODEL_CARD.md", "controller.onnx", "manifest.json", "parity.json", _SCENE_XML)
_JSON: Final = "application/json"
_BINARY: Final = "application/octet-stream"


@dataclass(frozen=True)
class _Kind:
    """What entries a bundle may have: paths, the one media type of theirs, size, and how their bytes start."""

    path: re.Pattern[str]
    media_type: str
    most_bytes: int = archive.MOST_UNPACKED_BYTES
    starts: re.Pattern[bytes] = re.compile(rb"")
    is_text: bool = False


_KINDS: Final = (
    _Kind(re.compile(r"(manifest|parity|policy)\.json"), _JSON, is_text=True),
    _Kind(re.compile(r"controller\.onnx"), _BINARY, onnx_check.MOST_BYTES),
    _Kind(re.compile(r"scene/scene\.xml"), "application/xml"),
    _Kind(re.compile(r"scene/.+"), _BINARY),
    _Kind(re.compile(r"MODEL_CARD\.md"), "text/markdown", _MOST_TEXT_BYTES, is_text=True),
    _Kind(re.compile(r"licences/[^/]+\.txt"), "text/plain", _MOST_TEXT_BYTES, is_text=True),
    _Kind(re.compile(r"thumbnail\.webp"), "image/webp", _MOST_PICTURE_BYTES, re.compile(rb"RIFF.{4}WEBP", re.S)),
    _Kind(re.compile(r"thumbnail\.png"), "image/png", _MOST_PICTURE_BYTES, re.compile(rb"\x89PNG\r\n\x1a\n")),
    _Kind(re.compile(r"video\.webp"), "image/webp", _MOST_VIDEO_BYTES, re.compile(rb"RIFF.{4}WEBP", re.S)),
    _Kind(re.compile(r"video\.webm"), "video/webm", _MOST_VIDEO_BYTES, re.compile(rb"\x1a\x45\xdf\xa3")),
    _Kind(re.compile(r"video\.mp4"), "video/mp4", _MOST_VIDEO_BYTES, re.compile(rb".{4}ftyp", re.S)),
)


@dataclass(frozen=True)
class Contents:
    """What a bundle is made of.

    Attributes:
        policy_id: id of the policy where the bundle is made.
        environment_id: environment that it drives.
        title: for people.
        files: every entry but `bundle.json`, by path.
    """

    policy_id: str
    environment_id: str
    title: str
    files: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Bundle:
    """A bundle in which everything was verified.

    Attributes:
        sha256: digest of the whole file.
        policy_id: id that the policy had where the bundle was made.
        environment_id: environment that it drives.
        title: for people.
        manifest: how to feed the controller.
        files: every entry but `bundle.json`, by path.
    """

    sha256: str
    policy_id: str
    environment_id: str
    title: str
    manifest: Manifest
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def controller(self) -> bytes:
        """The ONNX graph."""
        return self.files["controller.onnx"]

    @property
    def scene_xml(self) -> str:
        """The scene's MJCF."""
        return self.files[_SCENE_XML].decode()

    @property
    def scene_assets(self) -> dict[str, bytes]:
        """The files that the scene's MJCF names, by the paths that it names them by."""
        return {path: self.files[_SCENE + path] for path in self.manifest.scene_assets}


def read_bundle(source: str | Path | bytes) -> Bundle:
    """Reads a bundle from a file or its bytes, and verifies all of it; a second at most for a robot with meshes.

    Raises:
        BundleError: it breaks a rule; `rule` says which, `file` where.
        OSError: the file cannot be read.
    """
    content = source if isinstance(source, bytes) else _file(Path(source))
    files = archive.unpack(content)
    index = _index(files)
    listed = _listed(index)
    _check_listed(files, listed)
    manifest = read_manifest(files["manifest.json"])
    _check_belonging(manifest, listed, index)
    for record in ("parity.json", "policy.json"):
        if record in files and not isinstance(read_json(files[record], record, most_bytes=_MOST_RECORD_BYTES), dict):
            raise BundleError("JSON", "it is no JSON object", record)
    mjcf_check.check_mjcf(files[_SCENE_XML], {path: files[_SCENE + path] for path in manifest.scene_assets})
    onnx_check.check_controller(files["controller.onnx"], manifest)
    return Bundle(
        sha256=hashlib.sha256(content).hexdigest(),
        policy_id=index["policy_id"],
        environment_id=index["environment_id"],
        title=index["title"],
        manifest=manifest,
        files=files,
    )


def write_bundle(contents: Contents) -> bytes:
    """Returns the bytes of a bundle; the same contents give the same bytes.

    Raises:
        BundleError: `read_bundle` would refuse what was written.
    """
    entries = [
        {
            "path": path,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "media_type": _kind(path).media_type,
        }
        for path, content in sorted(contents.files.items())
    ]
    index = {
        "format": FORMAT,
        "policy_id": contents.policy_id,
        "environment_id": contents.environment_id,
        "title": contents.title,
        "files": entries,
    }
    text = json.dumps(index, indent=1, ensure_ascii=False).encode()
    content = archive.pack({_INDEX: text, **contents.files})
    read_bundle(content)
    return content


def _file(path: Path) -> bytes:
    with path.open("rb") as stream:
        content = stream.read(MOST_FILE_BYTES + 1)
    if len(content) > MOST_FILE_BYTES:
        raise BundleError("FILE_TOO_LARGE", f"it has more than {MOST_FILE_BYTES:,} bytes, which is the most")
    return content


def _index(files: dict[str, bytes]) -> dict[str, Any]:
    """Takes `bundle.json` out of the files and returns what it says."""
    if _INDEX not in files:
        raise BundleError("ENTRY_MISSING", "it is missing, so this is no `.tabrl` file", _INDEX)
    index = read_json(files.pop(_INDEX), _INDEX, most_bytes=_MOST_INDEX_BYTES)
    if not isinstance(index, dict):
        raise _index_wrong("it is no JSON object")
    if (version := index.get("format")) != FORMAT or isinstance(version, bool):
        raise BundleError("FORMAT", f"it is of format {str(version)[:20]}; this release reads {FORMAT}", _INDEX)
    for name, longest in (("policy_id", _LONGEST_ID), ("environment_id", _LONGEST_ID), ("title", _LONGEST_TITLE)):
        text = index.get(name)
        if not is_text(text, longest) or not (text or name == "title"):
            raise _index_wrong(f"{name} is no text of at most {longest} characters")
    return index


@dataclass(frozen=True)
class _Listed:
    """What `bundle.json` says of an entry."""

    file: FileReference
    media_type: str


def _listed(index: Mapping[str, Any]) -> dict[str, _Listed]:
    entries = index.get("files")
    if not isinstance(entries, list) or len(entries) > archive.MOST_ENTRIES:
        raise _index_wrong(f"files is no list of at most {archive.MOST_ENTRIES} entries")
    listed: dict[str, _Listed] = {}
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"path", "sha256", "size_bytes", "media_type"}:
            raise _index_wrong("an entry of files is not path, sha256, size_bytes and media_type")
        path, digest, size, media_type = (entry[name] for name in ("path", "sha256", "size_bytes", "media_type"))
        if not isinstance(path, str) or path in listed or not archive.is_safe_path(path):
            raise _index_wrong("the path of an entry leads elsewhere, or is there twice")
        if not isinstance(digest, str) or not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise _index_wrong(f"the digest of {path[:100]} is no SHA-256")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= archive.MOST_UNPACKED_BYTES:
            raise _index_wrong(f"the size of {path[:100]} cannot be")
        listed[path] = _Listed(FileReference(digest, size), str(media_type)[:100])
    return listed


def _check_listed(files: Mapping[str, bytes], listed: Mapping[str, _Listed]) -> None:
    """Checks that the entries are those that are listed, and each is what a bundle may have under this path."""
    for path in _REQUIRED:
        if path not in files:
            raise BundleError("ENTRY_MISSING", "every bundle has it", path)
    if missing := sorted(listed.keys() - files.keys()):
        raise BundleError("ENTRY_MISSING", "bundle.json lists it, but it is not there", missing[0])
    if unlisted := sorted(files.keys() - listed.keys()):
        raise BundleError("ENTRY_UNLISTED", "bundle.json does not list it", unlisted[0])
    for path, content in files.items():
        kind, said = _kind(path), listed[path]
        if said.media_type != kind.media_type:
            raise BundleError("MEDIA_TYPE", f"it is {kind.media_type}, not {said.media_type!r}", path)
        if len(content) != said.file.size_bytes:
            raise BundleError("ENTRY_SIZE", f"it has {len(content):,} bytes, not {said.file.size_bytes:,}", path)
        if hashlib.sha256(content).hexdigest() != said.file.sha256:
            raise BundleError("DIGEST", "its SHA-256 is not what bundle.json says", path)
        if len(content) > kind.most_bytes:
            raise BundleError("ENTRY_TOO_LARGE", f"it has more than {kind.most_bytes:,} bytes", path)
        if not kind.starts.match(content) or (kind.is_text and not _is_text(content)):
            raise BundleError("CONTENT_KIND", "its bytes are not what its name says", path)


def _check_belonging(manifest: Manifest, listed: Mapping[str, _Listed], index: Mapping[str, Any]) -> None:
    """Checks that the manifest is of this controller, this scene and nothing else."""
    if manifest.environment_id != index["environment_id"]:
        raise BundleError("MANIFEST_FILES", "it is of another environment than bundle.json says", "manifest.json")
    if manifest.controller_sha256 != listed["controller.onnx"].file.sha256:
        raise BundleError("MANIFEST_FILES", "it describes another graph than the one here", "controller.onnx")
    named = {_SCENE + path: file for path, file in manifest.scene_assets.items()}
    if _SCENE_XML in named:
        raise BundleError(
            "MANIFEST_FILES", "the manifest has it as the scene and as a file that the scene names", _SCENE_XML
        )
    named[_SCENE_XML] = manifest.scene_xml
    there = {path: said.file for path, said in listed.items() if path.startswith(_SCENE)}
    for path in sorted(named.keys() | there.keys()):
        if named.get(path) != there.get(path):
            raise BundleError("MANIFEST_FILES", "manifest and bundle do not say the same of it", path)


def _kind(path: str) -> _Kind:
    for kind in _KINDS:
        if kind.path.fullmatch(path):
            return kind
    raise BundleError("ENTRY_UNKNOWN", "no bundle has such a file", path)


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode()
    except UnicodeDecodeError:
        return False


def _index_wrong(message: str) -> BundleError:
    return BundleError("INDEX", message, _INDEX)
