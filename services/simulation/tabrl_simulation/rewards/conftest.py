"""Robots that the tests of rewards work on."""

import functools

import pytest

from tabrl_simulation import environments
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.robot import Robot


@functools.cache
def _robot(environment_id: str) -> Robot:
    return robot_of(environments.load(environment_id))


@pytest.fixture(scope="session")
def robot():
    """Return the robot of an environment id."""
    return _robot


@pytest.fixture(scope="session")
def walker() -> Robot:
    """The walker: planar, named joints, one sensor."""
    return _robot("WalkerWalk")


@pytest.fixture(scope="session")
def humanoid() -> Robot:
    """The humanoid: a free joint, sites, many sensors."""
    return _robot("HumanoidStand")
