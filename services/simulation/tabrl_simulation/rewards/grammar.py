"""The grammar of the reward language, as a visitor that refuses every node it does not know."""

from __future__ import annotations

import ast

from tabrl_simulation.rewards.container import TERM_NAME
from tabrl_simulation.rewards.diagnostics import Diagnostic
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
from tabrl_simulation.rewards.syntax import dotted, index_faults, is_docstring, number, place, stored_names

__all__ = ["Grammar"]

_MODULES = frozenset({"jnp", "jax"})
_RESERVED = _MODULES | BUILTINS | frozenset(SHAPING)
_FUNCTIONS = (
    {f"jnp.{name}" for name in JNP_FUNCTIONS}
    | {f"jnp.linalg.{name}" for name in LINALG_FUNCTIONS}
    | {f"jax.nn.{name}" for name in NN_FUNCTIONS}
)
_CONSTANTS = {f"jnp.{name}" for name in JNP_CONSTANTS}
_LOOP_CALLS = frozenset({"range", "enumerate", "zip", "reversed"})
_LOOP_METHODS = frozenset({"items", "keys", "values"})
_LONGEST_RANGE = 1024
_LARGEST_NUMBER = 1e12
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

_ANNOTATION_NODES = (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.Constant, ast.BinOp, ast.BitOr, ast.Load)


class Grammar(ast.NodeVisitor):
    """Collects `remarks` on one module, and the places where its terms are returned."""

    def __init__(self, robot: Robot) -> None:
        """Judge source for this robot."""
        self.remarks: list[Diagnostic] = []
        self.term_places: dict[str, tuple[int, int]] = {}
        self.return_place = (0, 0)
        self._robot = robot
        self._arrays = {name: shape for name, shape in robot.arrays.items() if 0 not in shape}
        self._functions: set[str] = set()
        self._globals: set[str] = set()
        self._locals: set[str] = set()
        self._inside_reward = False

    def generic_visit(self, node: ast.AST) -> None:
        """Refuse what is not listed; look inside what is."""
        if isinstance(node, _HARMLESS):
            super().generic_visit(node)
        else:
            self._refuse(node, *refusal_of(node))

    def visit_Module(self, node: ast.Module) -> None:
        """A module is a docstring, constants, helper functions and `reward`."""
        functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        self._functions = {function.name for function in functions}
        self._globals = self._functions | stored_names(
            each for each in node.body if not isinstance(each, ast.FunctionDef)
        )
        names = [function.name for function in functions]
        for function in functions:
            if names.count(function.name) > 1:
                self._refuse(function, "defined-twice", f"{function.name!r} is defined twice", "keep one of them")
        if "reward" not in self._functions:
            message = "there is no function named reward"
            self._refuse(node, "missing-reward", message, "define `def reward(state, action):` at the top level")
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.Assign | ast.AnnAssign) or is_docstring(statement):
                self._visit_top_level(statement)
            elif isinstance(statement, ast.Return | ast.Expr | ast.For | ast.AugAssign | ast.Pass):
                message = "a module holds only constants and functions"
                self._refuse(statement, "statement-forbidden", message, "move it into `reward`")
            else:
                self._refuse(statement, *refusal_of(statement))

    def _visit_top_level(self, statement: ast.stmt) -> None:
        self._locals = set()
        if not is_docstring(statement):
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Functions take plain parameters and stand at the top level."""
        if node.col_offset:
            self._refuse(node, "nested-function", "a function inside a function", "define it at the top level")
            return
        for decorator in node.decorator_list:
            self._refuse(decorator, "decorator-forbidden", "decorators are not part of the language", "remove it")
        self._refuse_name(node, node.name)
        arguments = node.args
        if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
            self._refuse(node, "bad-signature", "only plain parameters are allowed", "list each parameter by name")
        parameters = [argument.arg for argument in arguments.args]
        if node.name == "reward" and parameters != ["state", "action"]:
            message = f"reward takes ({', '.join(parameters)})"
            self._refuse(node, "bad-signature", message, "write `def reward(state, action):`")
        for argument in arguments.args:
            self._refuse_name(argument, argument.arg)
            self._check_annotation(argument.annotation)
        self._check_annotation(node.returns)
        for default in arguments.defaults:
            self.visit(default)
        self._inside_reward = node.name == "reward"
        self._locals = set(parameters) | stored_names(node.body)
        self._check_return(node)
        for statement in node.body:
            if not is_docstring(statement):
                self.visit(statement)
        self._inside_reward = False

    def _check_return(self, node: ast.FunctionDef) -> None:
        last = node.body[-1]
        if not isinstance(last, ast.Return) or last.value is None:
            message = f"{node.name} does not end with a return"
            self._refuse(last, "missing-return", message, 'end with `return {"term": value, ...}`')
        elif node.name == "reward":
            self.return_place = place(last)
            if not isinstance(last.value, ast.Dict | ast.DictComp | ast.Name | ast.Call):
                message = "reward returns something that is no dict of named terms"
                self._refuse(last.value, "bad-return", message, 'return {"upright": ..., "effort": ...}')
        for statement in node.body[:-1]:
            if isinstance(statement, ast.Return):
                message = "nothing after this return would run"
                self._refuse(statement, "bad-return", message, "return once, at the end")

    def visit_Assign(self, node: ast.Assign) -> None:
        """Names, tuples of names, and keys of a dict may be assigned."""
        for target in node.targets:
            self._check_target(target)
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """`x += y` is allowed for names and keys of a dict."""
        self._check_target(node.target)
        self._check_operator(node, node.target, node.op, node.value)
        self.visit(node.value)

    def _check_annotation(self, annotation: ast.expr | None) -> None:
        """An annotation names a type, as `jnp.ndarray` or `dict[str, float]`, and computes nothing."""
        if annotation is not None and not all(isinstance(part, _ANNOTATION_NODES) for part in ast.walk(annotation)):
            self._refuse(annotation, "annotation-forbidden", "an annotation that computes", "name a type or none")

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Annotations name types and are otherwise read past."""
        self._check_target(node.target)
        self._check_annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """Parameters were judged with their function; annotations are read past."""

    def visit_Expr(self, node: ast.Expr) -> None:
        """The only statement without a value to keep is `list.append(...)`."""
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "append":
            self.visit(call)
        else:
            self._refuse(node, "statement-without-effect", "this has no effect", "assign it to a name or remove it")

    def visit_For(self, node: ast.For) -> None:
        """Loops run over literals, ranges and what is built from them."""
        self._check_target(node.target)
        self._check_loop(node.iter)
        for statement in node.body:
            self.visit(statement)
        if node.orelse:
            self._refuse(node.orelse[0], "statement-forbidden", "a loop has no else", "move it after the loop")

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Comprehensions loop like `for`, without conditions."""
        self._check_target(node.target)
        self._check_loop(node.iter)
        if node.ifs or node.is_async:
            self._refuse(
                node.iter, "if-forbidden", "a comprehension with a condition", "use jnp.where(condition, a, b)"
            )

    def _check_loop(self, iterable: ast.expr) -> None:
        inner = iterable
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and inner.func.id in _LOOP_CALLS:
            if inner.func.id == "range":
                for bound in inner.args:
                    if number(bound) is not None and abs(number(bound) or 0) > _LONGEST_RANGE:
                        message = f"a loop of more than {_LONGEST_RANGE} steps"
                        self._refuse(bound, "loop-too-long", message, "use jnp functions on whole arrays")
        elif isinstance(inner, ast.Call) and not (
            isinstance(inner.func, ast.Attribute) and inner.func.attr in _LOOP_METHODS
        ):
            message = "a loop over the result of a call has no bound that can be seen"
            self._refuse(inner, "loop-unbounded", message, "loop over a tuple of names or range(n)")
        self.visit(iterable)

    def visit_Name(self, node: ast.Name) -> None:
        """A name must be defined here; modules and functions are no values."""
        name = node.id
        if isinstance(node.ctx, ast.Store):
            self._check_target(node)
        elif name in _MODULES or name in SHAPING or name in BUILTINS:
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
        like = nearest(name, [*self._locals, *self._globals, *BUILTINS, *SHAPING])
        remedy = f"did you mean {like}?" if like else "define it first; robot data is in `state`"
        self._refuse(node, "unknown-name", f"{name} is not defined", remedy)

    def visit_Call(self, node: ast.Call) -> None:
        """Calls go to listed functions, to helpers defined here, and to methods of arrays and of `state`."""
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
                f"{name} cannot be called",
                f"did you mean {like}?" if like else "use jnp functions",
            )

    def _check_method(self, node: ast.Call, callee: ast.Attribute) -> None:
        path = dotted(callee)
        root = path.split(".")[0]
        if root in _MODULES:
            if path not in _FUNCTIONS:
                like = nearest(path, _FUNCTIONS)
                remedy = f"did you mean {like}?" if like else "use the functions that the language lists"
                self._refuse(callee, "call-forbidden", f"{path} cannot be called", remedy)
        elif path == f"state.{callee.attr}":
            self._check_helper(node, callee)
        elif callee.attr in ARRAY_MEMBERS | CONTAINER_METHODS | HELPERS.keys():
            self.visit(callee.value)
        else:
            self._refuse_attribute(callee)

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
        if path.split(".")[0] in _MODULES:
            if path not in _CONSTANTS:
                known = path in _FUNCTIONS
                message = f"{path} is a function, not a value" if known else f"{path} is not part of the language"
                self._refuse(
                    node, "attribute-forbidden", message, f"call it: {path}(...)" if known else "use listed names"
                )
        elif path == f"state.{node.attr}":
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
        shape = self._arrays.get(node.value.attr) if dotted(node.value).startswith("state.") else None  # type: ignore[attr-defined]
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
        elif isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:
            self._refuse(node, "constant-too-large", "this number is too large", f"stay below {_LARGEST_NUMBER:g}")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """Arithmetic on numbers and arrays; no repetition of sequences, no huge powers."""
        self._check_operator(node, node.left, node.op, node.right)
        self.visit(node.left)
        self.visit(node.right)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """Signs and `~`; `not` needs a truth value."""
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
        exponent = number(right) if isinstance(operator, ast.Pow) else None
        if exponent is not None and abs(exponent) > _LARGEST_EXPONENT:
            message = f"a power above {_LARGEST_EXPONENT}"
            self._refuse(right, "constant-too-large", message, "use a smaller exponent, or jnp.exp")

    def visit_Compare(self, node: ast.Compare) -> None:
        """One comparison at a time: a chain hides an `and`."""
        if len(node.ops) > 1:
            message = "a chained comparison needs a truth value, which traced arrays do not have"
            self._refuse(node, "chained-comparison", message, "write (a < x) & (x < b)")
        for operator in node.ops:
            if not isinstance(operator, _HARMLESS):
                self._refuse(node, *refusal_of(operator))
        for operand in (node.left, *node.comparators):
            self.visit(operand)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`and` and `or` need truth values; their operands are judged all the same."""
        self._refuse(node, *refusal_of(node))
        for operand in node.values:
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

    def _check_target(self, target: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._check_target(each)
        elif isinstance(target, ast.Name):
            self._refuse_name(target, target.id)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                self._note_term(target.slice)
            elif not isinstance(target.slice, ast.JoinedStr | ast.Name):
                message = "elements of arrays cannot be assigned"
                self._refuse(target, "assignment-forbidden", message, "build a new array with jnp.where or jnp.stack")
            self.visit(target.value)
            self.visit(target.slice)
        else:
            self._refuse(target, "assignment-forbidden", "only names can be assigned", "assign to a plain name")

    def _refuse_name(self, node: ast.AST, name: str) -> None:
        if name.startswith("__"):
            self._refuse(node, "underscore-name", f"{name} is not part of the language", "use a plain name")
        elif name in _RESERVED:
            self._refuse(node, "reserved-name", f"{name} belongs to the language", "choose another name")
        elif name in ("state", "action") and isinstance(node, ast.Name):
            self._refuse(node, "reserved-name", f"{name} is the reward's own argument", "choose another name")

    def _refuse(self, node: ast.AST, rule: str, message: str, suggestion: str) -> None:
        self.remarks.append(Diagnostic(rule, *place(node), message, suggestion))
