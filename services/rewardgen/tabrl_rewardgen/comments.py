"""Explanations of terms that a person wrote as comments beside them."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Mapping

__all__ = ["explanations_in"]


def explanations_in(source: str, term_lines: Mapping[str, int]) -> dict[str, str]:
    """Return, for each term, the comment on its line or else on the line above; terms without one are left out.

    `source` has passed the checker, so it can be tokenized.
    """
    comments: dict[int, str] = {}
    alone: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line, _ = token.start
            comments[line] = token.string.lstrip("# ").strip()
            if token.line.strip().startswith("#"):
                alone.add(line)
    shared = [line for line in term_lines.values() if list(term_lines.values()).count(line) > 1]
    found = {}
    for term, line in term_lines.items():
        if line in shared:
            continue
        comment = comments.get(line) or (comments[line - 1] if line - 1 in alone else "")
        if comment:
            found[term] = comment
    return found
