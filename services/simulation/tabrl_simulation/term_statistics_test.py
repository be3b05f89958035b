import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tabrl_simulation import term_statistics
from tabrl_simulation.term_warnings import CONSTANT, DOMINATES, NEVER_REACHED, TermWatch


def test_moments_merged_are_those_of_all_numbers() -> None:
    # given two terms over five steps of eight environments, one value of which is not finite
    rng = np.random.default_rng(0)
    values = rng.normal([2.0, -0.5], [0.1, 3.0], (5, 8, 2)).astype(np.float32)
    values[2, 3, 1] = np.nan

    halves = [np.asarray(jax.jit(term_statistics.moments)(half)) for half in (values[:2], values[2:])]
    read = term_statistics.statistics(("near", "far"), term_statistics.merge(*halves))

    expected = [values[..., i][np.isfinite(values[..., i])] for i in range(2)]
    total = sum(np.abs(numbers).sum() for numbers in expected)
    for name, numbers in zip(("near", "far"), expected, strict=True):
        seen = read[name]
        assert seen.mean == pytest.approx(numbers.mean(), rel=1e-5)
        assert seen.std == pytest.approx(numbers.std(), rel=1e-3)
        assert seen.share == pytest.approx(np.abs(numbers).sum() / total, rel=1e-5)
        assert (seen.least, seen.greatest) == (numbers.min(), numbers.max())


def test_a_constant_has_no_deviation_and_nothing_no_statistics() -> None:
    gathered = term_statistics.moments(jnp.stack([jnp.full(1_000, 1e3 + 0.1), jnp.zeros(1_000)], -1))

    read = term_statistics.statistics(("same", "zero"), np.asarray(gathered))

    assert (read["same"].std, read["same"].share, read["zero"].share) == (0.0, 1.0, 0.0)
    assert term_statistics.statistics(("none",), term_statistics.no_moments(1)) == {}


def _watched(watch: TermWatch, *steps: dict[str, float | tuple[float, float]], terminated: bool = False) -> None:
    """Feeds a training of 1,000 steps with updates of ten, from step 0 on; a term is a number or a range."""
    for i, terms in enumerate(steps):
        columns = [
            jnp.linspace(*value, 10) if isinstance(value, tuple) else jnp.full(10, value) for value in terms.values()
        ]
        gathered = np.asarray(term_statistics.moments(jnp.stack(columns, -1)))
        watch.add(gathered, terminated=terminated, env_steps=10 * (i + 1), made=10)


def test_terms_that_teach_nothing_are_named_with_advice() -> None:
    watch = TermWatch(("lively", "same", "zero", "off"), (1.0, 1.0, 1.0, 0.0), 1_000)
    step = {"lively": (0.0, 1.0), "same": 0.25, "zero": 0.0, "off": 0.0}

    _watched(watch, *[step] * 4)
    assert watch.warnings() == ()
    _watched(watch, *[step] * 6)

    assert [(w.kind, w.term, w.env_steps) for w in watch.warnings()] == [
        (NEVER_REACHED, "zero", 50),
        (CONSTANT, "same", 50),
    ]
    assert "0.25" in watch.warnings()[1].text
    # and what is reached late is no longer complained about
    _watched(watch, *[{**step, "zero": (0.0, 0.1)}] * 6)
    assert [w.term for w in watch.warnings()] == ["same"]


def test_a_constant_rewards_staying_alive_where_episodes_can_end_early() -> None:
    watch = TermWatch(("alive", "lively"), (1.0, 1.0), 1_000)
    _watched(watch, *[{"alive": 1.0, "lively": (0.0, 1.0)}] * 8, terminated=True)
    assert watch.warnings() == ()


def test_a_term_that_leaves_the_others_no_say_is_named_until_they_have_one() -> None:
    watch = TermWatch(("loud", "soft"), (10.0, 1.0), 1_000)
    heard, drowned = {"loud": (0.0, 1.0), "soft": (0.0, 0.5)}, {"loud": (0.0, 10.0), "soft": (0.0, 0.1)}

    _watched(watch, *[drowned] * 10)

    (warning,) = watch.warnings()
    assert (warning.kind, warning.term) == (DOMINATES, "loud")
    assert "99.0 %" in warning.text
    assert "0.1 " in warning.text
    _watched(watch, *[heard] * 10)
    assert watch.warnings() == ()


def test_a_reward_of_one_term_is_not_dominated_by_it() -> None:
    watch = TermWatch(("one", "off"), (1.0, 0.0), 1_000)
    _watched(watch, *[{"one": (0.0, 1.0), "off": 0.0}] * 10)
    assert watch.warnings() == ()


def test_a_watch_goes_on_where_it_was_saved() -> None:
    step = {"loud": (0.0, 99.0), "soft": (0.0, 1.0)}
    whole = TermWatch(("loud", "soft"), (1.0, 1.0), 1_000)
    _watched(whole, *[step] * 10)
    resumed = TermWatch(("loud", "soft"), (1.0, 1.0), 1_000)

    resumed.restore(whole.save())

    assert resumed.warnings() == whole.warnings() != ()
    for name, value in whole.save().items():
        np.testing.assert_array_equal(resumed.save()[name], value)
