"""Refuses MJCF that reaches for anything but itself and the files beside it, or that unfolds to far more than it says.

MuJoCo writes scenes out in full before they are packed, so nothing that a bundle's MJCF needs is left out here.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

from tabrl.play.refusal import BundleError

__all__ = ["ASSET_SUFFIXES", "check_mjcf"]

ASSET_SUFFIXES: Final = (".stl", ".obj", ".msh", ".png", ".hdr", ".ktx", ".bin", ".skn")
"""What the files that a scene names may end in, in lower case: meshes, textures, height fields, skins."""

_FILE: Final = "scene/scene.xml"
_MOST_BYTES: Final = 32 << 20
_MOST_DEPTH: Final = 200
_MOST_ELEMENTS: Final = 200_000
_LONGEST_SIDE: Final = 8192
_MOST_PIXELS: Final = 64 << 20
# Together, as the elements of height fields, the pixels of textures and those of pictures are.
_MOST_PIXELS_IN_ALL: Final = 128 << 20
_MOST_COUNTED: Final = 1_000_000
_MOST_ARENA_BYTES: Final = 1 << 30
_MULTIPLIERS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50, "e": 1 << 60}

# These read other files, load code, or make many of few.
_REFUSED_ELEMENTS: Final = frozenset(
    {"include", "plugin", "extension", "model", "attach", "replicate", "composite", "flexcomp"}
)
_FILE_ATTRIBUTE: Final = re.compile(r"file\w*", re.IGNORECASE)
# What makes MuJoCo look for files elsewhere.
_REFUSED_ATTRIBUTES: Final = frozenset({"meshdir", "texturedir", "assetdir", "strippath"})
_CONTENT_TYPES: Final = frozenset({"model/stl", "model/obj", "model/vnd.mujoco.msh", "image/png", "image/ktx"})
_SIDES: Final = {"hfield": ("nrow", "ncol"), "texture": ("width", "height"), "global": ("offwidth", "offheight")}
# Attributes that make so many numbers of one.
_COUNTS: Final = frozenset({("numeric", "size"), ("user", "dim"), ("contact", "num")})


def check_mjcf(content: bytes, assets: Mapping[str, bytes]) -> None:
    """Checks the MJCF of a scene, and that it names no other files than these, by path.

    Raises:
        BundleError: MJCF_UNREADABLE, MJCF_DOCTYPE, MJCF_LIMITS, MJCF_ELEMENT, MJCF_FILE or ASSET_KIND.
    """
    if len(content) > _MOST_BYTES:
        raise _refused("MJCF_LIMITS", f"it has {len(content):,} bytes; {_MOST_BYTES:,} is the most")
    _Reading(assets).read(content)
    pixels = sum(_check_asset(path, asset) for path, asset in assets.items())
    if pixels > _MOST_PIXELS_IN_ALL:
        raise _refused("MJCF_LIMITS", f"its pictures have more than {_MOST_PIXELS_IN_ALL:,} pixels in all")


class _Reading:
    """One pass over a document."""

    def __init__(self, assets: Mapping[str, bytes]) -> None:
        self._assets = assets
        self._depth = 0
        self._elements = 0
        self._areas = {"hfield": 0.0, "texture": 0.0}
        self._counted = 0.0

    def read(self, content: bytes) -> None:
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.ExternalEntityRefHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        try:
            content.decode()
            parser.Parse(content, True)
        except (expat.ExpatError, UnicodeDecodeError) as error:
            raise _refused("MJCF_UNREADABLE", f"it is no XML in UTF-8: {error}") from error

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._depth and tag != "mujoco":
            raise _refused("MJCF_UNREADABLE", f"it starts with <{tag[:60]}>, not with <mujoco>")
        self._depth += 1
        self._elements += 1
        if self._depth > _MOST_DEPTH or self._elements > _MOST_ELEMENTS:
            raise _refused(
                "MJCF_LIMITS", f"it has over {_MOST_ELEMENTS:,} elements, or over {_MOST_DEPTH} in each other"
            )
        if tag.lower() in _REFUSED_ELEMENTS:
            raise _refused("MJCF_ELEMENT", f"it has <{tag}>, which no packed scene needs")
        for name, value in attributes.items():
            self._attribute(tag, name, value)
        if tag in self._areas:
            self._areas[tag] += math.prod(_whole(attributes.get(side, "0")) for side in _SIDES[tag])
            if self._areas[tag] > _MOST_PIXELS_IN_ALL:
                raise _refused("MJCF_LIMITS", f"all <{tag}> have more than {_MOST_PIXELS_IN_ALL:,} elements together")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if _FILE_ATTRIBUTE.fullmatch(name) and value not in self._assets:
            raise _refused("MJCF_FILE", f"<{tag}> names the file {value[:100]!r}, which the manifest does not list")
        if name in _REFUSED_ATTRIBUTES:
            raise _refused("MJCF_FILE", f"<{tag}> has {name}, which sends MuJoCo elsewhere for files")
        if name == "content_type" and value not in _CONTENT_TYPES:
            raise _refused("MJCF_FILE", f"<{tag}> is to be read as {value[:60]!r}, which no packed scene needs")
        if name in _SIDES.get(tag, ()) and not 0 <= _whole(value) <= _LONGEST_SIDE:
            raise _refused("MJCF_LIMITS", f"{name} of <{tag}> is over {_LONGEST_SIDE}")
        if (tag, name) in _COUNTS or name == "nsample":
            if (number := _whole(value)) < 0:
                raise _refused("MJCF_LIMITS", f"{name} of <{tag}> is below 0")
            self._counted += number
            if self._counted > _MOST_COUNTED:
                raise _refused("MJCF_LIMITS", f"{name} of <{tag}> and its like come to over {_MOST_COUNTED:,}")
        if tag == "size":
            most = _MOST_ARENA_BYTES if name == "memory" else _MOST_COUNTED
            if not -1 <= (_bytes(value) if name == "memory" else _whole(value)) <= most:
                raise _refused("MJCF_LIMITS", f"{name} of <size> is over {most:,}")

    def _end(self, _tag: str) -> None:
        self._depth -= 1

    def _doctype(self, *_declared: object) -> int:
        raise _refused("MJCF_DOCTYPE", "it declares a document type or entities")

    def _instruction(self, target: str, _text: str) -> None:
        raise _refused("MJCF_UNREADABLE", f"it has a processing instruction, <?{target[:60]}?>")


def _whole(text: str) -> float:
    """Returns a number that a text says; infinity where it says none, so that a limit refuses it."""
    try:
        value = float(text)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(value) else value


def _bytes(text: str) -> float:
    found = re.fullmatch(r"\s*(-?\d{1,20})\s*([kmgtpe]?)\s*", text.lower())
    return int(found[1]) * _MULTIPLIERS[found[2]] if found else math.inf


def _check_asset(path: str, content: bytes) -> int:
    """Refuses what is no mesh or picture by name, and pictures that are far larger unpacked than they look.

    Returns the pixels of a picture.
    """
    if not path.lower().endswith(ASSET_SUFFIXES):
        raise BundleError("ASSET_KIND", f"it is none of {', '.join(ASSET_SUFFIXES)}", f"scene/{path}")
    if path.lower().endswith(".png"):
        if content[:8] != b"\x89PNG\r\n\x1a\n" or len(content) < 24:
            raise BundleError("ASSET_KIND", "it is no PNG", f"scene/{path}")
        width, height = struct.unpack(">II", content[16:24])
        if not 0 < width * height <= _MOST_PIXELS:
            raise BundleError("ASSET_KIND", f"it is a picture of {width} by {height} pixels", f"scene/{path}")
        return int(width * height)
    return 0


def _refused(rule: str, message: str) -> BundleError:
    return BundleError(rule, message, _FILE)
