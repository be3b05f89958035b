"""Checks on a motion: expressions such as `mean(up('torso')) > 0.9 and survived > 0.99`.

They look at what the robot did, never at a reward, so that a reward which scores well on a robot that does the wrong
thing is found out. An expression is Python's, but only what is listed here is computed; nothing else can be reached.

| term | meaning |
|---|---|
| `pos(body)`, `vel(body)` | position (m) and velocity (m/s) of a body's frame in the world, [T, 3] |
| `spin(body)` | its angular velocity (rad/s) about the world's axes, [T, 3] |
| `fwd(body)`, `left(body)` | velocity (m/s) along the body's own x and y axes, projected on the ground, [T] |
| `up(body)` | cosine between the body's z axis and the world's, [T] |
| `q(joint)`, `qd(joint)` | position and velocity of a hinge or slide, [T] |
| `hz(x)` | dominant frequency of a signal with its mean removed, in Hz |
| `amp(x)` | half the distance between its 95th and its 5th percentile |
| `turns(x)` | net change of an angle (rad), in revolutions |
| `survived` | share of the time before the environment ended the episode |
| `mean`, `std`, `min`, `max`, `abs` | as in numpy |
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation.motion.recording import SETTLED_AFTER_SECS, Recording

__all__ = ["Check", "CheckError", "Judgement"]

_ALL: Final = "all:"
_LONGEST: Final = 2_000
_FEWEST_SAMPLES: Final = 10
_ALMOST: Final = 0.99
_MARGIN: Final = 0.1
_OPERATORS: Final[Mapping[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class CheckError(ValueError):
    """A check cannot be read, or names what the robot does not have; the message says what."""


@dataclass(frozen=True)
class Judgement:
    """What a check says of a motion.

    Attributes:
        holds: whether it holds.
        score: 1 where it holds, else how near the motion comes to it, from 0 to below 1.
        sides: the sides of its comparisons that are no constants, by their text.
    """

    holds: bool
    score: float
    sides: Mapping[str, float]


@dataclass(frozen=True)
class Check:
    """A check on a motion; `text` is its expression. Samples of the first two seconds count only after `all:`."""

    text: str

    def __post_init__(self) -> None:
        """Reads it.

        Raises:
            CheckError: it is no expression.
        """
        self._tree()

    def holds(self, recording: Recording) -> bool:
        """Tells whether a motion passes. One that ended before there was something to measure does not.

        Raises:
            CheckError: it names a body or joint that the robot does not have, or computes what is not listed.
        """
        reader = self._reader(recording)
        if reader is None:
            return False
        with self._typed_errors():
            return bool(reader.value(self._tree()))

    def judged(self, recording: Recording) -> Judgement:
        """Tells how near a motion comes to the check, which `holds` does not: a search needs to know what is better.

        Raises:
            CheckError: as `holds`.
        """
        reader = self._reader(recording)
        if reader is None:
            return Judgement(holds=False, score=0.0, sides={})
        with self._typed_errors():
            holds = bool(reader.value(self._tree()))
            # Just short of 1: a motion for which the check does not hold is never as good as one for which it does.
            score = 1.0 if holds else _ALMOST * _nearness(reader, self._tree())
            return Judgement(holds, score, reader.sides(self._tree()))

    @contextlib.contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except CheckError:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise CheckError(f"{self.text!r} cannot be computed: {error}") from error

    def _reader(self, recording: Recording) -> _Reader | None:
        """Returns a reader of the part that counts; None where too little of it is left to measure."""
        seen = recording if self.text.startswith(_ALL) else recording.since(SETTLED_AFTER_SECS)
        return _Reader(seen) if seen.samples >= _FEWEST_SAMPLES else None

    def _tree(self) -> ast.expr:
        text = self.text.removeprefix(_ALL).strip()
        if len(text) > _LONGEST:
            raise CheckError(f"the check has {len(text)} characters; {_LONGEST} can be had")
        try:
            return ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise CheckError(f"{text[:200]!r} is no expression: {reason}") from error


class _Reader:
    """Computes expressions over one recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._named: Mapping[str, Callable[..., Any]] = {
            "pos": lambda body: recording.positions[:, self._body(body)],
            "vel": lambda body: recording.velocities[:, self._body(body)],
            "spin": lambda body: recording.spins[:, self._body(body)],
            "up": lambda body: recording.rotations[:, self._body(body), 2, 2],
            "fwd": lambda body: self._along(body, 0),
            "left": lambda body: self._along(body, 1),
            "q": lambda joint: self._joint(recording.joint_positions, joint),
            "qd": lambda joint: self._joint(recording.joint_velocities, joint),
            "hz": lambda signal: _dominant_hz(signal, recording.control_period_secs),
            "amp": lambda signal: float(np.subtract(*np.percentile(signal, (95, 5)))) / 2,
            "turns": lambda angle: float(np.unwrap(angle)[-1] - np.unwrap(angle)[0]) / (2 * np.pi),
            "mean": np.mean,
            "std": np.std,
            "min": np.min,
            "max": np.max,
            "abs": np.abs,
        }

    def value(self, node: ast.expr) -> Any:  # noqa: PLR0911 - one for each kind of node
        match node:
            case ast.Constant(value=int() | float() | str() as constant):
                return constant
            case ast.Name(id="survived"):
                return self._recording.survived
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self.value(each) for each in values)
            case ast.BoolOp(op=ast.Or(), values=values):
                return any(self.value(each) for each in values)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._combined(type(op), self.value(left), self.value(right))
            case ast.Compare(left=first, ops=ops, comparators=others) if all(type(op) in _OPERATORS for op in ops):
                values = [self._number(each) for each in (first, *others)]
                return all(
                    _OPERATORS[type(op)](*pair) for op, pair in zip(ops, itertools.pairwise(values), strict=True)
                )
            case ast.Subscript(value=of, slice=index):
                return self._array(of)[self._index(index)]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in self._named:
                return self._named[name](*(self.value(each) for each in arguments))
            case ast.Call(func=ast.Attribute(value=of, attr="sum"), args=arguments, keywords=[]):
                return self._array(of).sum(axis=tuple(int(self.value(each)) for each in arguments) or None)
        raise CheckError(f"{ast.unparse(node)[:200]!r} is nothing that a check can compute")

    def sides(self, tree: ast.expr) -> dict[str, float]:
        """Returns the sides of all comparisons that are numbers and no constants, by their text."""
        found = {}
        for node in ast.walk(tree):
            for side in (node.left, *node.comparators) if isinstance(node, ast.Compare) else ():
                value = self.value(side)
                measures = any(isinstance(part, ast.Name) for part in ast.walk(side))
                if measures and np.ndim(value) == 0 and np.isfinite(value):
                    found[ast.unparse(side)] = float(value)
        return found

    def _number(self, node: ast.expr) -> Any:
        """Returns a side of a comparison."""
        value = self.value(node)
        text = ast.unparse(node)[:200]
        if isinstance(value, str):
            raise CheckError(f"{text!r} is a name, and no number that can be compared")
        if np.ndim(value):
            raise CheckError(f"{text!r} is a whole motion; compare its mean(...), min(...) or max(...)")
        return value

    def _array(self, node: ast.expr) -> NDArray[np.float64]:
        return np.asarray(self.value(node), np.float64)

    def _combined(self, op: type, left: Any, right: Any) -> Any:
        if op is ast.Pow and (np.ndim(right) or abs(right) > 4):
            raise CheckError("powers are of 4 at most")
        if isinstance(left, str) or isinstance(right, str):
            raise CheckError("text is only a name")
        return _OPERATORS[op](left, right)

    def _index(self, node: ast.expr) -> Any:
        match node:
            case ast.Tuple(elts=parts):
                return tuple(self._index(each) for each in parts)
            case ast.Slice(lower=lower, upper=upper, step=None):
                return slice(*(None if each is None else int(self.value(each)) for each in (lower, upper)))
        return int(self.value(node))

    def _body(self, name: Any) -> int:
        if name not in self._recording.bodies:
            raise CheckError(f"there is no body {name!r}; there are: {', '.join(self._recording.bodies)}")
        return self._recording.bodies[name]

    def _joint(self, values: Mapping[str, NDArray[np.float64]], name: Any) -> NDArray[np.float64]:
        if name not in values:
            raise CheckError(f"there is no hinge or slide {name!r}; there are: {', '.join(values)}")
        return values[name]

    def _along(self, name: Any, axis: int) -> NDArray[np.float64]:
        body = self._body(name)
        ahead = self._recording.rotations[:, body, :2, axis]
        length = np.linalg.norm(ahead, axis=1)
        along = (self._recording.velocities[:, body, :2] * ahead).sum(1)
        return np.asarray(along / np.maximum(length, 1e-6))


def _nearness(reader: _Reader, node: ast.expr) -> float:
    """Returns how near an expression comes to being true, from 0 to 1: comparisons by how far their sides miss."""
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return float(np.mean([_nearness(reader, each) for each in values]))
        case ast.BoolOp(op=ast.Or(), values=values):
            return max(_nearness(reader, each) for each in values)
        case ast.Compare(left=first, ops=ops, comparators=others):
            values = [reader.value(each) for each in (first, *others)]
            pairs = zip(ops, itertools.pairwise(values), strict=True)
            return min(_met(_OPERATORS[type(op)], *pair) for op, pair in pairs)
    return float(bool(reader.value(node)))


def _met(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> float:
    if compare(left, right):
        return 1.0
    miss = abs(float(left) - float(right))
    return float(np.exp(-miss / (abs(float(right)) + _MARGIN))) if np.isfinite(miss) else 0.0


def _dominant_hz(signal: NDArray[np.float64], period_secs: float) -> float:
    """Returns the frequency with most power in a signal, its mean removed, under a Hann window; 0 if it is constant."""
    centered = signal - np.mean(signal)
    if not np.any(centered):
        return 0.0
    power = np.abs(np.fft.rfft(centered * np.hanning(len(centered))))
    return float(np.fft.rfftfreq(len(centered), period_secs)[int(np.argmax(power))])
