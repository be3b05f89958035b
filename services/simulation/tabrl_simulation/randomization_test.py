import copy
import dataclasses

import jax
import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from tabrl_simulation import environments, physics, randomization
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.settings import InvalidSettings, Settings
from tabrl_simulation.training import train

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


def test_who_is_randomized_is_known_without_playground() -> None:
    assert {name for name in environments.CATEGORY if randomization.randomized(name)} == environments.RANDOMIZED


def test_a_training_moves_robots_of_its_own_each_and_resumes_to_the_bit() -> None:
    try:
        environment = environments.load("Go1JoystickFlatTerrain")
    except environments.MissingRobot as missing:
        pytest.skip(str(missing))
    plain = Settings(
        env_steps=1_024, num_envs=256, unroll_length=2, num_minibatches=1, updates_per_batch=1, hidden_layer_sizes=(8,)
    )
    checkpoints: list[Checkpoint] = []
    varied = dataclasses.replace(plain, domain_randomization=True)

    whole = train(environment, varied, threads=4, checkpoint_every_secs=0, on_checkpoint=checkpoints.append).checkpoint

    # then other robots moved than without, and the very same ones after a file
    assert not np.array_equal(_qpos(whole), _qpos(train(environment, plain, threads=4).checkpoint))
    half = Checkpoint.from_bytes(checkpoints[0].to_bytes())
    assert half.settings == varied
    resumed = train(environment, varied, threads=4, resume=half).checkpoint
    assert resumed.to_bytes() == whole.to_bytes()


def test_what_nobody_varies_is_refused() -> None:
    varied = Settings(env_steps=1_000, domain_randomization=True)

    with pytest.raises(InvalidSettings, match=r"domain_randomization.*CartpoleBalance.*Go1JoystickFlatTerrain"):
        train(environments.load("CartpoleBalance"), varied)


def _qpos(checkpoint: Checkpoint) -> NDArray[np.float64]:
    return checkpoint.arrays["rollout/half0/simulations/qpos"]


def test_an_environment_without_a_randomizer_keeps_its_model(capsys: pytest.CaptureFixture[str]) -> None:
    environment = environments.load("CartpoleBalance")

    assert not randomization.randomized("CartpoleBalance")
    drawn = randomization.randomization(environment, jax.random.split(jax.random.PRNGKey(0), 2))
    assert (drawn.model, drawn.fields) == (environment.model, {})
    assert capsys.readouterr().out == ""
