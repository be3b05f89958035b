"""Whether a pole is balanced, read from the physics engine in the tab."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["Balance"]

# Steps of one episode in which the pole stays within this angle of upright, in radians. Left alone it falls past that
# in under 100 steps.
_BALANCED_STEPS: Final = 400
_UPRIGHT: Final = 0.35


class Balance:
    """Watches the ticks of one episode after another for a pole that stays up."""

    def __init__(self) -> None:
        self._episode: tuple[int, str] | None = None
        self._since = 0

    def of(self, tick: dict[str, Any] | None) -> bool:
        """Whether the pole has by now been up for _BALANCED_STEPS of one episode under one policy or its successors."""
        if not tick or not tick["driven"]:
            return False
        _, hinge = tick["qpos"]
        if tick["episode"] != self._episode or abs(hinge) > _UPRIGHT:
            self._episode = tick["episode"]
            self._since = tick["step"]
        return bool(tick["step"] - self._since >= _BALANCED_STEPS)
