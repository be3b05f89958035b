"""MJX-JAX and MJX-Warp against MuJoCo C, on the processor, where both run too, if slowly."""

import dataclasses

import jax
import mujoco
import numpy as np
import pytest

from tabrl_simulation import backends, environments, learner, rollout
from tabrl_simulation.backends import choice, parity
from tabrl_simulation.backends.device_physics import DevicePhysics
from tabrl_simulation.backends.device_rollouts import DeviceRollouts
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import TrainingResult, train

_SMALL = Settings(
    env_steps=1_040, num_envs=16, unroll_length=5, num_minibatches=2, updates_per_batch=1, hidden_layer_sizes=(16,)
)
no_gpu = pytest.mark.skipif(choice.has_gpu(), reason="this machine has a GPU")


@no_gpu
def test_without_a_gpu_physics_is_mujoco_c() -> None:
    assert choice.candidates(None) == (backends.MUJOCO_C,)
    assert choice.candidates(backends.MJX) == (backends.MJX,)


@no_gpu
@pytest.mark.parametrize(("backend", "remedy"), [("warp", "mujoco-c"), ("havok", "mujoco-c, mjx, warp")])
def test_what_cannot_be_had_is_refused_with_a_remedy(backend: str, remedy: str) -> None:
    with pytest.raises(backends.BackendUnavailable) as refused:
        choice.candidates(backend)

    assert refused.value.backend == backend
    assert remedy in refused.value.remedy
    assert refused.value.remedy in str(refused.value)


def test_a_model_that_mjx_cannot_simulate_is_refused_by_name() -> None:
    body = '<body><freejoint/><geom name="ball" size=".1"/></body>'
    sensor = '<contact geom1="ball" reduce="netforce" data="force"/>'
    xml = f"<mujoco><worldbody>{body}</worldbody><sensor>{sensor}</sensor></mujoco>"
    model = mujoco.MjModel.from_xml_string(xml)
    environment = dataclasses.replace(environments.load("CartpoleBalance"), model=model)

    with pytest.raises(backends.BackendUnavailable, match=r"CartpoleBalance.*netforce.*mujoco-c"):
        DevicePhysics(environment, backend=backends.MJX, count=2)


def test_robots_that_differ_want_mujoco_c() -> None:
    settings = dataclasses.replace(_SMALL, domain_randomization=True)

    with pytest.raises(backends.BackendUnavailable, match=r"mjx.*domain_randomization.*mujoco-c"):
        backends.make_collector(
            environments.load("CartpoleBalance"),
            settings,
            None,
            backend=backends.MJX,
            reward=None,
            weights={},
            threads=1,
        )


@pytest.mark.parametrize("environment_id", ["CartpoleBalance", "PendulumSwingup"])
def test_mjx_moves_as_mujoco_c_does(environment_id: str) -> None:
    difference = parity.compare(environments.load(environment_id), backends.MJX, simulations=4)

    assert difference.steps_within(1e-4) == 20
    assert set(difference.differences) == {"qpos", "qvel", "observation"}


@pytest.mark.parametrize("backend", [backends.MJX, backends.WARP])
def test_an_unroll_on_the_device_is_that_on_mujoco_c(backend: str) -> None:
    # given an environment whose actions are held for four control steps
    environment = environments.load("PendulumSwingup")
    made = learner.make_learner(_SMALL, observation_size=3, action_size=1)
    state = made.init(jax.random.PRNGKey(0))
    physics = DevicePhysics(environment, backend=backend, count=_SMALL.num_envs)
    # and episodes so short that some end, and others begin, within the unrolls
    environment = dataclasses.replace(environment, episode_length=24)
    wanted = {"reward": None, "weights": {}, "threads": 1}
    device = DeviceRollouts(environment, _SMALL, made.networks, physics, **wanted)
    host = rollout.Rollouts(environment, _SMALL, made.networks, **wanted)
    key = jax.random.PRNGKey(1)

    device.begin(state, key)
    host.begin(state, key)

    for _ in range(2):
        there = device.collect(state)
        here = jax.tree.map(lambda *steps: np.stack(steps), *host.collect(state))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), there, here)
        assert np.asarray(there.truncation).sum() > 0
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), device.take_tally(), host.take_tally())
    # then it also goes on from what was saved to the bit, and one program did it all
    saved = device.save()
    first = device.collect(state)
    device.restore(saved)
    jax.tree.map(np.testing.assert_array_equal, first, device.collect(state))
    assert device._unroll._cache_size() == 1


def test_training_on_mjx_resumes_to_the_bit_and_changes_over_to_mujoco_c() -> None:
    environment = environments.load("CartpoleBalance")

    def trained(
        backend: str, *, resume: Checkpoint | None = None, **changes: int
    ) -> tuple[TrainingResult, list[Checkpoint]]:
        kept: list[Checkpoint] = []
        result = train(
            environment,
            dataclasses.replace(_SMALL, **changes),
            backend=backend,
            resume=resume,
            checkpoint_every_secs=0,
            on_checkpoint=kept.append,
        )
        return result, kept

    whole, checkpoints = trained(backends.MJX)
    resumed, _ = trained(backends.MJX, resume=Checkpoint.from_bytes(checkpoints[1].to_bytes()))

    assert whole.checkpoint.backend == backends.MJX
    assert whole.checkpoint.to_bytes() == resumed.checkpoint.to_bytes()
    # and what was learned goes over to MuJoCo C, with its steps, where episodes begin anew
    moved, further = trained(backends.MUJOCO_C, resume=whole.checkpoint, env_steps=2_080)
    assert (moved.checkpoint.backend, further[0].env_steps, moved.checkpoint.env_steps) == (
        backends.MUJOCO_C,
        1_120,
        2_080,
    )
    samples = "learner/return_scale/samples"
    assert moved.checkpoint.arrays[samples] == whole.checkpoint.arrays[samples] + 1_040
