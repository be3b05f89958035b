"""What can be said of numbers in source without running it.

All is computed in floats, which know an end: Python's own integers do not, and a tower of powers of them would be
computed until time or memory runs out.
"""

from __future__ import annotations

import ast
import math
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from tabrl_simulation.rewards.syntax import number

__all__ = ["LARGEST_NUMBER", "constants_of", "raised", "value_of"]

LARGEST_NUMBER = 1e12
"""No number in source may be larger."""


def raised(base: float, exponent: float) -> float:
    """Return a power: infinity for what is too large for a float, NaN for what is no real number."""
    try:
        result = base**exponent
    except OverflowError:
        return math.inf
    except ZeroDivisionError:
        return math.nan
    return result if isinstance(result, float) else math.nan


def value_of(node: ast.AST, names: Mapping[str, float]) -> float | None:
    """Return the value of arithmetic on numbers and on `names`; None for anything else.

    Also None for what holds a power that is too large: that one is refused in its own place.
    """
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.UnaryOp):
        value = value_of(node.operand, names)
        sign = _SIGNS.get(type(node.op))
        return None if value is None or sign is None else sign * value
    if isinstance(node, ast.BinOp):
        return _calculated(type(node.op), value_of(node.left, names), value_of(node.right, names))
    literal = number(node)
    try:
        return None if literal is None else float(literal)
    except OverflowError:
        return math.inf


def constants_of(statements: Iterable[ast.stmt], known: Mapping[str, float]) -> dict[str, float]:
    """Return the values of names that are assigned once, to arithmetic on numbers; those of `known` included."""
    statements = list(statements)
    stores = Counter(
        node.id
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    constants = {name: value for name, value in known.items() if name not in stores}
    for statement in statements:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], value_of(statement.value, constants)
            if isinstance(target, ast.Name) and stores[target.id] == 1 and value is not None:
                constants[target.id] = value
    return constants


def _calculated(kind: type[ast.operator], left: float | None, right: float | None) -> float | None:
    calculate = _ARITHMETIC.get(kind)
    if left is None or right is None or calculate is None:
        return None
    try:
        value = calculate(left, right)
    except ZeroDivisionError:
        return None
    return value if kind is not ast.Pow or abs(value) <= LARGEST_NUMBER else None


_SIGNS: dict[type[ast.unaryop], float] = {ast.USub: -1.0, ast.UAdd: 1.0}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: raised,
}
