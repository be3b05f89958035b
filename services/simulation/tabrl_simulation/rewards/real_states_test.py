"""States that were recorded are those of the simulation, in the order in which they came."""

import numpy as np
import pytest

from tabrl_simulation import environments
from tabrl_simulation.rewards.real_states import RealStates, RealStatesRefused, record_states


@pytest.fixture(scope="module")
def hopper():
    return record_states(environments.load("HopperHop"), episodes=4, steps=20)


def test_half_is_idle_and_half_is_driven_at_random(hopper):
    assert hopper.counts.all()
    idle, driven = hopper.actions[~hopper.driven], hopper.actions[hopper.driven]
    assert len(idle) == len(driven) == 40
    assert not idle.any()
    assert np.abs(driven).max() <= 1.0
    assert driven.std() > 0.3


def test_before_is_what_came_before(hopper):
    found = hopper.inputs(["qpos", "before.qpos", "before.action"])
    by_episode = {name: values.reshape(4, 20, -1) for name, values in found.items()}
    np.testing.assert_array_equal(by_episode["before.qpos"][:, 1:], by_episode["qpos"][:, :-1])
    actions = hopper.actions.reshape(4, 20, -1)
    assert not by_episode["before.action"][:, 0].any()
    np.testing.assert_array_equal(by_episode["before.action"][:, 1:], actions[:, :-1])
    assert (by_episode["qpos"][:, -1] != by_episode["qpos"][:, 0]).any()


def test_air_time_grows_by_the_control_period_or_is_over(hopper):
    period = environments.load("HopperHop").control_period_secs
    air = hopper.inputs(["air_time"])["air_time"].reshape(4, 20)
    assert not air[:, 0].any()
    grown = np.isclose(air[:, 1:], air[:, :-1] + period, atol=1e-5)
    assert (grown | (air[:, 1:] == 0.0)).all()


def test_a_file_is_read_back_and_others_are_refused(hopper):
    again = RealStates.from_bytes(hopper.to_bytes())
    np.testing.assert_array_equal(again.arrays["xpos"], hopper.arrays["xpos"])
    np.testing.assert_array_equal(again.counts, hopper.counts)
    for data in (b"", b"PK\x03\x04 nothing", hopper.to_bytes()[:1000]):
        with pytest.raises(RealStatesRefused):
            RealStates.from_bytes(data)
