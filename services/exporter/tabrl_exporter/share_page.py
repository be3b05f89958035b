"""A page that plays one policy and needs no server: a zip with one folder, which any static host can serve.

In the folder lie the built page, `policy.json` (the policy as protobuf JSON, which says what to play) and the policy's
files under `files/`, each named by its digest: the page checks every one.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import grpc
from google.protobuf import json_format
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError

from tabrl_exporter.file_names import file_stem
from tabrl_exporter.stored_files import parse_manifest

__all__ = ["SharePage", "pack_share_page"]

# The first moment that a zip can name: the same policy gives the same bytes whenever it is packed.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_READABLE: Final = 0o644 << 16
_COMPRESSED: Final = frozenset({".woff2", ".png", ".webp", ".jpg"})
_ID_SHOWN: Final = 8
_READ_ME: Final = """\
{title}

This folder is a page that plays the policy in the visitor's browser. Put it on any static web host, at any address.
To see it on this machine, run in this folder

    python3 -m http.server

and open http://localhost:8000. Opened from the disk, without a web server, browsers do not run it.
"""


@dataclass(frozen=True)
class SharePage:
    """A packed page.

    Attributes:
        content: the zip.
        file_name: name to save it under.
    """

    content: bytes
    file_name: str


def pack_share_page(policy: exporter_pb2.Policy, page: Path | None, artifacts: ArtifactStore) -> SharePage:
    """Packs a policy with the page that plays it; the same of both gives the same bytes.

    Args:
        policy: what to play.
        page: folder of the built page; None where there is none.
        artifacts: where the policy's files are.

    Raises:
        TabrlError: PAGE_NOT_BUILT; ARTIFACT_NOT_FOUND, ARTIFACT_DAMAGED, STORAGE_UNAVAILABLE for the policy's files.
    """
    if page is None or not (page / "index.html").is_file():
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "PAGE_NOT_BUILT",
            f"This installation has no built page to pack (looked in {page or 'no folder'}): run `make install`, or "
            "start the Exporter with --share-page FOLDER.",
            metadata={"folder": str(page or "")},
        )
    folder = f"{file_stem(policy.environment_id)}-{policy.policy_id[:_ID_SHOWN]}"
    title = policy.title or policy.lineage.prompt or policy.environment_id
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in _entries(policy, page, artifacts, title):
            entry = zipfile.ZipInfo(f"{folder}/{name}", _TIME)
            entry.external_attr = _READABLE
            packed = Path(name).suffix in _COMPRESSED
            entry.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return SharePage(buffer.getvalue(), f"{folder}-page.zip")


def _entries(
    policy: exporter_pb2.Policy, page: Path, artifacts: ArtifactStore, title: str
) -> Iterator[tuple[str, bytes]]:
    yield "README.txt", _READ_ME.format(title=title).encode()
    for path in sorted(path for path in page.rglob("*") if path.is_file()):
        name = path.relative_to(page).as_posix()
        yield name, _titled(path.read_bytes(), title) if name == "index.html" else path.read_bytes()
    shown = exporter_pb2.Policy()
    shown.CopyFrom(policy)
    shown.ClearField("exports")  # other forms, of which the page plays none
    yield "policy.json", json.dumps(json_format.MessageToDict(shown), sort_keys=True, ensure_ascii=False).encode()
    for sha256, content in _files(policy, artifacts):
        yield f"files/{sha256}", content


def _files(policy: exporter_pb2.Policy, artifacts: ArtifactStore) -> Iterator[tuple[str, bytes]]:
    """What the page reads to play: the controller, its manifest, and the scene that the manifest names."""
    written = artifacts.read(policy.manifest.sha256)
    manifest = parse_manifest(written)
    yield policy.manifest.sha256, written
    scene = {manifest.scene_xml.sha256, *(asset.artifact.sha256 for asset in manifest.scene_assets)}
    for sha256 in sorted({policy.controller.sha256} | scene):
        yield sha256, artifacts.read(sha256)


def _titled(page: bytes, title: str) -> bytes:
    """The page under the policy's title, for tabs and for who shows links with a preview and runs no script."""
    text = escape(" ".join(title.split()))
    named = f'<title>{text} · TabRL</title>\n    <meta property="og:title" content="{text}" />'
    return re.sub(r"<title>.*?</title>", lambda _: named, page.decode(), count=1).encode()
