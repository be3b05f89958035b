"""Reading models' answers."""

import json

import pytest
from tabrl_simulation.rewards.diagnostics import RewardRejected

from tabrl_rewardgen.answers import SourceStream, parse_answer
from tabrl_rewardgen.conftest import recorded

SOURCE = 'def reward(state, action):\n    return {"a": jnp.sum(action)}\n'
FIELDS = {
    "source": SOURCE,
    "explanation": "It sums.",
    "terms": [{"name": "a", "weight": 2, "explanation": "the sum"}],
    "left_out": ["singing"],
}
TEXTS = {
    "plain": json.dumps(FIELDS),
    "indented": json.dumps(FIELDS, indent=2),
    "fenced": f"```json\n{json.dumps(FIELDS)}\n```",
    "among words": f"Here it is: {json.dumps(FIELDS)} I hope this helps {{}}.",
    "after another object": '{"note": 1} ' + json.dumps(FIELDS),
    "source in a fence": json.dumps({**FIELDS, "source": f"```python\n{SOURCE}```"}),
    "raw newlines": json.dumps(FIELDS).replace("\\n", "\n"),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_answer_is_read(text):
    answer = parse_answer(text)
    assert answer.source == SOURCE
    assert answer.weights == {"a": 2.0}
    assert answer.term_explanations == {"a": "the sum"}
    assert answer.left_out == ("singing",)


def test_bare_source_is_an_answer():
    assert parse_answer(f"```python\n{SOURCE}```").source == SOURCE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot do that.",
        '{"source": "def rew',
        '{"source": ""}',
        '{"source": 1}',
        "[1, 2]",
        "{" * 5000,
        '{"code": "x"}',
    ],
)
def test_garbage_is_refused_with_a_reason(text):
    with pytest.raises(RewardRejected) as refused:
        parse_answer(text)
    assert refused.value.diagnostics[0].rule == "answer-unreadable"


def test_weights_that_are_no_weights_are_dropped():
    terms = [
        {"name": "a", "weight": "much"},
        {"name": "b", "weight": 1e300},
        {"weight": 1},
        "c",
        {"name": "d", "weight": -0.5},
    ]
    assert parse_answer(json.dumps({**FIELDS, "terms": terms})).weights == {"d": -0.5}


@pytest.mark.parametrize("size", [1, 3, 24, 10_000])
@pytest.mark.parametrize("text", [json.dumps(FIELDS), json.dumps({**FIELDS, "source": SOURCE + '# \u00e9\t\\ "x"'})])
def test_the_source_is_known_while_it_is_written(text, size):
    stream = SourceStream()
    pieces = [stream.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert "".join(pieces) == json.loads(text)["source"]


@pytest.mark.parametrize("name", ["sway", "walk_backwards"])
def test_recorded_answers_are_read(name):
    for exchange in recorded(name):
        assert "def reward" in parse_answer(exchange["answer"]).source
