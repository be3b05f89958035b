"""The one error of everything that reads a `.tabrl` file which nobody has vouched for."""

from __future__ import annotations

__all__ = ["BundleError"]


class BundleError(ValueError):
    """A file is no bundle that can be trusted; nothing of it was written or run.

    Attributes:
        rule: the rule that it breaks, such as `DIGEST`; stable, for programs.
        file: the entry that breaks it; empty for the file as a whole.
        message: what is wrong, and what to do.
    """

    def __init__(self, rule: str, message: str, file: str = "") -> None:
        """Names the rule, what is wrong, and the entry."""
        self.rule = rule
        self.file = _tellable(file[:200])
        self.message = _tellable(message)
        super().__init__(f"{self.file}: {self.message} ({rule})" if file else f"{self.message} ({rule})")


def _tellable(text: str) -> str:
    r"""Returns a text with `\ud800` for half a character, which JSON may hold, and no message or terminal takes."""
    return text.encode(errors="backslashreplace").decode()
