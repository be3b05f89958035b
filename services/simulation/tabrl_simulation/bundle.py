"""The files from which MuJoCo, natively or in a browser, loads the very model that an environment trains on.

Environments edit their model after parsing, so their source XML is not that model. MuJoCo writes a model back as MJCF,
with six digits unless told otherwise, which is too few: after 1,000 steps a humanoid is elsewhere. With 17 digits every
float64 survives. Each bundle is loaded again and compared with its model before it is handed out.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.environments import Environment

__all__ = ["BundleError", "SceneFiles", "differences", "load_scene", "scene_bundle", "scene_of_spec"]


@dataclass(frozen=True)
class SceneFiles:
    """A scene as files."""

    xml: str
    """MJCF with 17 significant digits."""
    assets: Mapping[str, bytes]
    """Meshes, textures and height fields, at the paths by which the MJCF names them."""


class BundleError(Exception):
    """No MJCF could be written that gives the environment's model again."""


def scene_bundle(environment: Environment) -> SceneFiles:
    """Returns the files that give the environment's model again.

    Raises:
        BundleError: every way to write the model loses something; the message says what.
    """
    import mujoco

    lost: dict[str, str] = {}
    for way, write in _WAYS.items():
        try:
            return _checked(environment.model, write(environment), environment.playground.model_assets)
        except (ValueError, mujoco.FatalError, BundleError) as error:  # MuJoCo's parser and writer raise either
            lost[way] = str(error)
    reasons = "; ".join(f"{way}: {reason}" for way, reason in lost.items())
    raise BundleError(f"the scene of {environment.id} cannot be written as MJCF ({reasons})")


def scene_of_spec(spec: mujoco.MjSpec, model: mujoco.MjModel, available: Mapping[str, bytes]) -> SceneFiles:
    """Returns the files that give a model again, written from the specification it was compiled from.

    Args:
        spec: the specification.
        model: what it compiled to.
        available: files that it may name, by path.

    Raises:
        BundleError: writing the model loses something; the message says what.
        ValueError, mujoco.FatalError: MuJoCo cannot write it, or not read what it wrote.
    """
    with _seventeen_digits():
        xml = str(spec.to_xml())
    return _checked(model, xml, available)


def load_scene(files: SceneFiles) -> mujoco.MjModel:
    """Loads a bundle natively.

    Raises:
        ValueError: MuJoCo refuses the MJCF; the message is its own.
    """
    import mujoco

    return mujoco.MjModel.from_xml_string(files.xml, dict(files.assets))


def _checked(model: mujoco.MjModel, xml: str, available: Mapping[str, bytes]) -> SceneFiles:
    """Returns a bundle that was loaded again and gave the model."""
    xml = _understood_by_older_releases(xml)
    files = SceneFiles(xml, _named_assets(xml, available))
    different = differences(model, load_scene(files))
    if different:
        raise BundleError("the reloaded model differs in " + ", ".join(different))
    return files


# A hash that also covers what the source left unsaid, and which inputs an actuator was declared with: a `position`
# actuator says `pos`, the `general` one that MuJoCo writes for it may leave that out.
_NOT_OF_THE_MOTION: Final = frozenset({"signature", "actuator_ctrlspec"})


# Parsing centres meshes and normalises quaternions anew, which moves their last bit or two.
_ROUNDING: Final = 1e-14


def differences(model: mujoco.MjModel, other: mujoco.MjModel) -> list[str]:
    """Returns the names of all sizes, arrays and options that decide motion or looks and differ between two models."""
    theirs = dict(_values(other))
    return [name for name, value in _values(model) if not _same(value, theirs[name])]


def _values(holder: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in dir(holder):
        if name.startswith("_") or name in _NOT_OF_THE_MOTION:
            continue
        value = getattr(holder, name)
        if isinstance(value, np.ndarray | int | float | bytes):
            yield prefix + name, value
        elif not callable(value):  # the groups of options: opt, stat and vis, and the groups of vis
            yield from _values(value, f"{prefix}{name}.")


def _same(value: Any, other: Any) -> bool:
    if not isinstance(value, np.ndarray):
        return bool(value == other)
    if value.shape != other.shape:
        return False
    if value.dtype.kind != "f":
        return np.array_equal(value, other)
    return np.allclose(value, other, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True)


def _from_source(environment: Environment) -> str:
    """Parses the environment's source and writes the model's numbers into it; fails where code added bodies to it."""
    import mujoco

    source = Path(environment.playground.xml_path).read_text()
    files = environment.playground.model_assets
    spec = mujoco.MjSpec.from_string(source, include=files, assets=files)
    spec.compile()
    spec.copy_back(environment.model)
    with _seventeen_digits():
        return str(spec.to_xml())


def _from_fresh_load(environment: Environment) -> str:
    """Loads the environment anew and writes what MuJoCo parsed last, which holds what code added to the source."""
    import mujoco

    from tabrl_simulation import environments

    with _seventeen_digits(), TemporaryDirectory() as folder:
        model = environments.load(environment.id, environment.overrides).model
        path = Path(folder, "scene.xml")
        mujoco.mj_saveLastXML(str(path), model)
        return path.read_text()


_WAYS: Final[Mapping[str, Callable[[Environment], str]]] = {
    "from its source": _from_source,
    "from a fresh load": _from_fresh_load,
}

_writing = threading.Lock()


@contextmanager
def _seventeen_digits() -> Iterator[None]:
    """Makes MuJoCo write every float64 in full. The setting belongs to the whole process."""
    import mujoco

    library = ctypes.CDLL(str(next(Path(mujoco.__file__).parent.glob("libmujoco*"))))
    with _writing:
        before = library._mjPRIVATE__get_xml_precision()
        library._mjPRIVATE__set_xml_precision(17)
        try:
            yield
        finally:
            library._mjPRIVATE__set_xml_precision(before)


def _understood_by_older_releases(xml: str) -> str:
    """Drops an attribute that the browser's MuJoCo 3.14 does not know and that decides no motion."""
    return xml.replace(' input="pos"', "")


_FOLDER_OF: Final = {"mesh": "meshdir", "skin": "meshdir", "hfield": "meshdir", "texture": "texturedir"}


def _named_assets(xml: str, available: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the files that the MJCF names; `available` may know them by another folder.

    Raises:
        BundleError: a named file is not available.
    """
    root = ElementTree.fromstring(xml)
    compiler = root.find("compiler")
    folders: Mapping[str, str] = {} if compiler is None else compiler.attrib
    by_basename = {PurePosixPath(path).name: content for path, content in available.items()}
    assets = {}
    for element in root.iterfind("asset/*"):
        folder = folders.get(_FOLDER_OF.get(element.tag, ""), folders.get("assetdir", ""))
        for attribute, name in element.attrib.items():
            if not re.fullmatch(r"file\w*", attribute):  # cube textures name six: fileright, fileleft, ...
                continue
            path = str(PurePosixPath(folder, name))
            content = available.get(path, by_basename.get(PurePosixPath(name).name))
            if content is None:
                raise BundleError(f"the MJCF names {path}, which the environment does not bring")
            assets[path] = content
    return assets
