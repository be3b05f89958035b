"""Reads the XML of an upload before MuJoCo does: which file is the scene, and whether all that it names is there.

MuJoCo would say that a file is missing too, but not which line names it, and it would look for it on the disk.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree
from xml.parsers import expat

from tabrl_simulation.custom.archive import SceneRefused

__all__ = ["check_references", "find_main", "with_names_of_their_own"]

_LONGEST_XML: Final = 16 << 20
_FILE: Final = re.compile(r"file\w*")  # cube textures name six: fileright, fileleft, ...
_FOLDERS: Final = ("meshdir", "texturedir", "assetdir")
_PREFERRED: Final = "scene.xml"


@dataclass(frozen=True)
class _Reference:
    """A file that an XML file names."""

    element: str
    path: str
    file: str
    line: int


@dataclass
class _Document:
    """What matters here of one XML file."""

    root: str = ""
    references: list[_Reference] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    """Folders in which its compiler settings look for files."""
    plugin_line: int = 0


def find_main(files: Mapping[str, bytes], wanted: str = "") -> str:
    """Returns the path of the scene's main file.

    Args:
        files: the upload.
        wanted: the path that the person named; empty to find it.

    Raises:
        SceneRefused: SCENE_NOT_FOUND, SCENE_AMBIGUOUS (the message lists what there is) or XML_INVALID.
    """
    xml = [path for path in files if path.lower().endswith(".xml")]
    if wanted:
        if wanted not in files:
            message = f"there is no such file in the upload; there are: {_listed(xml)}"
            raise SceneRefused("SCENE_NOT_FOUND", message, wanted[:100])
        return wanted
    if not xml:
        raise SceneRefused("SCENE_NOT_FOUND", "the upload has no .xml file; put the scene's MJCF into it")
    if len(xml) == 1:
        return xml[0]
    documents = {path: _parsed(path, files[path]) for path in xml}
    used = {
        posixpath.normpath(posixpath.join(posixpath.dirname(path), reference.path))
        for path, document in documents.items()
        for reference in document.references
        if reference.element in ("include", "model")
    }
    scenes = [path for path in xml if documents[path].root == "mujoco" and path not in used]
    depth = min((path.count("/") for path in scenes), default=0)
    nearest = [path for path in scenes if path.count("/") == depth]
    named = [path for path in nearest if posixpath.basename(path) == _PREFERRED]
    if len(named) == 1 or len(nearest) == 1:
        return (named or nearest)[0]
    if not scenes:
        raise SceneRefused("SCENE_NOT_FOUND", f"none of the XML files is an MJCF scene of its own: {_listed(xml)}")
    message = f"several files could be the scene: {_listed(nearest)}; call one scene.xml, or say which it is"
    raise SceneRefused("SCENE_AMBIGUOUS", message)


def check_references(files: Mapping[str, bytes], main: str) -> None:
    """Checks that the main file, and all that it includes, names only files of the upload and no plugins.

    Args:
        files: the upload, by path as seen from the main file's folder.
        main: the main file's name.

    Raises:
        SceneRefused: XML_INVALID, FILE_MISSING, FILE_OUTSIDE or PLUGIN_REFUSED, each with file and line.
    """
    documents = dict(_included(files, main))
    folders = {"", *(folder for document in documents.values() for folder in document.folders)}
    for path, document in documents.items():
        if document.plugin_line:
            message = "plugins are not run; describe the robot without them"
            raise SceneRefused("PLUGIN_REFUSED", message, path, document.plugin_line)
        for reference in document.references:
            if reference.element not in ("include", "model"):
                _find(reference, files, folders)


def with_names_of_their_own(files: Mapping[str, bytes], main: str) -> dict[str, bytes]:
    """Returns the files that the scene names; what shares its name with another is renamed, here and where it is named.

    MuJoCo knows files in memory by their bare names alone and refuses two of one name, whether or not both are needed.

    Args:
        files: the upload, by path as seen from the main file's folder; checked by `check_references`.
        main: the main file's name.
    """
    documents = dict(_included(files, main))
    folders = {"", *(folder for document in documents.values() for folder in document.folders)}
    kept = {path: files[path] for path in documents}
    holders = {posixpath.basename(path).lower(): path for path in documents}
    renamed: dict[str, str] = {}
    for path, document in documents.items():
        new_names: dict[str, str] = {}
        for reference in document.references:
            if reference.element in ("include", "model"):
                continue
            found = _find(reference, files, folders)
            name = posixpath.basename(found)
            if holders.setdefault(name.lower(), found) != found:
                renamed[found] = new_names[reference.path] = f"{hashlib.sha256(found.encode()).hexdigest()[:8]}-{name}"
            kept[renamed.get(found, found)] = files[found]
        if new_names:
            kept[path] = _renaming(files[path], new_names)
    return kept


def _renaming(content: bytes, new_names: Mapping[str, str]) -> bytes:
    """Returns an XML file in which files are named by other names."""
    root = ElementTree.fromstring(content)
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if _FILE.fullmatch(attribute) and element.tag not in ("include", "model"):
                element.set(attribute, new_names.get(value, value))
    return ElementTree.tostring(root)


def _included(files: Mapping[str, bytes], main: str) -> Iterator[tuple[str, _Document]]:
    """Yields the main file and every file it includes, however deep."""
    seen, waiting = {main}, [main]
    while waiting:
        path = waiting.pop()
        document = _parsed(path, files[path])
        yield path, document
        for reference in document.references:
            if reference.element in ("include", "model"):
                found = _find(reference, files, {"", posixpath.dirname(path)})
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)


def _find(reference: _Reference, files: Mapping[str, bytes], folders: set[str]) -> str:
    """Returns the path of the file that is named."""
    path = reference.path.replace("\\", "/")
    if posixpath.isabs(path) or path[1:2] == ":":
        message = f"<{reference.element}> names {path[:100]}, an absolute path; name it relative to the scene"
        raise SceneRefused("FILE_OUTSIDE", message, reference.file, reference.line)
    for folder in sorted(folders):
        # MuJoCo knows a file also by its bare name.
        for candidate in (posixpath.normpath(posixpath.join(folder, path)), posixpath.basename(path)):
            if candidate in files:
                return candidate
    message = f"<{reference.element}> names {path[:100]}, which the upload does not hold; add it"
    raise SceneRefused("FILE_MISSING", message, reference.file, reference.line)


def _parsed(path: str, content: bytes) -> _Document:
    if len(content) > _LONGEST_XML:
        message = f"the file has {len(content):,} bytes; {_LONGEST_XML:,} of XML can be had"
        raise SceneRefused("ARCHIVE_TOO_LARGE", message, path)
    document = _Document()
    parser = expat.ParserCreate()

    def start(element: str, attributes: dict[str, str]) -> None:
        document.root = document.root or element
        line = parser.CurrentLineNumber
        if element in ("plugin", "extension") and not document.plugin_line:
            document.plugin_line = line
        if element == "compiler":
            document.folders += [
                attributes[name] for name in ("meshdir", "texturedir", "assetdir") if name in attributes
            ]
        document.references += [
            _Reference(element, value, path, line) for name, value in attributes.items() if _FILE.fullmatch(name)
        ]

    def refuse_declaration(*_: object) -> None:
        raise SceneRefused("XML_INVALID", "it declares a document type; remove it", path, parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse_declaration
    try:
        parser.Parse(content, True)
    except expat.ExpatError as e:
        reason = expat.ErrorString(e.code)
        raise SceneRefused("XML_INVALID", f"it is no well-formed XML: {reason}", path, e.lineno) from e
    return document


def _listed(paths: list[str]) -> str:
    shown = ", ".join(sorted(paths)[:8])
    return f"{shown} and {len(paths) - 8} more" if len(paths) > 8 else shown or "none"
