import io
import stat
import zipfile
from collections.abc import Callable

import pytest

from tabrl_simulation.custom.archive import SceneRefused, main_folder, open_upload
from tabrl_simulation.custom.references import check_references, find_main

_LINK = (stat.S_IFLNK | 0o777) << 16


def _zip(*entries: tuple[str, bytes], attributes: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = attributes
            archive.writestr(entry, content)
    return out.getvalue()


def _lying_about_its_size() -> bytes:
    """A zip whose table says that 8 MiB of zeros are 10 bytes."""
    content = bytearray(_zip(("a.xml", bytes(8 << 20))))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(signature) + offset
        content[at : at + 4] = (10).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason", "file"),
    [
        (lambda: _zip(("../up.xml", b"")), "ARCHIVE_PATH", "../up.xml"),
        (lambda: _zip(("a/../../up.xml", b"")), "ARCHIVE_PATH", "a/../../up.xml"),
        (lambda: _zip(("/etc/scene.xml", b"")), "ARCHIVE_PATH", "/etc/scene.xml"),
        (lambda: _zip(("C:\\scene.xml", b"")), "ARCHIVE_PATH", "C:\\scene.xml"),
        (lambda: _zip(("a.xml", b"/etc/passwd"), attributes=_LINK), "ARCHIVE_PATH", "a.xml"),
        (lambda: _zip(("a.xml", b""), ("a.xml", b"")), "ARCHIVE_PATH", "a.xml"),
        (lambda: _zip(("a.xml", bytes(8 << 20))), "ARCHIVE_TOO_LARGE", "a.xml"),
        (_lying_about_its_size, "ARCHIVE_UNREADABLE", ""),
        (lambda: _zip(*((f"{i}.obj", b"") for i in range(2_001))), "ARCHIVE_TOO_LARGE", ""),
        (lambda: bytes((64 << 20) + 1), "ARCHIVE_TOO_LARGE", ""),
        (lambda: b"PK\x03\x04 and nothing more", "ARCHIVE_UNREADABLE", ""),
        (lambda: _zip(("a.xml", b"<mujoco/>"))[:-30], "ARCHIVE_UNREADABLE", ""),
        (lambda: b"\x00\x01 no zip at all", "ARCHIVE_UNREADABLE", ""),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_could_do_harm_is_refused(content: Callable[[], bytes], reason: str, file: str) -> None:
    with pytest.raises(SceneRefused) as refused:
        open_upload(content(), "robot.zip")
    assert (refused.value.reason, refused.value.file) == (reason, file)


def test_a_single_xml_is_an_upload_of_one_file() -> None:
    assert open_upload(b"<mujoco/>", "some/arm.xml") == {"arm.xml": b"<mujoco/>"}


def test_files_are_seen_from_the_folder_of_the_scene() -> None:
    files = {"robot/mjcf/scene.xml": b"", "robot/mjcf/arm.xml": b"", "robot/meshes/hand.obj": b""}
    assert set(main_folder(files, "robot/mjcf/scene.xml")) == {"scene.xml", "arm.xml", "../meshes/hand.obj"}


def test_the_scene_is_the_file_that_no_other_includes() -> None:
    include = b'<mujoco><include file="arm.xml"/></mujoco>'
    assert find_main({"robot/arm.xml": b"<mujoco/>", "robot/world.xml": include}) == "robot/world.xml"
    assert find_main({"a.xml": b"<mujoco/>", "b.xml": b"<mujoco/>"}, wanted="b.xml") == "b.xml"
    with pytest.raises(SceneRefused, match=r"a\.xml, b\.xml") as refused:
        find_main({"a.xml": b"<mujoco/>", "b.xml": b"<mujoco/>"})
    assert refused.value.reason == "SCENE_AMBIGUOUS"


_MESH = b'<mujoco>\n<compiler meshdir="m"/>\n<asset>\n<mesh file="%s"/>\n</asset></mujoco>'


@pytest.mark.parametrize(
    ("files", "reason", "file", "line"),
    [
        ({"scene.xml": _MESH % b"hand.obj"}, "FILE_MISSING", "scene.xml", 4),
        ({"scene.xml": _MESH % b"/etc/passwd"}, "FILE_OUTSIDE", "scene.xml", 4),
        ({"scene.xml": _MESH % b"../../up.obj"}, "FILE_MISSING", "scene.xml", 4),
        ({"scene.xml": b'<mujoco>\n<include file="arm.xml"/></mujoco>'}, "FILE_MISSING", "scene.xml", 2),
        (
            {"scene.xml": b'<mujoco><include file="arm.xml"/></mujoco>', "arm.xml": _MESH % b"hand.obj"},
            "FILE_MISSING",
            "arm.xml",
            4,
        ),
        (
            {"scene.xml": b'<mujoco>\n\n<extension><plugin plugin="p"/></extension></mujoco>'},
            "PLUGIN_REFUSED",
            "scene.xml",
            3,
        ),
        ({"scene.xml": b"<mujoco>\n<worldbody></mujoco>"}, "XML_INVALID", "scene.xml", 2),
        ({"scene.xml": b'<!DOCTYPE m [<!ENTITY a "b">]><mujoco>&a;</mujoco>'}, "XML_INVALID", "scene.xml", 1),
    ],
)
def test_what_an_xml_names_must_be_there(files: dict[str, bytes], reason: str, file: str, line: int) -> None:
    with pytest.raises(SceneRefused) as refused:
        check_references(files, "scene.xml")
    assert (refused.value.reason, refused.value.file, refused.value.line) == (reason, file, line)


def test_meshes_are_found_where_the_compiler_looks() -> None:
    check_references({"scene.xml": _MESH % b"hand.obj", "m/hand.obj": b""}, "scene.xml")
