"""A reward being put together: shared quantities, named terms with weights, and what it does in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Draft", "Term"]


@dataclass(frozen=True)
class Term:
    """One named term: an expression of the reward language worth about 0 to 1, its weight, and its purpose."""

    name: str
    expression: str
    explanation: str
    weight: float = 1.0


@dataclass
class Draft:
    """Terms in order, and the quantities they share (`name = expression`), each of which is written once.

    `left_out` is what of a wish they do not bring about, `remarks` what else there is to say of them, and `check` what
    the motion may be judged by.
    """

    summary: str = ""
    quantities: dict[str, str] = field(default_factory=dict)
    terms: list[Term] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    check: str = ""

    def let(self, **quantities: str) -> Draft:
        """Define shared quantities."""
        self.quantities.update(quantities)
        return self

    def add(self, *terms: Term) -> Draft:
        """Add terms; one of the same name replaces the earlier."""
        names = {term.name for term in terms}
        self.terms = [term for term in self.terms if term.name not in names] + list(terms)
        return self

    def leave_out(self, wish: str) -> Draft:
        """Say what of the wish these terms do not bring about."""
        self.left_out.append(wish)
        return self

    def remark(self, text: str) -> Draft:
        """Say something of these terms that a person should know."""
        self.remarks.append(text)
        return self

    def source(self) -> str:
        """Return the source in the reward language."""
        lines = ["def reward(state, action):", f'    """{_plain(self.summary)}"""']
        lines += [f"    {name} = {expression}" for name, expression in self._used()]
        lines.append("    return {")
        for term in self.terms:
            lines += [f"        # {_plain(term.explanation)}", f'        "{term.name}": {term.expression},']
        return "\n".join([*lines, "    }", ""])

    def _used(self) -> list[tuple[str, str]]:
        """Return the quantities that a term needs, directly or through another quantity."""
        needed: list[tuple[str, str]] = []
        texts = [term.expression for term in self.terms]
        for name, expression in reversed(self.quantities.items()):
            if any(_mentions(text, name) for text in texts):
                needed.append((name, expression))
                texts.append(expression)
        return needed[::-1]


def _mentions(text: str, name: str) -> bool:
    cleaned = "".join(letter if letter.isalnum() or letter == "_" else " " for letter in text)
    return name in cleaned.split()


def _plain(text: str) -> str:
    """Return text that can stand in a comment or docstring: ASCII, one line, no quotes that end it."""
    ascii_only = text.encode("ascii", "replace").decode()
    return " ".join(ascii_only.replace("\\", "/").replace('"', "'").split())[:300]


def names(terms: Iterable[Term]) -> list[str]:
    """Return the names of terms."""
    return [term.name for term in terms]
