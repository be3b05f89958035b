"""Rewritten conditions decide as Python does, and show nothing of the rewriting."""

import ast
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.choices import choices
from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.honest_corpus import DECISIONS, PROGRAMS
from tabrl_simulation.rewards.internals import INTERNALS
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.shaping import namespace
from tabrl_simulation.rewards.tracing import trace

VALUES = np.array([*itertools.product((-1.0, 0.0, 0.5), (-0.75, 0.0, 0.5, 1.0), (0.0, 0.25, 0.5, 0.9))], np.float32)
"""Three numbers each, on both sides of what the programs compare with and just there: [N, 3]."""
JOINTS = ("left_hip", "right_hip", "left_knee", "right_knee")


class Pose:
    """A state made of three numbers, known or traced."""

    def __init__(self, values):
        self._values = values

    def up(self, body):
        return self._values[1]

    def body_height(self, body):
        return self._values[2]

    def joint_position(self, joint):
        return self._values[JOINTS.index(joint) % 3]


def as_python(source, values):
    """Return the terms as Python itself computes them from numbers."""
    scope = {"jnp": np}
    exec(compile(source, "<plain>", "exec"), scope)
    return {name: float(value) for name, value in scope["reward"](Pose(values), values).items()}


def as_rewritten(source, robot):
    """Return the function that is traced."""
    scope = {"__builtins__": {}, "jnp": jnp} | namespace() | choices()
    exec(compile(check(source, robot).tree, "<reward>", "exec"), scope)
    return lambda values: scope["reward"](Pose(values), values)


@pytest.mark.parametrize("source", DECISIONS, ids=range(len(DECISIONS)))
def test_a_traced_decision_is_pythons(source, walker):
    # given numbers on both sides of each condition, then the program that decides for all at once agrees with Python
    written = as_rewritten(source, walker)
    found = jax.jit(jax.vmap(lambda values: {name: jnp.asarray(term) for name, term in written(values).items()}))(
        VALUES
    )
    expected = [as_python(source, values) for values in VALUES]
    for index, terms in enumerate(expected):
        assert {name: float(each[index]) for name, each in found.items()} == pytest.approx(terms, abs=1e-6)


@pytest.mark.parametrize("source", DECISIONS, ids=range(len(DECISIONS)))
def test_a_known_decision_is_pythons(source, walker):
    written = as_rewritten(source, walker)
    for values in VALUES:
        assert {name: float(term) for name, term in written(values).items()} == pytest.approx(as_python(source, values))


def test_the_decisions_go_both_ways():
    # given the numbers above, then each program but those that know all decide differently for some
    differing = [len({tuple(as_python(source, values).values()) for values in VALUES}) > 1 for source in DECISIONS]
    assert all(differing)


@pytest.mark.parametrize("source", DECISIONS, ids=range(len(DECISIONS)))
def test_terms_are_found_where_they_are_written(source, walker):
    checked = check(source, walker)
    lines = source.split("\n")
    assert checked.source == source
    assert checked.term_places
    for term, (line, column) in checked.term_places.items():
        assert term in lines[line - 1][column - 2 :] if "dict(" in lines[line - 1] else lines[line - 1][column:]
    assert "return" in lines[checked.return_place[0] - 1]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_every_new_part_has_a_place_in_the_source(program, walker):
    source = repaired(program).source
    last = len(source.split("\n"))
    for node in ast.walk(check(source, walker).tree):
        if isinstance(node, ast.expr | ast.stmt):
            assert 1 <= node.lineno <= last


def test_what_the_rewriting_names_is_no_identifier():
    assert not any(name.isidentifier() for name in INTERNALS)
    assert choices().keys() == INTERNALS


@pytest.mark.parametrize(
    ("program", "terms"),
    [
        ("x = 1.0 / n if n else 0.0", 0.0),
        ("x = n and 1.0 / n", 0.0),
        ("x = not n or 1.0 / n", 1.0),
        ("x = 5.0\n    if n:\n        x = 1.0 / n", 5.0),
        ("x = [1.0][n] if n < 1 else [1.0][n + 5]", 1.0),
        ("x = 3.0 if 'left' == 'right' else 4.0", 4.0),
        ("x = 1.0 if None else 2.0", 2.0),
        ("x = 1.0 if [] or {} else 2.0", 2.0),
        ("x = 1.0 if 0 < 1 < 2 < 2 else 2.0", 2.0),
    ],
)
def test_of_a_known_condition_only_one_way_is_computed(program, terms, walker):
    written = as_rewritten(f"def reward(state, action):\n    n = 0\n    {program}\n    return {{'a': x}}\n", walker)
    assert written([0.0])["a"] == terms


@pytest.mark.parametrize(
    "statements",
    [
        "x = []\n    y = x.append(1.0) if action[0] > 0 else 0.0",
        "x = []\n    y = action[0] > 0 and x.append(1.0)",
        "x = []\n    y = 0 < action[0] < change(x)",
        "x = []\n    y = change(x) if action[0] > 0 else 0.0",
    ],
)
def test_no_way_of_an_expression_changes_a_list(statements, walker):
    source = "def change(x):\n    x.append(1.0)\n    return 1.0\n\n"
    source += f"def reward(state, action):\n    {statements}\n    return {{'a': 1.0}}\n"
    with pytest.raises(RewardRejected) as refused:
        check(source, walker)
    assert [remark.rule for remark in refused.value.diagnostics] == ["if-forbidden"]


@pytest.mark.parametrize(
    "branch",
    [
        "x.append(1.0)",
        "x += [1.0]",
        "t['b'] = 1.0",
        "y = change(x)",
        "y = x\n        y.append(1.0)",
        "for y in [x]:\n            y.append(1.0)",
        "y = outer(x)",
    ],
)
def test_a_branch_that_changes_something_needs_a_known_condition(branch, walker):
    head = "def change(x):\n    x.append(1.0)\n    return 1.0\n\ndef outer(x):\n    return change(x)\n\n"
    source = (
        f"{head}def reward(state, action):\n    x = []\n    t = {{'a': 1.0}}\n    if CONDITION:\n        {branch}\n"
    )
    source += "    t['n'] = 1.0 * len(x)\n    return t\n"
    trace(source.replace("CONDITION", "len(x) == 0"), walker)
    with pytest.raises(RewardRejected) as refused:
        trace(source.replace("CONDITION", "action[0] > 0"), walker)
    (remark,) = refused.value.diagnostics
    assert (remark.rule, remark.line) == ("traced-value", 11)


def test_a_branch_may_change_what_it_made(walker):
    source = "def collected(x):\n    parts = [x]\n    parts.append(2.0 * x)\n    return sum(parts)\n\n"
    source += "def reward(state, action):\n    y = 0.0\n    if action[0] > 0:\n        y = collected(action[0])\n"
    source += "    return {'a': y}\n"
    assert as_rewritten(source, walker)(jnp.array([2.0]))["a"] == 6.0


def test_nan_is_true_as_in_python(walker):
    source = "def reward(state, action):\n    return {'a': action[0] or 1.0, 'b': 1.0 * (not action[0])}\n"
    found = as_rewritten(source, walker)(jnp.array([jnp.nan]))
    assert jnp.isnan(found["a"])
    assert found["b"] == 0.0


def test_a_condition_on_an_array_is_kept_element_by_element(walker):
    source = "def reward(state, action):\n    return {'a': jnp.sum(action if 0 < action < 3 else 0.0)}\n"
    assert as_rewritten(source, walker)(jnp.array([-1.0, 1.0, 2.0, 4.0]))["a"] == 3.0


def test_many_branches_are_traced(walker):
    branches = "".join(f"    elif action[0] > {-i / 20}:\n        x = {i}.0\n" for i in range(1, 20))
    returns = "".join(f"    if x > {i}:\n        return {i}.0\n" for i in range(30))
    source = f"def stepped(x):\n{returns}    return -1.0\n\ndef reward(state, action):\n    if action[0] > 0:\n"
    source += f"        x = 0.0\n{branches}    else:\n        x = 50.0\n    return {{'a': x, 'b': stepped(x)}}\n"
    found = as_rewritten(source, walker)(jnp.array([-0.52]))
    assert found == {"a": 11.0, "b": 0.0}
    assert trace(source, walker).terms == ("a", "b")
