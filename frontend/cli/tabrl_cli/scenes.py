"""Robots that people bring: packed from where they lie, uploaded in pieces, configured by a JSON file."""

from __future__ import annotations

import difflib
import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from tabrl.scene.v1 import menagerie_pb2, scene_pb2

from tabrl_cli.connection import COMPILE_SECS, Connection, UsageError
from tabrl_cli.console import Output, count
from tabrl_cli.errors import CallError

__all__ = ["Packed", "add_from_menagerie", "configure", "from_disk", "from_menagerie", "upload"]

PIECE_BYTES = 1 << 20
LONGEST_BYTES = 64 << 20
# Reading an upload takes seconds, and minutes at most.
MOST_TURNS_WAITED = 100
_NAMED_BY_MJCF = frozenset(
    {".xml", ".obj", ".stl", ".msh", ".png", ".ktx", ".hdr", ".bin", ".skn", ".dae", ".urdf", ".txt"}
)
_MOST_NEAR = 3


@dataclass(frozen=True)
class Packed:
    """An upload: what it is called, its bytes, and which of its files is the scene."""

    file_name: str
    content: bytes
    main_file: str = ""
    title: str = ""


def from_disk(path: Path, main_file: str) -> Packed:
    """Packs a zip as it is, a folder, or an MJCF file with the folder it lies in."""
    if path.is_dir():
        return Packed(f"{path.resolve().name}.zip", _zipped(path, _files(path)), main_file, path.resolve().name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if path.suffix.lower() == ".xml" and b"file" in content:  # it names other files, which lie beside it
        folder = path.resolve().parent
        return Packed(f"{path.stem}.zip", _zipped(folder, _files(folder)), path.name, path.stem)
    return Packed(path.name, content, main_file, path.stem)


def from_menagerie(name: str, entry: str) -> Packed:
    """Packs a robot of MuJoCo Menagerie; the package downloads it once, or takes it from `MENAGERIE_ROOT`."""
    import mujoco_menagerie  # here alone: every other command is without it

    known = mujoco_menagerie.names()
    if name not in known:
        near = _near(name, known)
        told = f"did you mean {' or '.join(near)}?" if near else f"its robots are {', '.join(known)}."
        raise UsageError(f"MuJoCo Menagerie has no robot {name!r}; {told}")
    try:
        robot = mujoco_menagerie.get(name)
        main = robot.xml(entry.removesuffix(".xml") or None)
        folder = robot.path()
        files = [Path(file) for file in robot.files(entry.removesuffix(".xml") or None)]
    except (mujoco_menagerie.MenagerieError, OSError, KeyError, ValueError) as error:
        raise UsageError(f"MuJoCo Menagerie does not give {name}: {error}") from error
    resolved = Path(folder).resolve()
    return Packed(
        f"{name}.zip",
        _zipped(resolved, (file.resolve() for file in files)),
        Path(main).resolve().relative_to(resolved).as_posix(),
        robot.display_name,
    )


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Returns the robots that a wrong name may mean: `go1` is a part of a name, `anymall` is nearly one."""
    typed = name.lower().replace("-", "_").replace(" ", "_")
    parts = sorted({part for robot in known for part in robot.split("_") if len(part) > 1})
    held = [robot for robot in known if len(typed) > 1 and typed in robot]
    close = difflib.get_close_matches(typed, known, n=_MOST_NEAR, cutoff=0.7)
    for part in difflib.get_close_matches(typed, parts, n=_MOST_NEAR, cutoff=0.7):
        close += [robot for robot in known if part in robot.split("_")]
    return list(dict.fromkeys(held + close))[:_MOST_NEAR]


def add_from_menagerie(connection: Connection, output: Output, name: str, entry: str) -> bool:
    """Makes an environment of a scene of Menagerie that TabRL has itself; returns whether it has it."""
    listed = connection.call(connection.menagerie.ListMenagerieScenes, menagerie_pb2.ListMenagerieScenesRequest())
    # The package's own names for scenes are without the suffix.
    main_file = f"{entry.removesuffix('.xml')}.xml" if entry else ""
    found = next((each for each in listed.scenes if each.robot == name and main_file in ("", each.main_file)), None)
    if found is None:
        return False
    request = menagerie_pb2.AddMenagerieSceneRequest(robot=name, main_file=found.main_file)
    answer = connection.call(connection.menagerie.AddMenagerieScene, request, COMPILE_SECS)
    _say(connection, output, answer.environment)
    return True


def upload(connection: Connection, output: Output, packed: Packed, *, title: str) -> None:
    """Uploads a scene and says which environment it became."""
    size = len(packed.content)
    if size > LONGEST_BYTES:
        raise UsageError(f"{packed.file_name} has {count(size)} bytes; {count(LONGEST_BYTES)} can be uploaded")
    upload_id = str(uuid.uuid4())
    received, response, waits = 0, scene_pb2.UploadSceneResponse(), MOST_TURNS_WAITED
    while not response.HasField("environment"):
        request = scene_pb2.UploadSceneRequest(
            upload_id=upload_id,
            file_name=packed.file_name,
            title=(title or packed.title)[:60],
            main_file=packed.main_file,
            size_bytes=size,
            offset_bytes=received,
            data=packed.content[received : received + PIECE_BYTES],
        )
        try:
            response = connection.call(connection.scene.UploadScene, request)
        except CallError as error:
            if error.reason == "UPLOAD_OUT_OF_STEP" and waits:  # the service started anew, or had an answer got lost
                waits -= 1
                received = int(error.metadata.get("received_bytes", 0))
                continue
            if error.reason != "TOO_MANY_REQUESTS" or not waits:
                raise
            waits -= 1
            output.note("others' uploads are being read; waiting")
            time.sleep(error.retry_after_secs or 2.0)
            continue
        if response.received_bytes != received:
            received = response.received_bytes
            output.note(f"uploaded {received / 1e6:,.1f} of {size / 1e6:,.1f} MB")
            output.event("uploading", received_bytes=received, size_bytes=size)
        elif not response.HasField("environment"):
            output.note("reading the scene")
    _say(connection, output, response.environment)


def configure(connection: Connection, output: Output, environment_id: str, path: Path | None) -> None:
    """Shows a scene's configuration as JSON, or changes what a file says of it."""
    request = scene_pb2.GetSceneRequest(environment_id=environment_id)
    scene = connection.call(connection.scene.GetScene, request).scene
    present = _plain(scene.config)
    if path is None:
        print(json.dumps(present, indent=2))
        return
    try:
        changes = json.loads(path.read_text())
        config = ParseDict(_merged(present, changes), scene_pb2.SceneConfig())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, ParseError, TypeError) as error:
        raise UsageError(f"{path} is no configuration of a scene: {error}") from error
    change = scene_pb2.UpdateSceneConfigRequest(environment_id=environment_id, config=config)
    answer = connection.call(connection.scene.UpdateSceneConfig, change)
    _say(connection, output, answer.environment)


def _say(connection: Connection, output: Output, environment: scene_pb2.Environment) -> None:
    summary = environment.summary
    if output.as_json:
        output.event("environment", environment=environment)
        return
    output.line(
        f"{summary.environment_id}: {summary.actuator_count} actuators, {summary.dof_count} degrees of freedom, "
        f"{environment.observation_size} numbers observed"
    )
    output.line(f"tabrl scene {summary.environment_id} shows how it is set up.")
    output.line(f"tabrl try PROMPT --env {summary.environment_id} trains it.")
    output.line(connection.page(env=summary.environment_id))


def _plain(config: scene_pb2.SceneConfig) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(
        config, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return plain


def _merged(present: dict[str, Any], changes: Any) -> dict[str, Any]:
    if not isinstance(changes, dict):
        raise TypeError("it is no JSON object")
    merged = dict(present)
    for name, value in changes.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix.lower() in _NAMED_BY_MJCF)


def _zipped(folder: Path, files: Iterable[Path]) -> bytes:
    """Returns a zip of files in a folder.

    Raises:
        UsageError: it is more than can be uploaded, or a file cannot be read.
    """
    packed = io.BytesIO()
    # Files unpacked from an archive without times are of 1970, which a zip cannot say: it then says 1980.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in files:
            try:
                archive.write(path, path.relative_to(folder).as_posix())
            except OSError as error:
                raise _unreadable(path, error) from error
            if packed.tell() > LONGEST_BYTES:  # a home folder, say: its pictures would fill the memory
                raise UsageError(
                    f"{folder} has more than the {count(LONGEST_BYTES)} bytes that can be uploaded; put the scene and "
                    "the files that it names into a folder of their own"
                )
    return packed.getvalue()


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be read: {error.strerror}")
