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

_TABLE = Path(__file__).parent / "testdata" / "paraphrases.tsv"


def rows() -> list[tuple[str, str, list[str]]]:
    lines = [line for line in _TABLE.read_text().splitlines() if not line.startswith("#")]
    read = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return [(row["phrase"], row["environment"], row["concepts"].split()) for row in read]


UNDERSTOOD = [row for row in rows() if row[2][0] != "?"]
REFUSED = [row for row in rows() if row[2][0] == "?"]


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
