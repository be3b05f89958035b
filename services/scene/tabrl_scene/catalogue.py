"""The baked catalogue: every environment described, with its scene's files. The service needs no simulator to serve it.

A catalogue lies in `DATA/scene/catalogues/<version>/`, where the version covers all that its content depends on: for
each environment `<id>/environment.json` (protobuf JSON), `<id>/scene.xml` and `<id>/assets/<path>`. It is renamed into
place whole, so a catalogue that is there is complete.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format
from tabrl.scene.v1 import scene_pb2

__all__ = ["BakedEnvironment", "catalogue_path", "read_catalogue", "version", "write_catalogue"]

# What decides the content of a catalogue: these packages, and the source of these modules.
_PACKAGES = ("mujoco", "mujoco-mjx", "playground")
_MODULES = (
    "tabrl_scene.bake",
    "tabrl_scene.catalogue",
    "tabrl_scene.messages",
    "tabrl_simulation.arrays",
    "tabrl_simulation.bundle",
    "tabrl_simulation.environments",
    "tabrl_simulation.structure",
)


@dataclass(frozen=True)
class BakedEnvironment:
    """One environment of a catalogue."""

    message: scene_pb2.Environment
    """The environment, without what is written for people and without a thumbnail."""
    xml: bytes
    """MJCF of its scene."""
    assets: Mapping[str, bytes]
    """Files that the MJCF names, by path."""


def version() -> str:
    """Returns the version of the catalogue that this installation bakes; read anew each time, for it may be updated."""
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


def write_catalogue(path: Path, environments: Iterable[BakedEnvironment]) -> None:
    """Writes a catalogue to `path`, whole or not at all, and removes those of other versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=path.parent, prefix=".baking-"))
    try:
        for environment in environments:
            _write_environment(unfinished / environment.message.summary.environment_id, environment)
        try:
            os.rename(unfinished, path)
        except OSError:
            if not path.is_dir():  # else another process baked the same catalogue at the same time
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for other in path.parent.iterdir():
        if other != path and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)


def read_catalogue(path: Path) -> dict[str, BakedEnvironment] | None:
    """Returns the catalogue at `path` by environment id, in the order of the ids; None unless it can be read."""
    try:
        folders = sorted(path.iterdir())
        return {folder.name: _read_environment(folder) for folder in folders}
    except (OSError, ValueError, json_format.ParseError):
        return None


def _write_environment(folder: Path, environment: BakedEnvironment) -> None:
    message = json_format.MessageToDict(environment.message)
    files = {"environment.json": json.dumps(message, indent=1).encode(), "scene.xml": environment.xml}
    files |= {f"assets/{path}": content for path, content in environment.assets.items()}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _read_environment(folder: Path) -> BakedEnvironment:
    assets = folder / "assets"
    return BakedEnvironment(
        message=json_format.Parse((folder / "environment.json").read_text(), scene_pb2.Environment()),
        xml=(folder / "scene.xml").read_bytes(),
        assets={
            str(path.relative_to(assets)): path.read_bytes() for path in sorted(assets.rglob("*")) if path.is_file()
        },
    )
