"""A little of what `make harden` does at length."""

from __future__ import annotations

import itertools

import pytest
from tabrl_simulation import environments
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.honest_corpus import PROGRAMS
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.robot import Robot

from tests.security.fuzz_checker import escapes_of, fuzz
from tests.security.mutate_checker import mutants, survivors


@pytest.fixture(scope="module")
def walker() -> Robot:
    return robot_of(environments.load("WalkerWalk"))


def test_random_programs_are_all_answered_and_none_gets_out(walker: Robot) -> None:
    found = fuzz(walker, 1_000, seed=1)

    assert found.accepted + found.refused == 1_000
    assert found.accepted > 10
    assert (found.escapes, found.crashes) == ([], [])


@pytest.mark.parametrize(
    "source",
    ["x = ().__class__", "x = open('y')", "x = (lambda: 1)()", "import os", "x = jnp.sum.__wrapped__", "x = f()()"],
)
def test_the_oracle_of_the_fuzzing_sees_an_escape(source: str) -> None:
    assert escapes_of(source)


def test_the_oracle_of_the_fuzzing_lets_honest_programs_be() -> None:
    assert [escapes_of(repaired(program).source) for program in PROGRAMS] == [[] for _ in PROGRAMS]


def test_a_checker_that_is_broken_somewhere_is_noticed(walker: Robot) -> None:
    some = itertools.islice(mutants(), 60, 100)

    alive = [survives for _, survives in survivors(walker, some)]

    assert len(alive) == 40
    assert sum(alive) <= 6
