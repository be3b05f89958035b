"""The baked catalogue: every environment described, with its scene's files. The service needs no simulator to serve it.

A catalogue lies in `DATA/scene/catalogues/<source>-<robots>/`, named for all that its content depends on: the source of
our modules with their packages, and which robots are installed. For each environment it holds
`environments/<id>/environment.json` (protobuf JSON), `scene.xml` and `assets.json` (the digests of the files that the
scene names, by path); `assets/<sha256>` for these files, which environments of one robot share; and `sha256`, a digest
of it all. It is renamed into place whole, once it is on the disk, so a catalogue that is there is complete. One that
was damaged since counts as none and is replaced by the next bake.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format
from tabrl.scene.v1 import scene_pb2
from tabrl_simulation import environments, robots

__all__ = [
    "BakedEnvironment",
    "bakeable",
    "catalogue_path",
    "content",
    "read_catalogue",
    "read_previous",
    "version",
    "write_catalogue",
]

# What decides the content of a catalogue: these packages, and the source of these modules.
_PACKAGES = ("mujoco", "mujoco-mjx", "playground")
_MODULES = (
    "tabrl_scene.bake",
    "tabrl_scene.catalogue",
    "tabrl_scene.messages",
    "tabrl_simulation.arrays",
    "tabrl_simulation.bundle",
    "tabrl_simulation.environments",
    "tabrl_simulation.feet",
    "tabrl_simulation.robots",
    "tabrl_simulation.structure",
)

_UNFINISHED = ".baking-"
_DIGEST = "sha256"


@dataclass(frozen=True)
class BakedEnvironment:
    """One environment of a catalogue."""

    message: scene_pb2.Environment
    """The environment, without what is written for people and without a thumbnail."""
    xml: bytes
    """MJCF of its scene."""
    assets: Mapping[str, bytes | Path]
    """Files that the MJCF names, by path: their bytes, or where these lie."""


def content(asset: bytes | Path) -> bytes:
    """Returns the bytes of a file that a scene names."""
    return asset if isinstance(asset, bytes) else asset.read_bytes()


def bakeable() -> tuple[str, ...]:
    """Returns the ids of the environments whose robots are on this machine, in order."""
    return tuple(name for name in sorted(environments.CATEGORY) if robots.missing(name) is None)


def version() -> str:
    """Returns the version of the catalogue that this installation bakes; read anew each time, for it may be updated."""
    return f"{_source_version()}-{hashlib.sha256(' '.join(bakeable()).encode()).hexdigest()[:8]}"


def _source_version() -> str:
    digest = hashlib.sha256()
    for package in _PACKAGES:
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    for module in _MODULES:
        # Found, not imported: the modules of the simulation may load what this process can do without.
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"the source of {module} is not installed")
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()[:16]


def catalogue_path(data: Path) -> Path:
    """Returns where this installation's catalogue lies in a data folder."""
    return data / "scene" / "catalogues" / version()


def read_previous(data: Path) -> dict[str, BakedEnvironment]:
    """Returns what was baked from the same source when other robots were installed, by environment id."""
    folders = (data / "scene" / "catalogues").glob(f"{_source_version()}-*")
    found = (read_catalogue(folder) for folder in sorted(folders))
    return next((catalogue for catalogue in found if catalogue is not None), {})


def write_catalogue(path: Path, environments: Iterable[BakedEnvironment]) -> None:
    """Writes a catalogue to `path`, whole or not at all, and removes those of other versions.

    What lies at `path` stays if it is whole, for then another process has baked the same; else it is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished_folder(path.parent) as unfinished:
        for environment in environments:
            _write_environment(unfinished, environment)
        (unfinished / _DIGEST).write_text(_digest(unfinished))
        for written in (*unfinished.rglob("*"), unfinished):
            _sync(written)
        _move_into_place(unfinished, path)
        _sync(path.parent)
    for other in path.parent.iterdir():
        if other != path and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)
    _sweep(path.parent)


def read_catalogue(path: Path) -> dict[str, BakedEnvironment] | None:
    """Returns the catalogue at `path` by environment id, in the order of the ids; None unless it is whole.

    A catalogue without any environment counts as none.
    """
    try:
        if (path / _DIGEST).read_text() != _digest(path):
            return None
        folders = sorted(folder for folder in (path / "environments").iterdir() if folder.is_dir())
        return {folder.name: _read_environment(folder, path / "assets") for folder in folders} or None
    except (OSError, ValueError, json_format.ParseError):
        return None


@contextlib.contextmanager
def _unfinished_folder(parent: Path) -> Iterator[Path]:
    """Makes a folder to write in, and removes it afterwards; it stays locked meanwhile, for `_sweep`."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix=_UNFINISHED))
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _move_into_place(unfinished: Path, path: Path) -> None:
    """Renames a finished catalogue to `path`, unless a whole one lies there."""
    try:
        os.rename(unfinished, path)
    except OSError:
        if not os.path.lexists(path):
            raise
        if read_catalogue(path) is not None:
            return  # another process baked the same at the same time
        with _unfinished_folder(path.parent) as aside:
            os.rename(path, aside / path.name)
            os.rename(unfinished, path)


def _sweep(parent: Path) -> None:
    """Removes the unfinished catalogues of processes that were killed; the lock of one that lives is taken."""
    for folder in parent.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _digest(root: Path) -> str:
    """Returns the SHA-256, in hex, of the paths and contents of a catalogue's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in root.glob("*/**/*") if path.is_file()):
        digest.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Waits until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_environment(root: Path, environment: BakedEnvironment) -> None:
    assets = {}
    for path, asset in sorted(environment.assets.items()):
        written = content(asset)
        assets[path] = hashlib.sha256(written).hexdigest()
        shared = root / "assets" / assets[path]
        if not shared.exists():
            shared.parent.mkdir(exist_ok=True)
            shared.write_bytes(written)
    folder = root / "environments" / environment.message.summary.environment_id
    folder.mkdir(parents=True)
    message = json_format.MessageToDict(environment.message)
    (folder / "environment.json").write_text(json.dumps(message, indent=1))
    (folder / "scene.xml").write_bytes(environment.xml)
    (folder / "assets.json").write_text(json.dumps(assets, indent=1))


def _read_environment(folder: Path, shared: Path) -> BakedEnvironment:
    assets: dict[str, str] = json.loads((folder / "assets.json").read_text())
    return BakedEnvironment(
        message=json_format.Parse((folder / "environment.json").read_text(), scene_pb2.Environment()),
        xml=(folder / "scene.xml").read_bytes(),
        assets={path: shared / sha256 for path, sha256 in assets.items()},
    )
