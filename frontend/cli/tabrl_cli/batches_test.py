"""`tabrl batch` against a real gRPC server that speaks the real contracts from inside the test."""

from __future__ import annotations

import json

import pytest
from tabrl.trainer.v1 import batches_pb2

from tabrl_cli.batches import parameter
from tabrl_cli.conftest import Server, tabrl
from tabrl_cli.connection import UsageError

CHECK = "mean(up('pole')) > 0.9"


def test_approaches_are_written_submitted_and_watched_to_the_winner(server: tuple[Server, str]) -> None:
    servicer, url = server
    asked = ("batch", "approaches", "keep the pole up", "--env", "CartpoleBalance", "--check", CHECK, "--halve")
    result = tabrl(url, *asked, "--episodes", "10", "--rung", "2500")
    assert result.exit_code == 0, result.output
    (request,) = servicer.submitted
    assert request.request_id
    (candidate,) = request.spec.candidates
    assert (candidate.label, candidate.spec.reward.reward_id) == ("Smooth", "reward-1")
    assert dict(candidate.spec.reward.weights) == {"upright": 2.0}
    assert (request.spec.judgement.check, request.spec.judgement.episodes) == (CHECK, 10)
    assert list(request.spec.halving.rung_env_steps) == [2500]
    in_order = [
        "batch batch-1",
        "Calm trains",
        "Calm was stopped early: Its score is clearly below Brisk's.",
        "Brisk is trained and judged, check holds in 4 of 5, score 0.90 ± 0.02",
        "winner: Brisk",
        "The check held in 4 of 5 episodes.",
        "12,500 steps were trained; 7,500 steps were not trained, about 1 min 30 s",
        "policy policy-2, run run-Brisk",
        "run=run-Brisk&policy=policy-2",
    ]
    places = [result.output.find(text) for text in in_order]
    assert -1 not in places, result.output
    assert places == sorted(places)


def test_seeds_differ_in_the_seed_alone(server: tuple[Server, str]) -> None:
    servicer, url = server
    asked = ("batch", "seeds", "--env", "CartpoleBalance", "--count", "3", "--steps", "5000", "--json")
    result = tabrl(url, *asked)
    assert result.exit_code == 0, result.output
    candidates = servicer.submitted[0].spec.candidates
    assert [candidate.label for candidate in candidates] == ["seed 0", "seed 1", "seed 2"]
    assert [candidate.spec.settings.seed for candidate in candidates] == [0, 1, 2]
    assert {candidate.spec.settings.env_steps for candidate in candidates} == {5000}
    assert not servicer.submitted[0].spec.HasField("halving")
    events = [json.loads(line) for line in result.output.splitlines()]
    assert [event["event"] for event in events] == ["batch", "snapshot", "snapshot", "result"]
    assert events[-1]["batch"]["winner"]["policy_id"] == "policy-2"


def test_a_search_says_what_is_searched(server: tuple[Server, str]) -> None:
    servicer, url = server
    over = ("--over", "learning_rate=1e-4..1.5e-2:log", "--over", "num_envs=64,128")
    result = tabrl(url, "batch", "search", "--env", "CartpoleBalance", *over, "--trials", "7", "--at-once", "2")
    assert result.exit_code == 0, result.output
    search = servicer.submitted[0].spec.search
    assert (search.trials, search.at_once, search.base.environment_id) == (7, 2, "CartpoleBalance")
    first, second = search.parameters
    assert (first.name, first.range.low, first.range.high, first.range.log) == ("learning_rate", 1e-4, 1.5e-2, True)
    assert (second.name, list(second.choices.values)) == ("num_envs", ["64", "128"])


def test_layers_are_parted_by_a_slash() -> None:
    assert list(parameter("hidden_layer_sizes=64,64/128").choices.values) == ["64,64", "128"]


@pytest.mark.parametrize("text", ["learning_rate", "learning_rate=", "=1..2", "x=1..2..3", "x=a..b", "x=1..2:lin"])
def test_what_is_no_parameter_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parameter(text)


def test_a_broken_watch_is_taken_up_again(server: tuple[Server, str]) -> None:
    servicer, url = server
    servicer.break_batch_watch = 1
    result = tabrl(url, "batch", "watch", "batch-1")
    assert result.exit_code == 0, result.output
    assert "winner: Brisk" in result.output


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        (batches_pb2.BATCH_STATE_FAILED, 1, "No candidate came to its end."),
        (batches_pb2.BATCH_STATE_CANCELLED, 1, "was cancelled"),
    ],
)
def test_a_batch_without_a_winner_is_an_error(
    server: tuple[Server, str], state: batches_pb2.BatchState.ValueType, status: int, said: str
) -> None:
    servicer, url = server
    servicer.batch_ends = state
    result = tabrl(url, "batch", "watch", "batch-1")
    assert result.exit_code == status, result.output
    assert said in result.output


def test_what_is_wrong_is_named(server: tuple[Server, str]) -> None:
    _, url = server
    assert tabrl(url, "batch", "watch", "nothing").exit_code == 3
    assert tabrl(url, "batch", "seeds").exit_code == 2


def test_batches_are_listed_cancelled_and_deleted(server: tuple[Server, str]) -> None:
    _, url = server
    listed = tabrl(url, "batch", "list").output
    assert "batch-1" in listed
    assert "Brisk" in listed
    assert "cancelled" in tabrl(url, "batch", "cancel", "batch-1").output
    assert "deleted" in tabrl(url, "batch", "delete", "batch-1").output
