"""The tier follows from what is asked and of which robot."""

import pytest
from tabrl.rewardgen.v1 import rewardgen_pb2

from tabrl_rewardgen.tiers import recommended

COMMAND, FINE_TUNE, FULL = rewardgen_pb2.TIER_COMMAND, rewardgen_pb2.TIER_FINE_TUNE, rewardgen_pb2.TIER_FULL


@pytest.mark.parametrize(
    ("environment_id", "prompt", "trained_before", "tier"),
    [
        ("Go1JoystickFlatTerrain", "Trot forward at half a metre per second", False, COMMAND),
        ("Go1JoystickFlatTerrain", "Turn on the spot to the left", True, COMMAND),
        ("Go1JoystickFlatTerrain", "Dance", False, FULL),
        ("Go1JoystickFlatTerrain", "Dance", True, FINE_TUNE),
        ("Go1JoystickFlatTerrain", "Walk like a person", False, FULL),
        ("Go1JoystickFlatTerrain", "Recite a poem", False, FULL),
        ("WalkerWalk", "Walk forward", False, FULL),
    ],
)
def test_a_command_is_enough_only_for_a_robot_that_follows_commands(
    environment_id, prompt, trained_before, tier, robot
):
    found = recommended(prompt, robot(environment_id), trained_before=trained_before)
    assert found.tier == tier
    assert found.reason
