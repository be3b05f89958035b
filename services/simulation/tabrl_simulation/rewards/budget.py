"""What a traced reward may cost: number of operations, size of every value, and which operations at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from tabrl_simulation.rewards.diagnostics import Diagnostic, RewardRejected

__all__ = ["check_budget", "inner_jaxprs", "source_line"]

_MOST_EQUATIONS = 4_000
_LARGEST_VALUE = 65_536

_WORDS = """
abs acos acosh add add_any and argmax argmin asin asinh atan atan2 atanh broadcast_in_dim cbrt ceil clamp concatenate
convert_element_type copy copy_p cos cosh cumsum div dot_general dynamic_slice eq erf exp exp2 expand_dims expm1 floor
gather ge gt integer_pow iota is_finite le log log1p logistic lt max min mul ne neg not or pad pow reduce_and reduce_max
reduce_min reduce_or reduce_prod reduce_sum rem reshape rev round rsqrt select_n sign sin sinh slice sort split sqrt
square squeeze stop_gradient sub tan tanh transpose xor
jit pjit closed_call core_call custom_jvp_call custom_vjp_call"""
_PRIMITIVES = frozenset(_WORDS.split())


def check_budget(closed: Any) -> None:
    """Pass a ClosedJaxpr, or refuse it.

    Raises:
        RewardRejected: the reward would compute too much, or with an operation that is not on the list.
    """
    count = 0
    for constant in closed.consts:
        _check_size(math.prod(getattr(constant, "shape", ())), "a constant", 0)
    for equation in _equations(closed.jaxpr):
        count += 1
        name = equation.primitive.name
        if name not in _PRIMITIVES:
            message = f"the operation {name} is not part of the language"
            raise RewardRejected(
                [Diagnostic("operation-forbidden", source_line(equation), 0, message, "write it simply")]
            )
        for variable in equation.outvars:
            _check_size(math.prod(variable.aval.shape), name, source_line(equation))
    if count > _MOST_EQUATIONS:
        message = f"the reward takes {count} operations a step; {_MOST_EQUATIONS} are allowed"
        raise RewardRejected([Diagnostic("too-many-operations", 0, 0, message, "use whole-array functions for loops")])


def source_line(equation: Any) -> int:
    """Return the line of reward source that an equation comes from; 0 when it is not known."""
    traceback = getattr(equation.source_info, "traceback", None)
    for frame in traceback.frames if traceback is not None else ():
        if frame.file_name == "<reward>":
            return int(frame.line_num)
    return 0


def inner_jaxprs(equation: Any) -> Iterator[Any]:
    """Yield the jaxprs in an equation's parameters."""
    for parameter in equation.params.values():
        for each in parameter if isinstance(parameter, list | tuple) else [parameter]:
            inner = getattr(each, "jaxpr", each)
            if hasattr(inner, "eqns"):
                yield inner


def _equations(jaxpr: Any) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for inner in inner_jaxprs(equation):
            yield from _equations(inner)


def _check_size(size: int, what: str, line: int) -> None:
    if size > _LARGEST_VALUE:
        message = f"{what} has {size} elements; {_LARGEST_VALUE} are allowed"
        raise RewardRejected([Diagnostic("value-too-large", line, 0, message, "work on the robot's own arrays")])
