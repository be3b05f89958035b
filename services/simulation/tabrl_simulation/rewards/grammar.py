"""The grammar of the reward language: which statements there are, and where."""

from __future__ import annotations

import ast

from tabrl_simulation.rewards.constants import constants_of
from tabrl_simulation.rewards.expressions import MODULES, Expressions
from tabrl_simulation.rewards.internals import written
from tabrl_simulation.rewards.language import BUILTINS, PARAMETERS, SHAPING
from tabrl_simulation.rewards.refusals import refusal_of
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.syntax import is_docstring, number, place, stored_names

__all__ = ["Grammar"]

_RESERVED = MODULES | BUILTINS | frozenset(SHAPING)
_LOOP_CALLS = frozenset({"range", "enumerate", "zip", "reversed"})
_LOOP_METHODS = frozenset({"items", "keys", "values"})
_LONGEST_RANGE = 1024
_ANNOTATION_NODES = (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.Constant, ast.BinOp, ast.BitOr, ast.Load)


class Grammar(Expressions):
    """Collects `remarks` on one module, and the places where its terms are returned."""

    def __init__(self, robot: Robot) -> None:
        """Judge source for this robot."""
        super().__init__(robot)
        self.return_place = (0, 0)
        self._global_constants: dict[str, float] = {}

    def visit_Module(self, node: ast.Module) -> None:
        """A module is a docstring, constants, helper functions and `reward`."""
        functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        self._functions = {function.name for function in functions}
        self._globals = self._functions | stored_names(
            each for each in node.body if not isinstance(each, ast.FunctionDef)
        )
        self._global_constants = self._constants = constants_of(
            (each for each in node.body if not isinstance(each, ast.FunctionDef)), {}
        )
        names = [function.name for function in functions]
        for function in functions:
            if names.count(function.name) > 1:
                self._refuse(function, "defined-twice", f"{function.name!r} is defined twice", "keep one of them")
        if "reward" not in self._functions:
            message = "there is no function named reward"
            self._refuse(node, "missing-reward", message, "define `def reward(state, action):` at the top level")
        for function in functions:
            if function.name == "reward":
                self._check_parameters(function)
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
        for argument in arguments.args:
            self._refuse_name(argument, argument.arg)
            self._check_annotation(argument.annotation)
        self._check_annotation(node.returns)
        for default in arguments.defaults:
            self.visit(default)
        self._inside_reward = node.name == "reward"
        self._locals = set(parameters) | stored_names(node.body)
        known = {name: value for name, value in self._global_constants.items() if name not in parameters}
        self._constants = constants_of(node.body, known)
        self._check_return(node)
        for statement in node.body:
            if not is_docstring(statement):
                self.visit(statement)
        self._inside_reward = False
        self._constants = self._global_constants

    def _check_parameters(self, node: ast.FunctionDef) -> None:
        """`reward` takes the state and the action, and where it wants the state before or the command, those."""
        parameters = [argument.arg for argument in node.args.args]
        further = parameters[2:]
        if parameters[:2] != ["state", "action"] or not set(further) <= set(PARAMETERS[2:]) or node.args.defaults:
            message = f"reward takes ({', '.join(parameters)})"
            remedy = "write `def reward(state, action):`, and `previous` or `command` after them where you need those"
            self._refuse(node, "bad-signature", message, remedy)
        elif "command" in further and not self._robot.command_size:
            message = "this environment gives the robot no commands"
            self._refuse(node, "unknown-command", message, "write `def reward(state, action):`")
        else:
            self.parameters = tuple(parameters)

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
        if annotation is None:
            return
        parts = list(ast.walk(annotation))
        if not all(isinstance(part, _ANNOTATION_NODES) for part in parts):
            self._refuse(annotation, "annotation-forbidden", "an annotation that computes", "name a type or none")
        elif any(getattr(part, "id", getattr(part, "attr", "")).startswith("_") for part in parts):
            self._refuse(annotation, "annotation-forbidden", "an annotation with a hidden name", "name a type or none")

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
        elif isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print":
            self._refuse(
                node, "output-forbidden", "a reward prints nothing", "remove it; return it as a term to see it"
            )
        else:
            self._refuse(node, "statement-without-effect", "this has no effect", "assign it to a name or remove it")

    def visit_If(self, node: ast.If) -> None:
        """What rewriting left of branches: they stand on conditions that it put there."""
        if not self._is_internal(node.test):
            self._refuse(node, *refusal_of(node))
            return
        self.visit(node.test)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_For(self, node: ast.For) -> None:
        """Loops run over literals, ranges and what is built from them."""
        self._check_target(node.target)
        self._check_loop(node.iter)
        for statement in node.body:
            self.visit(statement)
        if node.orelse:
            self._refuse(node.orelse[0], "statement-forbidden", "a loop has no else", "move it after the loop")

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """Comprehensions loop like `for`; their conditions must be known before the robot moves."""
        self._check_target(node.target)
        self._check_loop(node.iter)
        for condition in node.ifs:
            self.visit(condition)
        if node.is_async:
            self._refuse(node.iter, "async-forbidden", "a comprehension that waits", "use a plain one")

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
        """A name is assigned or read."""
        if isinstance(node.ctx, ast.Store):
            self._check_target(node)
        else:
            super().visit_Name(node)

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
        name = written(name)
        if name.startswith("__"):
            self._refuse(node, "underscore-name", f"{name} is not part of the language", "use a plain name")
        elif name in _RESERVED:
            self._refuse(node, "reserved-name", f"{name} belongs to the language", "choose another name")
        elif name in self.parameters and isinstance(node, ast.Name):
            self._refuse(node, "reserved-name", f"{name} is the reward's own argument", "choose another name")
