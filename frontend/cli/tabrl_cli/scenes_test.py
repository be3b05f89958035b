"""Packing robots and uploading them, against a server that takes pieces as the contract says."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tabrl_cli import scenes
from tabrl_cli.conftest import Server, tabrl

_SCENE = b'<mujoco><include file="arm.xml"/></mujoco>'


def test_a_folder_is_packed_and_sent_in_pieces(server: tuple[Server, str], tmp_path: Path) -> None:
    robot = tmp_path / "arm"
    (robot / "meshes").mkdir(parents=True)
    (robot / "scene.xml").write_bytes(_SCENE)
    (robot / "arm.xml").write_bytes(b"<mujoco/>")
    (robot / "meshes" / "link.stl").write_bytes(os.urandom(5 << 19))
    (robot / "notes.docx").write_bytes(b"not of the scene")

    result = tabrl(server[1], "upload", str(robot))

    assert result.exit_code == 0, result.output
    assert "custom-arm-00000000" in result.output
    (content,) = server[0].received.values()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert sorted(archive.namelist()) == ["arm.xml", "meshes/link.stl", "scene.xml"]


def test_others_uploads_are_waited_for(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tabrl_cli.scenes.time.sleep", waits.append)
    server[0].turned_away = 2
    (tmp_path / "arm.xml").write_bytes(b"<mujoco/>")

    result = tabrl(server[1], "upload", str(tmp_path / "arm.xml"))

    assert result.exit_code == 0, result.output
    assert waits == [2.0, 2.0]


@pytest.mark.parametrize("forgets_at", [1 << 20, (2 << 20) + 10])
def test_a_service_that_lost_what_had_arrived_is_sent_it_again(
    forgets_at: int, server: tuple[Server, str], tmp_path: Path
) -> None:
    content = os.urandom((2 << 20) + 10)
    (tmp_path / "arm.zip").write_bytes(content)
    server[0].forgets_at = forgets_at  # as one does that was killed after it had read all, and before it answered

    result = tabrl(server[1], "upload", str(tmp_path / "arm.zip"))

    assert result.exit_code == 0, result.output
    assert list(server[0].received.values()) == [content]


def test_an_mjcf_file_brings_the_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "world.xml").write_bytes(_SCENE)
    (tmp_path / "arm.xml").write_bytes(b"<mujoco/>")
    assert scenes.from_disk(tmp_path / "world.xml", "").main_file == "world.xml"
    assert scenes.from_disk(tmp_path / "arm.xml", "").content == b"<mujoco/>"


def test_a_folder_that_is_too_large_is_read_no_further(
    server: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an MJCF file in a folder full of pictures
    monkeypatch.setattr(scenes, "LONGEST_BYTES", 100_000)
    (tmp_path / "arm.xml").write_bytes(_SCENE)
    for number in range(5):
        (tmp_path / f"holiday_{number}.png").write_bytes(os.urandom(60_000))
    opened: list[str] = []
    write = zipfile.ZipFile.write
    monkeypatch.setattr(
        zipfile.ZipFile, "write", lambda archive, path, name: (opened.append(name), write(archive, path, name))
    )

    refused = tabrl(server[1], "upload", str(tmp_path / "arm.xml"))

    assert refused.exit_code == 2
    assert "a folder of their own" in " ".join(refused.output.split())
    assert opened == ["arm.xml", "holiday_0.png", "holiday_1.png"]
    assert not server[0].received


def test_a_file_of_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "scene.xml").write_bytes(_SCENE)
    # another program may take a file away between the listing and the reading
    with pytest.raises(scenes.UsageError, match=r"gone\.xml cannot be read: No such file"):
        scenes._zipped(tmp_path, [tmp_path / "scene.xml", tmp_path / "gone.xml"])


def test_what_is_not_there_is_said(server: tuple[Server, str], tmp_path: Path) -> None:
    result = tabrl(server[1], "upload", str(tmp_path / "none.zip"))
    assert result.exit_code != 0
    assert "cannot be read" in result.output


def test_a_configuration_is_changed_by_what_a_file_says(server: tuple[Server, str], tmp_path: Path) -> None:
    changes = tmp_path / "changes.json"
    changes.write_text(json.dumps({"home_joints": {"hip": 1.0}, "observations": {"clock": True}, "home_height_m": 0.4}))

    shown = tabrl(server[1], "scene", "custom-arm-00000000")
    changed = tabrl(server[1], "scene", "custom-arm-00000000", "--config", str(changes))

    assert json.loads(shown.output)["home_joints"] == {"knee": 0.5}
    assert changed.exit_code == 0, changed.output
    (sent,) = server[0].configured
    assert (dict(sent.home_joints), sent.home_height_m) == ({"knee": 0.5, "hip": 1.0}, 0.4)
    assert (sent.observations.clock, sent.observations.command, sent.episode_length) == (True, True, 500)


@pytest.mark.parametrize("main", [(), ("--main", "scene.xml"), ("--main", "scene")])
def test_a_robot_of_menagerie_that_tabrl_has_needs_no_upload(main: tuple[str, ...], server: tuple[Server, str]) -> None:
    added = tabrl(server[1], "upload", "unitree_go1", "--menagerie", *main)

    assert "custom-unitree_go1-scene.xml" in added.output
    assert not server[0].received


@pytest.mark.parametrize(
    ("robot", "main", "main_file"),
    [("anybotics_anymal_c", (), "scene.xml"), ("unitree_go1", ("--main", "go1"), "go1.xml")],
)
def test_what_tabrl_has_not_of_menagerie_is_taken_from_the_package(
    robot: str,
    main: tuple[str, ...],
    main_file: str,
    server: tuple[Server, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given the package as it is installed, with a robot where it looks for one before it downloads any
    (tmp_path / robot).mkdir()
    (tmp_path / robot / main_file).write_bytes(b"<mujoco/>")
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))

    result = tabrl(server[1], "upload", robot, "--menagerie", *main)

    assert result.exit_code == 0, result.output
    (content,) = server[0].received.values()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [main_file]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("unitree_h2", "did you mean unitree_h1"),
        ("anymall", "did you mean anybotics_anymal_b or anybotics_anymal_c?"),
        ("Shadow-Hand", "did you mean shadow_hand"),
        ("propeller", "its robots are agilex_piper, "),
    ],
)
def test_a_wrong_name_is_told_with_those_that_are_near(server: tuple[Server, str], typed: str, told: str) -> None:
    refused = tabrl(server[1], "upload", typed, "--menagerie")
    assert refused.exit_code == 2
    assert f"MuJoCo Menagerie has no robot '{typed}'; {told}" in refused.output


def test_the_robots_of_menagerie_are_read_when_one_is_asked_for() -> None:
    command = "import sys, tabrl_cli.main; sys.exit('mujoco_menagerie' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0


def test_a_robot_that_the_package_downloaded_is_packed_though_its_files_have_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given the package, which unpacks an archive whose files are all of 1970
    for name, content in (("scene.xml", _SCENE), ("arm.xml", b"<mujoco/>")):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (0, 0))
    robot = SimpleNamespace(
        display_name="Some Arm",
        path=lambda: tmp_path,
        xml=lambda _entry: tmp_path / "scene.xml",
        files=lambda _entry: [tmp_path / "scene.xml", tmp_path / "arm.xml"],
    )
    package = SimpleNamespace(names=lambda: ["some_arm"], get=lambda _name: robot, MenagerieError=LookupError)
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", package)

    packed = scenes.from_menagerie("some_arm", "")

    assert (packed.file_name, packed.main_file, packed.title) == ("some_arm.zip", "scene.xml", "Some Arm")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert sorted(archive.namelist()) == ["arm.xml", "scene.xml"]


def test_a_robot_of_menagerie_is_packed_by_name() -> None:
    if not Path(os.environ.get("MENAGERIE_ROOT", ""), "anybotics_anymal_c").is_dir():
        pytest.skip("MENAGERIE_ROOT names no folder with the models of MuJoCo Menagerie")
    packed = scenes.from_menagerie("anybotics_anymal_c", "")
    assert (packed.file_name, packed.main_file) == ("anybotics_anymal_c.zip", "scene.xml")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert {"scene.xml", "anymal_c.xml", "assets/base_0.obj"} <= set(archive.namelist())
