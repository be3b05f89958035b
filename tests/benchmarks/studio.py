"""The studio in a Chromium that draws on the processor: how soon a robot is there, how smooth it is, what it costs.

`python -m tests.benchmarks.studio [PART ...] [--url URL]`, or `make bench-studio`. Without a URL it starts a TabRL of
its own, whose policies have learned nothing; they cost the browser what others do. With one, the newest policies there
drive, and robots without any are idle. The parts are `arrival`, `playing`
and `memory`; each keeps its numbers in `studio.json`, from which `studio.md` is written anew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Playwright, sync_playwright
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_cli.connection import Connection
from tabrl_simulation import environments
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine
from tabrl_simulation.controllers.untrained import untrained_checkpoint
from tabrl_simulation.settings import default_settings

from tests.benchmarks.studio_memory import samples
from tests.benchmarks.studio_page import page
from tests.benchmarks.studio_visit import Visit, visit
from tests.e2e.browser_tab import DESKTOP, PATIENCE_SECS, Screen
from tests.stack.running_stack import RunningStack, running_stack

__all__ = ["main"]

_PARTS: Final = ("arrival", "playing", "memory")
_ROOT: Final = Path(__file__).parents[2]
_CARTPOLE: Final = "CartpoleBalance"
_GO1: Final = "Go1JoystickFlatTerrain"
# Robots that play alone, and for how many seconds.
_ALONE: Final = {_CARTPOLE: 60.0, "HumanoidWalk": 20.0, _GO1: 60.0, "G1JoystickFlatTerrain": 20.0}
_LANES: Final = 4
# A mobile line, on which the order of what is fetched counts.
_LINE_BYTES_PER_SEC: Final = 200_000
_LINE_LATENCY_MS: Final = 150
_EXPORT_SECS: Final = 600.0
# Small, so that drawing leaves the machine to others for half an hour.
_SMALL: Final = Screen(800, 600)
# What is fetched when the page is idle comes within this time after a robot moves.
_SETTLING_SECS: Final = 3.0


def main() -> None:
    """Runs the parts asked for; writes `studio.json` and `studio.md`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.studio", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="arrival, playing, memory; all when none is named")
    parser.add_argument("--url", help="a running TabRL, such as http://127.0.0.1:8080")
    parser.add_argument("--front-end", type=Path, default=_ROOT / "frontend" / "web" / "dist", help="a built page")
    parser.add_argument("--repeats", type=int, default=3, help="visits of each page, cold and warm")
    parser.add_argument("--minutes", type=float, default=30.0, help="of playing while memory is watched")
    parser.add_argument("--robot", default=_CARTPOLE, help="that plays while memory is watched")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    parts = options.parts or list(_PARTS)
    if unknown := {*parts} - {*_PARTS}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with _served(options.url, options.front_end) as url, sync_playwright() as playwright:
        policies = _policies(url)
        if "arrival" in parts:
            visits = []
            for arrived in _arrivals(playwright, url, policies, options.repeats):
                visits.append(arrived)
                _keep(options, "arrival", {"visits": visits})
        if "playing" in parts:
            robots = []
            for played in _playing(playwright, url, policies):
                robots.append(played)
                _keep(options, "playing", {"robots": robots})
        if "memory" in parts:
            measured = _memory(playwright, url, policies, options.robot, options.minutes)
            _keep(options, "memory", measured)


# ---- what is visited ------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _served(url: str | None, front_end: Path) -> Iterator[str]:
    """Gives the URL of a TabRL that runs, started for the purpose where none is named."""
    if url:
        yield url.rstrip("/")
        return
    with tempfile.TemporaryDirectory(prefix="tabrl-studio-") as passing:
        folder = Path(passing)
        (folder / "dist").symlink_to(front_end.resolve(), target_is_directory=True)
        for known in (_ROOT / ".data" / "scene" / "catalogues", _ROOT / ".tools" / "catalogues"):
            if known.is_dir():
                shutil.copytree(known, folder / "data" / "scene" / "catalogues", dirs_exist_ok=True)
        with running_stack(folder) as stack:
            _publish(stack)
            yield stack.url


def _publish(stack: RunningStack) -> None:
    """Publishes policies that have learned nothing, of the size that trained ones have."""
    connection = Connection(stack.url)
    store = ArtifactStore(stack.data / "artifacts")
    for name in _ALONE:
        environment, sizes = environments.load(name), default_settings(name).hidden_layer_sizes
        for seed in range(_LANES if name == _GO1 else 1):
            checkpoint = untrained_checkpoint(environment, seed=seed, hidden_layer_sizes=sizes)
            sha256 = store.put(checkpoint.to_bytes()).sha256
            asked = exporter_pb2.CreatePolicyRequest(environment_id=name, checkpoint_sha256=sha256)
            connection.call(connection.exporter.CreatePolicy, asked, _EXPORT_SECS)
    connection.close()


def _policies(url: str) -> dict[str, list[str]]:
    """Ids of the newest policies of each robot, as many as are compared at most."""
    found = {}
    for name in _ALONE:
        with urllib.request.urlopen(f"{url}/api/models?environment_id={name}&page_size={_LANES}", timeout=30) as answer:
            found[name] = [policy["policy_id"] for policy in json.load(answer).get("policies", [])]
    return found


def _open(visited: Visit, url: str, environment: str, policies: dict[str, list[str]]) -> None:
    """Opens a robot's studio and waits until it moves, by a policy where there is one."""
    visited.page.goto(f"{url}/?env={environment}")
    visited.until("movingMs")
    if policies.get(environment):
        visited.until("drivenMs")


# ---- the parts ------------------------------------------------------------------------------------------------------


def _arrivals(
    playwright: Playwright, url: str, policies: dict[str, list[str]], repeats: int
) -> Iterator[dict[str, Any]]:
    for place in ("", _CARTPOLE, _GO1):
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="tabrl-studio-", ignore_cleanup_errors=True) as profile:
                for kind in ("cold", "warm"):
                    with visit(playwright, Path(profile), DESKTOP) as visited:
                        arrived = {"place": place, "kind": kind, **_arrival(visited, url, place, policies)}
                    print(json.dumps(arrived), flush=True)
                    yield arrived
        with tempfile.TemporaryDirectory(prefix="tabrl-studio-", ignore_cleanup_errors=True) as profile:
            with visit(playwright, Path(profile), DESKTOP) as visited:
                painted = {"place": place, "kind": "slow line", **_painted(visited, f"{url}/?env={place}")}
            print(json.dumps(painted), flush=True)
            yield painted


def _painted(visited: Visit, url: str) -> dict[str, Any]:
    """What comes before the first paint over a line on which the order counts."""
    visited.slow_down(_LINE_BYTES_PER_SEC, _LINE_LATENCY_MS)
    visited.page.goto(url, wait_until="commit")
    painted_ms = visited.painted_ms()
    visited.page.wait_for_timeout(1000 * _SETTLING_SECS)
    came, asked = visited.scripts_before(painted_ms)
    return {
        "painted_ms": painted_ms,
        "script_bytes": came,
        "script_bytes_asked": asked,
        "load": os.getloadavg()[0],
        "problems": visited.problems,
    }


def _arrival(visited: Visit, url: str, place: str, policies: dict[str, list[str]]) -> dict[str, Any]:
    load = os.getloadavg()[0]
    spent = visited.processor_secs()
    if place:
        _open(visited, url, place, policies)
    else:
        visited.page.goto(url)
    painted_ms = visited.painted_ms()
    cpu_secs = {kind: now - spent[kind] for kind, now in visited.processor_secs().items()}
    visited.page.wait_for_timeout(1000 * _SETTLING_SECS)
    probe = visited.probe()
    came, asked = visited.scripts_before(painted_ms)
    return {
        "painted_ms": painted_ms,
        **{f"{name}_ms": probe[f"{name}Ms"] for name in ("player", "tick", "robot", "moving", "driven")},
        "cpu_secs": cpu_secs,
        "script_bytes": came,
        "script_bytes_asked": asked,
        "tasks": [task["ms"] for task in probe["tasks"]],
        "frame_tasks": _longest(probe["frameTasks"]),
        "load": load,
        "problems": visited.problems,
    }


def _longest(frame_tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The few frames whose longest script was the longest."""
    told = [task for task in frame_tasks if task["longest"]]
    return sorted(told, key=lambda task: float(task["longest"]["ms"]), reverse=True)[:3]


def _playing(playwright: Playwright, url: str, policies: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    four = policies[_GO1][:_LANES]
    for name, secs in [*_ALONE.items(), *([(f"{_LANES} of {_GO1}", 20.0)] if len(four) == _LANES else [])]:
        with (
            tempfile.TemporaryDirectory(prefix="tabrl-studio-", ignore_cleanup_errors=True) as profile,
            visit(playwright, Path(profile), DESKTOP) as visited,
        ):
            if name in _ALONE:
                _open(visited, url, name, policies)
            else:
                _open_beside(visited, url, four)
            visited.page.wait_for_timeout(1000 * _SETTLING_SECS)
            played = _played(visited, name, secs)
        print(json.dumps(played), flush=True)
        yield played


def _open_beside(visited: Visit, url: str, ids: Sequence[str]) -> None:
    visited.page.goto(f"{url}/?view=compare&with={','.join(ids)}")
    visited.until("drivenMs")
    every = (
        "(count) => { const { lanes } = window.__tabrl; return lanes.filter((tick) => tick?.driven).length === count; }"
    )
    visited.page.wait_for_function(every, arg=len(ids), timeout=3 * 1000 * PATIENCE_SECS, polling=100)


def _played(visited: Visit, name: str, secs: float) -> dict[str, Any]:
    spent = visited.processor_secs()
    load = os.getloadavg()[0]
    probe = visited.play(secs)
    cpu_secs = {kind: now - spent[kind] for kind, now in visited.processor_secs().items()}
    canvases = visited.page.evaluate(
        "() => [...document.querySelectorAll('canvas')].map(({ width, height }) => [width, height])"
    )
    return {
        "robot": name,
        "driven": bool(visited.page.evaluate("() => window.__tabrl?.tick?.driven ?? false")),
        "secs": probe["wallSecs"],
        "simulated_secs": probe["simulatedSecs"],
        "factor": probe["factor"],
        "episodes": probe["episodes"],
        "frames": probe["frames"],
        "triangles": probe["triangles"],
        "draw_calls": probe["drawCalls"],
        "canvases": canvases,
        "tasks": [task["ms"] for task in probe["tasks"]],
        "frame_tasks": _longest(probe["frameTasks"]),
        "cpu_secs": cpu_secs,
        "load": load,
        "problems": visited.problems,
    }


def _memory(
    playwright: Playwright, url: str, policies: dict[str, list[str]], robot: str, minutes: float
) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix="tabrl-studio-", ignore_cleanup_errors=True) as profile,
        visit(playwright, Path(profile), _SMALL) as visited,
    ):
        _open(visited, url, robot, policies)
        taken = samples(visited, minutes)
        return {"samples": taken, "memory": {"robot": robot, "niceness": os.nice(0), "problems": visited.problems}}


def _keep(options: argparse.Namespace, part: str, measured: dict[str, Any]) -> None:
    """Puts a part beside what was measured before, and writes the page anew."""
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    path = out / "studio.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    machines = {**known.get("machines", {}), part: machine()}
    policies = "policies found there" if options.url else "policies that have learned nothing"
    ends = {**known.get("ends", {}), part: f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M} UTC, with {policies}"}
    known = {**known, "machines": machines, "ends": ends, **measured}
    path.write_text(compact(known))
    (out / "studio.md").write_text(page(known))


if __name__ == "__main__":
    main()
