"""Source that tries to leave the language. Every piece must be refused by the checker, which never runs it."""

import ast

import pytest

from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.escape_corpus import CORPUS, RULES, rules_line, with_expression, with_statement


@pytest.mark.parametrize("source", CORPUS, ids=range(len(CORPUS)))
def test_a_source_that_leaves_the_language_is_refused_with_a_reason(source, walker):
    with pytest.raises(RewardRejected) as refused:
        check(source, walker)
    for remark in refused.value.diagnostics:
        assert remark.rule
        assert remark.message
        assert remark.line <= max(1, len(source.splitlines()))


def test_each_breaks_the_rules_that_it_is_known_to_break(walker):
    known = RULES.read_text().splitlines()
    assert len(known) == len(CORPUS)
    for source, expected in zip(CORPUS, known, strict=True):
        with pytest.raises(RewardRejected) as refused:
            check(source, walker)
        assert rules_line((each.rule, each.line) for each in refused.value.diagnostics) == expected, source


def test_the_corpus_is_large_and_its_frame_is_accepted():
    assert len(CORPUS) >= 300


def test_the_frame_of_the_corpus_is_accepted(walker):
    # given the frames with harmless content, then nothing is refused: the refusals above are of what was put in
    check(with_expression("1.0"), walker)
    check(with_statement("y = 1.0"), walker)


def test_every_kind_of_syntax_is_either_known_or_refused(walker):
    # given every node that Python's grammar has, when it is not one that the language lists, then it has a refusal
    from tabrl_simulation.rewards.refusals import refusal_of

    for name in dir(ast):
        kind = getattr(ast, name)
        if isinstance(kind, type) and issubclass(kind, ast.expr | ast.stmt) and kind not in (ast.expr, ast.stmt):
            rule, message, suggestion = refusal_of(kind())
            assert rule
            assert message
            assert suggestion


@pytest.mark.parametrize(
    "source",
    [
        'def reward(state: __import__("os").system("id"), action):\n    return {"a": 1.0}',
        'def reward(state, action) -> open("/etc/passwd"):\n    return {"a": 1.0}',
        'def reward(state, action):\n    x: (lambda: 1)() = 1.0\n    return {"a": x}',
    ],
)
def test_annotations_compute_nothing(source, walker):
    with pytest.raises(RewardRejected) as refusal:
        check(source, walker)

    assert refusal.value.diagnostics[0].rule == "annotation-forbidden"
