"""Where uploaded scenes are kept: one folder each, named by its content, never changed once it is there.

    <folder>/<id>/scene.json      name for people, the file or robot it came from, the id it replaces
    <folder>/<id>/config.json     its `SceneConfig`
    <folder>/<id>/scene.xml       MJCF as MuJoCo wrote it, with 17 digits
    <folder>/<id>/assets/<path>   files that the MJCF names
    <folder>/<id>/facts.json      what was found in it; written anew after an update of MuJoCo

The folder is named by the variable TABRL_SCENES, which every service of one machine sets alike. Imports nothing heavy.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tabrl_simulation.custom.config import SceneConfig

__all__ = [
    "PREFIX",
    "REVISION",
    "VARIABLE",
    "StoredScene",
    "exists",
    "folder",
    "identify",
    "ids",
    "menagerie_robot",
    "motion_digest",
    "read",
    "tidy",
    "write",
    "write_facts",
]

PREFIX: Final = "custom-"
"""What the id of every uploaded scene begins with."""
VARIABLE: Final = "TABRL_SCENES"
"""Environment variable that names the folder of uploaded scenes."""
REVISION: Final = 1
"""Grows whenever an environment made from the same scene and configuration would move or observe differently."""

_ID: Final = re.compile(r"custom-[a-z0-9-]{1,40}-[0-9a-f]{8}")
_UNFINISHED: Final = ".writing-"
_LONG_AGO_SECS: Final = 3600.0


FACTS_REVISION: Final = 3
"""Which facts `inspection` finds; a scene with those of another revision is inspected again."""


@dataclass(frozen=True, kw_only=True)
class StoredScene:
    """An uploaded scene.

    Attributes:
        title: name for people.
        source: name of the file it came from.
        config: what makes it an environment.
        xml: MJCF as MuJoCo wrote it, with 17 digits.
        assets: files that the MJCF names, by path.
        menagerie: robot and file of MuJoCo Menagerie that it is, such as `unitree_g1/scene.xml`; empty for an upload.
        replaces: id of the scene whose configuration was edited to give this one; empty for none.
        facts: what was found in it, as `inspection.Inspected` says.
    """

    title: str
    source: str
    config: SceneConfig
    xml: str
    assets: Mapping[str, bytes]
    menagerie: str = ""
    replaces: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def folder() -> Path | None:
    """Returns the folder of uploaded scenes; None where none is set."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def exists(environment_id: str, root: Path | None = None) -> bool:
    """Returns whether a scene of this id is kept in `root`, `folder()` if left out."""
    root = root or folder()
    return root is not None and _ID.fullmatch(environment_id) is not None and (root / environment_id).is_dir()


def ids(root: Path | None = None) -> tuple[str, ...]:
    """Returns the ids of all scenes kept in `root`, `folder()` if left out, in order."""
    root = root or folder()
    if root is None or not root.is_dir():
        return ()
    return tuple(sorted(path.name for path in root.iterdir() if _ID.fullmatch(path.name)))


def read(environment_id: str, root: Path | None = None) -> StoredScene:
    """Returns a scene kept in `root`, `folder()` if left out.

    Raises:
        LookupError: no scene of this id is kept.
        OSError, ValueError: its files are damaged.
    """
    root = root or folder()
    if root is None or not exists(environment_id, root):
        raise LookupError(environment_id)
    path = root / environment_id
    about = json.loads((path / "scene.json").read_text())
    assets = path / "assets"
    return StoredScene(
        title=str(about["title"]),
        source=str(about["source"]),
        menagerie=str(about.get("menagerie", "")),
        replaces=str(about["replaces"]),
        config=SceneConfig.from_dict(json.loads((path / "config.json").read_text())),
        facts=json.loads((path / "facts.json").read_text()),
        xml=(path / "scene.xml").read_text(),
        assets={
            file.relative_to(assets).as_posix(): file.read_bytes()
            for file in sorted(assets.rglob("*"))
            if file.is_file()
        },
    )


def menagerie_robot(environment_id: str, root: Path | None = None) -> str:
    """Returns which robot of Menagerie a scene kept in `root`, `folder()` if left out, is; empty for others.

    Raises:
        OSError, ValueError: its file is damaged.
    """
    root = root or folder()
    if root is None or not exists(environment_id, root):
        return ""
    about = json.loads((root / environment_id / "scene.json").read_text())
    return str(about.get("menagerie", "")).partition("/")[0]


def write(root: Path, scene: StoredScene) -> str:
    """Keeps a scene, whole or not at all even after a power cut, and returns its id; one that is there whole stays.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
        ValueError: an asset's path leads out of the folder.
    """
    environment_id = identify(scene)
    path = root / environment_id
    if path.is_dir():
        if _is_whole(root, environment_id):
            return environment_id
        shutil.rmtree(path)
    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=root, prefix=_UNFINISHED))
    try:
        about = {
            "title": scene.title,
            "source": scene.source,
            "menagerie": scene.menagerie,
            "replaces": scene.replaces,
        }
        files = {
            "scene.json": json.dumps(about, indent=1).encode(),
            "config.json": json.dumps(scene.config.to_dict(), indent=1).encode(),
            "facts.json": json.dumps(dict(scene.facts)).encode(),
            "scene.xml": scene.xml.encode(),
            **{f"assets/{name}": content for name, content in scene.assets.items()},
        }
        for name, content in files.items():
            target = unfinished / name
            if ".." in Path(name).parts or not target.resolve().is_relative_to(unfinished.resolve()):
                raise ValueError(f"{name} leads out of the scene's folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        unfinished.chmod(0o755)
        for written in (*unfinished.rglob("*"), unfinished):
            _sync(written)
        try:
            unfinished.rename(path)
        except OSError:
            if not path.is_dir():  # another process wrote the same at the same time
                raise
        _sync(root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return environment_id


def tidy(root: Path) -> None:
    """Deletes what processes that were killed while they wrote a scene left in `root` long ago."""
    for left in root.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LONG_AGO_SECS:
                shutil.rmtree(left)


def _is_whole(root: Path, environment_id: str) -> bool:
    try:
        return identify(read(environment_id, root)) == environment_id
    except (OSError, ValueError, TypeError, LookupError):
        return False


def _sync(path: Path) -> None:
    """Brings a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_facts(root: Path, environment_id: str, facts: Mapping[str, Any]) -> None:
    """Replaces what was found in a scene; after a power cut it is the one or the other.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    path = root / environment_id / "facts.json"
    unfinished = path.with_suffix(".writing")
    unfinished.write_text(json.dumps(dict(facts)))
    _sync(unfinished)
    unfinished.replace(path)
    _sync(path.parent)


def identify(scene: StoredScene) -> str:
    """Returns the id of a scene: its title in a few letters, and the beginning of its content's digest."""
    letters = re.sub(r"[^a-z0-9]+", "-", scene.title.lower()).strip("-")[:40].strip("-") or "robot"
    return f"{PREFIX}{letters}-{_digest(scene).hexdigest()[:8]}"


def motion_digest(scene: StoredScene, mujoco_version: str) -> str:
    """Returns the SHA-256, in hex, over all that decides how the scene's environment moves and observes."""
    digest = _digest(scene)
    digest.update(f"mujoco {mujoco_version}, revision {REVISION}".encode())
    return digest.hexdigest()


def _digest(scene: StoredScene) -> hashlib._Hash:
    parts = {"scene.xml": scene.xml.encode(), **scene.assets}
    digest = hashlib.sha256(json.dumps(scene.config.to_dict(), sort_keys=True).encode())
    for name, content in sorted(parts.items()):
        digest.update(f"\n{name} {len(content)}\n".encode())
        digest.update(content)
    return digest
