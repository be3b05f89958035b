"""The gate of the reward language: source passes only if every construct in it is on the list.

This is the first of four gates (checker, jail, budget of the traced program, operations of the loaded program) and the
one that explains itself: each refusal names rule, line, column and a remedy. It never runs the source.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
from dataclasses import dataclass

from tabrl_simulation.rewards.diagnostics import Diagnostic, RewardRejected
from tabrl_simulation.rewards.grammar import Grammar
from tabrl_simulation.rewards.rewriting import Rewriting, TooManyBranches
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.syntax import place

__all__ = ["LONGEST_SOURCE", "CheckedSource", "check"]

LONGEST_SOURCE = 32_768
"""Bytes of source at most."""

_LONGEST_LINE = 1_000
_MOST_NODES = 4_000
_DEEPEST_NODE = 40
_MOST_REWRITTEN_NODES = 16_000
_DEEPEST_REWRITTEN_NODE = 110
_DEEPEST_BRACKET = 30
_MOST_DIAGNOSTICS = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff0-\uffff]")
_SIGNS = re.compile(r"(?:[-+~(\[{]|\bnot\b)(?:\s*(?:[-+~(\[{]|\bnot\b)){29}")


@dataclass(frozen=True)
class CheckedSource:
    """Source that passed.

    Attributes:
        source: The text, as it was written.
        term_places: For each term named in it the place (line, column) that returns it.
        return_place: Where `reward` returns.
        parameters: Those of `reward`, of `language.PARAMETERS`.
        tree: What is traced: the source with its conditions rewritten, as the grammar judged it.
    """

    source: str
    term_places: dict[str, tuple[int, int]]
    return_place: tuple[int, int]
    parameters: tuple[str, ...]
    tree: ast.Module


def check(source: str, robot: Robot) -> CheckedSource:
    """Return the source with the places of its terms.

    Raises:
        RewardRejected: a construct is not part of the language, or a name is not one of the robot's.
    """
    _refuse([*_text_remarks(source)])
    tree = _parsed(source)
    _refuse([*_size_remarks(tree, _MOST_NODES, _DEEPEST_NODE)])
    _refuse([*_identifier_remarks(source)])
    rewriting = Rewriting()
    try:
        rewriting.visit(tree)
    except TooManyBranches as e:
        raise RewardRejected([_too_deep(*place(e.node))]) from e
    _refuse([*_size_remarks(tree, _MOST_REWRITTEN_NODES, _DEEPEST_REWRITTEN_NODE)])
    grammar = Grammar(robot)
    grammar.visit(tree)
    _refuse([*rewriting.remarks, *grammar.remarks])
    return CheckedSource(source, grammar.term_places, grammar.return_place, grammar.parameters, tree)


def _refuse(remarks: list[Diagnostic]) -> None:
    if remarks:
        ordered = sorted(dict.fromkeys(remarks), key=lambda remark: (remark.line, remark.column))
        raise RewardRejected(ordered[:_MOST_DIAGNOSTICS])


def _text_remarks(source: str) -> list[Diagnostic]:
    """Judge the text before any parser sees it: parsers have limits of their own."""
    if not source.strip():
        return [Diagnostic("empty", 1, 1, "the source is empty", "define `def reward(state, action):`")]
    if len(source.encode(errors="replace")) > LONGEST_SOURCE:
        message = f"the source is longer than {LONGEST_SOURCE} bytes"
        return [Diagnostic("source-too-large", 0, 0, message, "a reward needs a page at most")]
    remarks = []
    for number, line in enumerate(source.split("\n"), 1):
        if len(line) > _LONGEST_LINE:
            remarks.append(
                Diagnostic("source-too-large", number, 1, f"the line has {len(line)} characters", "break it up")
            )
        if found := _CONTROL.search(line):
            name = unicodedata.name(found[0], f"U+{ord(found[0]):04X}")
            remarks.append(
                Diagnostic("control-character", number, found.start() + 1, f"the line holds {name}", "remove it")
            )
        if any(unicodedata.category(letter) == "Cs" for letter in line):
            remarks.append(Diagnostic("control-character", number, 1, "the line is no valid Unicode text", "retype it"))
    return remarks or _bracket_remarks(source)


def _bracket_remarks(source: str) -> list[Diagnostic]:
    depth = 0
    for number, line in enumerate(source.split("\n"), 1):
        for column, letter in enumerate(line, 1):
            depth += (letter in "([{") - (letter in ")]}" and depth > 0)
            if depth > _DEEPEST_BRACKET:
                return [_too_deep(number, column)]
        if found := _SIGNS.search(line):
            return [_too_deep(number, found.start() + 1)]
    return []


def _too_deep(line: int, column: int) -> Diagnostic:
    return Diagnostic(
        "nesting-too-deep", line, column, "this is nested too deeply", "name parts of it on lines of their own"
    )


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source, "<reward>", feature_version=(3, 11))
    except SyntaxError as e:
        line, column = e.lineno or 1, max(e.offset or 1, 1)
        remedy = "correct the syntax; the language is a part of Python"
        raise RewardRejected([Diagnostic("syntax-error", line, column, f"{e.msg}", remedy)]) from e
    except (RecursionError, MemoryError, ValueError) as e:
        raise RewardRejected([_too_deep(1, 1)]) from e


def _size_remarks(tree: ast.Module, most: int, deepest: int) -> list[Diagnostic]:
    """Judge size and depth without recursion, so that the recursive visitor after it is safe.

    Ends with the first part too many: parts that stand in two places, each time with parts that do, would never end.
    """
    count = 0
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        count += 1
        if count > most:
            message = f"the source has more than {most} parts"
            return [Diagnostic("source-too-large", 0, 0, message, "a reward needs a page at most")]
        if depth > deepest:
            return [_too_deep(getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1)]
        pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
    return []


def _identifier_remarks(source: str) -> list[Diagnostic]:
    """Refuse identifiers beyond ASCII: Python folds look-alikes (NFKC), so what is read is not what is run."""
    remarks = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and not token.string.isascii():
            line, column = token.start
            message = f"the identifier {token.string[:40]!r} is not plain ASCII"
            remarks.append(Diagnostic("unicode-identifier", line, column + 1, message, "use the letters a to z"))
    return remarks
