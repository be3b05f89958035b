"""The files from which MuJoCo, natively or in a browser, loads the very model that an environment trains on.

Environments edit their model after parsing, so their source XML is not that model. MuJoCo writes a model back as MJCF,
with six digits unless told otherwise, which is too few: after 1,000 steps a humanoid is elsewhere. With 17 digits every
float64 survives. Each bundle is loaded again and compared with its model before it is handed out.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

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
    """Meshes, textures and height fields, by the plain names by which the MJCF names them."""


class BundleError(Exception):
    """No MJCF could be written that gives the environment's model again."""


def scene_bundle(environment: Environment) -> SceneFiles:
    """Returns the files that give the environment's model again.

    Raises:
        BundleError: every way to write the model loses something; the message says what.
    """
    import mujoco

    brought: SceneFiles | None = getattr(environment.playground, "scene_files", None)
    if brought is not None:  # the very files that its model was loaded from
        return brought
    lost: dict[str, str] = {}
    for way, write in _WAYS.items():
        try:
            return _checked(environment.model, write(environment), environment.playground.model_assets)
        except (ValueError, mujoco.FatalError, BundleError) as error:  # MuJoCo's parser and writer raise either
            lost[way] = str(error)
    reasons = "; ".join(f"{way}: {reason}" for way, reason in lost.items())
    raise BundleError(f"the scene of {environment.id} cannot be written as MJCF ({reasons})")


def scene_of_spec(spec: mujoco.MjSpec, model: mujoco.MjModel, available: Mapping[str, bytes]) -> SceneFiles:
    """Returns the files that give a model again but for rounding, written from the specification it was compiled from.

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
    # Centring a mesh that was centred before moves inertias by more than the last bits.
    return _checked(model, xml, available, rounding=1e-7)


def load_scene(files: SceneFiles) -> mujoco.MjModel:
    """Loads a bundle natively.

    Raises:
        ValueError: MuJoCo refuses the MJCF; the message is its own.
    """
    import mujoco

    return mujoco.MjModel.from_xml_string(files.xml, dict(files.assets))


def _checked(
    model: mujoco.MjModel, xml: str, available: Mapping[str, bytes], *, rounding: float | None = None
) -> SceneFiles:
    """Returns a bundle that was loaded again and gave the model."""
    files = _flattened(_understood_by_older_releases(xml), available)
    different = differences(model, load_scene(files), rounding=rounding)
    if different:
        raise BundleError("the reloaded model differs in " + ", ".join(different))
    return files


_NOT_OF_THE_MOTION: Final = frozenset(
    {
        # A hash that also covers what the source left unsaid, and which inputs an actuator was declared with: a
        # `position` actuator says `pos`, the `general` one that MuJoCo writes for it may leave that out.
        "signature",
        "actuator_ctrlspec",
        # Where files lay.
        "paths",
        "npaths",
        "nbuffer",
        "mesh_pathadr",
        "hfield_pathadr",
        "skin_pathadr",
        "tex_pathadr",
    }
)


# Parsing centres meshes and normalises quaternions anew, which moves their last bit or two.
_ROUNDING: Final = 1e-14


def differences(model: mujoco.MjModel, other: mujoco.MjModel, *, rounding: float | None = None) -> list[str]:
    """Returns the names of all sizes, arrays and options that decide motion or looks and differ between two models.

    Args:
        model: one model.
        other: the other one.
        rounding: relative and absolute difference that counts as none; None for that of the last bit or two.
    """
    theirs = dict(_values(other))
    tolerance = _ROUNDING if rounding is None else rounding
    return [name for name, value in _values(model) if not _same(value, theirs[name], tolerance)]


def _values(holder: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in dir(holder):
        if name.startswith("_") or name in _NOT_OF_THE_MOTION:
            continue
        value = getattr(holder, name)
        if name == "geom_size":
            value = _used_sizes(holder)
        if isinstance(value, np.ndarray | int | float | bytes):
            yield prefix + name, value
        elif not callable(value):  # the groups of options: opt, stat and vis, and the groups of vis
            yield from _values(value, f"{prefix}{name}.")


def _used_sizes(model: Any) -> NDArray[np.float64]:
    """Returns the sizes of geoms, [ngeom, 3], without those that a sphere, capsule or cylinder has no use for."""
    import mujoco

    sizes = np.array(model.geom_size)
    sizes[model.geom_type == mujoco.mjtGeom.mjGEOM_SPHERE, 1:] = 0
    sizes[np.isin(model.geom_type, (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER)), 2] = 0
    return sizes


def _same(value: Any, other: Any, tolerance: float) -> bool:
    if isinstance(value, float):
        return math.isclose(value, other, rel_tol=tolerance, abs_tol=tolerance)
    if not isinstance(value, np.ndarray):
        return bool(value == other)
    if value.shape != other.shape:
        return False
    if value.dtype.kind != "f":
        return np.array_equal(value, other)
    return np.allclose(value, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def _from_source(environment: Environment) -> str:
    """Parses the environment's source and writes the model's numbers into it; fails where code added bodies to it."""
    import mujoco

    source = Path(environment.playground.xml_path).read_text()
    files = environment.playground.model_assets
    return _written(mujoco.MjSpec.from_string(source, include=files, assets=files), environment.model)


def _from_code(environment: Environment) -> str:
    """Loads the environment anew, and takes what its code parsed or put together for MuJoCo to compile."""
    from tabrl_simulation import environments

    with _specifications() as specifications:
        environments.load(environment.id, environment.overrides)
    if not specifications:
        raise BundleError("it compiled none")
    return _written(specifications[-1], environment.model)


_WAYS: Final[Mapping[str, Callable[[Environment], str]]] = {
    "from its source": _from_source,
    "from its code": _from_code,
}


@contextmanager
def _specifications() -> Iterator[list[mujoco.MjSpec]]:
    """Collects the specification of each model that this thread compiles."""
    import mujoco

    compiled: list[mujoco.MjSpec] = []
    compile_specification, parse = mujoco.MjSpec.compile, mujoco.MjModel.from_xml_string
    owner = threading.get_ident()

    def noted_compile(specification: mujoco.MjSpec, *args: Any) -> mujoco.MjModel:
        if threading.get_ident() == owner:
            compiled.append(specification)
        return compile_specification(specification, *args)

    def noted_parse(xml: str, assets: Mapping[str, bytes] | None = None) -> mujoco.MjModel:
        if threading.get_ident() == owner:
            files = dict(assets or {})
            compiled.append(mujoco.MjSpec.from_string(xml, include=files, assets=files))
        return parse(xml, assets)

    with _patching:
        mujoco.MjSpec.compile, mujoco.MjModel.from_xml_string = noted_compile, staticmethod(noted_parse)
        try:
            yield compiled
        finally:
            mujoco.MjSpec.compile, mujoco.MjModel.from_xml_string = compile_specification, staticmethod(parse)


_patching = threading.Lock()


def _written(spec: mujoco.MjSpec, model: mujoco.MjModel) -> str:
    """Returns the MJCF of a specification with the numbers of a model that it gave."""
    parsed = spec.compile()
    spec.copy_back(model)  # real numbers alone
    for geom in spec.geoms:
        if parsed.geom_conaffinity[geom.id] != model.geom_conaffinity[geom.id]:
            geom.conaffinity = model.geom_conaffinity[geom.id]
        if parsed.geom_contype[geom.id] != model.geom_contype[geom.id]:
            geom.contype = model.geom_contype[geom.id]
        if parsed.geom_matid[geom.id] != model.geom_matid[geom.id]:
            geom.material = model.mat(model.geom_matid[geom.id]).name
    with _seventeen_digits():
        return str(spec.to_xml())


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


def _flattened(xml: str, available: Mapping[str, bytes]) -> SceneFiles:
    """Returns the MJCF with the files that it names, all in one folder.

    Args:
        xml: MJCF that names files by whatever paths.
        available: files, by these paths or others that end in the same name.

    Raises:
        BundleError: a named file is not available.
    """
    root = ElementTree.fromstring(xml)
    compiler = root.find("compiler")
    folders = {} if compiler is None else compiler.attrib
    by_basename = {PurePosixPath(path).name: content for path, content in available.items()}
    assets: dict[str, bytes] = {}
    for element in root.iterfind("asset/*"):
        folder = folders.get(_FOLDER_OF.get(element.tag, ""), folders.get("assetdir", ""))
        for attribute, name in element.attrib.items():
            if not re.fullmatch(r"file\w*", attribute):  # cube textures name six: fileright, fileleft, ...
                continue
            path = str(PurePosixPath(folder, name))
            content = available.get(path, by_basename.get(PurePosixPath(name).name))
            if content is None:
                raise BundleError(f"the MJCF names {path}, which the environment does not bring")
            element.set(attribute, _put(PurePosixPath(name).name, content, assets))
    if not assets:
        return SceneFiles(xml, {})
    for attribute in ("meshdir", "texturedir", "assetdir"):
        folders.pop(attribute, None)
    return SceneFiles(ElementTree.tostring(root, encoding="unicode"), assets)


def _put(name: str, content: bytes, assets: dict[str, bytes]) -> str:
    """Puts a file beside the others, under another name where its own is taken; MuJoCo does not tell case apart."""
    taken = {other.lower(): other for other in assets}
    other = taken.get(name.lower(), name)
    if assets.setdefault(other, content) == content:
        return other
    renamed = f"{hashlib.sha256(content).hexdigest()[:8]}-{name}"
    assets[renamed] = content
    return renamed
