"""Whether the corpora notice a checker that is broken in one place: mutation testing.

`python -m tests.security.mutate_checker`, or `make harden`. Each mutant of the checker's modules has one comparison
turned round, one condition negated, one `and` made an `or` or the other way round, or one refusal removed. It is killed
if some program of the corpora breaks other rules than before, or the checker breaks down or never ends; what survives
is printed.
Which rules each program breaks is kept in `escape_rules.txt` beside the corpus, and tested; `--write-rules` writes it
anew.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.util
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.escape_corpus import CORPUS, RULES, rules_line
from tabrl_simulation.rewards.honest_corpus import PROGRAMS
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.robot import Robot

__all__ = ["Mutant", "main", "mutants", "survivors"]

_PACKAGE = "tabrl_simulation.rewards"
# In the order in which they import each other.
_MODULES = ("syntax", "constants", "refusals", "internals", "effects", "rewriting", "expressions", "grammar", "checker")
# Of processor time, for all programs; the checker that is not broken needs about two.
_LONGEST_JUDGEMENT_SECS = 20.0
_MUTATED = ("constants", "effects", "rewriting", "expressions", "grammar", "checker")

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


@dataclass(frozen=True)
class Mutant:
    """One module with one change."""

    module: str
    line: int
    what: str
    tree: ast.Module


def mutants() -> Iterator[Mutant]:
    """Yields every mutant."""
    for module in _MUTATED:
        tree = ast.parse(_source(module))
        count = sum(1 for _ in _changes(tree))
        for index in range(count):
            changed = copy.deepcopy(tree)
            for number, (line, what, change) in enumerate(_changes(changed)):
                if number == index:
                    change()
                    yield Mutant(module, line, what, ast.fix_missing_locations(changed))
                    break


def survivors(robot: Robot, made: Iterator[Mutant]) -> Iterator[tuple[Mutant, bool]]:
    """Yields each mutant with whether it survives."""
    programs = [*CORPUS, *(repaired(program).source for program in PROGRAMS)]
    expected = [_judgement(importlib.import_module(f"{_PACKAGE}.checker"), program, robot) for program in programs]
    signal.signal(signal.SIGPROF, _end)
    kept = {name: sys.modules[f"{_PACKAGE}.{name}"] for name in _MODULES}
    for mutant in made:
        signal.setitimer(signal.ITIMER_PROF, _LONGEST_JUDGEMENT_SECS)
        try:
            checker = _with(mutant)
            same = all(
                _judgement(checker, program, robot) == was for program, was in zip(programs, expected, strict=True)
            )
        except Exception:  # a checker that breaks down lets nothing through
            same = False
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            for name, module in kept.items():
                sys.modules[f"{_PACKAGE}.{name}"] = module
        yield mutant, same


def _end(_number: int, _frame: Any) -> None:
    raise TimeoutError("the checker does not end")


def _judgement(checker: ModuleType, program: str, robot: Robot) -> list[tuple[str, int]]:
    """Returns which rules a program breaks, and where; nothing where it is accepted."""
    try:
        checker.check(program, robot)
    except RewardRejected as refused:
        return [(remark.rule, remark.line) for remark in refused.diagnostics]
    return []


def _with(mutant: Mutant) -> ModuleType:
    """Loads the checker anew, with one of its modules changed."""
    for name in _MODULES:
        full = f"{_PACKAGE}.{name}"
        spec = importlib.util.find_spec(full)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        tree = mutant.tree if name == mutant.module else ast.parse(_source(name))
        exec(compile(tree, f"<mutant of {name}>", "exec"), module.__dict__)
    return sys.modules[f"{_PACKAGE}.checker"]


def _source(module: str) -> str:
    spec = importlib.util.find_spec(f"{_PACKAGE}.{module}")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text()


def _changes(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], Any]]]:
    """Yields what can be changed: line, description, and how."""
    for node in ast.walk(tree):
        for name in ("body", "orelse"):
            statements = getattr(node, name, None)
            for index, statement in enumerate(statements if isinstance(statements, list) else []):
                if _is_refusal(statement):
                    blank = ast.copy_location(ast.Pass(), statement)
                    yield statement.lineno, "a refusal removed", _setting(statements, index, blank)
        match node:
            case ast.Compare(ops=[op]) if type(op) in _TURNED:
                yield node.lineno, "a comparison turned", _setting(node.ops, 0, _TURNED[type(op)]())
            case ast.BoolOp(op=ast.And()):
                yield node.lineno, "and made or", _assigning(node, "op", ast.Or())
            case ast.BoolOp(op=ast.Or()):
                yield node.lineno, "or made and", _assigning(node, "op", ast.And())
            case ast.If() | ast.IfExp():
                negated = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
                yield node.lineno, "a condition negated", _assigning(node, "test", negated)


def _is_refusal(statement: ast.stmt) -> bool:
    """Whether a statement refuses: `self._refuse...(...)`, `self.remarks.append(...)`, or a check of its own."""
    if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)):
        return False
    name = ast.unparse(statement.value.func)
    return name.startswith(("self._refuse", "self._check", "_refuse")) or name in {"self.remarks.append", "self.visit"}


def _setting(statements: list[Any], index: int, value: Any) -> Callable[[], None]:
    return lambda: statements.__setitem__(index, value)


def _assigning(node: ast.AST, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(node, name, value)


def main() -> None:
    """Makes all mutants and says which survive; fails if more than a tenth do."""
    from tabrl_simulation import environments
    from tabrl_simulation.rewards.from_model import robot_of

    parser = argparse.ArgumentParser(prog="python -m tests.security.mutate_checker", description=__doc__)
    parser.add_argument("--write-rules", action="store_true", help="keep which rules each escape breaks, and end")
    arguments = parser.parse_args()
    robot = robot_of(environments.load("WalkerWalk"))
    if arguments.write_rules:
        checker = importlib.import_module(f"{_PACKAGE}.checker")
        RULES.write_text("".join(f"{rules_line(_judgement(checker, program, robot))}\n" for program in CORPUS))
        return
    began = time.monotonic()
    judged = list(survivors(robot, mutants()))
    alive = [mutant for mutant, survives in judged if survives]
    for mutant in alive:
        print(f"survives: {mutant.module}.py:{mutant.line}: {mutant.what}")
    share = 1 - len(alive) / len(judged)
    print(f"{len(judged)} mutants in {time.monotonic() - began:.0f} s, {share:.1%} killed")
    if share < 0.9:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
