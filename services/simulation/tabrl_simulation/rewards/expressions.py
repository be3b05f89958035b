"""The expressions of the reward language, as a visitor that refuses every node it does not know."""

from __future__ import annotations

import ast

from tabrl_simulation.rewards.constants import LARGEST_NUMBER, raised, value_of
from tabrl_simulation.rewards.container import TERM_NAME
from tabrl_simulation.rewards.diagnostics import Diagnostic
from tabrl_simulation.rewards.internals import INTERNALS, written
from tabrl_simulation.rewards.language import (
    ARRAY_MEMBERS,
    BUILTINS,
    CONTAINER_METHODS,
    HELPERS,
    JNP_CONSTANTS,
    JNP_FUNCTIONS,
    LINALG_FUNCTIONS,
    NN_FUNCTIONS,
    SHAPING,
    names_of_kind,
)
from tabrl_simulation.rewards.naming import nearest, unknown_name
from tabrl_simulation.rewards.refusals import refusal_of
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.syntax import dotted, index_faults, place

__all__ = ["MODULES", "Expressions"]

MODULES = frozenset({"jnp", "jax"})
"""What functions and constants are read from."""

_FUNCTIONS = (
    {f"jnp.{name}" for name in JNP_FUNCTIONS}
    | {f"jnp.linalg.{name}" for name in LINALG_FUNCTIONS}
    | {f"jax.nn.{name}" for name in NN_FUNCTIONS}
)
_CONSTANTS = {f"jnp.{name}" for name in JNP_CONSTANTS}
_LARGEST_EXPONENT = 64
_LONGEST_STRING = 200
_HARMLESS = (
    *(
        ast.Load,
        ast.Store,
        ast.Pass,
        ast.Tuple,
        ast.List,
        ast.Slice,
        ast.Subscript,
        ast.UnaryOp,
        ast.Compare,
        ast.keyword,
    ),
    *(
        ast.Add,
        ast.Sub,
        ast.Mult,
        ast.Div,
        ast.FloorDiv,
        ast.Mod,
        ast.Pow,
        ast.MatMult,
        ast.BitAnd,
        ast.BitOr,
        ast.BitXor,
    ),
    *(ast.USub, ast.UAdd, ast.Invert, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.JoinedStr, ast.Dict),
    *(ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.arguments, ast.arg, ast.AnnAssign, ast.Return),
)


class Expressions(ast.NodeVisitor):
    """Collects `remarks` on expressions, and the places where terms are named.

    Whoever visits statements says which names there are: `_functions` of the module, `_globals`, `_locals`, and
    `_constants`, the values of the names that stand for one number each; and the `parameters` of `reward`.
    """

    def __init__(self, robot: Robot) -> None:
        """Judge source for this robot."""
        self.remarks: list[Diagnostic] = []
        self.term_places: dict[str, tuple[int, int]] = {}
        self._robot = robot
        self._arrays = {name: shape for name, shape in robot.arrays.items() if 0 not in shape}
        self._functions: set[str] = set()
        self._globals: set[str] = set()
        self._locals: set[str] = set()
        self._constants: dict[str, float] = {}
        self._inside_reward = False
        self.parameters: tuple[str, ...] = ("state", "action")

    def generic_visit(self, node: ast.AST) -> None:
        """Refuse what is not listed; look inside what is."""
        if isinstance(node, _HARMLESS):
            super().generic_visit(node)
        else:
            self._refuse(node, *refusal_of(node))

    def visit_Name(self, node: ast.Name) -> None:
        """A name must be defined here; modules and functions are no values."""
        name = node.id
        if name in MODULES or name in SHAPING or name in BUILTINS:
            self._refuse(node, "function-value", f"{name} cannot be used as a value", f"call it: {name}(...)")
        elif name in self._functions and name not in self._locals:
            self._refuse(
                node, "function-value", f"the function {name} cannot be used as a value", f"call it: {name}(...)"
            )
        elif name.startswith("__"):
            self._refuse(node, "underscore-name", f"{name} is not part of the language", "use a plain name")
        elif name not in self._locals and name not in self._globals:
            self._refuse_unknown(node, name)

    def _refuse_unknown(self, node: ast.AST, name: str) -> None:
        like = nearest(written(name), [*map(written, self._locals), *self._globals, *BUILTINS, *SHAPING])
        remedy = f"did you mean {like}?" if like else "define it first; robot data is in `state`"
        self._refuse(node, "unknown-name", f"{written(name)} is not defined", remedy)

    def visit_Call(self, node: ast.Call) -> None:
        """Calls go to listed functions, to helpers defined here, and to methods of arrays and of `state`."""
        if self._is_internal(node):
            self._check_internal(node)
            return
        self._check_callee(node)
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                self._refuse(argument, "star-forbidden", "arguments cannot be unpacked", "write each argument")
            else:
                self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg is None:
                self._refuse(keyword.value, "star-forbidden", "arguments cannot be unpacked", "write each argument")
            elif keyword.arg.startswith("_"):
                self._refuse(keyword.value, "underscore-name", f"the keyword {keyword.arg}", "use a plain name")
            else:
                if isinstance(node.func, ast.Name) and node.func.id == "dict" and self._inside_reward:
                    self.term_places.setdefault(keyword.arg, place(keyword.value))
                self.visit(keyword.value)

    def _is_internal(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in INTERNALS

    def _check_internal(self, node: ast.Call) -> None:
        """What rewriting put here: a value, then functions without arguments, whose own values are judged."""
        condition, *ways = node.args
        self.visit(condition)
        for way in ways:
            self.visit(way.body if isinstance(way, ast.Lambda) else way)

    def _check_callee(self, node: ast.Call) -> None:
        callee = node.func
        if isinstance(callee, ast.Attribute):
            self._check_method(node, callee)
            return
        if not isinstance(callee, ast.Name):
            self._refuse(callee, "call-forbidden", "only named functions can be called", "call a function by its name")
            return
        name = callee.id
        if name == "reward":
            self._refuse(callee, "call-forbidden", "reward cannot call itself", "compute the terms once")
        elif name in self._locals or not (name in BUILTINS or name in SHAPING or name in self._functions):
            like = nearest(name, [*BUILTINS, *SHAPING, *self._functions, *(f"jnp.{each}" for each in JNP_FUNCTIONS)])
            self._refuse(
                callee,
                "call-forbidden",
                f"{written(name)} cannot be called",
                f"did you mean {like}?" if like else "use jnp functions",
            )

    def _check_method(self, node: ast.Call, callee: ast.Attribute) -> None:
        path = dotted(callee)
        root = path.split(".")[0]
        if root in MODULES:
            if path not in _FUNCTIONS:
                like = nearest(path, _FUNCTIONS)
                remedy = f"did you mean {like}?" if like else "use the functions that the language lists"
                self._refuse(callee, "call-forbidden", f"{path} cannot be called", remedy)
        elif self._is_of_state(path, callee.attr):
            self._check_helper(node, callee)
        elif callee.attr in ARRAY_MEMBERS | CONTAINER_METHODS | HELPERS.keys():
            self.visit(callee.value)
        else:
            self._refuse_attribute(callee)

    def _is_of_state(self, path: str, member: str) -> bool:
        """Whether a path is `state.MEMBER`, or `previous.MEMBER` where `reward` takes the state before."""
        return path == f"state.{member}" or (path == f"previous.{member}" and "previous" in self.parameters)

    def _check_helper(self, node: ast.Call, callee: ast.Attribute) -> None:
        helper = HELPERS.get(callee.attr)
        if helper is None:
            self._refuse_member(callee, called=callee.attr in self._arrays)
            return
        for argument in node.args if helper.kind else []:
            if isinstance(argument, ast.Constant) and argument.value not in names_of_kind(self._robot, helper.kind):
                known = names_of_kind(self._robot, helper.kind)
                self.remarks.append(unknown_name(helper.kind, argument.value, known, *place(argument)))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Attributes are read from `jnp` (constants), from `state` (arrays) and from arrays."""
        path = dotted(node)
        if path.split(".")[0] in MODULES:
            if path not in _CONSTANTS:
                known = path in _FUNCTIONS
                message = f"{path} is a function, not a value" if known else f"{path} is not part of the language"
                self._refuse(
                    node, "attribute-forbidden", message, f"call it: {path}(...)" if known else "use listed names"
                )
        elif self._is_of_state(path, node.attr):
            if node.attr not in self._arrays:
                self._refuse_member(node)
        elif node.attr in ARRAY_MEMBERS or node.attr in self._arrays:
            self.visit(node.value)
        else:
            self._refuse_attribute(node)

    def _refuse_attribute(self, node: ast.Attribute) -> None:
        rule = "underscore-name" if node.attr.startswith("_") else "attribute-forbidden"
        remedy = "use `.at` never; build a new array with jnp.where or jnp.stack" if node.attr == "at" else ""
        listed = ", ".join(sorted(ARRAY_MEMBERS))
        self._refuse(node, rule, f".{node.attr} is not part of the language", remedy or f"arrays have: {listed}")

    def _refuse_member(self, node: ast.Attribute, called: bool = False) -> None:
        name = node.attr
        if name.startswith("_"):
            self._refuse(node, "underscore-name", f"state.{name} is not part of the language", "use a listed name")
        elif called:
            self._refuse(
                node, "call-forbidden", f"state.{name} is an array, not a function", f"read it: state.{name}[i]"
            )
        elif name in HELPERS:
            self._refuse(
                node, "function-value", f"state.{name} is a function", f"call it: state.{HELPERS[name].signature}"
            )
        elif name in self._robot.arrays:
            self._refuse(node, "empty-array", f"this robot's {name} is empty", "use another array")
        else:
            known = (*self._arrays, *HELPERS)
            self.remarks.append(unknown_name("state member", name, known, *place(node)))

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """Indices are constants, slices and loop variables; a constant beyond the end of a state array is refused."""
        value = node.value
        of_state = isinstance(value, ast.Attribute) and self._is_of_state(dotted(value), value.attr)
        shape = self._arrays.get(value.attr) if of_state and isinstance(value, ast.Attribute) else None
        if shape is not None:
            self._check_index(node, shape)
        self.generic_visit(node)

    def _check_index(self, node: ast.Subscript, shape: tuple[int, ...]) -> None:
        for blamed, rule, message, suggestion in index_faults(node, shape):
            self._refuse(blamed, rule, message, suggestion)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Numbers, strings, truth values, None and `...` of moderate size."""
        value = node.value
        if isinstance(value, str):
            if len(value) > _LONGEST_STRING:
                self._refuse(node, "constant-too-large", "this string is too long", "names are short")
        elif isinstance(value, bytes | complex):
            self._refuse(
                node, "constant-forbidden", f"{type(value).__name__} is not part of the language", "use a float"
            )
        elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
            self._refuse(node, "constant-too-large", "this number is too large", f"stay below {LARGEST_NUMBER:g}")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Arithmetic on numbers and arrays; no repetition of sequences, no huge powers."""
        self._check_operator(node, node.left, node.op, node.right)
        self.visit(node.left)
        self.visit(node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Signs and `~`."""
        if not isinstance(node.op, _HARMLESS):
            self._refuse(node, *refusal_of(node.op))
        self.visit(node.operand)

    def _check_operator(self, node: ast.AST, left: ast.AST, operator: ast.operator, right: ast.AST) -> None:
        if not isinstance(operator, _HARMLESS):
            self._refuse(node, *refusal_of(operator))
        sequences = (ast.List, ast.Tuple, ast.JoinedStr, ast.ListComp)
        for side in (left, right):
            text = isinstance(side, ast.Constant) and isinstance(side.value, str)
            if isinstance(operator, ast.Mult | ast.Mod) and (text or isinstance(side, sequences)):
                self._refuse(node, "repetition-forbidden", "sequences cannot be repeated or formatted", "use jnp.full")
        if isinstance(operator, ast.Pow):
            self._check_power(node, left, right)

    def _check_power(self, node: ast.AST, base: ast.AST, exponent: ast.AST) -> None:
        """Python's own numbers have no end: a tower of powers would be computed until memory runs out."""
        power, number = value_of(exponent, self._constants), value_of(base, self._constants)
        if power is not None and not abs(power) <= _LARGEST_EXPONENT:
            message = f"a power above {_LARGEST_EXPONENT}"
            self._refuse(exponent, "constant-too-large", message, "use a smaller exponent, or jnp.exp")
        elif power is not None and number is not None and not abs(raised(number, power)) <= LARGEST_NUMBER:
            message = "this power is too large a number"
            self._refuse(node, "constant-too-large", message, f"stay below {LARGEST_NUMBER:g}, or use jnp.exp")

    def visit_Compare(self, node: ast.Compare) -> None:
        """Comparisons of numbers."""
        for operator in node.ops:
            if not isinstance(operator, _HARMLESS):
                self._refuse(node, *refusal_of(operator))
        for operand in (node.left, *node.comparators):
            self.visit(operand)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Names may be put together from loop variables, without formats."""
        for part in node.values:
            if isinstance(part, ast.Constant):
                self.visit_Constant(part)
            elif (
                isinstance(part, ast.FormattedValue)
                and isinstance(part.value, ast.Name)
                and part.format_spec is None
                and part.conversion == -1
            ):
                self.visit(part.value)
            else:
                self._refuse(part, "format-forbidden", "only plain names inside f-strings", 'write f"{side}_foot"')

    def visit_Dict(self, node: ast.Dict) -> None:
        """Keys are strings; those in `reward` are its terms."""
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                self._note_term(key)
                self.visit(key)
            self.visit(value)

    def _note_term(self, key: ast.expr) -> None:
        if not (self._inside_reward and isinstance(key, ast.Constant) and isinstance(key.value, str)):
            return
        if not TERM_NAME.fullmatch(key.value):
            message = f"{key.value[:60]!r} is no name for a term"
            self._refuse(key, "bad-term-name", message, "use lower-case letters, digits and _, a letter first")
        self.term_places[key.value] = place(key)

    def _refuse(self, node: ast.AST, rule: str, message: str, suggestion: str) -> None:
        self.remarks.append(Diagnostic(rule, *place(node), message, suggestion))
