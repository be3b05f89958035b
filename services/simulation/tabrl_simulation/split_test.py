"""The split step is compared with the environment's own step, run eagerly with MuJoCo C answering its physics calls."""

import threading
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from tabrl_simulation import arrays, environments, physics, reset, split, taps
from tabrl_simulation.environments import Environment

_EPISODES = 4
_STEPS = 4


def _own_step(environment: Environment, simulation: mujoco.MjData, action: Any, info: Any) -> Any:
    """Runs the environment's step itself on one simulation."""
    template = reset.abstract_reset(environment.playground)

    def read() -> dict[str, jax.Array]:
        return {name: jnp.asarray(value) for name, value in arrays.read(simulation).items()}

    def step(data: Any, ctrl: jax.Array, nstep: int) -> Any:
        simulation.ctrl[:] = np.asarray(ctrl)
        for _ in range(nstep):
            mujoco.mj_step(environment.model, simulation)
        return data.replace(**read())

    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), template)
    state = state.replace(data=taps.blank_data(environment.model).replace(**read()), info=info)
    with taps.tapped(taps.Physics(forward=lambda data: data, step=step)):
        return environment.playground.step(state, action)


@pytest.mark.parametrize("environment_id", environments.DM_CONTROL)
def test_every_environment_resets_and_steps_on_mujoco_c_as_its_own_step_says(environment_id: str) -> None:
    # given starting states, and one simulation of our own beside the batch
    environment = environments.load(environment_id)
    halves = split.split(environment)
    starts = reset.Resetter(environment, threads=1).sample(jax.random.split(jax.random.PRNGKey(1), _EPISODES))
    assert starts.observation.shape == (_EPISODES, environment.observation_size)
    simulations = physics.Simulations(environment.model, count=_EPISODES, threads=2, reads=halves.reads)
    simulations.write(starts.state)
    alone = mujoco.MjData(environment.model)
    for name, values in starts.state.items():
        getattr(alone, name)[...] = values[1]
    mujoco.mj_forward(environment.model, alone)
    carry = {name: jnp.asarray(starts.carry[name]) for name in halves.carry}
    info = {"rng": jax.random.PRNGKey(0), "time_out": jnp.zeros(())}
    actions = np.random.default_rng(0).uniform(-1, 1, (_STEPS, _EPISODES, environment.action_size))

    before, after = jax.vmap(halves.before), jax.jit(jax.vmap(halves.after))
    data: dict[str, Any] = {name: starts.data[name] for name in halves.reads}
    for action in jnp.asarray(actions, jnp.float32):
        # when both take the step
        ctrl, _ = before(action, carry, {name: data[name] for name in halves.before_arrays})
        simulations.hold(np.asarray(ctrl))
        simulations.run(environment.physics_steps_per_control)
        earlier = {f"before.{name}": data[name] for name in halves.after_reads_before}
        data = simulations.read()
        outcome = after({**data, **earlier}, action, carry)
        own = _own_step(environment, alone, action[1], info)

        # then they agree, and nothing is lost
        assert np.isfinite(outcome.observation).all()
        np.testing.assert_allclose(outcome.observation[1], own.obs, atol=2e-6, rtol=1e-6)
        np.testing.assert_allclose(outcome.reward[1], own.reward, atol=2e-6, rtol=1e-6)
        assert outcome.done[1] == own.done == 0
        for term in halves.terms:
            np.testing.assert_allclose(outcome.terms[term][1], own.metrics[f"reward/{term}"], atol=2e-6, rtol=1e-6)


def test_only_what_is_read_is_copied() -> None:
    halves = split.split(environments.load("WalkerStand"))

    assert halves.reads == ("qpos", "qvel", "xpos", "xmat")
    assert halves.before_arrays == ()
    assert halves.terms == ("stand", "standing", "upright")


def test_mjx_agrees_with_mujoco_c_over_one_step() -> None:
    from mujoco import mjx

    # given a pendulum swinging
    environment = environments.load("PendulumSwingup")
    halves = split.split(environment)
    own = environment.playground
    start = {"qpos": np.array([2.0], np.float32), "qvel": np.array([-1.5], np.float32)}
    template = reset.abstract_reset(own)
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), template)
    state = state.replace(data=mjx.make_data(environment.model, impl="jax").replace(**start))
    simulations = physics.Simulations(environment.model, count=1, threads=1, reads=halves.reads)
    simulations.write({name: value[None] for name, value in start.items()})
    action = jnp.asarray([0.7])

    # when MJX and MuJoCo C move it
    state = jax.jit(own.step)(state, action)
    simulations.hold(np.asarray(halves.before(action, {})[0])[None])
    simulations.run(environment.physics_steps_per_control)
    outcome = halves.after({name: jnp.asarray(value[0]) for name, value in simulations.read().items()}, action, {})

    # then the environment sees the same
    np.testing.assert_allclose(outcome.observation, state.obs, atol=1e-5)
    np.testing.assert_allclose(outcome.reward, state.reward, atol=1e-5)


class _Remembering:
    """An environment's object with a step of its own, over that of a real one."""

    def __init__(self, playground: Any, step: Any) -> None:
        self._playground = playground
        self._step = step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._playground, name)

    def reset(self, key: jax.Array) -> Any:
        state = self._playground.reset(key)
        return state.replace(info={**state.info, "count": jnp.zeros(()), "idle": jnp.zeros(())})

    def step(self, state: Any, action: jax.Array) -> Any:
        return self._step(self._playground, state, action)


def _with_step(step: Any) -> Environment:
    import dataclasses

    environment = environments.load("CartpoleBalance")
    return dataclasses.replace(environment, playground=_Remembering(environment.playground, step))  # type: ignore[arg-type]


def test_carry_and_arrays_from_before_the_physics_are_named() -> None:
    # given an environment that counts its steps, slackens with them, and rewards progress
    def step(playground: Any, state: Any, action: jax.Array) -> Any:
        from mujoco_playground._src import mjx_env

        ctrl = action / (1 + state.info["count"]) - 0.1 * state.data.qvel[:1]
        data = mjx_env.step(playground.mjx_model, state.data, ctrl, playground.n_substeps)
        progress = data.qpos[0] - state.data.qpos[0]
        info = {**state.info, "count": state.info["count"] + 1, "idle": state.info["idle"] + 1}
        return state.replace(data=data, reward=progress, info=info, obs=data.qvel)

    halves = split.split(_with_step(step))

    assert halves.before_arrays == ("qvel",)
    assert set(halves.after_arrays) == {"qpos", "qvel", "before.qpos"}
    assert set(halves.carry) == {"count"}
    carry = {"count": jnp.asarray(1.0)}
    action = jnp.asarray([0.5])
    ctrl, handed = halves.before(action, carry, {"qvel": jnp.asarray([2.0, 0.0])})
    np.testing.assert_allclose(ctrl, [0.05], atol=1e-7)
    outcome = halves.after(
        {"qpos": jnp.asarray([1.0, 0.0]), "qvel": jnp.zeros(2), "before.qpos": jnp.asarray([0.25, 0.0])}, action, handed
    )
    assert outcome.reward == 0.75
    assert outcome.carry == {"count": 2.0}


def test_a_step_that_cannot_be_split_says_why() -> None:
    def twice(playground: Any, state: Any, action: jax.Array) -> Any:
        from mujoco_playground._src import mjx_env

        for _ in range(2):
            state = state.replace(data=mjx_env.step(playground.mjx_model, state.data, action, playground.n_substeps))
        return state

    def forcing(playground: Any, state: Any, action: jax.Array) -> Any:
        forced = state.replace(data=state.data.replace(qfrc_applied=state.data.qfrc_applied + 1))
        return playground.step(forced, action)

    with pytest.raises(split.SplitError, match="2 times"):
        split.split(_with_step(twice))
    with pytest.raises(split.SplitError, match=r"mjData\.qfrc_applied before"):
        split.split(_with_step(forcing))


def test_what_an_environment_writes_to_the_simulation_is_named() -> None:
    # given an environment that pushes before the physics, puts the cart back after it, and writes time as it was
    def step(playground: Any, state: Any, action: jax.Array) -> Any:
        from mujoco_playground._src import mjx_env

        share = jnp.asarray(state.info["count"] > 0, jnp.int32)
        given = state.data
        data = given.replace(
            qvel=given.qvel.at[0].add(action[0]), time=((1 - share) * given.time + share * given.time).astype(float)
        )
        data = mjx_env.step(playground.mjx_model, data, action, playground.n_substeps)
        data = data.replace(qpos=data.qpos.at[0].set(0.0))
        return state.replace(data=data, obs=data.qpos, reward=given.qvel[0])

    halves = split.split(_with_step(step))

    assert halves.written == ("qpos", "qvel")
    assert halves.before_arrays == ("qvel",)
    assert set(halves.reads) == {"qpos", "qvel"}
    action = jnp.asarray([0.5])
    pushed = halves.writes(action, {}, {"qvel": jnp.asarray([2.0, 1.0])})
    np.testing.assert_allclose(pushed["qvel"], [2.5, 1.0])
    outcome = halves.after({"qpos": jnp.asarray([3.0, 1.0]), "before.qvel": jnp.asarray([2.0, 1.0])}, action, {})
    np.testing.assert_allclose(outcome.writes["qpos"], [0.0, 1.0])
    assert (outcome.observation[0], outcome.reward) == (0, 2)


def test_writing_to_running_simulations_keeps_the_precision_of_the_rest() -> None:
    # given states that float32 does not hold
    model = environments.load("CartpoleBalance").model
    simulations = physics.Simulations(model, count=2, threads=1, reads=("qpos", "qvel", "xfrc_applied"))
    simulations.restore({"qpos": np.full((2, 2), 0.1), "qvel": np.full((2, 2), 0.1)})
    simulations.run(1)
    exact = simulations.save(["qpos", "qvel"])

    seen = simulations.read()
    seen["qvel"][1, 0] = 7.0
    seen["xfrc_applied"][1, -1, 0] = 5.0
    simulations.overwrite(seen)

    kept = simulations.save(["qpos", "qvel", "xfrc_applied"])
    np.testing.assert_array_equal(kept["qpos"], exact["qpos"])
    np.testing.assert_array_equal(kept["qvel"], [exact["qvel"][0], [7.0, exact["qvel"][1, 1]]])
    # and physics starts from what was written
    simulations.run(1)
    moved = simulations.save(["qpos", "xfrc_applied"])
    assert moved["qpos"][1, 0] - exact["qpos"][1, 0] == pytest.approx(0.07, rel=0.1)
    assert moved["xfrc_applied"][1, -1, 0] == 5


def test_a_tap_is_undone_after_an_error_and_reaches_no_other_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from mujoco import mjx

    monkeypatch.setattr(mjx, "forward", lambda _model, _data: "the real one")
    seen: list[Any] = []
    nothing = taps.Physics(forward=lambda _: "the tap", step=lambda *_: None)  # type: ignore[arg-type, return-value]

    def fail_while_tapped() -> None:
        with taps.tapped(nothing):
            seen.append(mjx.forward(None, None))
            other = threading.Thread(target=lambda: seen.append(mjx.forward(None, None)))
            other.start()
            other.join()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_while_tapped()
    seen.append(mjx.forward(None, None))
    assert seen == ["the tap", "the real one", "the real one"]
