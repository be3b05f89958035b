import mujoco
import numpy as np
import pytest
from mujoco import batch

from tabrl_simulation import arrays

_PENDULUM = """
<mujoco>
  <worldbody>
    <body name="target" mocap="true"/>
    <body name="pole" quat="0.9 0.1 0.2 0.3">
      <joint name="hinge" axis="0 1 0"/>
      <geom name="rod" type="capsule" fromto="0 0 0 0 0 -1" size="0.05"/>
      <site name="tip" pos="0 0 -1"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge"/></actuator>
  <sensor><jointvel joint="hinge"/></sensor>
</mujoco>
"""


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(_PENDULUM)


def test_read_gives_every_readable_array_in_the_declared_shape(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    values = arrays.read(data)

    assert {name: value.shape for name, value in values.items()} == arrays.shapes(model)
    assert all(value.dtype == np.float32 for value in values.values())


def test_rotation_matrices_are_laid_out_by_rows(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    pole_from_world = arrays.read(data, ["xmat"])["xmat"][2]

    np.testing.assert_allclose(pole_from_world, data.body("pole").xmat.reshape(3, 3), rtol=1e-6)
    np.testing.assert_allclose(pole_from_world @ pole_from_world.T, np.eye(3), atol=1e-6)


def test_a_batch_reads_as_its_simulations_do_one_by_one(model: mujoco.MjModel) -> None:
    simulations = batch.Batch(model, nsim=3, nthread=1)
    arrays.read_batch(simulations)
    simulations.bind("ctrl")[...] = np.array([[-1.0], [0.0], [2.0]])
    simulations.step(nstep=5)
    alone = mujoco.MjData(model)
    alone.ctrl[:] = 2.0
    for _ in range(5):
        mujoco.mj_step(model, alone)

    values = arrays.read_batch(simulations)

    for name, expected in arrays.read(alone).items():
        assert values[name].shape == (3, *arrays.shapes(model)[name]), name
        np.testing.assert_array_equal(values[name][2], expected, err_msg=name)


def test_what_is_read_does_not_change_with_the_next_step(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    before = arrays.read(data, ["qpos"])["qpos"]
    data.qpos[:] = 1.0
    assert before == pytest.approx(0.0)


def test_an_array_outside_the_list_is_refused(model: mujoco.MjModel) -> None:
    with pytest.raises(KeyError, match="qfrc_bias"):
        arrays.read(mujoco.MjData(model), ["qfrc_bias"])


def test_every_readable_array_is_public_in_mjx() -> None:
    from mujoco import mjx

    assert set(arrays.READABLE) <= set(mjx.Data.__annotations__)
