import subprocess
import sys

import pytest

from tabrl_simulation import environments


def test_an_environment_knows_its_sizes_and_timing() -> None:
    environment = environments.load("CartpoleBalance")

    assert environment.id == "CartpoleBalance"
    assert (environment.action_size, environment.observation_size) == (1, 5)
    assert (environment.physics_steps_per_control, environment.control_period_secs) == (1, 0.01)
    assert (environment.episode_length, environment.action_repeat) == (1000, 1)


def test_the_pendulum_holds_each_action_for_four_control_steps() -> None:
    assert environments.load("PendulumSwingup").action_repeat == 4


def test_the_catalogue_is_playgrounds() -> None:
    from mujoco_playground import registry

    for category, ids in environments.ALL.items():
        assert sorted(getattr(registry, category).ALL_ENVS) == list(ids)
    assert len(environments.CATEGORY) == 54


def test_a_fingerprint_tells_environments_apart_and_is_the_same_each_time() -> None:
    # Cartpole's model is the same in all four of its environments; their rewards and starting states are not.
    names = ("CartpoleBalance", "CartpoleSwingup", "ReacherEasy", "ReacherHard")

    fingerprints = [environments.load(name).fingerprint for name in names]

    assert fingerprints == [environments.load(name).fingerprint for name in names]
    assert len(set(fingerprints)) == len(names)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("CartPoleBalance", "CartpoleBalance"), ("walker", "WalkerRun"), ("x" * 100_000, None), ("", None)],
)
def test_an_unknown_environment_is_refused_with_a_neighbour(asked: str, nearest: str | None) -> None:
    with pytest.raises(environments.UnknownEnvironment) as refusal:
        environments.load(asked)

    assert refusal.value.nearest in environments.CATEGORY
    assert nearest is None or refusal.value.nearest == nearest
    assert len(str(refusal.value)) < 300


def test_listing_needs_nothing_heavy() -> None:
    code = (
        "import sys; from tabrl_simulation import checkpoint, environments, settings, training;"
        "environments.ALL; settings.default_settings('FishSwim');"
        "print([m for m in ('jax', 'mujoco', 'mujoco_playground', 'brax') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_overrides_change_the_environment_and_its_fingerprint() -> None:
    plain = environments.load("ReacherEasy")

    shorter = environments.load("ReacherEasy", {"episode_length": 200, "sim_dt": 0.01})

    assert (shorter.episode_length, shorter.physics_steps_per_control) == (200, 2)
    assert (plain.episode_length, plain.physics_steps_per_control) == (1000, 4)
    assert shorter.fingerprint != plain.fingerprint
    assert shorter.overrides == {"episode_length": 200, "sim_dt": 0.01}
    assert environments.load("ReacherEasy", {"episode_length": 1000}).fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("episode_lenght", 200, "did you mean 'episode_length'"),
        ("episode_length.x", 200, "did you mean 'episode_length'"),
        ("ctrl_dt", "fast", "'fast' is of another type than 0.0"),
        ("ctrl_dt", float("nan"), "nan is not finite"),
        ("impl", "warp", "nothing here reads"),
    ],
)
def test_an_override_that_fits_nothing_is_refused(path: str, value: object, words: str) -> None:
    with pytest.raises(environments.InvalidOverride, match=words) as refusal:
        environments.load("ReacherEasy", {path: value})

    assert refusal.value.path == path
