"""The example prompts of the robots that the built-in library knows are ones that it serves in full."""

import pytest
from tabrl_rewardgen.library import write
from tabrl_rewardgen.robots import robot_from
from tabrl_scene.bake import bake_environment
from tabrl_scene.descriptions import descriptions
from tabrl_simulation.environments import DM_CONTROL


@pytest.mark.parametrize("environment_id", DM_CONTROL)
def test_the_library_serves_every_example_prompt(environment_id: str) -> None:
    environment = bake_environment(environment_id).message
    environment.summary.robot = descriptions()[environment_id].robot
    robot = robot_from(environment)
    for prompt in descriptions()[environment_id].prompts:
        reward = write(prompt, robot)
        assert reward.left_out == (), prompt
