"""What a batch decides, from where its candidates stand."""

import dataclasses

import pytest
from tabrl.trainer.v1 import trainer_pb2

from tabrl_trainer.batch_plan import (
    FAILED,
    FINISHED,
    STOPPED,
    Ask,
    Candidate,
    End,
    Evaluate,
    Fail,
    Finish,
    GoOn,
    Judged,
    Policy,
    Rules,
    Stop,
    clear_losers,
    plan,
    ranked,
)
from tabrl_trainer.conftest import CANCELLED, PAUSED, QUEUED, RUNNING, SUCCEEDED

HALVING = Rules(rungs=(1000, 2000), by_check=True)


def candidate(index: int, state: int | None = RUNNING, **fields) -> Candidate:
    return Candidate(index=index, label=f"number {index}", run_state=state, **fields)


def at_rung(index: int, *scores: float, steps: int = 1000, rung: int = 0) -> Candidate:
    """A candidate that pauses at a rung; judged where it has scores."""
    judged = {rung: Judged(scores)} if scores else {}
    return candidate(index, PAUSED, newest=Policy(steps, f"policy-{index}"), rung=rung, judged=judged)


@pytest.mark.parametrize(
    ("scores", "keep_share", "stopped"),
    [
        # the worst is far below the one that is kept
        ([(0.9, 0.91), (0.1, 0.11)], 0.5, {1: 0}),
        # the worst kept of three at a half is the second
        ([(0.9, 0.91), (0.5, 0.51), (0.1, 0.11)], 0.5, {2: 1}),
        # all that fall out are compared with the worst kept
        ([(0.9, 0.91), (0.5, 0.51), (0.1, 0.11)], 0.3, {1: 0, 2: 0}),
        # a difference that a few lucky episodes explain stops nobody
        ([(0.9, 0.1), (0.5, 0.1)], 0.5, {}),
        # one that no luck explains does, also where every episode was the same
        ([(0.5, 0.5), (0.4, 0.4)], 0.5, {1: 0}),
        ([(0.5, 0.5), (0.5, 0.5)], 0.5, {}),
        # one episode says nothing of luck
        ([(0.9,), (0.1,)], 0.5, {}),
        # never all of them, whatever is kept
        ([(0.1, 0.11)], 0.01, {}),
        ([], 0.5, {}),
    ],
)
def test_clear_losers(scores, keep_share, stopped):
    judged = {index: Judged(each) for index, each in enumerate(scores)}
    assert clear_losers(judged, keep_share) == stopped


def test_the_check_that_held_more_often_comes_first_and_is_not_a_clear_winner_by_that():
    # given one that holds now and then, and one that always comes near
    judged = {0: Judged((1.0, 0.1, 0.1), held=1), 1: Judged((0.9, 0.9, 0.9), held=0)}
    assert clear_losers(judged, 0.5) == {}
    assert [each.index for each in ranked([candidate(0, judged={0: judged[0]}), candidate(1, judged={0: judged[1]})])]
    assert judged[0].rank > judged[1].rank


def test_who_came_further_stands_before_who_was_stopped():
    order = ranked(
        [
            candidate(0, outcome=STOPPED, judged={0: Judged((0.99,))}),
            candidate(1, outcome=FINISHED, judged={0: Judged((0.1,)), 2: Judged((0.2,))}),
            candidate(2, outcome=STOPPED, judged={0: Judged((0.5,)), 1: Judged((0.3,))}),
            candidate(3),
            candidate(4, outcome=FINISHED, judged={2: Judged((0.3,))}),
        ]
    )
    assert [each.index for each in order] == [4, 1, 2, 0]


def test_nothing_is_due_while_candidates_train_or_wait():
    assert plan([candidate(0), candidate(1, QUEUED)], HALVING) == []
    # nor where a person paused one before its rung, nor before its policy is published
    assert plan([at_rung(0, steps=500)], HALVING) == []
    assert plan([dataclasses.replace(at_rung(0), newest=Policy(1000))], HALVING) == []


def test_who_has_come_to_a_rung_is_judged_and_waits_for_the_others():
    assert plan([at_rung(0), candidate(1)], HALVING) == [Evaluate(0, 0, Policy(1000, "policy-0"))]
    assert plan([at_rung(0, 0.5, 0.5), candidate(1)], HALVING) == []
    assert plan([at_rung(0, 0.5, 0.5), at_rung(1)], HALVING) == [Evaluate(1, 0, Policy(1000, "policy-1"))]
    # whoever failed is not waited for
    assert plan([at_rung(0, 0.5, 0.5), candidate(1, outcome=FAILED)], HALVING) == [GoOn(0)]


def test_a_rung_is_decided_once_all_of_it_are_judged():
    moves = plan([at_rung(0, 0.1, 0.11), at_rung(1, 0.9, 0.91), at_rung(2, 0.5, 0.51)], HALVING)
    assert [(type(move), move.index) for move in moves] == [(Stop, 0), (GoOn, 1), (GoOn, 2)]


def test_who_is_just_cancelled_takes_no_part_in_a_decision():
    gone = dataclasses.replace(at_rung(1, 0.9, 0.91), run_state=CANCELLED)
    first = plan([at_rung(0, 0.1, 0.11), gone], HALVING)
    assert first == [Fail(1, "Its run was cancelled by a person."), GoOn(0)]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"run_state": None}, "Its run was deleted."),
        ({"run_state": trainer_pb2.RUN_STATE_FAILED, "error": "it diverged"}, "Its training failed: it diverged"),
        ({"newest": Policy(1000, refusal="parity")}, "Its checkpoint gives no policy: parity"),
    ],
)
def test_who_cannot_be_judged_fails_with_the_reason(fields, reason):
    assert plan([dataclasses.replace(at_rung(0), **fields)], HALVING) == [Fail(0, reason)]


def test_who_is_trained_to_the_end_before_a_rung_is_judged_there_all_the_same():
    done = candidate(0, SUCCEEDED, newest=Policy(3000, "last", final=True))
    assert plan([done], HALVING) == [Evaluate(0, 0, done.newest)]
    last = dataclasses.replace(done, rung=2, judged={2: Judged((0.5, 0.5))})
    assert plan([last], HALVING) == [Finish(0)]


def test_a_search_asks_until_all_trials_are_made_and_compares_with_those_before():
    search = Rules(rungs=(1000,), trials=3, at_once=2, by_check=True)
    assert plan([], search) == [Ask()]
    assert plan([candidate(0)], search) == [Ask()]
    assert plan([candidate(0), candidate(1)], search) == []
    # given one that finished, then a later one is stopped without waiting for the third
    good = candidate(0, SUCCEEDED, outcome=FINISHED, rung=1, judged={0: Judged((0.9, 0.91)), 1: Judged((0.9, 0.9))})
    moves = plan([good, at_rung(1, 0.1, 0.11), candidate(2)], search)
    assert [(type(move), move.index) for move in moves] == [(Stop, 1)]
    assert plan([good, candidate(1, outcome=STOPPED), candidate(2, outcome=FAILED)], search)[0].winner == 0


def test_a_batch_ends_with_the_best_or_without_one():
    assert plan([candidate(0, outcome=FAILED), candidate(1, outcome=FAILED)], HALVING) == [
        End(None, "No candidate came to its end; each of them says why.")
    ]
    only = candidate(0, SUCCEEDED, outcome=FINISHED, rung=0, judged={0: Judged((10.0, 12.0))})
    (end,) = plan([only, candidate(1, outcome=FAILED)], Rules())
    assert end == End(
        0, "Evaluated return 11 ± 1 over 2 episodes. It is the only one of them that was trained to its end."
    )
