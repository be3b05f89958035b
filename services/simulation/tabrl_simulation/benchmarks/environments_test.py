import numpy as np
import pytest

from tabrl_simulation.benchmarks.environments import survey
from tabrl_simulation.environments import MissingRobot


# One of each category; the latter two write to the simulation, before the physics and after it.
@pytest.mark.parametrize(
    ("environment_id", "written"),
    [("WalkerStand", ()), ("G1JoystickRoughTerrain", ("qvel",)), ("LeapCubeReorient", ("mocap_quat",))],
)
def test_an_environment_of_each_category_resets_and_steps_on_mujoco_c(
    environment_id: str, written: tuple[str, ...]
) -> None:
    try:
        found = survey(environment_id, episodes=2, steps=20)
    except MissingRobot as missing:
        pytest.skip(str(missing))

    assert found.written == written
    assert np.isfinite(found.step_usecs)
