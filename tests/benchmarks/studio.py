"""The studio in a real Chromium that draws on the CPU: how soon a robot is there, whether it keeps time, what it holds.

`python -m tests.benchmarks.studio [--minutes 30] [--url URL | --front-end FOLDER]`, or `make bench-studio`. Without
`--url` all of TabRL is started, and the policies of `make bench BENCH=controllers` are published, trained where its
folder has none. With it a TabRL that runs is measured with the newest policy of each environment, or with idle robots.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Playwright, sync_playwright
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_cli.connection import Connection
from tabrl_simulation import environments
from tabrl_simulation.benchmarks import controllers
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence
from tabrl_simulation.controllers.untrained import untrained_checkpoint
from tabrl_simulation.settings import default_settings

from tests.benchmarks.studio_tab import Memory, Playing, Visit, memory_of, play, profile, visit
from tests.stack.running_stack import running_stack

__all__ = ["main"]

_CARTPOLE: Final = "CartpoleBalance"
_GO1: Final = "Go1JoystickFlatTerrain"
_PLAYED: Final = (_CARTPOLE, "HumanoidWalk", _GO1, "G1JoystickFlatTerrain")
_LANES: Final = 4
_ROOT: Final = Path(__file__).parents[2]
_EXPORT_SECS: Final = 600.0
_MEMORY_EVERY_SECS: Final = 30.0
# What settles when a robot is new to the tab: caches fill and code is compiled.
_WARM_SECS: Final = 120.0

# What is asked for.
_MOST_SCRIPT_BYTES: Final = 250_000
_LEAST_FACTOR: Final = 0.95
_MOST_GROWTH: Final = 0.1


@dataclass(frozen=True)
class Times:
    """Visits of one environment: each cold one with a new profile, and after it a second one with what was kept."""

    environment: str
    cold: tuple[Visit, ...]
    warm: tuple[Visit, ...]


@dataclass(frozen=True)
class Remembered:
    """Memory while one robot plays, at minutes since it began, once the tab was warm."""

    environment: str
    at_minutes: tuple[float, ...]
    memory: tuple[Memory, ...]

    def growth(self, of: str) -> float:
        """By which share of its first value the fitted line grows over the time."""
        values = [getattr(memory, of) for memory in self.memory]
        slope, _ = statistics.linear_regression(self.at_minutes, values)
        return float(slope * (self.at_minutes[-1] - self.at_minutes[0]) / values[0])


def main() -> None:
    """Runs the benchmark; writes `studio.json` and `studio.md`, unless it is told to leave something out."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.studio", description=__doc__)
    parser.add_argument("--url", default="", help="of a TabRL that runs; one is started when there is none")
    parser.add_argument("--front-end", type=Path, default=_ROOT / "frontend" / "web" / "dist", help="a built page")
    parser.add_argument("--visits", type=int, default=3, help="cold visits, each with a warm one after it")
    parser.add_argument("--play-secs", type=float, default=20.0, help="how long each robot plays")
    parser.add_argument("--task-secs", type=float, default=60.0, help="how long tasks of the main thread are counted")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long memory is watched; 0 for not at all")
    parser.add_argument("--train-secs", type=float, default=20.0, help="how long a policy learns that is not there yet")
    parser.add_argument("--checkpoints", type=Path, default=controllers.CHECKPOINTS)
    parser.add_argument("--draft", action="store_true", help="print the page instead of keeping it")
    options = parser.parse_args()
    with _tabrl(options) as url, sync_playwright() as playwright:
        policies = _policies(url)
        times = [_visits(playwright, url, environment, options.visits) for environment in (_CARTPOLE, _GO1)]
        newest = {name: ids[0] for name, ids in policies.items() if ids}
        played = [_played(playwright, url, name, newest.get(name, ""), options) for name in _PLAYED]
        if len(policies[_GO1]) == _LANES:
            played.append(_compared(playwright, url, policies[_GO1], options))
        remembered = _remembered(playwright, url, newest.get(_GO1, ""), options.minutes) if options.minutes else None
    result = {
        "machine": machine(),
        "load": os.getloadavg(),
        "times": [asdict(each) for each in times],
        "played": [{"what": what, **asdict(playing)} for what, playing in played],
        "remembered": asdict(remembered) if remembered else None,
    }
    page, failed = _page(times, played, remembered)
    if options.draft or remembered is None:
        print(page)
    else:
        (RESULTS / "studio.json").write_text(json.dumps(result, indent=1) + "\n")
        (RESULTS / "studio.md").write_text(page)
    if failed:
        sys.exit(f"not as asked: {'; '.join(failed)}")


@contextlib.contextmanager
def _tabrl(options: argparse.Namespace) -> Iterator[str]:
    if options.url:
        yield options.url
        return
    with tempfile.TemporaryDirectory(prefix="tabrl-studio-") as passing:
        folder = Path(passing)
        (folder / "dist").symlink_to(options.front_end.resolve(), target_is_directory=True)
        for known in (_ROOT / ".data" / "scene" / "catalogues", _ROOT / ".tools" / "catalogues"):
            if known.is_dir():
                shutil.copytree(known, folder / "data" / "scene" / "catalogues", dirs_exist_ok=True)
        with running_stack(folder) as stack:
            connection = Connection(stack.url)
            store = ArtifactStore(stack.data / "artifacts")
            # Three that have learned nothing stand beside the trained one; to play them costs as much time.
            go1 = environments.load(_GO1)
            sizes = default_settings(_GO1).hidden_layer_sizes
            checkpoints = [
                (_GO1, untrained_checkpoint(go1, seed=seed, hidden_layer_sizes=sizes).to_bytes())
                for seed in range(1, _LANES)
            ]
            checkpoints += [
                (name, controllers.checkpoint_of(name, options.checkpoints, options.train_secs)) for name in _PLAYED
            ]
            for name, content in checkpoints:
                sha256 = store.put(content).sha256
                asked = exporter_pb2.CreatePolicyRequest(environment_id=name, checkpoint_sha256=sha256)
                connection.call(connection.exporter.CreatePolicy, asked, _EXPORT_SECS)
                print(f"{name}: published", flush=True)
            connection.close()
            yield stack.url


def _policies(url: str) -> dict[str, list[str]]:
    """The newest policies of each environment, as many as are compared at most."""
    found = {}
    for name in _PLAYED:
        with urllib.request.urlopen(f"{url}/api/models?environment_id={name}&page_size={_LANES}", timeout=30) as answer:
            found[name] = [policy["policy_id"] for policy in json.load(answer).get("policies", [])]
    return found


def _visits(playwright: Playwright, url: str, environment: str, number: int) -> Times:
    cold, warm = [], []
    for _ in range(number):
        with profile(playwright) as page:
            cold.append(visit(page, url, f"/?env={environment}"))
            warm.append(visit(page, url, f"/?env={environment}"))
        print(f"{environment}: {cold[-1].robot_secs:.2f} s cold, {warm[-1].robot_secs:.2f} s warm", flush=True)
    return Times(environment, tuple(cold), tuple(warm))


def _played(
    playwright: Playwright, url: str, environment: str, policy_id: str, options: argparse.Namespace
) -> tuple[str, Playing]:
    with profile(playwright) as page:
        visit(page, url, f"/?env={environment}" + (f"&policy={policy_id}" if policy_id else ""))
        playing = play(page, options.task_secs if environment == _GO1 else options.play_secs, robots=1)
    print(f"{environment}: {playing}", flush=True)
    return environment, playing


def _compared(
    playwright: Playwright, url: str, policy_ids: list[str], options: argparse.Namespace
) -> tuple[str, Playing]:
    with profile(playwright) as page:
        visit(page, url, f"/?view=compare&with={','.join(policy_ids)}")
        playing = play(page, options.play_secs, robots=_LANES)
    print(f"{_LANES} of {_GO1}: {playing}", flush=True)
    return f"{_LANES} of {_GO1}", playing


def _remembered(playwright: Playwright, url: str, policy_id: str, minutes: float) -> Remembered:
    with profile(playwright) as page:
        visit(page, url, f"/?env={_GO1}" + (f"&policy={policy_id}" if policy_id else ""))
        page.wait_for_timeout(1000 * min(_WARM_SECS, 60 * minutes / 4))
        began, at_minutes, memory = time.monotonic(), [], []
        while True:
            at_minutes.append((time.monotonic() - began) / 60)
            memory.append(memory_of(page))
            print(f"{at_minutes[-1]:.1f} min: {memory[-1]}", flush=True)
            if at_minutes[-1] >= minutes:
                return Remembered(_GO1, tuple(at_minutes), tuple(memory))
            page.wait_for_timeout(1000 * min(_MEMORY_EVERY_SECS, 60 * minutes / 4))


def _page(
    times: list[Times], played: list[tuple[str, Playing]], remembered: Remembered | None
) -> tuple[str, list[str]]:
    """The page of results, and what is not as it was asked for."""
    failed: list[str] = []

    def verdict(good: bool, what: str) -> str:
        if not good:
            failed.append(what)
        return "yes" if good else "**no**"

    def visits(each: Times, kind: str, made: tuple[Visit, ...]) -> str:
        secs = sorted(visit.robot_secs for visit in made)
        most = max(visit.script_bytes_before_paint for visit in made)
        tasks = [visit.long_tasks for visit in made]
        good = verdict(most < _MOST_SCRIPT_BYTES, f"{each.environment} needs {most:,} bytes of script to paint")
        return (
            f"| {each.environment} | {kind} | {statistics.median(secs):.2f} ({secs[0]:.2f} to {secs[-1]:.2f}) "
            f"| {statistics.median(visit.paint_secs for visit in made):.2f} | {most / 1000:,.0f} | {good} "
            f"| {statistics.median(visit.script_bytes for visit in made) / 1000:,.0f} "
            f"| {statistics.median(task.count for task in tasks):.0f} "
            f"| {max(task.longest_ms for task in tasks):.0f} |"
        )

    def playing(what: str, each: Playing) -> str:
        good = verdict(each.factor >= _LEAST_FACTOR, f"{what} plays at {each.factor:.2f} of real time")
        return (
            f"| {what} | {each.driven} of {each.robots} | {each.factor:.2f} | {each.lowest_factor:.2f} | {good} "
            f"| {each.frames_per_sec:.1f} | {each.triangles:,} "
            f"| {each.long_tasks.count} | {each.long_tasks.longest_ms:.0f} |"
        )

    lines = [
        "# The studio in the browser",
        "",
        f"Debian's Chromium without a GPU: SwiftShader draws on the same cores that simulate. {sentence(machine())} "
        f"Mean number of processes that wanted a processor in the last minute, at the end: {os.getloadavg()[0]:.1f}.",
        "",
        "## The first robot on the screen",
        "",
        "Seconds from the navigation until the robot is drawn after its first tick, median (range). *Cold* is with a "
        "new profile, *warm* the second visit with it. *To paint* is the script that came over the wire before the "
        f"first paint; under {_MOST_SCRIPT_BYTES // 1000} kB is asked for. Long tasks hold the main thread for over "
        "50 ms; they are counted until five seconds after the robot, the longest of all visits is given.",
        "",
        "| environment | visit | robot s | first paint s | kB to paint | as asked | kB of script in all | long tasks "
        "| longest ms |",
        "|---|---|--:|--:|--:|---|--:|--:|--:|",
        *(visits(each, *of) for each in times for of in (("cold", each.cold), ("warm", each.warm))),
        "",
        "## Playing",
        "",
        "Simulated per real time in the worker, over all robots on the page: the mean and the lowest of what it "
        f"reports four times a second; a mean of {_LEAST_FACTOR} is asked for. *Driven* counts robots that a policy "
        "drives; they have trained for seconds or, beside each other, mostly not at all, and many fall, which costs as "
        "much time as walking. Frames are those in which something was drawn, triangles those of the last one.",
        "",
        "| robots | driven | real-time factor | lowest | as asked | frames/s | triangles | long tasks | longest ms |",
        "|---|--:|--:|--:|---|--:|--:|--:|--:|",
        *(playing(*each) for each in played),
        "",
    ]
    if remembered:
        first, last = remembered.memory[0], remembered.memory[-1]
        lines += [
            "## Memory",
            "",
            f"{remembered.environment} plays for {remembered.at_minutes[-1]:.0f} minutes, once the tab is warm; after "
            "a collection of garbage. The process is the tab's with its worker, WebAssembly and drawing. *Growth* is "
            f"that of a fitted line over the time; under {_MOST_GROWTH:.0%} is asked for.",
            "",
            "| what | at first MB | at the end MB | growth | as asked |",
            "|---|--:|--:|--:|---|",
        ]
        for what, of in (("JavaScript of the page", "heap_bytes"), ("process", "process_bytes")):
            growth = remembered.growth(of)
            good = verdict(growth < _MOST_GROWTH, f"memory, {what}: grows by {growth:.0%}")
            lines.append(
                f"| {what} | {getattr(first, of) / 1e6:.1f} | {getattr(last, of) / 1e6:.1f} | {growth:+.1%} | {good} |"
            )
        lines.append("")
    return "\n".join(lines), failed


if __name__ == "__main__":
    main()
