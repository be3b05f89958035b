"""Rewards from the terminal: several at once, improved, a person's own, saved, and trained for by their ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tabrl_cli.conftest import Server, tabrl

APPROACHES = ("approaches", "keep the pole up", "--env", "CartpoleBalance")
IMPROVE = ("improve", "keep the pole up", "--env", "CartpoleBalance")


def assert_in_order(text: str, parts: list[str]) -> None:
    """Fails where a part is missing, or comes before the one ahead of it."""
    position = 0
    for part in parts:
        assert part in text[position:], f"{part!r} is missing or too early in:\n{text}"
        position = text.index(part, position) + len(part)


def test_each_approach_says_what_to_expect_and_what_became_of_it(server: tuple[Server, str]) -> None:
    result = tabrl(server[1], *APPROACHES)
    assert result.exit_code == 0, result.output
    parts = [
        "approach 1: asking the library",
        "approach 1: Smooth",
        "The pole hardly moves.",
        "tier: full training, minutes. Nothing was trained before.",
        "def reward(state, action):",
        "approach 2 came out as approach 1",
        "approach 3 came to nothing: It took too long.",
    ]
    assert_in_order(result.output, parts)


def test_approaches_go_on_after_a_broken_connection(
    server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tabrl_cli.connection.RESTART_PAUSES_SECS", (0.01,) * 4)
    servicer, url = server
    servicer.break_approaches = 2
    result = tabrl(url, *APPROACHES)
    assert result.exit_code == 0, result.output
    assert result.output.count("approach 1: Smooth") == 1
    assert "approach 2 came out as approach 1" in result.output
    assert len(servicer.approaches_asked) == 3
    assert len(set(servicer.approaches_asked)) == 1


def test_approaches_as_json(server: tuple[Server, str]) -> None:
    events = [json.loads(line) for line in tabrl(server[1], *APPROACHES, "--json").stdout.splitlines()]
    assert [event["event"] for event in events] == ["approach", "same_as", "failure"]
    assert events[0]["reward"]["name"] == "Smooth"


def test_an_improvement_tells_each_round_and_the_best(server: tuple[Server, str]) -> None:
    servicer, url = server
    result = tabrl(url, *IMPROVE, "--rounds", "2", "--check", "mean(up('pole')) > 0.9", "--usd", "0.5")
    assert result.exit_code == 0, result.output
    parts = [
        "round 1: writing two rewards",
        "round 1: the reward Smooth",
        "round 1: trains as run-1",
        "round 1: the check holds in 3 of 5 rollouts, score 0.80; mean(up('pole')) = 0.75",
        "round 2: It took too long.",
        "best: the check holds in 3 of 5 rollouts",
        "judged by: mean(up('pole')) > 0.9",
        "reward reward-1, policy policy-2, run run-1",
    ]
    assert_in_order(result.output, parts)
    (asked,) = servicer.improvements
    assert (asked.rounds, asked.check, asked.budget_usd) == (2, "mean(up('pole')) > 0.9", 0.5)


def test_an_improvement_may_take_as_long_as_its_budget_says(server: tuple[Server, str]) -> None:
    servicer, url = server
    assert tabrl(url, *IMPROVE).exit_code == 0
    assert len(servicer.improvements) == 1
    # gRPC's word for no deadline is None, or many years
    left = servicer.improvement_secs_left
    assert left is None or left > 365 * 86_400


def test_a_reward_of_ones_own_is_compiled_and_trained_for(server: tuple[Server, str], tmp_path: Path) -> None:
    servicer, url = server
    source = "def reward(state, action):\n    return {'upright': state.up('pole_1')}\n"
    (tmp_path / "reward.py").write_text(source)
    result = tabrl(url, "compile", str(tmp_path / "reward.py"), "--env", "CartpoleBalance")
    assert result.exit_code == 0, result.output
    parts = ["state.up('pole_1')", "on 128 real states: doing nothing earns 0.5", "tabrl try --reward reward-1"]
    assert_in_order(result.output, parts)
    trained = tabrl(url, "try", "--reward", "reward-1")
    assert trained.exit_code == 0, trained.output
    (created,) = servicer.created
    assert (created.spec.environment_id, created.spec.reward.reward_id) == ("CartpoleBalance", "reward-1")
    assert created.spec.title == "keep the pole up"


def test_a_refused_source_names_the_place(server: tuple[Server, str], tmp_path: Path) -> None:
    (tmp_path / "reward.py").write_text("import os\n")
    result = tabrl(server[1], "compile", str(tmp_path / "reward.py"), "--env", "CartpoleBalance")
    assert result.exit_code == 2
    assert "source:1:1 import-forbidden" in result.stderr


def test_rewards_are_listed_saved_and_forgotten(server: tuple[Server, str]) -> None:
    url = server[1]
    assert "You saved no reward yet" in tabrl(url, "rewards", "--saved").output
    assert "saved as my sway" in tabrl(url, "save", "reward-1", "my sway").output
    listed = tabrl(url, "rewards", "--saved").output
    assert "reward-1" in listed
    assert "my sway" in listed
    assert "no longer in your library" in tabrl(url, "save", "reward-1", "").output
    assert "You saved no reward yet" in tabrl(url, "rewards", "--saved").output


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("try", "sway"), 2, "Name the environment with --env"),
        (("try", "sway", "--reward", "reward-1"), 2, "Give a prompt, for which a reward is written, or --reward"),
        (("try", "--reward", "reward-1", "--env", "WalkerWalk"), 2, "reward-1 is for CartpoleBalance"),
        (("try", "--reward", "reward-9"), 3, "`tabrl rewards` lists the rewards"),
        (("try", "--reward", "reward-1", "--model", "library"), 2, "--model says who writes a reward"),
        (("compile", "absent.py", "--env", "CartpoleBalance"), 2, "absent.py cannot be read: No such file"),
    ],
)
def test_what_cannot_be_meant_is_said(
    server: tuple[Server, str], arguments: tuple[str, ...], status: int, text: str
) -> None:
    result = tabrl(server[1], *arguments)
    assert (result.exit_code, text in result.stderr) == (status, True), result.output
