"""The example prompts that the gallery shows are ones that the built-in library serves in full."""

import pytest
from tabrl_rewardgen.library import write
from tabrl_rewardgen.robots import robot_from
from tabrl_scene.bake import bake_environment
from tabrl_scene.descriptions import descriptions


@pytest.mark.parametrize("environment_id", descriptions())
def test_the_library_serves_every_example_prompt(environment_id: str) -> None:
    environment = bake_environment(environment_id).message
    environment.summary.robot = descriptions()[environment_id].robot
    robot = robot_from(environment)
    for prompt in descriptions()[environment_id].prompts:
        reward = write(prompt, robot)
        assert reward.left_out == (), prompt
