"""What a tab of the studio costs: read in the page, from Chromium's own counters, and from the process behind it."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psutil
from playwright.sync_api import Page, Playwright

from tests.e2e.browser_tab import CHROMIUM, DESKTOP, FLAGS, Tab

__all__ = ["LongTasks", "Memory", "Playing", "Visit", "memory_of", "play", "profile", "visit"]

# Counts frames in which something was drawn, and tells when the first robot was: after its worker's first tick.
_PROBE: Final = """(() => {
  const probe = (window.__probe = { frames: 0, robotMs: 0, longTasks: [] });
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries()) probe.longTasks.push({ startTime, duration });
  }).observe({ type: "longtask", buffered: true });
  let lastFrame = -1;
  for (const name of ["drawElements", "drawArrays", "drawElementsInstanced", "multiDrawElementsWEBGL"]) {
    const drawn = WebGL2RenderingContext.prototype[name];
    if (!drawn) continue;
    WebGL2RenderingContext.prototype[name] = function (...given) {
      const now = document.timeline.currentTime;
      if (now !== lastFrame) {
        lastFrame = now;
        probe.frames += 1;
        if (!probe.robotMs && window.__tabrl?.ticks > 0) probe.robotMs = performance.now();
      }
      return drawn.apply(this, given);
    };
  }
})()"""

_SCRIPTS: Final = """() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
  const scripts = performance.getEntriesByType("resource").filter(({ name }) => /\\.js(\\?|$)/.test(name));
  const before = scripts.filter(({ responseEnd }) => responseEnd <= paint);
  const bytes = (list) => list.reduce((sum, { transferSize }) => sum + transferSize, 0);
  return { paint, before: bytes(before), all: bytes(scripts) };
}"""

_SAMPLE: Final = """() => {
  const hook = window.__tabrl;
  const ticks = (hook?.lanes ?? [hook?.tick]).filter((tick) => tick);
  return {
    factors: ticks.map(({ realTimeFactor }) => realTimeFactor),
    driven: ticks.map(({ driven }) => driven),
    triangles: hook?.drawn?.().triangles ?? 0,
    frames: window.__probe.frames,
    nowMs: performance.now(),
  };
}"""


@dataclass(frozen=True)
class LongTasks:
    """Tasks of over 50 ms on the main thread."""

    count: int
    longest_ms: float


@dataclass(frozen=True)
class Visit:
    """From the navigation to the robot; bytes as they came over the wire."""

    robot_secs: float
    paint_secs: float
    script_bytes_before_paint: int
    script_bytes: int
    long_tasks: LongTasks


@dataclass(frozen=True)
class Playing:
    """A while of playing: the real-time factor of all robots, its mean and its lowest, and what was drawn."""

    robots: int
    driven: int
    factor: float
    lowest_factor: float
    frames_per_sec: float
    triangles: int
    long_tasks: LongTasks


@dataclass(frozen=True)
class Memory:
    """After a collection of garbage: JavaScript of the page, and the whole process of the tab with its worker."""

    heap_bytes: int
    process_bytes: int


@contextlib.contextmanager
def profile(playwright: Playwright) -> Iterator[Page]:
    """Starts Chromium with a new profile on the disk; what it keeps, it keeps between navigations."""
    with tempfile.TemporaryDirectory(prefix="tabrl-profile-", ignore_cleanup_errors=True) as folder:
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=CHROMIUM, args=[*FLAGS], viewport=DESKTOP.size, color_scheme="light"
        )
        try:
            context.add_init_script(_PROBE)
            yield context.pages[0] if context.pages else context.new_page()
        finally:
            context.close()


def visit(page: Page, url: str, path: str, *, settle_secs: float = 5.0) -> Visit:
    """Opens a robot and waits until it is drawn, and then for what is loaded when idle."""
    page.goto("about:blank")
    tab = Tab(page, url)
    tab.open(path)
    tab.until(lambda: page.evaluate("() => window.__probe.robotMs"), what="a robot on the screen")
    page.wait_for_timeout(1000 * settle_secs)
    scripts: dict[str, float] = page.evaluate(_SCRIPTS)
    return Visit(
        robot_secs=page.evaluate("() => window.__probe.robotMs") / 1000,
        paint_secs=scripts["paint"] / 1000,
        script_bytes_before_paint=int(scripts["before"]),
        script_bytes=int(scripts["all"]),
        long_tasks=_long_tasks(page, 0.0),
    )


def play(page: Page, secs: float, robots: int) -> Playing:
    """Lets robots play that are on the page, once all of them move, and looks four times a second."""
    tab = Tab(page, "")
    tab.until(lambda: len(_sample(page)["factors"]) >= robots, what=f"{robots} moving robots")
    page.wait_for_timeout(3000)  # a real-time factor is over the last second; policies are loaded meanwhile
    first = _sample(page)
    factors: list[float] = []
    last = first
    while last["nowMs"] - first["nowMs"] < 1000 * secs:
        page.wait_for_timeout(250)
        last = _sample(page)
        factors += last["factors"]
    elapsed_secs = (last["nowMs"] - first["nowMs"]) / 1000
    return Playing(
        robots=len(last["factors"]),
        driven=sum(last["driven"]),
        factor=statistics.fmean(factors),
        lowest_factor=min(factors),
        frames_per_sec=(last["frames"] - first["frames"]) / elapsed_secs,
        triangles=last["triangles"],
        long_tasks=_long_tasks(page, first["nowMs"]),
    )


def memory_of(page: Page) -> Memory:
    """Collects garbage, and reads what is left."""
    devtools = page.context.new_cdp_session(page)
    try:
        devtools.send("Performance.enable")
        devtools.send("HeapProfiler.collectGarbage")
        metrics = {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}
    finally:
        devtools.detach()
    return Memory(int(metrics["JSHeapUsedSize"]), max(_renderers(), default=0))


def _renderers() -> Iterator[int]:
    """Resident bytes of the processes that show pages; the one with the robot is the largest."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "--type=renderer" in child.cmdline():
                yield child.memory_info().rss


def _sample(page: Page) -> dict[str, Any]:
    sample: dict[str, Any] = page.evaluate(_SAMPLE)
    return sample


def _long_tasks(page: Page, since_ms: float) -> LongTasks:
    tasks: list[dict[str, float]] = page.evaluate("() => window.__probe.longTasks")
    durations = [task["duration"] for task in tasks if task["startTime"] >= since_ms]
    return LongTasks(len(durations), max(durations, default=0.0))
