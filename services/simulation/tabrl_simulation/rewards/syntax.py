"""Questions about pieces of Python syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterable

__all__ = ["dotted", "index_faults", "is_docstring", "number", "place", "stored_names"]

Fault = tuple[ast.AST, str, str, str]


def place(node: ast.AST) -> tuple[int, int]:
    """Return line and column of a node, from 1."""
    return getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1


def dotted(node: ast.AST) -> str:
    """Return `jnp.linalg.norm` for such a chain of plain names, and an empty string for anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) and parts else ""


def number(node: ast.AST) -> float | int | None:
    """Return the value of a number, with its signs; None for anything else."""
    sign = 1
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return sign * node.value
    return None


def is_docstring(statement: ast.stmt) -> bool:
    """Whether a statement is a string and nothing else."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def stored_names(statements: Iterable[ast.stmt]) -> set[str]:
    """Return the names that statements assign, at any depth."""
    return {
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def index_faults(node: ast.Subscript, shape: tuple[int, ...]) -> Iterable[Fault]:
    """Yield what is wrong with indexing an array of this shape: the node to blame, rule, message, remedy."""
    array = dotted(node.value)
    indices = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        message = f"{array} is indexed by numbers, not by names"
        yield node, "index-by-name", message, 'use helpers such as state.body_position("NAME")'
    if any(isinstance(each, ast.Constant) and each.value in (Ellipsis, None) for each in indices):
        return  # `...` and new axes move the others about
    if len(indices) > len(shape):
        message = f"{array} has the shape {shape}, too few axes for {len(indices)} indices"
        yield node, "index-out-of-range", message, "use fewer indices"
    for index, length in zip(indices, shape, strict=False):
        value = number(index)
        if isinstance(value, int) and not -length <= value < length:
            message = f"index {value} is outside {array}, which has the shape {shape}"
            yield index, "index-out-of-range", message, 'name what you mean, such as state.joint_position("NAME")'
