"""What robots on legs do beside getting somewhere: what is understood, that it seals, and which way is which."""

import jax
import numpy as np
import pytest
from tabrl_simulation.rewards.compile import compile_reward
from tabrl_simulation.rewards.program import RewardProgram
from tabrl_simulation.rewards.samples import sample_states

from tabrl_rewardgen.library import write

GO1, G1 = "Go1JoystickFlatTerrain", "G1JoystickFlatTerrain"

SAID = [
    (GO1, "Dance: bounce up and down to the beat and wiggle your hips", "bounce to a beat"),
    (GO1, "Boogie!", "bounce to a beat"),
    (GO1, "Walk sideways like a crab", "sideways to its left"),
    (GO1, "Strafe to the right", "sideways to its right"),
    (GO1, "Turn on the spot to the left", "turn on the spot"),
    (GO1, "Do a handstand on your front legs", "on its front legs"),
    (GO1, "Rear up on your hind legs", "on its hind legs"),
    (GO1, "Saunter around", "move forward"),
    (G1, "Stand still and wave your right hand hello", "wave its right hand"),
    (G1, "Greet me with your left hand", "wave its left hand"),
    ("HumanoidStand", "Wave hello", "wave its right hand"),
    ("WalkerWalk", "Dance", "bounce to a beat"),
]


@pytest.mark.parametrize(("environment_id", "prompt", "understood"), SAID)
def test_it_is_understood_however_it_is_said(environment_id, prompt, understood, robot):
    assert understood in write(prompt, robot(environment_id)).explanation


@pytest.mark.parametrize("environment_id", ["CartpoleBalance", "HopperHop", "ReacherEasy"])
def test_robots_without_arms_do_not_wave(environment_id, robot):
    from tabrl_rewardgen.library import BehaviourUnknown

    try:
        found = write("wave hello", robot(environment_id))
    except BehaviourUnknown:
        return
    assert "wave" not in found.weights


def _upright(which, count=8):
    """Return states of a robot at rest, its bodies upright and at 0.28 m."""
    states, actions = sample_states(which, 3 * count)
    states = {name: values[:count].copy() for name, values in states.items()}
    states["xpos"][:, :, 2] = 0.28
    return states, actions[:count]


def _term(found, which, name, states, actions):
    sealed = compile_reward(found.source, which)
    program = RewardProgram.from_bytes(sealed.program)
    values = jax.vmap(program)({each: states[each] for each in program.inputs}, actions)
    return np.asarray(values[name])


def test_left_is_the_robots_left(robot):
    # given a Go1 that moves to its left, when a step to the left and one to the right are asked for
    which = robot(GO1)
    states, actions = _upright(which)
    states["cvel"][:] = 0.0
    states["cvel"][:, :, 4] = 0.4
    to_left = _term(write("Walk sideways to the left", which), which, "sideways", states, actions)
    to_right = _term(write("Walk sideways to the right", which), which, "sideways", states, actions)
    # then only the first pays
    assert (to_left > to_right + 0.1).all()


def test_a_beat_is_an_orbit(robot):
    # given a Go1 that stands still in the middle of its bounce, and one that passes it at full speed
    which = robot(GO1)
    found = write("Dance", which)
    states, actions = _upright(which)
    middle = 0.95 * 0.28 - max(0.02, round(0.08 * 0.95 * 0.28, 3))
    states["xpos"][:, :, 2] = middle
    states["cvel"][:] = 0.0
    at_rest = _term(found, which, "bounce", states, actions)
    states["cvel"][:, :, 5] = 0.02 * 2 * np.pi * 1.8
    moving = _term(found, which, "bounce", states, actions)
    assert (moving > at_rest + 0.3).all()
    # and one that freezes at the top, which is on the orbit as well, earns nothing for the beat
    states["xpos"][:, :, 2] = 0.95 * 0.28
    states["cvel"][:] = 0.0
    assert np.allclose(_term(found, which, "beat", states, actions), 0.0)


def test_a_handstand_has_its_nose_down(robot):
    which = robot(GO1)
    found = write("Do a handstand", which)
    states, actions = _upright(which)
    flat = _term(found, which, "tilt", states, actions)
    # x axis of every body straight down
    states["xmat"][:] = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]], np.float32)
    down = _term(found, which, "tilt", states, actions)
    assert np.allclose(flat, 0.5, atol=1e-5)
    assert np.allclose(down, 1.0, atol=1e-5)
