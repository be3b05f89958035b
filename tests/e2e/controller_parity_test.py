"""Every environment's exported controller drives the robot in the tab as the native player does."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tabrl.play import manifest_json, player
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_simulation.controllers import build, untrained
from tabrl_simulation.environments import DM_CONTROL, MissingRobot

from tests.e2e.browser_tab import Tab
from tests.stack.robots import ENVIRONMENTS as ROBOTS
from tests.stack.running_stack import RunningStack

TICKS = 100
# Two onnxruntimes differ by float32's rounding, 1e-7, from the first tick on, and each bounce multiplies that. Early on
# the paths are one; after 100 ticks they still are, but for humanoids, which an untrained policy throws to the ground:
# from there they are chaos.
EARLY_TICKS, EARLY = 10, 5e-5
LATE = 5e-3
CHAOTIC = frozenset({"HumanoidRun", "HumanoidStand", "HumanoidWalk"})


@pytest.mark.parametrize("environment_id", [*DM_CONTROL, *ROBOTS])
def test_the_tab_drives_as_the_native_player_does(environment_id: str, stack: RunningStack, laboratory: Tab) -> None:
    # given a controller, exported as a trained policy's is, and its files in the store
    try:
        bench = build.prepare(environment_id)
    except MissingRobot as missing:
        pytest.skip(str(missing))
    made = build.build_controller(
        bench, untrained.untrained_checkpoint(bench.environment), None, checkpoint_sha256="0" * 64
    )
    store = ArtifactStore(stack.data / "artifacts")
    graph = store.put(made.onnx)
    manifest = store.put(manifest_json.dumps(made.manifest).encode(), "application/json")
    store.put(made.scene.xml.encode(), "application/xml")
    for content in made.scene.assets.values():
        store.put(content)

    # when the native player and the tab take the same ticks from the same reset
    native = player.Player(player.Controller(made.onnx, made.manifest), bench.environment.model)
    ticks = list(itertools.islice(native.episode(reset=0), TICKS + 1))
    steps = len(ticks) - 1
    rollout = laboratory.roll_out(
        {
            "kind": "controller",
            "controller": {
                "environmentId": environment_id,
                "graph": {"sha256": graph.sha256},
                "manifest": {"sha256": manifest.sha256},
            },
            "reset": 0,
            "ticks": steps,
        }
    )

    # then both go the same way and earn the same
    assert "failed" not in rollout, rollout
    away = np.abs(np.array(rollout["qpos"]) - [tick.qpos for tick in ticks[1:]]).max(axis=1)
    earned = np.abs(np.array(rollout["reward"]) - [tick.decision.reward for tick in ticks[:-1]])
    early = min(EARLY_TICKS, steps)
    print(
        f"{environment_id}: qpos within {away[:early].max():.1e} for {early} ticks, {away.max():.1e} for {steps};"
        f" reward within {earned[:early].max():.1e}; {rollout['wallMs'] / steps:.2f} ms a tick"
    )
    assert away[:early].max() <= EARLY
    assert earned[:early].max() <= EARLY
    if environment_id not in CHAOTIC:
        assert away.max() <= LATE
