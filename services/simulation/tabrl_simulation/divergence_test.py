"""Trainings that go wrong, and whether they say where."""

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

from tabrl_simulation import divergence, environments, training
from tabrl_simulation.environments import Environment
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import TrainingDiverged

_SMALL = Settings(
    env_steps=1_280, num_envs=32, unroll_length=20, num_minibatches=4, updates_per_batch=2, hidden_layer_sizes=(16,)
)


@pytest.fixture(scope="module")
def cartpole() -> Environment:
    return environments.load("CartpoleBalance")


class _DividesByNothing:
    """An environment that shows something infinite in one entry."""

    def __init__(self, playground: Any) -> None:
        self._playground = playground

    def step(self, state: Any, action: Any) -> Any:
        after = self._playground.step(state, action)
        return after.replace(obs=after.obs.at[3].divide(0.0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._playground, name)


def test_an_observation_that_is_not_finite_is_named(cartpole: Environment) -> None:
    playground: Any = _DividesByNothing(cartpole.playground)

    with pytest.raises(TrainingDiverged, match="finite state") as failure:
        training.train(dataclasses.replace(cartpole, playground=playground), _SMALL)

    assert failure.value.where == "observation's entry 3 of 5"


def test_a_robot_that_explodes_is_named_by_its_joint(cartpole: Environment) -> None:
    # given a pole that weighs next to nothing on a motor as strong as a rocket
    model = mujoco.MjModel.from_xml_string("""
        <mujoco><option timestep="0.01"/><worldbody>
          <body name="cart"><joint name="slider" type="slide" axis="1 0 0"/><geom size="0.1" mass="1"/>
            <body name="pole"><joint name="hinge" axis="0 1 0"/><geom size="0.1" pos="0 0 1" mass="1e-6"/></body>
          </body></worldbody>
          <actuator><motor joint="hinge" gear="1e20"/></actuator></mujoco>""")
    state = {"qpos": np.zeros(2), "qvel": np.zeros(2), "time": np.asarray(0.0)}

    assert divergence.first_bad_joint(model, {**state, "ctrl": np.zeros(1)}, 5) is None
    said = divergence.first_bad_joint(model, {**state, "ctrl": np.ones(1)}, 5)

    assert said == "acceleration of joint 'hinge' on body 'pole'"
    # and so it is in a training: a motor of the cart that nothing can hold
    wild = copy.copy(cartpole.model)
    wild.actuator_gear[:] = 1e60
    with pytest.raises(TrainingDiverged, match="not stable") as failure:
        training.train(dataclasses.replace(cartpole, model=wild), _SMALL)
    assert re.fullmatch(r"physics \(acceleration of joint '\w+' on body '\w+'\)", failure.value.where)


def test_the_first_thing_that_goes_wrong_in_learning_is_named() -> None:
    fine = dict.fromkeys(("policy_loss", "value_loss", "entropy", "kl", "gradient_norm"), 0.0)

    def refused(tally: Mapping[str, Any], report: Mapping[str, float]) -> str:
        plain = {"bad_terms": {"a": 0.0}, "diverged": 0.0, "rewards": 1.0}
        rollouts: Any = SimpleNamespace(steps_per_collect=10)
        made: Callable[..., Any] = SimpleNamespace
        with pytest.raises(TrainingDiverged) as failure:
            divergence.refuse_bad_numbers(
                SimpleNamespace(), rollouts, made(**{**plain, **tally}), made(**{**fine, **report}), 7
            )
        assert failure.value.env_steps == 7
        return failure.value.where

    assert refused({"bad_terms": {"a": 2.0}, "rewards": np.nan}, {}) == "reward term 'a'"
    assert refused({"rewards": np.inf}, {"value_loss": np.nan}) == "sum of rewards"
    assert refused({}, {"value_loss": np.inf, "gradient_norm": np.nan}) == "value loss"
    assert refused({}, {"gradient_norm": np.nan, "kl": np.nan}) == "gradient"
