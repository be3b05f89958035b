"""Each mistake is named with its rule and its place."""

import pytest

from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.tracing import trace

HEAD = "def reward(state, action):\n"
CASES = [
    (HEAD + "    return {'a': 1.0\n", "syntax-error", 2),
    ("import os\n" + HEAD + "    return {'a': 1.0}\n", "import-forbidden", 1),
    ("if True:\n    X = 1\n" + HEAD + "    return {'a': 1.0}\n", "if-forbidden", 1),
    (HEAD + "    if action[0] > 0:\n        x = 1.0\n    return {'a': x}\n", "if-forbidden", 4),
    (
        HEAD + "    for i in range(3):\n        if action[i]:\n            return {'a': 1.0}\n    return {}\n",
        "if-forbidden",
        3,
    ),
    (HEAD + "    if action[0] > 0:\n        return {'a': 1.0}\n", "missing-return", 2),
    (HEAD + "    x = action[0] and [].append(1.0)\n    return {'a': x}\n", "if-forbidden", 2),
    (HEAD + "    x = (\n        0 < action[0]\n        < nothing\n    )\n    return {'a': x}\n", "unknown-name", 4),
    (HEAD + "    if action[0] > 0:\n        x = 1.0\n        y = state.up('tail')\n    return {}\n", "unknown-body", 4),
    (HEAD + "    return {'a': state.up('trunk')}\n", "unknown-body", 2),
    (HEAD + "    return {'a': state.joint_position('left_kne')}\n", "unknown-joint", 2),
    (HEAD + "    return {'a': state.sensor('lidar')}\n", "unknown-sensor", 2),
    (HEAD + "    return {'a': state.qpos[9]}\n", "index-out-of-range", 2),
    (HEAD + "    return {'a': state.qpos['rootz']}\n", "index-by-name", 2),
    (HEAD + "    return {'a': state.height}\n", "unknown-state-member", 2),
    (HEAD + "    return {'a': state.act[0]}\n", "empty-array", 2),
    (HEAD + "    return {'a': jnp.summ(action)}\n", "call-forbidden", 2),
    (HEAD + "    x = action.__class__\n    return {'a': 1.0}\n", "underscore-name", 2),
    (HEAD + "    return {'a': nothing}\n", "unknown-name", 2),
    ("def reward(obs, act):\n    return {'a': 1.0}\n", "bad-signature", 1),
    (HEAD + "    x = 1.0\n", "missing-return", 2),
    (HEAD + "    return 1.0\n", "bad-return", 2),
    ("def rewards(state, action):\n    return {'a': 1.0}\n", "missing-reward", 1),
    # seen only when traced
    (HEAD + "    x = 1.0\n    y = state.qpos + state.xpos\n    return {'a': y}\n", "shape-error", 3),
    (HEAD + "    return {\n        'a': 1.0,\n        'b': state.qpos,\n    }\n", "shape-error", 4),
    (
        HEAD + "    for side in ('left', 'rear'):\n        x = state.up(f'{side}_foot')\n    return {'a': x}\n",
        "unknown-body",
        3,
    ),
    (HEAD + "    x = jnp.zeros((3000, 3000))\n    return {'a': jnp.sum(x)}\n", "value-too-large", 2),
    (HEAD + "    return {'a': jnp.sum(jnp.linspace(0.0, 1.0, 2000000000))}\n", "value-too-large", 2),
    ("def f(x):\n    return f(x)\n" + HEAD + "    return {'a': f(1.0)}\n", "recursion", 2),
    (HEAD + "    return {'a': 1.0 / 0.0}\n", "division-by-zero", 2),
    (HEAD + "    x = jnp.zeros(action[0])\n    return {'a': jnp.sum(x)}\n", "trace-error", 2),
    (HEAD + "    return {'a': 'text'}\n", "bad-return", 2),
    (HEAD + "    x = {}\n    return x\n", "bad-return", 3),
    (HEAD + "    x = 'left_foot' if action[0] > 0 else 'torso'\n    return {'a': state.up(x)}\n", "traced-value", 2),
    (HEAD + "    x = {}\n    if action[0] > 0:\n        x['a'] = 1.0\n    return x\n", "traced-value", 3),
    (HEAD + "    x = [i for i in (1, 2) if action[i] > 0]\n    return {'a': sum(x)}\n", "traced-value", 2),
    (
        HEAD + "    if action[0] > 0:\n        return {'a': 1.0}\n    else:\n        return {'b': 1.0}\n",
        "traced-value",
        5,
    ),
    (
        HEAD + "    x = {}\n    if action[0] > 0:\n        return x\n    x['a'] = 1.0\n    return x\n",
        "traced-value",
        3,
    ),
    (HEAD + "    if action[0] > 0:\n        x = state.qpos + state.xpos[0]\n    return {'a': 1.0}\n", "shape-error", 3),
    (HEAD + "    if action[0] > 0:\n        x = y\n        y = 1.0\n    return {'a': 1.0}\n", "unknown-name", 3),
    (HEAD + "    x = 1.0 if action[0] > 0 else 1.0 / 0.0\n    return {'a': x}\n", "division-by-zero", 2),
]


@pytest.mark.parametrize(("source", "rule", "line"), CASES, ids=[f"{rule}-{line}" for _, rule, line in CASES])
def test_a_mistake_is_named_with_rule_and_line(source, rule, line, walker):
    with pytest.raises(RewardRejected) as refused:
        trace(source, walker)
    found = refused.value.diagnostics[0]
    assert found.rule in (rule, "traced-value") if rule == "trace-error" else found.rule == rule
    assert found.line == line
    assert found.suggestion


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("x = 9**9**9**9", 15),
        ("x = 1.0 + 2 ** (3 ** 4)", 21),
        ("x = ((9**12)**12)**12", 10),
        ("x = LARGE ** LARGE", 18),
        ("x = action[0] ** -LARGE", 22),
        ("x **= LARGE", 11),
    ],
)
def test_a_tower_of_powers_is_refused_at_its_place_before_it_is_computed(statement, column, walker):
    source = f"LARGE = 9**9\n{HEAD}    x = 1.0\n    {statement}\n    return {{'a': x}}\n"
    with pytest.raises(RewardRejected) as refused:
        check(source, walker)
    (remark,) = refused.value.diagnostics
    assert (remark.rule, remark.line, remark.column) == ("constant-too-large", 4, column)


def test_powers_of_moderate_size_are_part_of_the_language(walker):
    check(HEAD + "    n = 3\n    n = n + 1\n    x = 2**10 * action[0] ** n\n    return {'a': x ** (n + 0.5)}\n", walker)


def test_unknown_names_come_with_the_robots_own(walker):
    # given a misspelt joint, when it is refused, then the nearest and all the others are named
    with pytest.raises(RewardRejected) as refused:
        check(HEAD + "    return {'a': state.joint_position('left_kne')}\n", walker)
    assert "'left_knee'" in refused.value.diagnostics[0].suggestion
    assert "right_ankle" in refused.value.diagnostics[0].suggestion


def test_every_mistake_is_named_at_once(walker):
    source = HEAD + "    x = open('f')\n    y = state.up('tail')\n    return {'a': x and open('g') or (lambda: 1)}\n"
    with pytest.raises(RewardRejected) as refused:
        check(source, walker)
    assert [remark.line for remark in refused.value.diagnostics] == [2, 3, 4, 4]
