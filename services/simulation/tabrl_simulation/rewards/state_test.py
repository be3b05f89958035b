"""Helpers of the state against MuJoCo's own answers."""

import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from tabrl_simulation import arrays, environments
from tabrl_simulation.rewards.state import NameRefused, TracedState


def moving(environment_id, seed=0):
    """Return a model and a state in motion, far from the origin, with its traced view."""
    from tabrl_simulation.rewards.from_model import robot_of

    environment = environments.load(environment_id)
    model, data = environment.model, mujoco.MjData(environment.model)
    draw = np.random.default_rng(seed)
    data.qpos[:] += draw.normal(size=model.nq)
    data.qpos[0] += 3.0
    mujoco.mj_normalizeQuat(model, data.qpos)
    data.qvel[:] = draw.normal(size=model.nv)
    data.ctrl[:] = draw.uniform(-1, 1, size=model.nu)
    mujoco.mj_forward(model, data)
    read = {name: jnp.asarray(values) for name, values in arrays.read(data).items()}
    return model, data, TracedState(robot_of(environment), read, jnp.asarray(data.ctrl, jnp.float32))


@pytest.mark.parametrize(
    "environment_id", ["HumanoidStand", "CheetahRun", "FishSwim", "ReacherEasy", "CartpoleBalance"]
)
def test_body_velocities_are_those_of_mj_objectVelocity(environment_id):
    # given a state in fast motion far from the origin, where cvel and the body's own velocity differ a lot
    model, data, state = moving(environment_id)
    for body in range(1, model.nbody):
        expected = np.zeros(6)
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, expected, 0)
        name = model.body(body).name
        np.testing.assert_allclose(state.body_angular_velocity(name), expected[:3], atol=2e-4)
        np.testing.assert_allclose(state.body_linear_velocity(name), expected[3:], atol=2e-4)
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, expected, 1)
        np.testing.assert_allclose(state.local_angular_velocity(name), expected[:3], atol=2e-4)
        np.testing.assert_allclose(state.local_linear_velocity(name), expected[3:], atol=2e-4)


def test_a_heading_velocity_is_the_same_whichever_way_a_robot_faces(humanoid):
    environment = environments.load("HumanoidStand")
    turned = []
    for yaw in (0.0, 1.3, -2.9):
        data = mujoco.MjData(environment.model)
        data.qpos[3:7] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        data.qvel[:3] = [2 * np.cos(yaw) - 0.5 * np.sin(yaw), 2 * np.sin(yaw) + 0.5 * np.cos(yaw), -0.3]
        mujoco.mj_forward(environment.model, data)
        read = {name: jnp.asarray(values) for name, values in arrays.read(data).items()}
        turned.append(TracedState(humanoid, read, jnp.zeros(environment.action_size)).heading_velocity("torso"))
    np.testing.assert_allclose(turned, [[2.0, 0.5, -0.3]] * 3, atol=1e-5)


def test_named_quantities_are_mujocos(humanoid):
    _, data, state = moving("HumanoidStand")
    rotation = data.body("torso").xmat.reshape(3, 3)
    assert np.allclose(state.projected_gravity("torso"), rotation.T @ [0.0, 0.0, -1.0], atol=1e-5)
    assert np.isclose(state.yaw("torso"), np.arctan2(rotation[1, 0], rotation[0, 0]), atol=1e-5)
    lowest = min(float(state.foot_height(foot.name)) for foot in humanoid.feet)
    assert np.isclose(state.height_over_feet("head"), data.body("head").xpos[2] - lowest, atol=1e-4)
    assert np.allclose(state.body_position("head"), data.body("head").xpos, atol=1e-5)
    assert np.isclose(state.body_height("head"), data.body("head").xpos[2], atol=1e-5)
    assert np.isclose(state.up("torso"), data.body("torso").xmat[8], atol=1e-5)
    assert np.allclose(state.body_rotation("torso"), data.body("torso").xmat.reshape(3, 3), atol=1e-5)
    assert np.isclose(state.joint_position("left_knee"), data.joint("left_knee").qpos[0], atol=1e-5)
    assert np.isclose(state.joint_velocity("left_knee"), data.joint("left_knee").qvel[0], atol=1e-5)
    assert state.joint_position("root").shape == (7,)
    assert state.joint_velocity("root").shape == (6,)
    assert np.isclose(state.control("left_knee"), data.actuator("left_knee").ctrl[0], atol=1e-5)
    assert np.allclose(state.sensor("torso_gyro"), data.sensor("torso_gyro").data, atol=1e-4)
    assert np.allclose(state.site_position("left_hand"), data.site("left_hand").xpos, atol=1e-5)
    assert np.allclose(state.geom_position("head"), data.geom("head").xpos, atol=1e-5)
    assert np.allclose(state.center_of_mass("torso"), data.body("torso").subtree_com, atol=1e-5)
    gap = np.linalg.norm(data.body("left_hand").xpos - data.body("right_hand").xpos)
    assert np.isclose(state.distance("left_hand", "right_hand"), gap, atol=1e-5)
    assert np.isclose(state.effort(), np.mean(data.ctrl**2), atol=1e-5)
    assert np.isclose(state.power(), np.abs(data.qfrc_actuator * data.qvel).sum(), rtol=1e-4)


def test_a_name_that_the_robot_lacks_is_refused_with_those_it_has():
    _, _, state = moving("CartpoleBalance")
    with pytest.raises(NameRefused) as refused:
        state.joint_position("hinge_2")
    assert "'hinge_1'" in refused.value.diagnostic.suggestion
    assert "slider" in refused.value.diagnostic.suggestion
