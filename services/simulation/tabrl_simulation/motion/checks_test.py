"""Checks on motions made by hand, and on a robot that moves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tabrl_simulation.motion.checks import Check, CheckError
from tabrl_simulation.motion.recording import Recording

_PERIOD_SECS = 0.02
_TIME = np.arange(500) * _PERIOD_SECS


@pytest.fixture
def recording() -> Recording:
    """Ten seconds of a body that goes ahead at 0.5 m/s, turned by 90 degrees, and bounces twice a second."""
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    positions, velocities, spins = np.zeros((3, len(_TIME), 2, 3))
    positions[:, 1, 1] = 0.5 * _TIME
    positions[:, 1, 2] = 1.0 + 0.1 * np.sin(2 * np.pi * 2.0 * _TIME)
    velocities[:, 1, 1] = 0.5
    spins[:, 1, 2] = -1.0
    rotations = np.broadcast_to(np.stack([np.eye(3), turned]), (len(_TIME), 2, 3, 3))
    return Recording(
        control_period_secs=_PERIOD_SECS,
        survived=1.0,
        positions=positions,
        rotations=rotations,
        velocities=velocities,
        spins=spins,
        joint_positions={"wheel": 2 * np.pi * 0.5 * _TIME},
        joint_velocities={"wheel": np.full(len(_TIME), np.pi)},
        bodies={"world": 0, "trunk": 1},
    )


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("mean(fwd('trunk')) > 0.49 and mean(fwd('trunk')) < 0.51", True),
        ("abs(mean(left('trunk'))) < 1e-9", True),
        ("0.4 < mean(vel('trunk')[:, 1]) < 0.6", True),
        ("mean(vel('trunk')[:, 0]) > 0.1", False),
        ("mean(up('trunk')) > 0.99 and survived > 0.99", True),
        ("1.9 < hz(pos('trunk')[:, 2]) < 2.1", True),
        ("0.09 < amp(pos('trunk')[:, 2]) < 0.101", True),
        ("3.9 < turns(q('wheel')) < 4.0", True),
        ("all: 4.9 < turns(q('wheel')) < 5.0", True),
        ("((pos('trunk')[-1, :2] - pos('trunk')[0, :2])**2).sum()**0.5 > 3.9", True),
        ("mean((pos('trunk')**2).sum(-1)**0.5) > 1", True),
        ("mean(spin('trunk')[:, 2]) < -0.9 or mean(qd('wheel')) < 0", True),
        ("not (min(q('wheel')) > 0)", False),
        ("std(up('trunk')) < 1e-6 and max(up('trunk')) <= 1", True),
    ],
)
def test_a_check_measures_the_motion_after_two_seconds(recording: Recording, text: str, holds: bool) -> None:
    assert Check(text).holds(recording) is holds


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mean(up('head')) > 0", "no body 'head'; there are: world, trunk"),
        ("mean(q('knee')) > 0", "no hinge or slide 'knee'; there are: wheel"),
        ("__import__('os')", "nothing that a check can compute"),
        ("().__class__", "nothing that a check can compute"),
        ("pos('trunk').tofile('x')", "nothing that a check can compute"),
        ("[x for x in (1,)]", "nothing that a check can compute"),
        ("9**9**9", "powers"),
        ("'a' * 10**9 > 1", "text is only a name|powers"),
        ("pos('trunk')[900]", "cannot be computed"),
        ("mean(pos('trunk')", "is no expression: '.' was never closed"),
        ("up('trunk') > 0.5", "is a whole motion; compare its mean"),
        ("mean(up('trunk')) > 'a'", "is a name"),
        ("1 +" * 900, "characters"),
    ],
)
def test_what_a_check_cannot_compute_is_said(recording: Recording, text: str, says: str) -> None:
    with pytest.raises(CheckError, match=says):
        Check(text).holds(recording)


def test_who_fell_before_there_was_something_to_measure_passes_nothing(recording: Recording) -> None:
    fallen = dataclasses.replace(recording.since(8.1), survived=0.19)

    assert not Check("survived < 1").holds(fallen)


def test_a_motion_that_comes_nearer_scores_more_and_only_one_that_passes_scores_one(recording: Recording) -> None:
    scores = [
        Check(f"mean(vel('trunk')[:, 1]) > {wanted} and max(pos('trunk')[:, 2]) > 1").judged(recording).score
        for wanted in (0.4, 0.6, 1.0, 5.0)
    ]
    assert scores[0] == 1.0
    assert scores[0] > scores[1] > scores[2] > scores[3] > 0.0
    judged = Check("mean(fwd('trunk')) > 0.4 and not (survived < 0.5)").judged(recording)
    assert judged.holds
    assert judged.sides == {"mean(fwd('trunk'))": pytest.approx(0.5), "survived": 1.0}
    assert Check("-mean(fwd('trunk')) > -1").judged(recording).sides == {"-mean(fwd('trunk'))": pytest.approx(-0.5)}


def test_one_who_fell_at_once_scores_nothing(recording: Recording) -> None:
    fell = dataclasses.replace(recording, positions=recording.positions[:5])
    judged = Check("mean(up('trunk')) > 0.9").judged(fell)
    assert (judged.holds, judged.score, dict(judged.sides)) == (False, 0.0, {})


@pytest.mark.parametrize(
    "text",
    [
        "survived > 2 and pos('trunk')[900] > 0",
        "survived > 2 and survived == 1",
        "survived > 2 and q('hip')[100:] > 0",
        "survived > 2 and mean(up('body')) > 0.9",
    ],
)
def test_what_stands_behind_a_false_part_is_judged_with_typed_errors_too(recording: Recording, text: str) -> None:
    with pytest.raises(CheckError):
        Check(text).judged(recording)
