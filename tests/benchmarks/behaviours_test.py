"""The table of behaviours: every row can be written and measured."""

from __future__ import annotations

import pytest
from tabrl.play.player import Controller
from tabrl_rewardgen import library
from tabrl_simulation import environments
from tabrl_simulation.controllers import build, untrained
from tabrl_simulation.environments import DM_CONTROL
from tabrl_simulation.motion import Check, record
from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.from_model import robot_of

from tests.benchmarks.behaviours import Row, rows

FITTING = [row for row in rows() if row.environment in DM_CONTROL]


@pytest.mark.parametrize("row", FITTING, ids=lambda row: row.id)
def test_the_library_writes_a_reward_for_every_row_that_fits_a_processor(row: Row) -> None:
    robot = robot_of(environments.load(row.environment))

    written = library.write(row.prompt, robot)

    check(written.source, robot)
    assert written.left_out == ()


MOVING = {"cartpole-balance", "cartpole-sway", "cartpole-left", "pendulum-up", "pendulum-spin"}


@pytest.mark.parametrize("row", [row for row in FITTING if row.id in MOVING], ids=lambda row: row.id)
def test_who_has_learned_nothing_passes_nothing_that_has_to_be_learned(row: Row) -> None:
    environment = environments.load(row.environment)
    checkpoint = untrained.untrained_checkpoint(environment, seed=0)
    made = build.build_controller(build.prepare(row.environment), checkpoint, None, checkpoint_sha256="0" * 64)
    controller = Controller(made.onnx, made.manifest)

    held = [Check(row.check).holds(record(controller, environment.model, reset=index)) for index in range(5)]

    assert sum(held) == 0
