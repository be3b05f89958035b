"""Which pieces of source change lists or dicts that others can see.

Both ways of a choice over traced values are computed, so neither may change anything but names of its own. Judged with
caution: what may be a change counts as one.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

__all__ = ["assigned_names", "changes_others", "changing_functions", "loop_names"]

_HARMLESS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.If, ast.Pass, ast.Return)
_NEW = (ast.List, ast.Dict, ast.ListComp, ast.DictComp)
_COMPREHENSIONS = (ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp)
_SEQUENCES = (ast.List, ast.ListComp, ast.Tuple, ast.GeneratorExp)


def assigned_names(nodes: Iterable[ast.AST]) -> dict[str, ast.Name]:
    """Return the names that statements assign, each with its first place; those of comprehensions are their own."""
    found: dict[str, ast.Name] = {}
    pending = list(nodes)[::-1]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.setdefault(node.id, node)
        if not isinstance(node, _COMPREHENSIONS):
            pending.extend([*ast.iter_child_nodes(node)][::-1])
    return found


def loop_names(nodes: list[ast.stmt]) -> frozenset[str]:
    """Return the names that only loops assign in these statements."""
    parts = [part for node in nodes for part in ast.walk(node)]
    loops = [part.target for part in parts if isinstance(part, ast.For)]
    others = [part for part in parts if isinstance(part, ast.Assign | ast.AnnAssign | ast.AugAssign)]
    return frozenset(assigned_names(loops).keys() - assigned_names(others).keys())


def changing_functions(functions: Iterable[ast.FunctionDef]) -> frozenset[str]:
    """Return the names of functions that change what they are given or what is global, also by way of each other."""
    changing: set[str] = set()
    callers: dict[str, set[str]] = {}
    for function in functions:
        if changes_others(function.body, {argument.arg for argument in function.args.args}, ()):
            changing.add(function.name)
        for part in ast.walk(function):
            if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                callers.setdefault(part.func.id, set()).add(function.name)
    pending = [*changing]
    while pending:
        found = callers.get(pending.pop(), set()) - changing
        changing |= found
        pending += found
    return frozenset(changing)


def changes_others(nodes: list[ast.stmt] | list[ast.expr], bound: Collection[str], changing: Collection[str]) -> bool:
    """Whether statements or expressions may change more than names of their own and what they made themselves.

    Args:
        nodes: Statements of one branch, or expressions.
        bound: Names that had a value before.
        changing: Functions that change what they are given.
    """
    parts = [part for node in nodes for part in ast.walk(node)]
    own = _made_here(parts) - set(bound)
    return any(_is_change(part, own, changing) for part in parts)


def _is_change(part: ast.AST, own: set[str], changing: Collection[str]) -> bool:
    if isinstance(part, ast.Expr):
        return not isinstance(part.value, ast.Call | ast.Constant)
    if isinstance(part, ast.stmt):
        extended = isinstance(part, ast.AugAssign) and isinstance(part.value, _SEQUENCES)
        return extended or not isinstance(part, _HARMLESS)
    if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store):
        return not (isinstance(part.value, ast.Name) and part.value.id in own)
    if not isinstance(part, ast.Call):
        return False
    if isinstance(part.func, ast.Attribute) and part.func.attr == "append":
        receiver = part.func.value
        return not (isinstance(receiver, ast.Name) and receiver.id in own | {"jnp"})
    return isinstance(part.func, ast.Name) and part.func.id in changing


def _made_here(parts: list[ast.AST]) -> set[str]:
    """Return the names that only ever stand for lists and dicts that are made in the same place."""
    made: set[str] = set()
    other: set[str] = set()
    for part in parts:
        if isinstance(part, ast.Assign) and all(isinstance(target, ast.Name) for target in part.targets):
            names = {target.id for target in part.targets if isinstance(target, ast.Name)}
            (made if _is_new(part.value) else other).update(names)
        elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name) and part.value is not None:
            (made if _is_new(part.value) else other).add(part.target.id)
        elif isinstance(part, ast.For | ast.AugAssign | ast.comprehension):
            other |= assigned_names([part.target]).keys()
        elif isinstance(part, ast.Assign):
            other |= assigned_names(part.targets).keys()
    return made - other


def _is_new(value: ast.expr) -> bool:
    called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
    return isinstance(value, _NEW) or called in {"list", "dict"}
