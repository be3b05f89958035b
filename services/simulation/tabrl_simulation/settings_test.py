import dataclasses
import json
from typing import Any

import pytest

from tabrl_simulation import environments
from tabrl_simulation.settings import InvalidSettings, Settings, default_settings


@pytest.mark.parametrize("environment_id", environments.CATEGORY)
def test_every_environment_has_defaults_that_pass_through_json(environment_id: str) -> None:
    settings = default_settings(environment_id)

    assert Settings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


def test_an_unknown_environment_has_none() -> None:
    with pytest.raises(environments.UnknownEnvironment):
        default_settings("CartpoleBalanced")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("env_steps", 999),
        ("seed", -1),
        ("num_envs", 0),
        ("num_minibatches", 2000),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("discounting", 1.01),
        ("entropy_cost", -0.1),
        ("initial_std", -0.1),
        ("initial_std", float("inf")),
        ("hidden_layer_sizes", ()),
        ("hidden_layer_sizes", (64, 0)),
    ],
)
def test_numbers_that_cannot_train_are_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        dataclasses.replace(default_settings("CartpoleBalance"), **{field: value})  # type: ignore[arg-type]

    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("num_envs", {"num_envs": 16_384, "unroll_length": 1_000}),
        ("hidden_layer_sizes", {"hidden_layer_sizes": (4096,) * 8}),
    ],
)
def test_numbers_that_are_too_large_together_are_refused(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        dataclasses.replace(default_settings("CartpoleBalance"), **values)

    assert refusal.value.field == field


def test_more_minibatches_than_environments_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="num_minibatches"):
        Settings(env_steps=1000, num_envs=4, num_minibatches=5)


@pytest.mark.parametrize(
    ("field", "value"), [("num_envs", "64"), ("num_envs", True), ("seed", None), ("hidden_layer_sizes", [64, 1.5])]
)
def test_plain_data_of_another_type_is_refused(field: str, value: object) -> None:
    values = {**default_settings("CartpoleBalance").to_dict(), field: value}

    with pytest.raises(InvalidSettings, match=field):
        Settings.from_dict(values)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_a_choice_is_true_or_false(value: object) -> None:
    values = {**default_settings("CartpoleBalance").to_dict(), "domain_randomization": value}

    with pytest.raises(InvalidSettings, match="domain_randomization"):
        Settings.from_dict(values)


def test_files_of_before_a_setting_was_there_mean_its_default() -> None:
    values = default_settings("WalkerWalk").to_dict()
    del values["domain_randomization"], values["initial_std"]

    assert Settings.from_dict(values) == default_settings("WalkerWalk")
    # as does what once stood for none
    assert Settings.from_dict({**values, "initial_std": None}) == default_settings("WalkerWalk")
