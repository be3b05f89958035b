import json
import math
from typing import Any

import pytest

from tabrl_simulation.custom.config import Commands, InvalidSceneConfig, Range, SceneConfig


def test_a_configuration_survives_json() -> None:
    given = SceneConfig(
        home_joints={"knee": 0.5},
        home_height_m=0.4,
        commands=Commands(forward_m_per_s=Range(low=-0.5, high=1.0)),
    )
    assert SceneConfig.from_dict(json.loads(json.dumps(given.to_dict()))) == given


def test_fields_left_out_take_their_defaults() -> None:
    read = SceneConfig.from_dict({"termination": {"max_tilt_rad": 0.5}})
    assert (read.termination.max_tilt_rad, read.control_period_secs) == (0.5, 0.02)


@pytest.mark.parametrize(
    ("values", "field", "remedy"),
    [
        ({"control_period_secs": 0.0}, "control_period_secs", "between"),
        ({"control_period_secs": "fast"}, "control_period_secs", "not a number"),
        ({"episode_length": 10.5}, "episode_length", "whole number"),
        ({"observations": {"clock": 1}}, "observations.clock", "true or false"),
        ({"observations": {"smell": True}}, "observations.smell", "there are: base_orientation"),
        ({"termination": {"max_tilt_rad": math.nan}}, "termination.max_tilt_rad", "between"),
        ({"commands": {"turn_rad_per_s": {"low": 1.0, "high": 0.0}}}, "commands.turn_rad_per_s.low", "exchange"),
        ({"reward_weights": {"alive": math.inf}}, "reward_weights.alive", "between"),
        ({"home_joints": {"knee": None}}, "home_joints.knee", "not a number"),
        ({"physics_timestep_secs": 0.05, "control_period_secs": 0.02}, "control_period_secs", "multiple"),
        ({"reset_noise": 3}, "reset_noise", "group"),
    ],
)
def test_a_bad_field_is_named_with_its_remedy(values: dict[str, Any], field: str, remedy: str) -> None:
    with pytest.raises(InvalidSceneConfig, match=remedy) as refused:
        SceneConfig.from_dict(values)
    assert refused.value.field == field
