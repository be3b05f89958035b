"""Words for the parts of Python that are not part of the reward language."""

from __future__ import annotations

import ast

__all__ = ["refusal_of"]

Refusal = tuple[str, str, str]

_BRANCH: Refusal = (
    "if-forbidden",
    "branches are not part of the language here",
    "use `if` inside functions, or jnp.where(condition, value_if_true, value_if_false)",
)
_BOOLEAN: Refusal = (
    "boolean-operator-forbidden",
    "`and`, `or` and `not` are not part of the language here",
    "use jnp.logical_and, jnp.logical_or and jnp.logical_not",
)
_IMPORT: Refusal = (
    "import-forbidden",
    "imports are not part of the language",
    "remove it: jnp, jax.nn and the robot's `state` are there already",
)
_REFUSALS: dict[type[ast.AST], Refusal] = {
    ast.If: _BRANCH,
    ast.IfExp: _BRANCH,
    ast.Match: (
        "match-forbidden",
        "match is not part of the language",
        "use `if` inside functions, or jnp.where(condition, value_if_true, value_if_false)",
    ),
    ast.BoolOp: _BOOLEAN,
    ast.Not: _BOOLEAN,
    ast.Import: _IMPORT,
    ast.ImportFrom: _IMPORT,
    ast.While: ("while-forbidden", "a while loop has no bound", "loop over a tuple or range(n)"),
    ast.Lambda: ("lambda-forbidden", "lambda is not part of the language", "define a function at the top level"),
    ast.NamedExpr: ("walrus-forbidden", "`:=` is not part of the language", "assign on a line of its own"),
    ast.ClassDef: ("class-forbidden", "classes are not part of the language", "use functions and dicts"),
    ast.Try: ("try-forbidden", "exceptions are not part of the language", "use jnp.where or jnp.clip"),
    ast.Raise: ("raise-forbidden", "exceptions are not part of the language", "remove it"),
    ast.Assert: ("assert-forbidden", "assertions are not part of the language", "remove it"),
    ast.With: ("with-forbidden", "with is not part of the language", "remove it"),
    ast.Global: ("global-forbidden", "a reward keeps nothing between steps", "pass values as arguments"),
    ast.Nonlocal: ("global-forbidden", "a reward keeps nothing between steps", "pass values as arguments"),
    ast.Delete: ("del-forbidden", "del is not part of the language", "remove it"),
    ast.Starred: ("star-forbidden", "unpacking with * is not part of the language", "write each element"),
    ast.LShift: ("shift-forbidden", "bit shifts are not part of the language", "multiply or divide"),
    ast.RShift: ("shift-forbidden", "bit shifts are not part of the language", "multiply or divide"),
    ast.Is: ("comparison-forbidden", "`is` compares objects, not numbers", "use =="),
    ast.IsNot: ("comparison-forbidden", "`is not` compares objects, not numbers", "use !="),
    ast.In: ("comparison-forbidden", "`in` needs a truth value", "use == and |"),
    ast.NotIn: ("comparison-forbidden", "`not in` needs a truth value", "use != and &"),
    ast.Break: ("loop-exit-forbidden", "a loop runs to its end", "use jnp.where"),
    ast.Continue: ("loop-exit-forbidden", "a loop runs to its end", "use jnp.where"),
    ast.Expr: ("statement-without-effect", "this has no effect", "remove it"),
}


def refusal_of(node: ast.AST) -> Refusal:
    """Return rule, message and remedy for a node that is not part of the language."""
    if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await | ast.Yield | ast.YieldFrom):
        return "async-forbidden", "generators and coroutines are not part of the language", "return the terms at once"
    name = type(node).__name__
    return _REFUSALS.get(type(node), ("construct-forbidden", f"{name} is not part of the language", "remove it"))
