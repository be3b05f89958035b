"""Explains what went wrong while source was traced: which line, which rule, what to do."""

from __future__ import annotations

from types import TracebackType

import jax

from tabrl_simulation.rewards.choices import ChoiceRefused
from tabrl_simulation.rewards.diagnostics import Diagnostic
from tabrl_simulation.rewards.internals import written_message
from tabrl_simulation.rewards.shaping import LoopTooLong
from tabrl_simulation.rewards.state import NameRefused

__all__ = ["explained"]

_LONGEST = 300


def explained(fault: BaseException, source: str) -> Diagnostic:
    """Return the diagnostic for an exception that left traced source."""
    line, column = _place(fault.__traceback__)
    if isinstance(fault, NameRefused):
        found = fault.diagnostic
        return Diagnostic(found.rule, line, column, found.message, found.suggestion)
    rule, message, suggestion = _classified(fault)
    return Diagnostic(rule, line, column, f"{message}{_quoted(source, line)}", suggestion)


def _classified(fault: BaseException) -> tuple[str, str, str]:  # noqa: PLR0911  a table of exceptions, in order
    text = written_message(" ".join(str(fault).split("\n\n")[0].split()))[:_LONGEST]
    if isinstance(fault, ChoiceRefused):
        return "traced-value", text, "choose between numbers: jnp.where(condition, value_if_true, value_if_false)"
    if isinstance(fault, LoopTooLong):
        return "loop-too-long", text, "use jnp functions on whole arrays"
    if isinstance(fault, RecursionError):
        return "recursion", "the functions call each other without end", "compute without recursion"
    if isinstance(fault, MemoryError | OverflowError):
        return "value-too-large", "this needs more memory than a reward may have", "work on the robot's own arrays"
    if isinstance(fault, jax.errors.ConcretizationTypeError | jax.errors.TracerArrayConversionError):
        return "traced-value", f"this needs a number that is known before the robot moves: {text}", "use jnp.where"
    if isinstance(fault, jax.errors.NonConcreteBooleanIndexError | jax.errors.TracerIntegerConversionError):
        return "traced-value", f"this needs a constant: {text}", "use constants for indices, and jnp.where for masks"
    if isinstance(fault, IndexError):
        return "index-out-of-range", text, "look at the shapes of the robot's arrays"
    if isinstance(fault, UnboundLocalError | NameError):
        return "unknown-name", text, "assign it before it is used"
    if isinstance(fault, ZeroDivisionError):
        return "division-by-zero", "a constant is divided by zero", "divide by something else"
    if isinstance(fault, TypeError | ValueError) and any(word in text for word in ("shape", "dimension", "broadcast")):
        return "shape-error", text, "look at the shapes of the robot's arrays"
    return "trace-error", f"{type(fault).__name__}: {text}", "look at the types and shapes of what is used here"


def _place(traceback: TracebackType | None) -> tuple[int, int]:
    """Return line and column in the reward of the innermost of its frames."""
    place = (0, 0)
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename == "<reward>":
            positions = list(code.co_positions())[traceback.tb_lasti // 2]
            place = (positions[0] or traceback.tb_lineno, (positions[2] or 0) + 1)
        traceback = traceback.tb_next
    return place


def _quoted(source: str, line: int) -> str:
    lines = source.split("\n")
    return f" in `{lines[line - 1].strip()[:100]}`" if 0 < line <= len(lines) else ""
