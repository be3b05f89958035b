"""An environment that is easier at first."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from tabrl_simulation import curriculum, environments
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.curriculum import Easing
from tabrl_simulation.environments import Environment
from tabrl_simulation.metrics import Metrics
from tabrl_simulation.settings import Settings
from tabrl_simulation.training import train

_SETTINGS = Settings(
    env_steps=6_400, num_envs=32, unroll_length=20, num_minibatches=4, updates_per_batch=1, hidden_layer_sizes=(16,)
)
# The first 2,560 steps: episodes so short that many end meanwhile.
_EASING = Easing(overrides={"episode_length": 20}, steps=1_000_000, share=0.4)


@pytest.fixture
def cartpole(monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment that nobody has made easier yet, with episodes of 40 steps, made easier."""
    monkeypatch.setattr(curriculum, "_EASINGS", {"CartpoleBalance": _EASING})
    return dataclasses.replace(environments.load("CartpoleBalance"), episode_length=40)


def _trained(environment: Environment, **changes: Any) -> tuple[Checkpoint, list[Metrics], list[Checkpoint]]:
    metrics: list[Metrics] = []
    checkpoints: list[Checkpoint] = []
    result = train(
        environment,
        _SETTINGS,
        metrics_every_secs=0,
        checkpoint_every_secs=0,
        on_metrics=metrics.append,
        on_checkpoint=checkpoints.append,
        **changes,
    )
    return result.checkpoint, metrics, checkpoints


def test_training_goes_on_in_the_environments_own_form_once_it_is_due(cartpole: Environment) -> None:
    last, metrics, checkpoints = _trained(cartpole)

    # then it says so while it is easier, and episodes are of the easier form
    assert [m.easier_until_env_steps for m in metrics] == [2_560] * 3 + [None] * 6
    assert metrics[2].episode_length == 20
    # and nothing of its own form before there is something to tell
    assert [m.env_steps for m in metrics] == [640, 1_280, 1_920, *range(3_200, 6_401, 640)]
    assert all(m.projected_return > 0 for m in metrics)
    assert metrics[-1].episode_length == 40
    # and no checkpoint passes an easier return for its own
    assert [c.episode_return is None for c in checkpoints[:4]] == [True] * 4
    assert last.episode_return == metrics[-1].episode_return
    # all belong to the environment itself
    assert {c.environment_fingerprint for c in checkpoints} == {cartpole.fingerprint}
    assert jax.jit(last.policy(cartpole))(np.zeros((1, 5), np.float32)).shape == (1, 1)


@pytest.mark.parametrize("index", [1, 3, 5], ids=["while easier", "as it changes over", "afterwards"])
def test_it_resumes_to_the_bit(cartpole: Environment, index: int) -> None:
    whole, _, checkpoints = _trained(cartpole)

    resumed, _, _ = _trained(cartpole, resume=Checkpoint.from_bytes(checkpoints[index].to_bytes()))

    assert resumed.to_bytes() == whole.to_bytes()


def test_with_more_steps_to_make_the_easier_form_lasts_no_longer(cartpole: Environment) -> None:
    # given checkpoints of before the changeover at 2,560 steps, and of long after it
    _, _, checkpoints = _trained(cartpole)
    longer = dataclasses.replace(_SETTINGS, env_steps=16_000)

    for checkpoint in (checkpoints[1], checkpoints[4]):
        metrics: list[Metrics] = []
        train(cartpole, longer, resume=checkpoint, metrics_every_secs=0, on_metrics=metrics.append)

        eased = [m.env_steps for m in metrics if m.easier_until_env_steps is not None]
        assert eased == [1_920] * (checkpoint is checkpoints[1])


def test_a_policy_that_starts_from_its_own_form_is_not_made_to_find_its_feet_again(cartpole: Environment) -> None:
    last, _, checkpoints = _trained(cartpole)

    for checkpoint, eased in ((last, False), (checkpoints[1], True)):
        metrics: list[Metrics] = []
        train(cartpole, _SETTINGS, start_from=checkpoint, metrics_every_secs=0, on_metrics=metrics.append)

        assert (metrics[0].easier_until_env_steps is not None) is eased


def test_the_first_part_ends_at_a_step_however_long_a_training_is() -> None:
    easing = Easing(overrides={}, steps=2_600_000, share=0.65)

    assert [easing.until(env_steps) for env_steps in (1_000_000, 4_000_000, 8_000_000)] == [650_000] + [2_600_000] * 2


@pytest.mark.parametrize(("env_steps", "updates"), [(1_000, 2), (1_281, 3), (1_900, 3)])
def test_the_last_update_is_always_in_its_own_form(
    cartpole: Environment, monkeypatch: pytest.MonkeyPatch, env_steps: int, updates: int
) -> None:
    # given an easier form that lasts into the last update
    monkeypatch.setattr(curriculum, "_EASINGS", {"CartpoleBalance": dataclasses.replace(_EASING, share=0.99)})
    metrics: list[Metrics] = []

    settings = dataclasses.replace(_SETTINGS, env_steps=env_steps)
    result = train(cartpole, settings, metrics_every_secs=0, on_metrics=metrics.append)

    assert result.finished
    assert metrics[-1].env_steps == result.checkpoint.env_steps == 640 * updates
    assert metrics[-1].easier_until_env_steps is None


def test_what_somebody_configured_is_not_made_easier(cartpole: Environment) -> None:
    changed = dataclasses.replace(cartpole, overrides={"episode_length": 40})

    assert curriculum.easing(cartpole) is _EASING
    assert curriculum.easing(changed) is None


def test_go1_may_drag_its_feet_at_first() -> None:
    try:
        environment = environments.load("Go1JoystickFlatTerrain")
    except environments.MissingRobot as missing:
        pytest.skip(str(missing))
    easing = curriculum.easing(environment)
    assert easing is not None

    easier = curriculum.easier(environment, easing)

    assert (easier.id, easier.fingerprint) == (environment.id, environment.fingerprint)
    assert easier.playground._config.reward_config.scales.feet_clearance == 0.0
    assert environment.playground._config.reward_config.scales.feet_clearance == -2.0
