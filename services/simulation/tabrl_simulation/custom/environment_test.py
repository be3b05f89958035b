import os
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from tabrl_simulation import environments, physics, reset, split
from tabrl_simulation.custom import anatomy, inspection, loading, store
from tabrl_simulation.custom.config import (
    Commands,
    InvalidSceneConfig,
    Observations,
    Range,
    ResetNoise,
    SceneConfig,
    Termination,
)
from tabrl_simulation.environments import Environment

# MJX has neither this integrator nor contacts of dimension 1 with elliptic cones.
_CRAWLER = """<mujoco model="crawler">
  <option timestep="0.004" cone="elliptic" integrator="implicit"/>
  <worldbody>
    <geom name="floor" type="plane" size="0 0 1"/>
    <body name="trunk" pos="0 0 1">
      <freejoint/>
      <geom type="box" size="0.2 0.1 0.05" mass="3"/>
      <body name="left" pos="0 0.2 0">
        <joint name="left" axis="0 1 0" range="-1 1" limited="true"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.3" size="0.04" mass="0.5" condim="1"/>
      </body>
      <body name="right" pos="0 -0.2 0">
        <joint name="right" axis="0 1 0"/>
        <geom type="capsule" fromto="0 0 0 0 0 -0.3" size="0.04" mass="0.5"/>
        <body name="hand" pos="0 0 -0.3"><joint name="wrist" type="ball"/><geom size="0.03" mass="0.1"/></body>
      </body>
    </body>
    <body name="ball" pos="1 0 0.1"><freejoint/><geom size="0.1" mass="0.2"/></body>
  </worldbody>
  <actuator>
    <position joint="left" kp="40" kv="2" ctrlrange="-0.9 0.9"/>
    <motor joint="right" gear="5" ctrlrange="-2 4"/>
  </actuator>
</mujoco>"""


def _scene(config: SceneConfig | None = None, xml: str = _CRAWLER) -> store.StoredScene:
    seen = inspection.inspect_upload(xml.encode(), "crawler.xml", config=config)
    return store.StoredScene(
        title="Crawler", source="crawler.xml", config=seen.config, xml=seen.xml, assets=seen.assets
    )


@pytest.fixture(scope="module")
def crawler() -> Environment:
    return loading.environment_of(_scene())


def test_a_robot_that_mjx_refuses_resets_and_steps_on_mujoco_c(crawler: Environment) -> None:
    with pytest.raises(NotImplementedError):
        _ = crawler.playground.mjx_model
    halves = split.split(crawler)
    starts = reset.Resetter(crawler, threads=1).sample(jax.random.split(jax.random.PRNGKey(0), 4))
    simulations = physics.Simulations(crawler.model, count=4, threads=1, reads=halves.reads)
    simulations.write(starts.state)
    carry = {name: jnp.asarray(starts.carry[name]) for name in halves.carry}
    action = jnp.asarray([[0.0, 0.0], [1.0, 0.0], [-1.0, 1.0], [0.0, -1.0]])

    ctrl, carry = jax.vmap(halves.before)(action, carry)[:2]
    simulations.hold(np.asarray(ctrl))
    simulations.run(crawler.physics_steps_per_control)
    after = jax.vmap(halves.after)(simulations.read(), action, carry)

    # A servo's target moves from home by action_scale and stops at its limit; a motor spans its range.
    np.testing.assert_allclose(ctrl, [[0.0, 1.0], [0.5, 1.0], [-0.5, 4.0], [0.0, -2.0]], atol=1e-6)
    assert after.observation.shape == (4, crawler.observation_size)
    assert np.isfinite(np.asarray(after.observation)).all()
    np.testing.assert_allclose(sum(after.terms.values()), after.reward, atol=1e-5)
    np.testing.assert_array_equal(after.carry["last_action"], action)


def test_it_observes_what_the_configuration_says(crawler: Environment) -> None:
    # base 3 x 3, joints 2 + 4, velocities 2 + 3, the ball 12, last action 2, command 3
    assert crawler.observation_size == 9 + 6 + 5 + 12 + 2 + 3
    blind = Observations(
        **dict.fromkeys(("base_linear_velocity", "last_action", "command", "objects"), False), clock=True
    )
    environment = loading.environment_of(_scene(replace(crawler.playground.scene_config, observations=blind)))
    assert environment.observation_size == 6 + 6 + 5 + 2
    assert environment.fingerprint != crawler.fingerprint
    assert environment.id != crawler.id


def test_speeds_are_those_of_the_bases_frame_and_home_is_zero() -> None:
    still = ResetNoise(joint_position=0, joint_velocity=0, base_velocity=0, base_yaw_rad=0)
    config = SceneConfig(reset_noise=still, commands=Commands(forward_m_per_s=Range(low=0.5, high=0.5)))
    environment = loading.environment_of(_scene(config))
    halves = split.split(environment)
    data = mujoco.MjData(environment.model)
    data.qpos[:] = environment.playground.anatomy.home_qpos
    quarter_turn = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    data.qpos[3:7] = quarter_turn
    data.qvel[:6] = [0.0, 2.0, 0.0, 0.1, 0.2, 0.3]  # towards the world's y, where the base's x axis points now
    mujoco.mj_forward(environment.model, data)
    read = {name: jnp.asarray(getattr(data, name), jnp.float32) for name in halves.reads}
    carry = {"command": jnp.asarray([0.5, 0.0, 0.0]), "last_action": jnp.zeros(2)}

    observation = halves.after(read, jnp.zeros(2), carry).observation

    np.testing.assert_allclose(observation[:9], [0, 0, -1, 2, 0, 0, 0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(observation[9:15], np.zeros(6), atol=1e-6)
    np.testing.assert_allclose(observation[22:25], [0.5, 0, 0])


@pytest.mark.parametrize(
    ("change", "done"),
    [
        ({}, 0.0),
        ({"tilt": 1.0}, 0.0),
        ({"tilt": 1.5}, 1.0),
        ({"height": 0.1}, 1.0),
        ({"x": 150.0}, 1.0),
        ({"x": np.nan}, 1.0),
        ({"speed": 5000.0}, 1.0),
        ({"speed": np.nan}, 1.0),
    ],
)
def test_an_episode_ends_when_the_robot_has_fallen_left_or_broken(
    crawler: Environment, change: dict[str, float], done: float
) -> None:
    halves = split.split(crawler)
    qpos, qvel = np.array(crawler.playground.anatomy.home_qpos), np.zeros(crawler.model.nv)
    tilt = change.get("tilt", 0.0)
    qpos[3:7] = [np.cos(tilt / 2), 0, np.sin(tilt / 2), 0]
    qpos[0], qpos[2] = change.get("x", 0.0), change.get("height", qpos[2])
    qvel[7] = change.get("speed", 0.0)
    zeros = {name: jnp.zeros(getattr(mujoco.MjData(crawler.model), name).shape) for name in halves.reads}
    read = {**zeros, "qpos": jnp.asarray(qpos), "qvel": jnp.asarray(qvel)}
    carry = {"command": jnp.zeros(3), "last_action": jnp.zeros(2)}
    assert halves.after(read, jnp.zeros(2), carry).done == done


def test_a_pose_without_a_height_stands_on_the_ground() -> None:
    model = mujoco.MjModel.from_xml_string(_CRAWLER)
    standing = anatomy.study(model, SceneConfig()).home_height_m
    assert standing == pytest.approx(0.3 + 0.04, abs=2e-3)  # the legs' length and radius
    bent = anatomy.study(model, SceneConfig(home_joints={"left": 0.9, "right": 0.9})).home_height_m
    assert bent < standing
    assert anatomy.study(model, SceneConfig(home_height_m=2.0)).home_height_m == 2.0


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (SceneConfig(home_keyframe="lying"), "home_keyframe"),
        (SceneConfig(home_joints={"elbow": 0.0}), "home_joints.elbow"),
        (SceneConfig(home_joints={"wrist": 0.0}), "home_joints.wrist"),
        (SceneConfig(control_period_secs=0.01), "control_period_secs"),
        (
            SceneConfig(observations=Observations(**dict.fromkeys(Observations.__dataclass_fields__, False))),
            "observations",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_the_model_is_refused(config: SceneConfig, field: str) -> None:
    with pytest.raises(InvalidSceneConfig) as refused:
        inspection.inspect_upload(_CRAWLER.encode(), "crawler.xml", config=config)
    assert refused.value.field == field


def test_a_kept_scene_is_found_by_its_id_and_loads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = _scene(SceneConfig(physics_timestep_secs=0.002, termination=Termination(max_tilt_rad=0.7)))
    environment_id = store.write(tmp_path, scene)
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))

    environment = environments.load(environment_id)

    assert store.ids() == (environment_id,)
    assert store.read(environment_id) == scene
    assert environment.id == environment_id
    assert environment.fingerprint == loading.environment_of(scene).fingerprint
    assert (environment.model.opt.timestep, environment.physics_steps_per_control) == (0.002, 10)
    changed = environments.load(environment_id, {"observations.clock": True})
    assert changed.observation_size == environment.observation_size + 2
    assert changed.fingerprint != environment.fingerprint
    with pytest.raises(environments.InvalidOverride, match="there is no such field"):
        environments.load(environment_id, {"observations.smell": True})
    with pytest.raises(environments.UnknownEnvironment, match=f"did you mean '{environment_id}'"):
        environments.check(environment_id[:-1])


def test_anymal_c_is_an_environment() -> None:
    menagerie = os.environ.get("MENAGERIE_ROOT")
    folder = Path(menagerie or "", "anybotics_anymal_c")
    if not menagerie or not folder.is_dir():
        pytest.skip("MENAGERIE_ROOT names no folder with the models of MuJoCo Menagerie")
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    model = mujoco.MjModel.from_xml_string(files["scene.xml"].decode(), files)

    robot = anatomy.study(model, anatomy.default_config(model))

    assert robot.actuators == 12
    assert robot.base_qpos == 0
    assert anatomy.observation_size(robot, anatomy.default_config(model)) == 9 + 12 + 12 + 12 + 3
