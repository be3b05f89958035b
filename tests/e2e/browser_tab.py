"""A tab of a real Chromium, and what a test asks of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeVar
from urllib.parse import parse_qsl, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright, Response, ViewportSize

CHROMIUM = "/usr/bin/chromium"
SCREENSHOTS = Path(__file__).parents[1] / "screenshots"

# Chromium draws without a GPU, and must not look for its maker's hosts: that only fills the log with failures.
FLAGS: Final = (
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
PATIENCE_SECS: Final = 90.0
PATIENCE_MS: Final = 1000 * PATIENCE_SECS
T = TypeVar("T")
Scheme = Literal["light", "dark"]


@dataclass(frozen=True)
class Screen:
    """What a person looks at: its size in CSS pixels, and whether fingers touch it."""

    width: int
    height: int
    touch: bool = False

    @property
    def size(self) -> ViewportSize:
        return {"width": self.width, "height": self.height}


DESKTOP: Final = Screen(1440, 900)
TABLET: Final = Screen(1024, 768)
PHONE: Final = Screen(390, 844, touch=True)

# Sums up how far things jumped by themselves: not within half a second of what the person did.
_SHIFTS = """(() => {
  const shifts = (window.layoutShifts = []);
  const name = (node) => (node?.dataset?.testid ?? node?.className ?? node?.nodeName ?? "gone").toString();
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      shifts.push({ value: entry.value, moved: entry.sources.map(({ node }) => name(node)) });
    }
  }).observe({ type: "layout-shift", buffered: true });
})()"""

# Elements that reach beyond the right edge while nothing around them hides or scrolls them.
_TOO_WIDE = """(width) => {
  if (document.scrollingElement.scrollWidth <= width) return [];
  const shown = (element) => {
    for (let up = element.parentElement; up; up = up.parentElement) {
      if (up !== document.scrollingElement && getComputedStyle(up).overflowX !== "visible") return false;
    }
    return true;
  };
  const wide = [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > width + 1 && shown(element))
    .map((element) => `${element.tagName.toLowerCase()}.${element.className} ${element.innerText ?? ""}`.slice(0, 120));
  return [`the page is ${document.scrollingElement.scrollWidth} px wide`, ...wide.slice(0, 6)];
}"""


@contextlib.contextmanager
def chromium(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    """Starts Debian's Chromium, with more flags where a test needs them.

    Raises:
        FileNotFoundError: it is not installed.
    """
    if not Path(CHROMIUM).is_file():
        raise FileNotFoundError(f"{CHROMIUM} is missing; run `make chromium`")
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Tab:
    """One tab. `problems` collects all that the console or the network complains of."""

    page: Page
    url: str
    screen: Screen = DESKTOP
    scheme: Scheme = "light"
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Listens from the start."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.page.on("response", self._answered)

    def open(self, path: str = "/") -> None:
        """Loads a page of TabRL."""
        self.page.goto(self.url + path)

    def address(self) -> dict[str, str]:
        """What the address says is shown, such as `{"env": "CartpoleBalance", "run": "run-1"}`."""
        return dict(parse_qsl(urlsplit(self.page.url).query))

    def part(self, test_id: str) -> Locator:
        """A part of the page."""
        return self.page.get_by_test_id(test_id).first

    def see(self, test_id: str, *, within_secs: float = PATIENCE_SECS) -> None:
        """Waits until something is on the page."""
        self.part(test_id).wait_for(timeout=1000 * within_secs)

    def click(self, test_id: str) -> None:
        """Clicks when it can be clicked."""
        self.part(test_id).click()

    def text(self, test_id: str) -> str:
        """All text in it."""
        return self.part(test_id).inner_text()

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

    def until_driven(self) -> None:
        """Waits until a policy drives the robot."""
        self.until(lambda: (self.tick() or {}).get("driven"), what="a policy that drives")

    def until_it_plays_on(self) -> None:
        """Waits until the robot has gone on for a while from here: one tick may have been under way already."""
        before = self._steps()
        self.until(lambda: self._steps() > before + 20, what="a robot that plays on")

    def watch(self, environment: str, run_id: str) -> Locator:
        """Opens a run's page and waits until it trains; returns the place that says so."""
        self.open(f"/?env={environment}&run={run_id}")
        state = self.page.get_by_test_id("run-state")
        self.until(lambda: state.count() and state.get_attribute("data-state") == "RUNNING", what="a running run")
        return state

    def turn(self, scheme: Scheme) -> None:
        """Makes the system light or dark."""
        self.scheme = scheme
        self.page.emulate_media(color_scheme=scheme)

    def jumped(self) -> list[tuple[float, list[str]]]:
        """What moved without a person's doing since the page was opened, and how far, as the browser reckons it."""
        shifts: list[dict[str, Any]] = self.page.evaluate("() => window.layoutShifts")
        return [(shift["value"], shift["moved"]) for shift in shifts]

    def too_wide(self) -> list[str]:
        """What makes the page scroll sideways; nothing when it does not."""
        found: list[str] = self.page.evaluate(_TOO_WIDE, self.screen.width)
        return found

    def screenshot(self, name: str) -> None:
        """Keeps a picture for people to look at, named for what it shows, the width, and light or dark."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}-{self.screen.width}-{self.scheme}.png")

    def _steps(self) -> int:
        """Steps of all episodes; none is longer than a thousand."""
        tick = self.tick()
        return tick["step"] + 1000 * tick["episode"] if tick else 0

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")


@contextlib.contextmanager
def tab(browser: Browser, url: str, *, scheme: Scheme = "light", screen: Screen = DESKTOP) -> Iterator[Tab]:
    """Opens a tab with a profile of its own."""
    context = browser.new_context(
        viewport=screen.size, color_scheme=scheme, has_touch=screen.touch, is_mobile=screen.touch
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(_SHIFTS)
    try:
        yield Tab(context.new_page(), url, screen, scheme)
    finally:
        context.close()
