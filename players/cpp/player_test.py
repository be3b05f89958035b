"""The C++ player, written from the contract alone, goes the way of the native player."""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tabrl.play import manifest_json, player
from tabrl_simulation.controllers import build
from tabrl_simulation.controllers.untrained import untrained_checkpoint
from tabrl_simulation.environments import MissingRobot

TICKS = 200
# The same MuJoCo and the same onnxruntime, loaded by two programs.
TOLERANCE = 1e-4

Json = dict[str, Any]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The player, built."""
    output = tmp_path_factory.mktemp("cpp") / "tabrl-play"
    subprocess.run(["bash", Path(__file__).with_name("build.sh"), sys.executable, output], check=True)
    return output


def written(made: build.BuiltController, folder: Path) -> Path:
    """Writes a controller as the folder that players read."""
    scene = folder / "scene"
    scene.mkdir(parents=True)
    (folder / "manifest.json").write_text(manifest_json.dumps(made.manifest))
    (folder / "controller.onnx").write_bytes(made.onnx)
    (scene / "scene.xml").write_text(made.scene.xml)
    for path, content in made.scene.assets.items():
        (scene / path).parent.mkdir(parents=True, exist_ok=True)
        (scene / path).write_bytes(content)
    return folder


@functools.cache
def untrained(environment_id: str) -> tuple[build.Workbench, build.BuiltController]:
    """An exported controller, as one of a trained policy is."""
    bench = build.prepare(environment_id)
    checkpoint = untrained_checkpoint(bench.environment)
    return bench, build.build_controller(bench, checkpoint, None, checkpoint_sha256="0" * 64)


def play(binary: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the player."""
    return subprocess.run([binary, folder, *options], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good folder."""
    return written(untrained("CartpoleBalance")[1], tmp_path_factory.mktemp("controller") / "cartpole")


@pytest.mark.parametrize(
    ("environment_id", "held"),
    [("CartpoleBalance", {}), ("WalkerWalk", {}), ("Go1JoystickFlatTerrain", {"command": [0.5, 0.0, 0.0]})],
)
def test_both_players_go_the_same_way(
    environment_id: str, held: dict[str, list[float]], binary: Path, tmp_path: Path
) -> None:
    # given a controller's files
    try:
        bench, made = untrained(environment_id)
    except MissingRobot as missing:
        pytest.skip(str(missing))
    folder = written(made, tmp_path / "controller")

    # when both players play the same episodes: a robot that falls at once starts again from the next reset
    native = player.Player(player.Controller(made.onnx, made.manifest), bench.environment.model)
    hold = [word for name, value in held.items() for word in ("--hold", f"{name}={','.join(map(str, value))}")]
    ticks: list[player.Tick] = []
    lines: list[Json] = []
    for reset in itertools.count():
        left = TICKS - len(ticks)
        if left == 0:
            break
        episode = native.episode(reset=reset, held={name: np.float32(value) for name, value in held.items()})
        ticks += itertools.islice(episode, left)
        answer = play(binary, folder, "--reset", str(reset), "--ticks", str(left), *hold)
        assert answer.returncode == 0, answer.stderr
        lines += map(json.loads, answer.stdout.splitlines())

    # then they say and do the same
    assert [line["step"] for line in lines] == [tick.step for tick in ticks]
    assert [line["done"] for line in lines] == [tick.decision.done for tick in ticks]
    decided = {
        "qpos": ([line["qpos"] for line in lines], [tick.qpos for tick in ticks]),
        "ctrl": ([line["ctrl"] for line in lines], [tick.decision.ctrl for tick in ticks]),
        "reward": ([line["reward"] for line in lines], [tick.decision.reward for tick in ticks]),
    }
    away = {name: np.abs(np.subtract(ours, theirs)).max() for name, (ours, theirs) in decided.items()}
    print(
        f"{environment_id}: {len(lines)} ticks in {reset} episodes,"
        f" {', '.join(f'{name} within {value:.1e}' for name, value in away.items())}"
    )
    assert max(away.values()) <= TOLERANCE
    # and not because nothing moved
    assert np.ptp([tick.qpos for tick in ticks], axis=0).max() > 100 * TOLERANCE


def test_a_held_command_is_not_the_environments_own(binary: Path, tmp_path: Path) -> None:
    # given a robot that is commanded
    try:
        _, made = untrained("Go1JoystickFlatTerrain")
    except MissingRobot as missing:
        pytest.skip(str(missing))
    folder = written(made, tmp_path / "controller")

    # when it is given two commands
    ahead, aside = (
        play(binary, folder, "--ticks", "20", "--hold", f"command={command}").stdout for command in ("1,0,0", "0,1,0")
    )

    # then it does two things
    assert len(ahead.splitlines()) == len(aside.splitlines()) == 20
    assert ahead != aside


def _other_specification(manifest: Json) -> None:
    manifest["specification"] = 2


def _no_ctrl(manifest: Json) -> None:
    manifest["outputs"] = [entry for entry in manifest["outputs"] if entry["role"] != "OUTPUT_ROLE_CTRL"]


def _unknown_output(manifest: Json) -> None:
    manifest["outputs"][0]["tensor"]["name"] = "nowhere"


def _input_left_out(manifest: Json) -> None:
    manifest["inputs"] = manifest["inputs"][1:]


def _unknown_source(manifest: Json) -> None:
    manifest["inputs"][0]["source"] = "INPUT_SOURCE_DREAMS"


def _unknown_array(manifest: Json) -> None:
    data = next(entry for entry in manifest["inputs"] if entry["source"] == "INPUT_SOURCE_DATA")
    data["field"] = "qwhat"


def _no_resets(manifest: Json) -> None:
    manifest["resets"] = []


def _short_reset(manifest: Json) -> None:
    manifest["resets"][0]["data"]["qpos"] = {"shape": [1], "values": [0.0]}


def _another_scene(manifest: Json) -> None:
    manifest["model"] = {"nq": 19}


def _newer_mujoco(manifest: Json) -> None:
    manifest["mujocoVersions"] = {"minimum": "99.0.0", "below": "100.0.0"}


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (_other_specification, "specification"),
        (_no_ctrl, "OUTPUT_ROLE_CTRL"),
        (_unknown_output, "nowhere"),
        (_input_left_out, "the manifest does not list it"),
        (_unknown_source, "INPUT_SOURCE_DREAMS"),
        (_unknown_array, "qwhat"),
        (_no_resets, "resets"),
        (_short_reset, "qpos"),
        (_another_scene, "model.nbody"),
        (_newer_mujoco, "mujoco_versions"),
    ],
)
def test_a_wrong_manifest_is_refused_by_the_name_of_what_is_wrong(
    spoil: Callable[[Json], None], field: str, binary: Path, cartpole: Path, tmp_path: Path
) -> None:
    # given a folder whose manifest is wrong in one place
    folder = shutil.copytree(cartpole, tmp_path / "wrong")
    manifest = json.loads((folder / "manifest.json").read_text())
    spoil(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))

    # when it is played
    answer = play(binary, folder)

    # then nothing is, and the message names it
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: ")
    assert field in answer.stderr


@pytest.mark.parametrize(
    ("file", "content"), [("manifest.json", "{"), ("controller.onnx", "?"), ("scene/scene.xml", "<mujoco")]
)
def test_a_damaged_file_is_refused_by_its_name(
    file: str, content: str, binary: Path, cartpole: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(cartpole, tmp_path / "wrong")
    (folder / file).write_text(content)

    answer = play(binary, folder)

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(f"error: {file}: ")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--hold", "command=1"], 1, "command: the carry has no such entry"),
        (["--ticks", "-3"], 2, "--ticks"),
        (["--reset"], 2, "--reset"),
        (["--louder", "1"], 2, "--louder"),
    ],
)
def test_an_option_that_does_not_do_is_refused(
    options: list[str], status: int, said: str, binary: Path, cartpole: Path
) -> None:
    answer = play(binary, cartpole, *options)

    assert (answer.returncode, answer.stdout) == (status, "")
    assert said in answer.stderr
