"""`python -m tabrl.play`, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tabrl.play import opengl
from tabrl.play.__main__ import main
from tabrl.play.bundle import write_bundle
from tabrl.play.opengl import NoOpenGLError, off_screen
from tabrl.play.sample import sample_contents


@pytest.fixture
def pole(tmp_path: Path) -> Path:
    path = tmp_path / "pole.tabrl"
    path.write_bytes(write_bundle(sample_contents()))
    return path


def test_headless_it_says_what_the_episode_came_to(pole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(pole), "--headless", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["environment_id"], said["steps"], said["survived"], said["ended"]) == ("SamplePole", 200, 1.0, False)
    assert said["total_return"] == pytest.approx(said["terms"]["upright"])
    assert 190 < said["total_return"] < 200

    assert main([str(pole), "--headless", "--secs", "1"]) == 0
    text = capsys.readouterr().out
    assert "survived  25.0% (50 steps, 1.00 s, stopped)" in text


def test_a_recording_is_the_same_each_time_and_another_from_another_reset(pole: Path, tmp_path: Path) -> None:
    for name, reset in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main([str(pole), "--record", str(tmp_path / f"{name}.npz"), "--reset", reset]) == 0
    a, b, c = (np.load(tmp_path / f"{name}.npz", allow_pickle=False) for name in "abc")
    assert a["qpos"].shape == (201, 1)
    assert a["ctrl"].shape == (201, 1)
    assert a["qpos"][0, 0] == np.float32(0.3)
    for name in ("qpos", "ctrl", "reward", "time_secs"):
        assert np.array_equal(a[name], b[name])
    assert c["qpos"][0, 0] == np.float32(-0.2)


def test_it_unpacks_into_an_empty_folder_alone(pole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert main([str(pole), "--unpack", str(folder)]) == 0
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == sample_contents().files
    assert main([str(pole), "--unpack", str(folder)]) == 5
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--headless", "--command", "1 0 0"], "takes no command"),
        (["--headless", "--reset", "2"], "from 0 to 1"),
        ([], "no display"),
        (["--video", "pole.avi"], "ends in"),
    ],
)
def test_what_cannot_be_done_is_said(
    pole: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main([str(pole), *arguments]) != 0
    assert said in capsys.readouterr().err


def test_a_refused_bundle_is_named_by_rule_and_file_and_its_title_obeyed_by_no_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evil.tabrl"
    path.write_bytes(write_bundle(sample_contents())[:-1])
    assert main([str(path), "--headless", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["rule"] == "NOT_A_ZIP"

    contents = sample_contents()
    loud = type(contents)("p", "SamplePole", "\x1b[2Jgone", contents.files)
    path.write_bytes(write_bundle(loud))
    assert main([str(path), "--headless", "--secs", "0.1"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_title_that_is_empty_lets_no_id_through_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "pole.tabrl"
    contents = sample_contents()
    path.write_bytes(write_bundle(type(contents)("\x1b[2Jgone", "SamplePole", "", contents.files)))
    assert main([str(path), "--headless", "--secs", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[2Jgone: SamplePole" in said


def test_it_films_without_a_display(pole: Path, tmp_path: Path) -> None:
    try:
        off_screen()
    except NoOpenGLError:
        pytest.skip("no off-screen OpenGL here")
    from PIL import Image

    # In a process of its own: this one may have MuJoCo imported without an OpenGL.
    video, picture = tmp_path / "pole.webp", tmp_path / "pole.png"
    arguments = [str(pole), "--secs", "1", "--video", str(video), "--picture", str(picture)]
    subprocess.run([sys.executable, "-m", "tabrl.play", *arguments], check=True, capture_output=True)
    with Image.open(video) as film, Image.open(picture) as still:
        assert film.n_frames == 16
        assert film.size == still.size == (480, 360)
        first = np.asarray(film.convert("RGB"), int)
        film.seek(3)
        moved = np.abs(np.asarray(film.convert("RGB"), int) - first).max()
    assert moved > 60


def test_without_an_opengl_it_says_what_to_install() -> None:
    with pytest.raises(NoOpenGLError) as caught:
        off_screen({**os.environ, "MUJOCO_GL": "none-such"})
    assert "libosmesa6" in str(caught.value)
    assert "(none-such does not work)" in str(caught.value)


def test_where_neither_opengl_works_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "_PROBE", "raise SystemExit(1)")
    with pytest.raises(NoOpenGLError) as caught:
        off_screen({name: value for name, value in os.environ.items() if name != "MUJOCO_GL"})
    assert "(neither egl nor osmesa works)" in str(caught.value)
