import numpy as np

from tabrl_simulation.plateau import PARTS, Plateau


def _trained(returns: list[float]) -> Plateau:
    """A training of 1,000 steps that reports one return each ten steps."""
    plateau = Plateau(1_000)
    for i, value in enumerate(returns):
        plateau.add(10 * (i + 1), value)
    return plateau


def test_a_training_that_still_improves_is_on_no_plateau() -> None:
    # slowly, noisily, and not at all for a while
    rng = np.random.default_rng(0)
    for returns in (np.arange(100) * 0.1, np.arange(100) + rng.normal(0, 3, 100), np.repeat([0.0, 10.0, 100.0], 15)):
        plateau = _trained(returns.tolist())
        assert all(plateau.since(10 * i) is None for i in range(len(returns)))


def test_a_plateau_is_told_from_the_last_improvement_on() -> None:
    # given returns that rise for 40 of 100 parts, then wander around one level
    rise = np.concatenate([np.arange(40) * 10.0, np.full(60, 390.0)]) + np.random.default_rng(1).normal(0, 2, 100)

    plateau = _trained(rise.tolist())

    assert plateau.since(500) is None
    since = plateau.since(1_000)
    assert since is not None
    # when the last gain that counts was complete, give or take what noise makes of it
    assert 380 <= since <= 550


def test_what_gets_worse_or_never_learns_has_not_improved_either() -> None:
    worse = _trained([*np.arange(30) * 10.0, *(300 - np.arange(40) * 5.0)])
    assert worse.since(700) is not None
    assert _trained([5.0] * 40).since(400) == 10


def test_nothing_is_said_before_there_are_returns_to_judge() -> None:
    plateau = Plateau(1_000)
    assert plateau.since(500) is None
    plateau.add(500, 1.0)
    assert plateau.since(500) is None


def test_many_returns_in_a_part_count_as_their_mean_and_steps_past_the_end_as_the_last_part() -> None:
    plateau = Plateau(1_000)
    for step in range(1, 1_101):
        plateau.add(step, 1.0)
    assert plateau.save()["counts"].tolist() == [10] * (PARTS - 1) + [110]


def test_it_goes_on_where_it_was_saved() -> None:
    whole = _trained([1.0] * 50)
    resumed = Plateau(1_000)
    resumed.restore(_trained([1.0] * 30).save())
    for i in range(30, 50):
        resumed.add(10 * (i + 1), 1.0)
    assert resumed.since(500) == whole.since(500) == 10
    # but from nothing in a training of another length
    longer = Plateau(5_000)
    longer.restore(whole.save())
    assert longer.since(5_000) is None
