"""Syntax trees at random before the checker of the reward language: it answers each, and lets nothing out.

`python -m tests.security.fuzz_checker --trees 100000`, or `make harden`. Trees grow from the programs of both corpora:
parts of one are put where parts of another were, names and attributes are exchanged for others, hostile ones among
them. Whatever the checker accepts is looked at by an oracle that shares no code with it: a short list of what a tree
may hold at all. What it would trace, the tree with its conditions rewritten, must be one that Python compiles.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tabrl_simulation.rewards.checker import check
from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.escape_corpus import CORPUS
from tabrl_simulation.rewards.honest_corpus import PROGRAMS
from tabrl_simulation.rewards.robot import Robot

__all__ = ["Found", "escapes_of", "fuzz", "main", "trees"]

_NAMES = """
state action jnp jax abs max sum open eval exec compile getattr setattr globals locals vars dir type object super
__import__ __builtins__ __name__ print input breakpoint lambda_ reward x tolerance near len range zip map filter iter
"""
_ATTRIBUTES = """
qpos qvel shape sum mean astype up effort __class__ __globals__ __dict__ __init__ __subclasses__ __mro__ _robot _arrays
at tolist tofile load save pure_callback debug callback lax nn linalg norm where sqrt format append items gi_frame
"""
_STRINGS = ["torso", "left_foot", "left_knee", "{0.__class__}", "O", "linear", "i,i->", "../../etc/passwd", ""]
_NUMBERS = [0, 1, -1, 3, 1e9, 1e400, 10**30, 0.5, True, None]

# What an accepted tree may hold, said again: written from the language's page and not from the checker.
_ALLOWED_ROOTS = {"jnp", "jax", "state", "action"}
_FORBIDDEN = (
    *(
        ast.Import,
        ast.ImportFrom,
        ast.Lambda,
        ast.ClassDef,
        ast.AsyncFunctionDef,
        ast.While,
        ast.With,
    ),
    *(ast.Try, ast.Raise, ast.Assert, ast.Delete, ast.Global, ast.Nonlocal, ast.Await, ast.Yield, ast.YieldFrom),
    *(ast.NamedExpr, ast.Set, ast.SetComp, ast.Match, ast.AsyncFor, ast.AsyncWith),
)
_CALLABLE = {
    *("abs", "dict", "enumerate", "float", "int", "len", "list", "max", "min", "range", "reversed", "round", "sum"),
    *("tuple", "zip", "tolerance", "near", "at_least", "at_most"),
}


@dataclass
class Found:
    """What fuzzing found.

    Attributes:
        accepted: how many trees the checker let through.
        refused: how many it did not.
        escapes: source that it let through and the oracle does not, with the reason.
        crashes: source that it did not answer, with the error.
    """

    accepted: int = 0
    refused: int = 0
    escapes: list[tuple[str, str]] = field(default_factory=list)
    crashes: list[tuple[str, str]] = field(default_factory=list)


def fuzz(robot: Robot, count: int, seed: int) -> Found:
    """Puts `count` random programs before the checker."""
    found = Found()
    for source in trees(count, seed):
        try:
            compile(check(source, robot).tree, "<reward>", "exec")
        except RewardRejected:
            found.refused += 1
        except Exception as error:  # any other answer is a defect, whatever its kind
            found.crashes.append((source, f"{type(error).__name__}: {error}"))
        else:
            found.accepted += 1
            found.escapes += [(source, reason) for reason in escapes_of(source)]
    return found


def trees(count: int, seed: int) -> Iterator[str]:
    """Yields random programs."""
    draw = random.Random(seed)
    grown = [tree for tree in map(_parsed, (*CORPUS, *PROGRAMS)) if tree is not None]
    expressions = [node for tree in grown for node in ast.walk(tree) if isinstance(node, ast.expr)]
    statements = [node for tree in grown for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    made = 0
    while made < count:
        try:
            tree = copy.deepcopy(draw.choice(grown))
            for _ in range(draw.randint(1, 6)):
                _Mutation(draw, expressions, statements).visit(tree)
            source = ast.unparse(ast.fix_missing_locations(tree))
        except (ValueError, TypeError, AttributeError, RecursionError, KeyError):
            continue  # no such tree can be written down
        made += 1
        yield source


def escapes_of(source: str) -> list[str]:
    """Returns why a program must not be accepted; nothing where it may."""
    reasons = []
    tree = ast.parse(source)
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, _FORBIDDEN):
            reasons.append(f"holds {type(node).__name__}")
        if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
            reasons.append(f"reads .{node.attr}")
        if isinstance(node, ast.Name) and node.id.startswith("__"):
            reasons.append(f"names {node.id}")
        if isinstance(node, ast.Call):
            callee = node.func
            if isinstance(callee, ast.Name) and callee.id not in _CALLABLE | functions:
                reasons.append(f"calls {callee.id}")
            if not isinstance(callee, ast.Name | ast.Attribute):
                reasons.append("calls the value of an expression")
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            reasons.append("decorates a function")
    return reasons


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Mutation(ast.NodeTransformer):
    """Changes about one node of a tree."""

    def __init__(self, draw: random.Random, expressions: list[ast.expr], statements: list[ast.stmt]) -> None:
        self._draw = draw
        self._expressions = expressions
        self._statements = statements

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if self._draw.random() > 0.04:
            return node
        match node:
            case ast.Name():
                node.id = self._draw.choice(_NAMES.split())
            case ast.Attribute():
                node.attr = self._draw.choice(_ATTRIBUTES.split())
            case ast.Constant():
                node.value = self._draw.choice([*_STRINGS, *_NUMBERS])
            case ast.arg():
                node.arg = self._draw.choice(_NAMES.split())
            case ast.keyword():
                node.arg = self._draw.choice([*_NAMES.split(), None])
            case ast.expr() if self._draw.random() < 0.8:
                return copy.deepcopy(self._draw.choice(self._expressions))
            case ast.stmt() if self._draw.random() < 0.8:
                return copy.deepcopy(self._draw.choice(self._statements))
        return node


def main() -> None:
    """Fuzzes and says what was found; fails if anything was."""
    from tabrl_simulation import environments
    from tabrl_simulation.rewards.from_model import robot_of

    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz_checker", description=__doc__)
    parser.add_argument("--trees", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.monotonic()
    found = fuzz(robot_of(environments.load("WalkerWalk")), arguments.trees, arguments.seed)
    secs = time.monotonic() - began
    print(
        f"{arguments.trees:,} trees in {secs:.0f} s: {found.refused:,} refused, {found.accepted:,} accepted, "
        f"{len(found.escapes)} escapes, {len(found.crashes)} crashes"
    )
    for source, reason in (*found.escapes, *found.crashes)[:10]:
        print(f"\n--- {reason}\n{source}")
    if found.escapes or found.crashes:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
