"""Hands on the robot in a tab: a mouse that looks for something to hold, and fingers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from tests.e2e.browser_tab import Tab

__all__ = ["point_on_robot", "pull_with_mouse", "touch_and_pull"]

# How far apart the places are that are tried, in CSS pixels, and how far the robot is dragged.
_EVERY: Final = 24.0
_FAR: Final = 60.0
# The cursor on the stage after what the pointer did was drawn.
_CURSOR: Final = """async () => {
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  return document.querySelector("[data-testid=stage] canvas").style.cursor;
}"""


def point_on_robot(person: Tab) -> tuple[float, float]:
    """Moves the pointer over the stage, outwards from its middle, until it says that there is something to pull.

    Returns:
        Where the pointer is, in CSS pixels of the page.
    """

    def found() -> tuple[float, float] | None:
        for x, y in _places(person):
            person.page.mouse.move(x, y)
            # Twice, as a frame that was under way still shows the place before.
            if person.page.evaluate(_CURSOR) == person.page.evaluate(_CURSOR) == "grab":
                return x, y
        return None

    place: tuple[float, float] = person.until(found, what="a part of the robot under the pointer")
    return place


def pull_with_mouse(person: Tab) -> None:
    """Seizes the robot, drags it, and lets go."""
    mouse = person.page.mouse

    def holds() -> bool:
        x, y = point_on_robot(person)
        mouse.down()
        mouse.move(x + _FAR, y, steps=6)
        if _comes_to_be_held(person, within_ms=2000):
            return True
        # It had moved on by then.
        mouse.up()
        return False

    person.until(holds, what="a robot that is held")
    mouse.up()
    person.until(lambda: not _is_held(person), what="a robot that is let go")


def touch_and_pull(person: Tab) -> None:
    """Puts a finger on one place of the stage after another until the robot is held, drags it, and lets go."""
    touch = _Finger(person)

    def holds() -> bool:
        for x, y in _places(person):
            touch.down(x, y)
            for step in range(1, 5):
                touch.move(x + _FAR * step / 4, y)
                person.page.wait_for_timeout(40)
            if _comes_to_be_held(person, within_ms=500):
                return True
            touch.up()
        return False

    person.until(holds, what="a robot that a finger holds")
    touch.up()
    person.until(lambda: not _is_held(person), what="a robot that is let go")


class _Finger:
    """One finger on the screen; Playwright itself only taps."""

    def __init__(self, person: Tab) -> None:
        self._devtools = person.page.context.new_cdp_session(person.page)

    def down(self, x: float, y: float) -> None:
        self._send("touchStart", [{"x": x, "y": y}])

    def move(self, x: float, y: float) -> None:
        self._send("touchMove", [{"x": x, "y": y}])

    def up(self) -> None:
        self._send("touchEnd", [])

    def _send(self, kind: str, points: list[dict[str, Any]]) -> None:
        self._devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def _is_held(person: Tab) -> bool:
    return bool((person.tick() or {}).get("grabbed"))


def _comes_to_be_held(person: Tab, *, within_ms: int) -> bool:
    """Whether it is held, once the physics has had time to hear of it."""
    for _ in range(0, within_ms, 50):
        if _is_held(person):
            return True
        person.page.wait_for_timeout(50)
    return False


def _places(person: Tab) -> Iterator[tuple[float, float]]:
    """Places of the stage, from its middle outwards, its edges left out."""
    box = person.page.get_by_test_id("stage").locator("canvas").first.bounding_box()
    if box is None:
        return
    middle_x, middle_y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    columns, rows = (range(-n, n + 1) for n in (int(box["width"] / 3 / _EVERY), int(box["height"] / 3 / _EVERY)))
    for column, row in sorted(itertools.product(columns, rows), key=lambda place: abs(place[0]) + abs(place[1])):
        yield middle_x + column * _EVERY, middle_y + row * _EVERY
