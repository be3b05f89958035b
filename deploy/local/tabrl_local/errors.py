"""What can stop TabRL from starting."""

from __future__ import annotations


class LaunchError(Exception):
    """TabRL cannot start: what is wrong, and what to do about it."""

    def __init__(self, reason: str, message: str, remedy: str) -> None:
        """Takes an UPPER_SNAKE `reason` for programs, and a `message` and a `remedy` for people."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """The lines that a person reads."""
        return f"{self.message}\n  reason: {self.reason}\n  remedy: {self.remedy}"
