"""A check that cannot be computed for a robot is refused before anything is trained for it."""

from __future__ import annotations

import pytest

from tabrl_simulation import environments
from tabrl_simulation.motion import Check, CheckError, require_fits
from tabrl_simulation.rewards.from_model import robot_of


@pytest.mark.parametrize("text", ["mean(up('pole_1')) > 0.9 and max(abs(q('slider'))) < 0.5", "hz(q('hinge_1')) > 1"])
def test_what_the_robot_has_fits(text: str) -> None:
    require_fits(Check(text), robot_of(environments.load("CartpoleBalance")))


@pytest.mark.parametrize(
    "text", ["mean(up('torso')) > 0.9", "survived > 2 and mean(q('hip')) > 0", "42", "1 < 2", "mean(q('slider'))"]
)
def test_what_it_has_not_is_refused_wherever_it_stands(text: str) -> None:
    with pytest.raises(CheckError):
        require_fits(Check(text), robot_of(environments.load("CartpoleBalance")))
