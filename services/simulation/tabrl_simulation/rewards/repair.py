"""Repairs of source whose meaning is plain: what models and people wrap around code without meaning anything by it."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Repaired", "repaired"]

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(\w*)\s*$")
_CODE_START = re.compile(r"^(?:def\s+\w+\s*\(|import\s+\w|from\s+\w[\w.]*\s+import\s|@\w)")
_IMPORT = re.compile(
    r"^import\s+(?P<module>jax\.numpy|numpy|jax|math|jax\.nn)(?:\s+as\s+(?P<alias>[A-Za-z]\w*))?\s*(?:#.*)?$"
)
_FROM_IMPORT = re.compile(r"^from\s+jax\s+import\s+(?P<module>numpy|nn)(?:\s+as\s+(?P<alias>[A-Za-z]\w*))?\s*(?:#.*)?$")
_LONG_NAME = re.compile(r"(?<![\w.\"'])jax\.numpy(?=\.)")
_NOISE_IMPORT = re.compile(r"^from\s+(?:__future__|typing|jax\.typing)\s+import\s+[\w, ]+(?:#.*)?$")
_PLAIN_TYPES = {"float": "jnp.float32", "int": "jnp.int32", "bool": "jnp.bool_"}
_DECORATOR = re.compile(r"^@(?:jax\.)?jit\s*$")


@dataclass(frozen=True)
class Repaired:
    """The source, how many lines of the original stood above it, and what was repaired, in words."""

    source: str
    lines_above: int
    notes: tuple[str, ...]


def repaired(text: str) -> Repaired:
    """Return source without markdown fences, prose around the code, harmless imports and `@jit`.

    Lines inside the code keep their places: a removed import leaves an empty line. What is not plainly harmless stays,
    for the checker to refuse.
    """
    notes: list[str] = []
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    start, end = _code_span(lines, notes)
    kept = lines[start:end]
    aliases: dict[str, str] = {}
    for index, line in enumerate(kept):
        module, alias = _harmless_import(line)
        if module:
            kept[index] = ""
            notes.append(f"removed `{line.strip()}`: it is there already")
            target = {"jax": "jax", "jax.nn": "jax.nn"}.get(module, "jnp")
            if alias and alias not in (target, "jax"):
                aliases[alias] = target
        elif _DECORATOR.match(line):
            kept[index] = ""
            notes.append(f"removed `{line.strip()}`: rewards are compiled anyway")
    blank = next((index for index, line in enumerate(kept) if line.strip()), 0)
    source = "\n".join(line.rstrip() for line in kept[blank:]).rstrip("\n") + "\n"
    for written, meant in _PLAIN_TYPES.items():
        source = re.sub(rf"(\.astype\(|dtype=){written}\b", rf"\g<1>{meant}", source)
    source, count = _LONG_NAME.subn("jnp", source)
    if count:
        notes.append("wrote `jnp` for `jax.numpy`")
    for alias, target in aliases.items():
        source = re.sub(rf"(?<![\w.\"']){alias}(?=\.)", target, source)
        notes.append(f"wrote `{target}` for `{alias}`")
    return Repaired(source, start + blank, tuple(notes))


def _code_span(lines: list[str], notes: list[str]) -> tuple[int, int]:
    """Return where the code is.

    Inside the fences that hold `def reward`, or from its first to its last line of code.
    """
    fences = [index for index, line in enumerate(lines) if _FENCE.match(line)]
    if fences:
        for opened, closed in zip(fences, [*fences[1:], len(lines)], strict=True):
            if any(line.startswith("def reward") for line in lines[opened + 1 : closed]):
                notes.append("removed the markdown around the code")
                return opened + 1, closed
    first = next((index for index, line in enumerate(lines) if _CODE_START.match(line)), None)
    if first is None:
        return 0, len(lines)
    before = [line for line in lines[:first] if line.strip()]
    if before and not _looks_like_code(before):
        notes.append("removed the words before the code")
    else:
        first = 0
    last = _last_line(lines, first)
    if last < len(lines) and any(line.strip() for line in lines[last:]):
        notes.append("removed the words after the code")
        return first, last
    return first, len(lines)


def _looks_like_code(lines: list[str]) -> bool:
    """Whether the lines above the first function are constants, comments or a docstring rather than prose."""
    return any(
        re.match(r"^(?:#|\"\"\"|'''|[A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*\s*(?::[^=]+)?=)", line) for line in lines
    )


def _last_line(lines: list[str], first: int) -> int:
    """Return the line after the body of `reward` when only prose follows it: lines that start with a capital word."""
    start = next((index for index in range(first, len(lines)) if lines[index].startswith("def reward")), None)
    if start is None:
        return len(lines)
    for index in range(start + 1, len(lines)):
        line = lines[index]
        if line and not line[0].isspace() and line[0] not in ")]}#":
            return index if re.match(r"^(?:[A-Z*\-\d][\w*'-]*\s+\S+|`)", line) else len(lines)
    return len(lines)


def _harmless_import(line: str) -> tuple[str, str]:
    if found := _IMPORT.match(line):
        return found["module"], found["alias"] or found["module"].split(".")[0]
    if found := _FROM_IMPORT.match(line):
        return f"jax.{found['module']}", found["alias"] or found["module"]
    if _NOISE_IMPORT.match(line):
        return "typing", ""
    return "", ""
