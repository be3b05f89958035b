import copy

import jax
import mujoco
import numpy as np
import pytest

from tabrl_simulation import environments, physics, randomization

_COUNT = 3


@pytest.mark.parametrize("environment_id", ["Go1JoystickFlatTerrain", "LeapCubeReorient"])
def test_every_simulation_moves_as_a_model_of_its_own(environment_id: str) -> None:
    # given the model fields that the environment's authors vary
    try:
        environment = environments.load(environment_id)
    except environments.MissingRobot as missing:
        pytest.skip(str(missing))
    drawn = randomization.randomization(environment, jax.random.split(jax.random.PRNGKey(0), _COUNT))
    fields = drawn.fields
    assert {"body_mass", "dof_frictionloss", "qpos0"} <= fields.keys()
    assert not np.array_equal(fields["body_mass"][0], fields["body_mass"][1])

    # when all are simulated together, and one alone with its model edited by hand
    simulations = physics.Simulations(drawn.model, count=_COUNT, threads=2, reads=("qpos", "subtree_com"))
    simulations.randomize(fields)
    home = environment.model.key_qpos[0]
    simulations.write({"qpos": np.tile(home, (_COUNT, 1)), "ctrl": np.tile(environment.model.key_ctrl[0], (_COUNT, 1))})
    simulations.forward()
    simulations.run(20)
    model = copy.copy(drawn.model)
    for name, values in fields.items():
        own = getattr(model, name)
        own[...] = np.where(own.astype(np.float32) == values[1], own, values[1])
    alone = mujoco.MjData(model)
    mujoco.mj_setConst(model, alone)
    mujoco.mj_resetData(model, alone)
    alone.qpos[:], alone.ctrl[:] = home, environment.model.key_ctrl[0]
    mujoco.mj_forward(model, alone)
    for _ in range(20):
        mujoco.mj_step(model, alone)

    # then they agree, and differ from each other
    moved = simulations.read()
    np.testing.assert_allclose(moved["qpos"][1], alone.qpos, atol=1e-6)
    np.testing.assert_allclose(moved["subtree_com"][1], alone.subtree_com, atol=1e-6)
    assert np.abs(moved["qpos"][0] - moved["qpos"][1]).max() > 1e-5


def test_an_environment_without_a_randomizer_keeps_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    environment = environments.load("CartpoleBalance")

    assert not randomization.randomized("CartpoleBalance")
    drawn = randomization.randomization(environment, jax.random.split(jax.random.PRNGKey(0), 2))
    assert (drawn.model, drawn.fields) == (environment.model, {})
    assert capsys.readouterr().out == ""
