"""A visit of the studio in a real Chromium, and what is measured of it from outside and inside the page."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from playwright.sync_api import CDPSession, ConsoleMessage, Page, Playwright

from tests.e2e.browser_tab import CHROMIUM, FLAGS, PATIENCE_SECS, Screen

__all__ = ["Script", "Visit", "visit"]

# What happens in the page is written down where it happens: asking from outside would come late on a busy machine.
_PROBE: Final = """(() => {
  const probe = (window.studioProbe = {
    tasks: [], frameTasks: [],
    playerMs: null, tickMs: null, robotMs: null, movingMs: null, drivenMs: null,
    frames: 0, triangles: 0, drawCalls: 0, simulatedSecs: 0, episodes: 0, factorSum: 0, factors: 0, listsTasks: true,
  });
  new PerformanceObserver((list) => {
    if (!probe.listsTasks) return;
    for (const { startTime, duration } of list.getEntries()) probe.tasks.push({ startMs: startTime, ms: duration });
  }).observe({ type: "longtask", buffered: true });
  new PerformanceObserver((list) => {
    if (!probe.listsTasks) return;
    for (const { startTime, duration, scripts } of list.getEntries()) {
      const longest = [...scripts].sort((a, b) => b.duration - a.duration)[0];
      const short = (path = "") => path.split("/").at(-1).replace(/-[\\w-]{8}\\.js$/, ".js");
      const from = longest && [longest.invoker, longest.sourceURL, longest.sourceFunctionName].map(short);
      const told = longest && { ms: longest.duration, by: [...new Set(from)].filter(Boolean).join(" ") };
      probe.frameTasks.push({ startMs: startTime, ms: duration, longest: told ?? null });
    }
  }).observe({ type: "long-animation-frame", buffered: true });
  // The event does not bubble, but the window still captures it.
  window.addEventListener("stage:drawn", () => {
    const { tick, drawn } = window.__tabrl ?? {};
    const { triangles = 0, drawCalls = 0 } = drawn?.() ?? {};
    probe.frames += 1;
    probe.triangles = Math.max(probe.triangles, triangles);
    probe.drawCalls = Math.max(probe.drawCalls, drawCalls);
    if (triangles === 0) return;
    probe.robotMs ??= performance.now();
    if (tick?.step > 1) probe.movingMs ??= performance.now();
    if (tick?.driven) probe.drivenMs ??= performance.now();
  }, true);
  // Lanes begin together and have one clock: the one that plays longest tells the time, those that wait stand still.
  // Their ticks come one after the other: each joins a round when its own episode is seen to have begun.
  let before = [], joined = new Set(), earlierSecs = 0, roundSecs = 0;
  setInterval(() => {
    if (window.__tabrl) probe.playerMs ??= performance.now();
    if (window.__tabrl?.tick) probe.tickMs ??= performance.now();
    const lanes = window.__tabrl?.lanes ?? [];
    lanes.forEach((tick, lane) => {
      if (!tick) return;
      if (before[lane] && before[lane].episode !== tick.episode && joined.has(lane)) {
        earlierSecs += roundSecs;
        roundSecs = 0;
        joined = new Set();
        probe.episodes += 1;
      }
      if (!before[lane] || before[lane].episode !== tick.episode) joined.add(lane);
    });
    before = [...lanes];
    const playing = lanes.filter((tick, lane) => tick && joined.has(lane));
    roundSecs = Math.max(roundSecs, ...playing.map(({ timeSecs }) => timeSecs));
    probe.simulatedSecs = earlierSecs + roundSecs;
    const told = playing.find(({ ended }) => ended === "");
    if (told) {
      probe.factorSum += told.realTimeFactor;
      probe.factors += 1;
    }
  }, 20);
})()"""

_START_PLAYING: Final = """() => {
  const probe = window.studioProbe;
  Object.assign(probe, { frames: 0, triangles: 0, drawCalls: 0, episodes: 0 });
  Object.assign(probe, { sinceSimulatedSecs: probe.simulatedSecs, factorSum: 0, factors: 0 });
  probe.sinceMs = performance.now();
}"""

# What Chromium calls its processes: of pages with their workers, and of drawing.
_KINDS: Final = ("renderer", "gpu-process", "others")

_PAINTED: Final = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


@dataclass(frozen=True)
class Script:
    """A script that the page fetched; times in seconds on Chromium's clock, sizes as they came over the network."""

    name: str
    asked_secs: float
    came_secs: float
    size_bytes: int


@dataclass
class Visit:
    """One page in one browser. Times are in milliseconds since its navigation began."""

    page: Page
    cdp: CDPSession
    scripts: list[Script] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _workers: dict[str, str] = field(default_factory=dict)
    _answers: dict[int, Any] = field(default_factory=dict)
    _asked: dict[str, dict[str, Any]] = field(default_factory=dict)
    _page_began_secs: tuple[float, float] | None = None
    _calls: int = 0

    def listen(self) -> None:
        """Follows the network, the console and the workers from now on."""
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.cdp.on("Network.requestWillBeSent", self._asks)
        self.cdp.on("Network.loadingFinished", self._came)
        self.cdp.on("Target.attachedToTarget", self._found)
        self.cdp.on("Target.receivedMessageFromTarget", self._answered)
        self.cdp.send("Network.enable")
        self.cdp.send("Performance.enable")
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False}
        self.cdp.send("Target.setAutoAttach", attach)

    def slow_down(self, bytes_per_sec: float, latency_ms: float) -> None:
        """Lets everything come over a slow line from now on."""
        line = {"downloadThroughput": bytes_per_sec, "uploadThroughput": bytes_per_sec, "latency": latency_ms}
        self.cdp.send("Network.emulateNetworkConditions", {"offline": False, **line})

    def probe(self) -> dict[str, Any]:
        """What the page has written down so far."""
        probe: dict[str, Any] = self.page.evaluate("() => window.studioProbe")
        return probe

    def until(self, key: str) -> float:
        """Waits until the page has written something down, and returns it."""
        self.page.wait_for_function(
            "(key) => window.studioProbe?.[key] !== null", arg=key, timeout=3 * 1000 * PATIENCE_SECS, polling=100
        )
        return float(self.probe()[key])

    def painted_ms(self) -> float:
        """Waits for the first contentful paint."""
        self.page.wait_for_function(f"() => ({_PAINTED})() !== null", timeout=1000 * PATIENCE_SECS, polling=100)
        return float(self.page.evaluate(_PAINTED))

    def scripts_before(self, ms: float) -> tuple[int, int]:
        """Bytes of the scripts that had come by then, and of all that had been asked for."""
        if self._page_began_secs is None:
            raise RuntimeError("no page was opened")
        clock_secs, wall_secs = self._page_began_secs
        origin_secs = float(self.page.evaluate("() => performance.timeOrigin")) / 1000
        then = clock_secs + (origin_secs - wall_secs) + ms / 1000
        came = sum(script.size_bytes for script in self.scripts if script.came_secs <= then)
        asked = sum(script.size_bytes for script in self.scripts if script.asked_secs <= then)
        return came, asked

    def play(self, secs: float) -> dict[str, Any]:
        """Lets the robot play, and returns what happened meanwhile."""
        self.page.evaluate(_START_PLAYING)
        began = time.monotonic()
        while time.monotonic() < began + secs:
            self.page.wait_for_timeout(500)
        probe = self.probe()
        wall_secs = (float(self.page.evaluate("() => performance.now()")) - probe["sinceMs"]) / 1000
        return probe | {
            "wallSecs": wall_secs,
            "simulatedSecs": probe["simulatedSecs"] - probe["sinceSimulatedSecs"],
            "factor": probe["factorSum"] / max(probe["factors"], 1),
            "tasks": [task for task in probe["tasks"] if task["startMs"] >= probe["sinceMs"]],
            "frameTasks": [task for task in probe["frameTasks"] if task["startMs"] >= probe["sinceMs"]],
        }

    def forget_tasks(self) -> None:
        """Keeps no list of tasks any more: it would grow for as long as the page is open."""
        self.page.evaluate("() => Object.assign(window.studioProbe, { tasks: [], frameTasks: [], listsTasks: false })")

    def live(self) -> dict[str, float]:
        """What is alive after a collection: JavaScript heap and buffers of page and worker, nodes, listeners."""
        self.cdp.send("HeapProfiler.collectGarbage")
        counts = {each["name"]: each["value"] for each in self.cdp.send("Performance.getMetrics")["metrics"]}
        measured = {"nodes": counts["Nodes"], "listeners": counts["JSEventListeners"]}
        for name, usage in (
            ("page", self.cdp.send("Runtime.getHeapUsage")),
            ("worker", self._ask_player("Runtime.getHeapUsage")),
        ):
            measured[f"{name}_heap_mb"] = usage["usedSize"] / 1e6
            measured[f"{name}_buffers_mb"] = usage.get("backingStorageSize", 0.0) / 1e6
        return measured

    def processes(self) -> dict[str, float]:
        """Resident memory of the process that runs the page, and of the one that draws."""
        kept = {kind: [process.memory_info().rss / 1e6 for process in found] for kind, found in self._ours().items()}
        return {
            "renderer_rss_mb": max(kept["renderer"], default=0.0),
            "gpu_rss_mb": max(kept["gpu-process"], default=0.0),
        }

    def processor_secs(self) -> dict[str, float]:
        """Processor time that the page with its workers, drawing, and the rest of Chromium have used so far."""
        spent = dict.fromkeys(_KINDS, 0.0)
        for kind, found in self._ours().items():
            for process in found:
                with contextlib.suppress(psutil.Error):
                    spent[kind] += sum(process.cpu_times()[:2])
        return spent

    def _ours(self) -> dict[str, list[psutil.Process]]:
        found: dict[str, list[psutil.Process]] = {kind: [] for kind in _KINDS}
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                kind = next((word[7:] for word in command if word.startswith("--type=")), "")
                if command and "chromium" in command[0]:
                    found[kind if kind in _KINDS else "others"].append(process)
        return found

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(message.text)

    def _asks(self, event: dict[str, Any]) -> None:
        if event.get("type") == "Document" and self._page_began_secs is None:
            self._page_began_secs = (event["timestamp"], event["wallTime"])
        if event.get("type") == "Script":
            self._asked[event["requestId"]] = event

    def _came(self, event: dict[str, Any]) -> None:
        asked = self._asked.get(event["requestId"])
        if asked is None:
            return
        name = asked["request"]["url"].rpartition("/")[2]
        self.scripts.append(Script(name, asked["timestamp"], event["timestamp"], int(event["encodedDataLength"])))

    def _found(self, event: dict[str, Any]) -> None:
        self._workers[event["sessionId"]] = event["targetInfo"].get("title", "") + event["targetInfo"]["url"]

    def _answered(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message.get("result", {})

    def _ask_player(self, method: str) -> dict[str, Any]:
        session = next(session for session, told in self._workers.items() if "tabrl-player" in told)
        for asked in ("HeapProfiler.collectGarbage", method):
            self._calls += 1
            message = json.dumps({"id": self._calls, "method": asked})
            self.cdp.send("Target.sendMessageToTarget", {"sessionId": session, "message": message})
            deadline = time.monotonic() + PATIENCE_SECS
            while self._calls not in self._answers:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the worker does not answer {asked}")
                self.page.wait_for_timeout(50)
        answer: dict[str, Any] = self._answers.pop(self._calls)
        return answer


@contextlib.contextmanager
def visit(playwright: Playwright, profile: Path, screen: Screen) -> Iterator[Visit]:
    """Starts Debian's Chromium with a profile that stays for the next visit, and gives it time to come to rest."""
    context = playwright.chromium.launch_persistent_context(
        str(profile), executable_path=CHROMIUM, args=list(FLAGS), viewport=screen.size, color_scheme="light"
    )
    try:
        context.add_init_script(_PROBE)
        page = context.pages[0] if context.pages else context.new_page()
        visited = Visit(page, context.new_cdp_session(page))
        visited.listen()
        page.wait_for_timeout(2000)
        yield visited
    finally:
        context.close()
