"""The library is matched by meaning: wishes in other words than its own, and wishes that it must refuse."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import pytest
from tabrl_simulation import environments
from tabrl_simulation.environments import MissingRobot
from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.library.lexicon import TITLES
from tabrl_rewardgen.library.writing import BehaviourUnknown, write

_TABLES = Path(__file__).parent / "testdata"


def rows(name: str) -> list[tuple[str, str, list[str]]]:
    """Phrase, environment and concepts of each row; a row that must be refused has a question mark for the first."""
    lines = [line for line in (_TABLES / name).read_text().splitlines() if not line.startswith("#")]
    return [(row[0], row[1], row[2].split()) for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


UNDERSTOOD = [row for row in rows("paraphrases.tsv") if row[2][0] != "?"]
REFUSED = [row for row in rows("paraphrases.tsv") if row[2][0] == "?"]


@cache
def robot(environment: str) -> Robot:
    try:
        return robot_of(environments.load(environment))
    except MissingRobot as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(("phrase", "environment", "concepts"), UNDERSTOOD, ids=[row[0] for row in UNDERSTOOD])
def test_other_words_for_a_behaviour_are_understood(phrase: str, environment: str, concepts: list[str]) -> None:
    written = write(phrase, robot(environment))

    check(written.source, robot(environment))
    assert set(concepts) <= set(written.understood)


@pytest.mark.parametrize(("phrase", "environment", "concepts"), REFUSED, ids=[row[0] for row in REFUSED])
def test_a_wish_beyond_the_library_is_refused_with_what_comes_nearest(
    phrase: str, environment: str, concepts: list[str]
) -> None:
    with pytest.raises(BehaviourUnknown) as refused:
        write(phrase, robot(environment))

    assert refused.value.nearest in {TITLES[concept] for concept in concepts[1:]}


def test_most_wishes_of_somebody_else_are_understood_or_refused() -> None:
    # given wishes whose author knew what the robots can do, and neither the library's words nor its code
    wishes = rows("wishes.tsv")

    wrong = [phrase for phrase, environment, concepts in wishes if not _is_met(phrase, robot(environment), concepts)]

    assert len(wrong) / len(wishes) < 0.1, wrong


def _is_met(phrase: str, which: Robot, concepts: list[str]) -> bool:
    try:
        written = write(phrase, which)
    except BehaviourUnknown:
        return concepts == ["?"]
    return concepts != ["?"] and set(concepts) <= set(written.understood)
