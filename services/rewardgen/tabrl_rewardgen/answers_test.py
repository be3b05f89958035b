"""Reading models' answers."""

import json

import pytest
from tabrl_simulation.rewards.diagnostics import RewardRejected

from tabrl_rewardgen.answers import SourceStream, parse_answer
from tabrl_rewardgen.conftest import recorded

SOURCE = 'def reward(state, action):\n    return {"a": jnp.sum(action)}\n'
CUT = '{"source": "def reward(state, action):\\n    return {}'
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
    "raw newlines in a fence": f"```json\n{json.dumps(FIELDS)}\n```".replace("\\n", "\n"),
    "trailing commas": json.dumps(FIELDS, indent=2).replace("}\n", "},\n").replace("]\n", "],\n"),
    "a single backslash": json.dumps(FIELDS).replace("It sums.", r"It sums \d \u12 \{."),
    "triple quotes": json.dumps(FIELDS).replace(json.dumps(SOURCE), f'"""{SOURCE}"""'),
    "single triple quotes": json.dumps(FIELDS).replace(json.dumps(SOURCE), f"'''{SOURCE}'''"),
    "a raw string": json.dumps(FIELDS).replace(json.dumps(SOURCE), f'r"""{SOURCE}"""'),
    "a Python dict": repr({**FIELDS, "notes": None, "sure": True}),
    "a Python dict among words": f"Here is my answer:\n```python\n{ {**FIELDS, 'notes': None} }\n```\nEnjoy.",
    "comments": json.dumps(FIELDS, indent=2).replace('"explanation"', '// why\n  "explanation"', 1),
    "after thoughts": f"<think>Shall I? {{'source': 'def reward'}} {CUT}</think>\n{json.dumps(FIELDS)}",
    "after thoughts without a start": f'{{"source": "x"}} no\n</think>{json.dumps(FIELDS)}',
    "after thinking": f"<thinking>{CUT}</thinking>{json.dumps(FIELDS)}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_an_answer_is_read(text):
    answer = parse_answer(text)
    assert answer.source == SOURCE
    assert answer.weights == {"a": 2.0}
    assert answer.term_explanations == {"a": "the sum"}
    assert answer.left_out == ("singing",)


@pytest.mark.parametrize(
    "text",
    [
        SOURCE,
        f"```python\n{SOURCE}```",
        f"Sure!\n\n```python\nimport jax.numpy as jnp\n\n{SOURCE}```\nIt sums.",
        f"<think>I could write {{}} or def reward.</think>\n```\n{SOURCE}```",
    ],
)
def test_bare_source_is_an_answer(text):
    assert parse_answer(text).source == SOURCE


def test_letters_beyond_the_first_plane_are_read_from_what_is_nearly_json():
    text = json.dumps({**FIELDS, "explanation": "\U0001f916 it sums"}).replace("}]", "},]")
    assert parse_answer(text).explanation == "\U0001f916 it sums"


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
        # cut short: the explanation and the weights are missing
        json.dumps(FIELDS)[:-1],
        json.dumps(FIELDS)[: json.dumps(FIELDS).index('"terms"')],
        f"```json\n{json.dumps(FIELDS)[:-30]}",
        repr(FIELDS)[:-10],
        json.dumps(FIELDS).replace(json.dumps(SOURCE), f'"""{SOURCE}"""')[:-10],
        "{'source': " + "'" * 3 + "def reward(state, action):\n    return",
        "<think>" + json.dumps(FIELDS) + "</think>",
        '{"source": ' * 100 + '"x"',
    ],
)
def test_garbage_is_refused_with_a_reason(text):
    with pytest.raises(RewardRejected) as refused:
        parse_answer(text)
    assert refused.value.diagnostics[0].rule == "answer-unreadable"


def test_weights_that_are_no_weights_are_dropped_and_it_is_said():
    terms = [
        {"name": "a", "weight": "much"},
        {"name": "b", "weight": 1e300},
        {"weight": 1},
        "c",
        {"name": "d", "weight": -0.5},
        {"name": "e", "weight": 10**400},
        {"name": "f", "weight": True},
    ]
    answer = parse_answer(json.dumps({**FIELDS, "terms": terms}))
    assert answer.weights == {"d": -0.5}
    said = [remark.message for remark in answer.remarks]
    assert len(said) == 6
    assert "'much' of 'a'" in said[0]
    assert {remark.severity for remark in answer.remarks} == {"warning"}


@pytest.mark.parametrize(
    ("left_out", "taken", "remarks"),
    [
        (["singing", ""], ("singing",), 0),
        ("singing", ("singing",), 0),
        (None, (), 0),
        (["singing", 3], ("singing",), 1),
        ({"singing": 1}, (), 1),
    ],
)
def test_what_was_left_out_is_a_list_or_one_phrase(left_out, taken, remarks):
    answer = parse_answer(json.dumps({**FIELDS, "left_out": left_out}))
    assert (answer.left_out, len(answer.remarks)) == (taken, remarks)


def test_text_is_cleaned_and_what_is_no_text_is_said():
    answer = parse_answer(
        json.dumps(
            {**FIELDS, "name": "\x1b[31mred\x1b[0m\x00", "explanation": "\ud800 \x1b]0;title\x07a\nb", "check": 3.5}
        )
    )
    assert (answer.name, answer.explanation, answer.check) == ("red", "? a\nb", "")
    assert [remark.message.partition("its ")[2] for remark in answer.remarks] == ["'check' is no text"]


def test_a_term_that_comes_twice_is_remarked_on():
    terms = [{"name": "a", "weight": 1}, {"name": "a", "weight": -5}]
    answer = parse_answer(json.dumps({**FIELDS, "terms": terms}))
    assert answer.weights == {"a": -5.0}
    assert "the term 'a' twice" in answer.remarks[0].message


def test_terms_that_are_no_list_are_said_to_be_none():
    answer = parse_answer(json.dumps({**FIELDS, "terms": {"a": 2}}))
    assert answer.weights == {}
    assert 'its "terms" are no list' in answer.remarks[0].message


@pytest.mark.parametrize("size", [1, 3, 24, 10_000])
@pytest.mark.parametrize("text", [json.dumps(FIELDS), json.dumps({**FIELDS, "source": SOURCE + '# \u00e9\t\\ "x"'})])
def test_the_source_is_known_while_it_is_written(text, size):
    stream = SourceStream()
    pieces = [stream.feed(text[start : start + size]) for start in range(0, len(text), size)]
    assert "".join(pieces) == json.loads(text)["source"]


@pytest.mark.parametrize("size", [1, 2, 3, 24, 10_000])
@pytest.mark.parametrize(
    "name", ["triple quotes", "single triple quotes", "a raw string", "a Python dict", "after thoughts"]
)
def test_what_is_nearly_json_is_known_while_it_is_written(name, size):
    text, stream = TEXTS[name], SourceStream()
    assert "".join(stream.feed(text[start : start + size]) for start in range(0, len(text), size)) == SOURCE


@pytest.mark.parametrize("name", ["sway", "walk_backwards"])
def test_recorded_answers_are_read(name):
    for exchange in recorded(name):
        assert "def reward" in parse_answer(exchange["answer"]).source
