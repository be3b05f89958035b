"""The robots of MuJoCo Menagerie that are on this machine, each with the scenes that Menagerie puts it in."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tabrl.type.v1 import artifact_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.logs import Logger
from tabrl_simulation import licences, robots

__all__ = ["MenagerieScene", "Portraits", "packed", "picture", "scenes"]

_WIDTH, _HEIGHT = 480, 360
_QUALITY: Final = 84
# Files that an MJCF may name.
_NAMED: Final = frozenset({".xml", ".obj", ".stl", ".msh", ".png", ".ktx", ".hdr", ".bin", ".skn", ".dae"})
# Scenes for MJX, which leave out most of what touches; MuJoCo needs no such help.
_SPARED: Final = "mjx"


@dataclass(frozen=True)
class MenagerieScene:
    """A robot in a scene.

    Attributes:
        robot: its folder in Menagerie, such as `unitree_g1`.
        main_file: the scene's file in it, such as `scene_with_hands.xml`.
        title: name for people, such as `Unitree G1 · with hands`.
        spdx_id: SPDX identifier of the robot's licence; empty where it is not known.
        picture_path: picture that Menagerie has of it; None for none.
    """

    robot: str
    main_file: str
    title: str
    spdx_id: str
    picture_path: Path | None

    @property
    def name(self) -> str:
        """Robot and file, such as `unitree_g1/scene.xml`; no other scene has it."""
        return f"{self.robot}/{self.main_file}"


def scenes() -> tuple[MenagerieScene, ...]:
    """Returns every scene of every robot on this machine, in the order of their titles; a robot's first comes first."""
    installed = robots.folder()
    names = sorted({name for package in robots.PACKAGES.values() for name in package})
    found = [scene for name in names if (installed / name).is_dir() for scene in _scenes_of(installed / name)]
    return tuple(sorted(found, key=lambda scene: scene.title.partition(" · ")[0].casefold()))


def _scenes_of(folder: Path) -> Iterator[MenagerieScene]:
    title, licence = _title_of(folder), licences.licence_of_robot(folder.name).spdx_id
    files = [path.name for path in folder.glob("scene*.xml") if _SPARED not in path.name]
    # `scene.xml` first, whatever the others are called.
    for main_file in sorted(files, key=lambda name: (name != "scene.xml", name)):
        variant = main_file.removeprefix("scene").removesuffix(".xml").strip("_").replace("_", " ")
        yield MenagerieScene(
            robot=folder.name,
            main_file=main_file,
            title=f"{title} · {variant}" if variant else title,
            spdx_id="" if licence == licences.UNKNOWN else licence,
            picture_path=_picture_of(folder, variant),
        )


def _title_of(folder: Path) -> str:
    """Returns the robot's name as its README has it, `# Unitree G1 Description (MJCF)`, or as its folder is called."""
    try:
        heading = (folder / "README.md").read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        heading = ""
    title = re.sub(r"\s*(Description)?\s*\(MJCF\)\s*$", "", heading.removeprefix("#")).strip()
    return title or folder.name.replace("_", " ")


def _picture_of(folder: Path, variant: str) -> Path | None:
    """Returns the picture whose name says the scene's variant, else the robot's, which has the shortest name."""
    pictures = sorted(folder.glob("*.png"), key=lambda path: (len(path.name), path.name))
    named = [path for path in pictures if variant and variant.replace(" ", "_") in path.stem]
    return next(iter(named or pictures), None)


def picture(path: Path) -> bytes:
    """Returns a picture of Menagerie as WebP of 480 by 360 pixels, cut to that shape around its middle.

    Raises:
        OSError: the file is no picture that can be read.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        # Most are of 3840 by 2160 pixels: made smaller before all else.
        small = opened.reduce(max(1, min(opened.width // (2 * _WIDTH), opened.height // (2 * _HEIGHT))))
    if small.mode != "RGB":  # some have no background of their own
        small = small.convert("RGBA")
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    out = io.BytesIO()
    ImageOps.fit(small, (_WIDTH, _HEIGHT), Image.Resampling.LANCZOS).save(out, "WEBP", quality=_QUALITY, method=4)
    return out.getvalue()


class Portraits:
    """Pictures of the scenes in the artifact store, each made when it is first asked for."""

    def __init__(self, artifacts: ArtifactStore, log: Logger) -> None:
        """Starts without any."""
        self._artifacts = artifacts
        self._log = log
        self._made: dict[Path, artifact_pb2.Artifact | None] = {}

    @property
    def made(self) -> list[artifact_pb2.Artifact]:
        """Every picture so far, also while other threads make some."""
        return [artifact for artifact in tuple(self._made.values()) if artifact is not None]

    def of(self, scene: MenagerieScene) -> artifact_pb2.Artifact | None:
        """Returns the picture of a scene, which takes a moment at first; None where there is none to read.

        Raises:
            TabrlError: the store cannot be written.
        """
        path = scene.picture_path
        if path is None:
            return None
        if path not in self._made:
            try:
                self._made[path] = self._artifacts.put(picture(path), "image/webp")
            except OSError as error:
                self._log.warning("a picture of Menagerie cannot be read", path=str(path), error=str(error))
                self._made[path] = None
        return self._made[path]


def packed(robot: str) -> bytes:
    """Returns a zip of the files of a robot that a scene may name.

    Raises:
        OSError: the robot is not on this machine, or cannot be read.
    """
    folder = robots.folder() / robot
    out = io.BytesIO()
    # Files that were unpacked from an archive without times are of 1970, which a zip cannot say: it then says 1980.
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            portrait = path.parent == folder and path.suffix == ".png"
            if path.is_file() and path.suffix.lower() in _NAMED and not portrait:
                archive.write(path, path.relative_to(folder).as_posix())
    return out.getvalue()
