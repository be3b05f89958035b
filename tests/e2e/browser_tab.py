"""A tab of a real Chromium, and what a test asks of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Response

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"

# Chromium draws without a GPU, and must not look for its maker's hosts: that only fills the log with failures.
_FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)

# A deadline against hanging, not a promise: a busy machine draws, compiles and trains slowly.
PATIENCE_SECS = 90.0
T = TypeVar("T")


@contextlib.contextmanager
def chromium(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    """Starts Debian's Chromium, with more flags where a test needs them."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Tab:
    """One tab. `problems` collects all that the console or the network complains of."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listens from the start."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("response", self._answered)

    def open(self, path: str = "/") -> None:
        """Loads a page of TabRL."""
        self.page.goto(self.url + path)

    def see(self, test_id: str, *, within_secs: float = PATIENCE_SECS) -> None:
        """Waits until something is on the page."""
        self.page.get_by_test_id(test_id).first.wait_for(timeout=1000 * within_secs)

    def click(self, test_id: str) -> None:
        """Clicks when it can be clicked."""
        self.page.get_by_test_id(test_id).first.click(timeout=1000 * PATIENCE_SECS)

    def text(self, test_id: str) -> str:
        """All text in it."""
        return self.page.get_by_test_id(test_id).first.inner_text(timeout=1000 * PATIENCE_SECS)

    def banner(self) -> str:
        """What the banner says at this moment; empty without one. A service is soon back, so it is not waited for."""
        said: str = self.page.evaluate("() => document.querySelector('[data-testid=banner]')?.innerText ?? ''")
        return said

    def tick(self) -> dict[str, Any] | None:
        """The newest tick of the simulation, straight from the worker; None before the first."""
        script = """() => {
          const tick = window.__tabrl?.tick;
          return tick ? { ...tick, qpos: Array.from(tick.qpos) } : null;
        }"""
        tick: dict[str, Any] | None = self.page.evaluate(script)
        return tick

    def player_errors(self) -> list[dict[str, str]]:
        """What failed in the player."""
        errors: list[dict[str, str]] = self.page.evaluate("() => window.__tabrl?.errors ?? []")
        return errors

    def roll_out(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Plays a course of events in the tab's own physics; a failure comes as `{"failed": {code, message}}`."""
        script = """async (spec) => {
          try {
            return await window.__tabrl.rollOut(spec);
          } catch (error) {
            return { failed: { code: error.code, message: error.message } };
          }
        }"""
        rollout: dict[str, Any] = self.page.evaluate(script, spec)
        return rollout

    def until(self, question: Any, within_secs: float = PATIENCE_SECS, what: str = "it") -> Any:
        """Asks until the answer is true, and returns it."""
        deadline = time.monotonic() + within_secs
        while not (answer := question()):
            if time.monotonic() > deadline:
                self.screenshot("timeout")
                raise AssertionError(f"{what} did not come about within {within_secs:g} s; problems: {self.problems}")
            self.page.wait_for_timeout(100)
        return answer

    def until_alive(self) -> None:
        """Waits until the robot moves in the tab."""
        self.until(lambda: (tick := self.tick()) and tick["step"] > 2, what="a moving robot")

    def screenshot(self, name: str) -> None:
        """Keeps a picture for people to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")


@contextlib.contextmanager
def tab(browser: Browser, url: str, *, scheme: Literal["light", "dark"] = "light") -> Iterator[Tab]:
    """Opens a tab with a profile of its own."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    try:
        yield Tab(context.new_page(), url)
    finally:
        context.close()
