"""What a closed loop came to, as the export process tells the service of it: the fields of `ClosedLoopReport`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tabrl_simulation.controllers.closed_loop import ClosedLoop

__all__ = ["closed_loop_fields"]

_EPISODE = (
    "reset",
    "controller_return",
    "source_return",
    "controller_steps",
    "source_steps",
    "together_secs",
    "twin_together_secs",
)


def closed_loop_fields(closed: ClosedLoop | None) -> dict[str, Any] | None:
    """Returns the contract's fields by name; None where no closed loop was tried."""
    if closed is None:
        return None
    return {
        "secs": closed.secs,
        "episodes": [{name: getattr(episode, name) for name in _EPISODE} for episode in closed.episodes],
        "passed": closed.passed,
        "reason": closed.reason,
        "return_tolerance": closed.return_tolerance,
    }
