"""Rewrites conditions, which Python decides at once, into choices that can also be kept for when the robot moves.

Arrays that are traced have no truth value yet, so `if`, `and`, `or`, `not` and chained comparisons become calls of the
functions in `choices`:

    if height < 0.8:                condition:1 = height < 0.8
        alive = 0.0                 if possible:(condition:1):
                                        alive:2 = alive
                                        alive:2 = 0.0
                                    alive = choose:(condition:1, lambda: alive:2, lambda: alive)

The grammar judges what comes of it, and that is what is traced. Every new node has the place of what it stands for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from tabrl_simulation.rewards.diagnostics import Diagnostic
from tabrl_simulation.rewards.effects import assigned_names, changes_others, changing_functions, loop_names
from tabrl_simulation.rewards.internals import BOTH, CHOOSE, EITHER, KNOWN, NEGATION, OTHERWISE, POSSIBLE, numbered
from tabrl_simulation.rewards.syntax import place

__all__ = ["Rewriting", "TooManyBranches"]

_MOST_NESTED = 40


class TooManyBranches(Exception):
    """Branches, and what follows those that return, are nested too deeply; `node` is where."""

    def __init__(self, node: ast.AST) -> None:
        """Keep the node."""
        self.node = node
        super().__init__("too many branches")


class Rewriting(ast.NodeTransformer):
    """Rewrites one module in place, and collects `remarks` on conditions whose meaning is not plain.

    What is no part of the language stays as it is, for the grammar to refuse. Operands that are needed twice are the
    same nodes in two places, so that a tree which doubles again and again costs nothing until it is counted.
    """

    def __init__(self) -> None:
        """Start with no names."""
        self.remarks: list[Diagnostic] = []
        self._globals: set[str] = set()
        self._changing: frozenset[str] = frozenset()
        self._names: dict[str, str] = {}
        self._bound: set[str] = set()
        self._partial: dict[str, int] = {}
        self._carried: frozenset[str] = frozenset()
        self._result: str | None = None
        self._nested = 0
        self._count = 0

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Functions and constants are rewritten; other statements do not belong here."""
        functions = [each for each in node.body if isinstance(each, ast.FunctionDef)]
        others = [each for each in node.body if not isinstance(each, ast.FunctionDef)]
        self._changing = changing_functions(functions)
        self._globals = {function.name for function in functions} | assigned_names(others).keys()
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef):
                self._rewrite_function(statement)
            elif isinstance(statement, ast.Assign | ast.AnnAssign):
                self.generic_visit(statement)
        return node

    def _rewrite_function(self, node: ast.FunctionDef) -> None:
        node.args.defaults = [self.visit(default) for default in node.args.defaults]
        self._bound = {argument.arg for argument in node.args.args}
        self._partial = {}
        node.body = self._block(node.body, ends=True)
        self._bound = set()
        self._partial = {}

    # ---- statements --------------------------------------------------------------------------------------------------

    def _block(self, statements: list[ast.stmt], ends: bool) -> list[ast.stmt]:
        """Rewrite statements in their order; `ends` says that the function ends where they do."""
        rewritten: list[ast.stmt] = []
        for index, statement in enumerate(statements):
            if isinstance(statement, ast.If) and _holds_return(statement):
                rest = statements[index + 1 :]
                if ends and self._can_return(statement, rest):
                    return [*rewritten, *self._returning(statement, rest)]
                if not ends:
                    self._refuse(statement, "a branch inside a loop returns", "assign a name and return it at the end")
                rewritten += self._in_place(statement)
            else:
                self._refuse_hidden_return(statement, at_end=statement is statements[-1])
                rewritten += self._statement(statement)
        return rewritten

    def _refuse_hidden_return(self, statement: ast.stmt, at_end: bool) -> None:
        """In a branch a return is an assignment, and would not end anything."""
        if self._result is None or (at_end and isinstance(statement, ast.Return)):
            return
        if any(isinstance(part, ast.Return) for part in ast.walk(statement)):
            self._remark(statement, "bad-return", "nothing after this return would run", "return once, at the end")

    def _statement(self, statement: ast.stmt) -> list[ast.stmt]:
        match statement:
            case ast.If():
                branches = [*statement.body, *statement.orelse]
                changes = changes_others(branches, self._bound, self._changing)
                # A value of the pass before is there from the second pass on: only a known condition can tell.
                awaited = (self._carried - self._bound) & (_awaited(statement.body) | _awaited(statement.orelse))
                return self._in_place(statement) if changes or awaited else self._merging(statement)
            case ast.For():
                statement.iter = self.visit(statement.iter)
                self._bind(statement.target)
                kept, self._carried = self._carried, self._carried | assigned_names(statement.body).keys()
                statement.body = self._block(statement.body, ends=False)
                self._carried = kept
            case ast.Assign():
                statement.value = self.visit(statement.value)
                for target in statement.targets:
                    self._bind(target)
            case ast.AnnAssign(value=ast.expr() as value):
                statement.value = self.visit(value)
                self._bind(statement.target)
            case ast.AugAssign():
                return [self._augmented(statement)]
            case ast.Return(value=ast.expr() as value):
                statement.value = self.visit(value)
                if self._result is not None:
                    return [_assigned(self._result, statement.value, statement)]
            case ast.Expr():
                statement.value = self.visit(statement.value)
        return [statement]

    def _augmented(self, statement: ast.AugAssign) -> ast.stmt:
        """`x += y` is `x = x + y`: no list grows that a caller or the other branch has too."""
        if isinstance(statement.target, ast.Name):
            read = ast.copy_location(ast.Name(statement.target.id, ast.Load()), statement.target)
            value = self.visit(ast.copy_location(ast.BinOp(read, statement.op, statement.value), statement))
            self._bind(statement.target)
            return ast.copy_location(ast.Assign([statement.target], value), statement)
        statement.value = self.visit(statement.value)
        statement.target = self.visit(statement.target)
        return statement

    def _in_place(self, node: ast.If) -> list[ast.stmt]:
        """Keep an `if` as it is, for conditions that are known: what it does cannot be done and left at once."""
        node.test = _call(KNOWN, node.test, [self.visit(node.test)])
        before = set(self._bound)
        node.body = self._block(node.body, ends=False)
        after, self._bound = self._bound, before
        node.orelse = self._block(node.orelse, ends=False)
        self._bound = self._bound | after
        return [node]

    def _merging(self, node: ast.If) -> list[ast.stmt]:
        """Compute both branches under names of their own, then choose for each name that has a value either way."""
        condition = self._fresh("condition")
        test = _assigned(condition, self.visit(node.test), node.test)
        names = assigned_names([*node.body, *node.orelse])
        loops = loop_names([*node.body, *node.orelse])
        then, then_names, then_bound = self._branch(node.body)
        other, other_names, other_bound = self._branch(node.orelse)
        merged = []
        for name, first in names.items():
            if name not in loops and (name in self._bound or (name in then_bound and name in other_bound)):
                present = self._names.get(name, name)
                ways = [
                    ast.copy_location(ast.Name(each.get(name, present), ast.Load()), node)
                    for each in (then_names, other_names)
                ]
                merged.append(_assigned(present, _chosen(condition, ways, node), first))
                self._bound.add(name)
                self._partial.pop(name, None)
            else:
                # what a loop runs over is seldom a number, and seldom read after it
                self._bound.discard(name)
                self._partial[name] = node.lineno
        return [test, *_branches(condition, then, other, node), *merged]

    def _can_return(self, node: ast.If, rest: list[ast.stmt]) -> bool:
        """Whether one way returns and what follows is the other way."""
        then, other = _always_returns(node.body), _always_returns(node.orelse)
        if then and other:
            if rest:
                self._remark(rest[0], "bad-return", "nothing after these returns would run", "remove it")
            return not rest
        if not then and not other:
            message = "a branch of this `if` returns on some of its ways only"
            self._refuse(node, message, "end the branch with a return, or assign a name and return it at the end")
            return False
        going_on = [*(node.orelse if then else node.body), *rest]
        if not _always_returns(going_on):
            message = "there is a way past this `if` that returns nothing"
            self._remark(node, "missing-return", message, "add a return after it")
            return False
        return True

    def _returning(self, node: ast.If, rest: list[ast.stmt]) -> list[ast.stmt]:
        """Compute what either way returns, what follows included, then return one of them."""
        last = [part for each in (node, *rest) for part in ast.walk(each) if isinstance(part, ast.Return)][-1]
        bodies = [[*node.body], [*node.orelse]]
        bodies[0 if _always_returns(node.orelse) and not _always_returns(node.body) else 1] += rest
        changes = any(changes_others(body, self._bound, self._changing) for body in bodies)
        condition = self._fresh("condition")
        tested = self.visit(node.test)
        test = _assigned(condition, _call(KNOWN, node.test, [tested]) if changes else tested, node.test)
        results = [self._fresh("result"), self._fresh("result")]
        then, other = [self._branch(body, result)[0] for body, result in zip(bodies, results, strict=True)]
        read = [ast.copy_location(ast.Name(result, ast.Load()), last) for result in results]
        chosen = _chosen(condition, read, last)
        returned = ast.Return(chosen) if self._result is None else _assigned(self._result, chosen, last)
        return [test, *_branches(condition, then, other, node), ast.copy_location(returned, last)]

    def _branch(
        self, statements: list[ast.stmt], result: str | None = None
    ) -> tuple[list[ast.stmt], dict[str, str], set[str]]:
        """Return statements under names of their own, these names, and the names that have a value afterwards."""
        if self._nested >= _MOST_NESTED:
            raise TooManyBranches(statements[0])
        kept = self._names, self._bound, self._result
        assigned = assigned_names(statements)
        for name, first in assigned.items():
            if name in self._globals and name not in self._bound:
                self._refuse(first, f"{name} is also defined at the top level", "choose another name for it here")
        own = {name: self._fresh(name) for name in assigned}
        began = [
            _assigned(own[name], ast.copy_location(ast.Name(self._names.get(name, name), ast.Load()), first), first)
            for name, first in assigned.items()
            if name in self._bound
        ]
        self._names, self._bound, self._result = self._names | own, set(self._bound), result
        self._nested += 1
        body = [*began, *self._block(statements, ends=result is not None)]
        self._nested -= 1
        bound = self._bound
        self._names, self._bound, self._result = kept
        return body, own, bound

    def _bind(self, target: ast.expr) -> None:
        """Rename what is assigned, and note that it has a value from here on."""
        names = assigned_names([target])
        self.visit(target)
        self._bound |= names.keys()
        for name in names:
            self._partial.pop(name, None)

    # ---- expressions -------------------------------------------------------------------------------------------------

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Read and assign the name that this branch has for it."""
        if isinstance(node.ctx, ast.Load) and node.id in self._partial and node.id not in self._bound:
            self._refuse_partial(node, node.id)
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """`a if c else b`."""
        self._refuse_changes([node.body, node.orelse])
        ways = [self.visit(node.body), self.visit(node.orelse)]
        return _call(CHOOSE, node, [self.visit(node.test), *map(_later, ways)])

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """`a and b`, `a or b`."""
        self._refuse_changes(node.values[1:])
        first, *others = [self.visit(value) for value in node.values]
        return _call(BOTH if isinstance(node.op, ast.And) else EITHER, node, [first, *map(_later, others)])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        """`not a`; signs stay."""
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return _call(NEGATION, node, [operand])
        node.operand = operand
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        """`a < x < b` is `a < x and x < b`."""
        operands = [node.left, *node.comparators]
        if len(node.ops) > 1:
            self._refuse_changes(operands[1:])
        operands = [self.visit(operand) for operand in operands]
        first, *others = [
            ast.copy_location(ast.Compare(operands[index], [operator], [operands[index + 1]]), node)
            for index, operator in enumerate(node.ops)
        ]
        return _call(BOTH, node, [first, *map(_later, others)]) if others else first

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        """Elements are kept by conditions that are known."""
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        """A list: what is used up when it is read once would be empty for whoever reads it next."""
        return self._comprehension(ast.copy_location(ast.ListComp(node.elt, node.generators), node))

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        """As for lists."""
        return self._comprehension(node)

    def _comprehension(self, node: ast.ListComp | ast.DictComp) -> ast.expr:
        kept = set(self._bound)
        for loop in node.generators:
            loop.iter = self.visit(loop.iter)
            self._bound |= assigned_names([loop.target]).keys()
            loop.target = self.visit(loop.target)
            loop.ifs = [_call(KNOWN, condition, [self.visit(condition)]) for condition in loop.ifs]
        for name in ("elt", "key", "value"):
            if hasattr(node, name):
                setattr(node, name, self.visit(getattr(node, name)))
        self._bound = kept
        return node

    # ---- remarks -----------------------------------------------------------------------------------------------------

    def _fresh(self, name: str) -> str:
        self._count += 1
        return numbered(name, self._count)

    def _refuse_changes(self, ways: list[ast.expr]) -> None:
        for way in ways:
            if changes_others([way], (), self._changing):
                message = "what hangs on a condition here changes a list or a dict"
                self._refuse(way, message, "make the change on a line of its own")

    def _refuse_partial(self, node: ast.AST, name: str) -> None:
        message = f"{name} has a value on some ways through the `if` in line {self._partial[name]} only"
        self._refuse(node, message, f"give {name} a value before that `if`, or in each of its branches")

    def _refuse(self, node: ast.AST, message: str, suggestion: str) -> None:
        self._remark(node, "if-forbidden", message, suggestion)

    def _remark(self, node: ast.AST, rule: str, message: str, suggestion: str) -> None:
        self.remarks.append(Diagnostic(rule, *place(node), message, suggestion))


def _holds_return(node: ast.If) -> bool:
    return any(isinstance(part, ast.Return) for part in ast.walk(node))


def _always_returns(statements: list[ast.stmt]) -> bool:
    """Whether these statements end with a return on each of their ways, as far as their ends show it."""
    if not statements:
        return False
    last = statements[-1]
    if isinstance(last, ast.If):
        return _always_returns(last.body) and _always_returns(last.orelse)
    return isinstance(last, ast.Return) and last.value is not None


def _branches(condition: str, then: list[ast.stmt], other: list[ast.stmt], node: ast.If) -> Iterable[ast.stmt]:
    for name, body in ((POSSIBLE, then), (OTHERWISE, other)):
        if body:
            read = ast.copy_location(ast.Name(condition, ast.Load()), node.test)
            yield ast.copy_location(ast.If(_call(name, node.test, [read]), body, []), node)


def _chosen(condition: str, ways: list[ast.Name], node: ast.AST) -> ast.expr:
    read = ast.copy_location(ast.Name(condition, ast.Load()), node)
    return _call(CHOOSE, node, [read, *map(_later, ways)])


def _call(name: str, node: ast.AST, values: list[ast.expr]) -> ast.expr:
    called = ast.copy_location(ast.Name(name, ast.Load()), node)
    return ast.copy_location(ast.Call(called, values, []), node)


def _later(value: ast.expr) -> ast.expr:
    """Return a function of no arguments that gives the value: of a known condition only one way is computed."""
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.copy_location(ast.Lambda(nothing, value), value)


def _assigned(name: str, value: ast.expr, node: ast.AST) -> ast.stmt:
    target = ast.copy_location(ast.Name(name, ast.Store()), node)
    return ast.copy_location(ast.Assign([target], value), node)


def _awaited(statements: list[ast.stmt]) -> set[str]:
    """Return the names that statements read before they assign them."""
    awaited: set[str] = set()
    assigned: set[str] = set()
    for statement in statements:
        parts = [*ast.walk(statement)]
        read = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
        changed = [part.target for part in parts if isinstance(part, ast.AugAssign)]
        awaited |= (read | assigned_names(changed).keys()) - assigned
        assigned |= assigned_names([statement]).keys()
    return awaited
