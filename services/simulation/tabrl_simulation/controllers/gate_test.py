"""What an export must pass: right ones do, and each way in which exported policies are known to fall is caught."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mujoco
import numpy as np
import pytest
from tabrl.play import player
from tabrl.play.manifest import Manifest, OutputRole

from tabrl_simulation.controllers import build, parity
from tabrl_simulation.controllers.build import BuiltController, Workbench
from tabrl_simulation.controllers.untrained import untrained_checkpoint
from tabrl_simulation.environments import MissingRobot

WALKER = "WalkerWalk"
GO1, BARKOUR = "Go1JoystickFlatTerrain", "BarkourJoystick"


@functools.cache
def workbench(environment_id: str) -> Workbench:
    try:
        return build.prepare(environment_id)
    except MissingRobot as missing:
        pytest.skip(str(missing))


@functools.cache
def built(environment_id: str) -> BuiltController:
    bench = workbench(environment_id)
    return build.build_controller(bench, untrained_checkpoint(bench.environment), None, checkpoint_sha256="c" * 64)


# One that bounces, one that is commanded and sees noise, and one that training kicks.
@pytest.mark.parametrize("environment_id", [WALKER, GO1, BARKOUR])
def test_a_right_export_passes(environment_id: str) -> None:
    report = parity.measure(workbench(environment_id), built(environment_id))

    assert report.passed, report.reason
    assert report.states >= 500
    assert report.closed_loop is not None
    assert len(report.closed_loop.episodes) == 4
    assert 0 < report.closed_loop.secs <= 10.02
    assert all(episode.together_secs > 0 for episode in report.closed_loop.episodes)
    assert report.mujoco_version == mujoco.__version__


class _Scaled:
    """A split step that takes actions for larger than they are."""

    def __init__(self, step: Any) -> None:
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._step, name)

    def before(self, action: Any, *args: Any) -> Any:
        return self._step.before(2 * action, *args)


class _Swapped(_Scaled):
    """A split step that observes in another order."""

    def before(self, *args: Any) -> Any:
        return self._step.before(*args)

    def after(self, *args: Any) -> Any:
        after = self._step.after(*args)
        return after._replace(observation=after.observation[::-1])


def _without_normalizer(bench: Workbench) -> BuiltController:
    checkpoint = untrained_checkpoint(bench.environment)
    plain: dict[str, Any] = {}
    for path, value in checkpoint.arrays.items():
        is_deviation = path.endswith("/std")
        plain[path] = np.ones_like(value) if is_deviation else np.zeros_like(value) if path.endswith("/mean") else value
    return build.build(bench, replace(checkpoint, arrays=plain).policy(bench.environment), None)


def _with_step(wrap: Callable[[Any], Any]) -> Callable[[Workbench], BuiltController]:
    def broken(bench: Workbench) -> BuiltController:
        policy = untrained_checkpoint(bench.environment).policy(bench.environment)
        return build.build(replace(bench, step=wrap(bench.step)), policy, None)

    return broken


def _with_manifest(change: Callable[[Manifest], Manifest]) -> Callable[[Workbench], BuiltController]:
    def broken(bench: Workbench) -> BuiltController:
        made = built(bench.environment.id)
        return replace(made, manifest=change(made.manifest))

    return broken


def _one_step_more(manifest: Manifest) -> Manifest:
    return replace(manifest, physics_steps_per_control=manifest.physics_steps_per_control + 1)


@pytest.mark.parametrize("environment_id", [WALKER, GO1])
@pytest.mark.parametrize(
    ("name", "broken", "moved"),
    [
        ("normalizer dropped", _without_normalizer, {"action", "ctrl"}),
        ("observation swapped", _with_step(_Swapped), {"observation", "action", "ctrl"}),
        ("action scale lost", _with_step(_Scaled), {"ctrl"}),
        ("substeps off by one", _with_manifest(_one_step_more), set()),
    ],
)
def test_a_broken_export_is_caught(environment_id: str, name: str, broken: Any, moved: set[str]) -> None:
    bench = workbench(environment_id)
    wrong = replace(broken(bench), source=built(environment_id).source)

    report = parity.measure(bench, wrong)

    assert not report.passed, name
    assert {output.name for output in report.moved} >= moved
    assert report.closed_loop is not None
    assert not report.closed_loop.passed
    assert report.reason
    print(f"{environment_id}, {name}: {report.reason}; {report.closed_loop.reason}")


@pytest.mark.parametrize("environment_id", [WALKER, GO1])
def test_an_added_mj_forward_is_caught(environment_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a player that computes the derived arrays anew before it reads them
    def read_afresh(self: player.Player, read: Any = player.Player._read) -> Any:
        mujoco.mj_forward(self._model, self._data)
        return read(self)

    monkeypatch.setattr(player.Player, "_read", read_afresh)

    # when a right controller is played so, then its graph is right and the robot goes elsewhere
    report = parity.measure(workbench(environment_id), built(environment_id))
    assert not report.moved
    assert not report.passed
    assert "leaves its source's way" in report.reason
    print(f"{environment_id}, mj_forward added: {report.reason}")


def test_a_kick_of_training_is_an_output_that_only_willing_players_write() -> None:
    # Given a robot that training kicks
    made = built(BARKOUR)
    assert [output.field for output in made.manifest.outputs if output.role is OutputRole.PUSH] == ["xfrc_applied"]

    # when it is played with and without kicks, then only the former is kicked
    def forces(*, pushes: bool) -> float:
        from tabrl_simulation.bundle import load_scene

        play = player.Player(player.Controller(made.onnx, made.manifest), load_scene(made.scene))
        largest = 0.0
        for reset in range(8):
            for tick in play.episode(reset=reset, noise=np.random.default_rng(reset), pushes=pushes):
                largest = max(largest, float(np.abs(play.data.xfrc_applied).max()))
                if tick.step == 200:
                    break
        return largest

    assert forces(pushes=False) == 0.0
    assert forces(pushes=True) > 1.0
