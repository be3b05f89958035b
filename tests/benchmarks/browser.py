"""Trained controllers for ten seconds in a real Chromium, beside the same ones in Python: same resets, no draws.

`python -m tests.benchmarks.browser [ENVIRONMENT ...] [--menagerie FOLDER]`, or `make bench-browser`. The policies are
those of `make bench BENCH=controllers`, trained where its folder has none. With a checkout of MuJoCo Menagerie an
environment is made of its ANYmal C too, as of any uploaded scene.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import sync_playwright
from tabrl.play import manifest_json, player
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_simulation.benchmarks import any_robot, controllers
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

from tests.e2e.browser_tab import Tab, chromium, tab
from tests.stack.running_stack import running_stack

__all__ = ["main"]

# Some that only move, some that are commanded (Go1, Spot, G1; their observations are dicts), some that grasp.
_ENVIRONMENTS: Final = (
    "CartpoleBalance",
    "PendulumSwingup",
    "CheetahRun",
    "WalkerWalk",
    "FishSwim",
    "ReacherEasy",
    "HopperStand",
    "Go1JoystickFlatTerrain",
    "SpotFlatTerrainJoystick",
    "G1JoystickFlatTerrain",
    "BarkourJoystick",
    "PandaPickCube",
    "LeapCubeReorient",
    "AeroCubeRotateZAxis",
)
_RESETS: Final = 4
_SECS: Final = 10.0
_TOGETHER: Final = 1e-3
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """One environment: means over its episodes, and the shortest time for which browser and Python were together."""

    environment: str
    secs: float
    browser_return: float
    python_return: float
    browser_periods: tuple[int, ...]
    python_periods: tuple[int, ...]
    together_secs: float
    early: float
    ms_per_tick: float

    @property
    def change(self) -> float:
        """Difference of the returns, relative to the larger of 1 and Python's."""
        return abs(self.browser_return - self.python_return) / max(1.0, abs(self.python_return))


def main() -> None:
    """Runs the benchmark; writes `browser.md` when all environments are played."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.browser", description=__doc__)
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help="ids; fourteen when none is named")
    parser.add_argument("--menagerie", type=Path, default=os.environ.get("MENAGERIE_ROOT"), help="a checkout")
    parser.add_argument("--train-secs", type=float, default=20.0, help="how long a policy learns that is not there yet")
    parser.add_argument("--checkpoints", type=Path, default=controllers.CHECKPOINTS)
    options = parser.parse_args()
    names = list(options.environments) or list(_ENVIRONMENTS)
    with tempfile.TemporaryDirectory(prefix="tabrl-browser-") as passing:
        folder = Path(passing)
        if options.menagerie and not options.environments:
            os.environ["TABRL_SCENES"] = str(folder / "scenes")
            names.append(any_robot.keep_anymal(Path(options.menagerie), folder / "scenes"))
        (folder / "dist").symlink_to(_ROOT / "frontend" / "web" / "dist", target_is_directory=True)
        if (known := _ROOT / ".tools" / "catalogues").is_dir():
            shutil.copytree(known, folder / "data" / "scene" / "catalogues")
        with (
            running_stack(folder) as stack,
            sync_playwright() as playwright,
            chromium(playwright) as browser,
            tab(browser, stack.url) as laboratory,
        ):
            laboratory.open("/?env=PendulumSwingup")
            laboratory.until_alive()
            laboratory.click("play-pause")
            rows = [_played(name, options, ArtifactStore(stack.data / "artifacts"), laboratory) for name in names]
    failed = [row.environment for row in rows if row.change > 0.05 or row.browser_periods != row.python_periods]
    print(f"{len(rows) - len(failed)} of {len(rows)} earn within 5 % and last as long")
    if not options.environments:
        (RESULTS / "browser.md").write_text(_page(rows))
    if failed:
        sys.exit(f"otherwise: {', '.join(failed)}")


def _played(name: str, options: argparse.Namespace, store: ArtifactStore, laboratory: Tab) -> Row:
    from tabrl_simulation.bundle import load_scene
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.controllers import build

    checkpoint = Checkpoint.from_bytes(controllers.checkpoint_of(name, options.checkpoints, options.train_secs))
    made = build.build_controller(build.prepare(name), checkpoint, None, checkpoint_sha256="0" * 64)
    for content in (made.scene.xml.encode(), *made.scene.assets.values()):
        store.put(content)
    files = {
        "environmentId": name,
        "graph": {"sha256": store.put(made.onnx).sha256},
        "manifest": {"sha256": store.put(manifest_json.dumps(made.manifest).encode(), "application/json").sha256},
    }
    period = made.manifest.control_period_secs
    ticks = min(made.manifest.episode_length, round(_SECS / period)) + 1
    native = player.Player(player.Controller(made.onnx, made.manifest), load_scene(made.scene))
    pairs = []
    for reset in range(_RESETS):
        python = list(itertools.islice(native.episode(reset=reset), ticks))
        spec = {"kind": "controller", "controller": files, "reset": reset, "ticks": ticks}
        rollout = laboratory.roll_out(spec)
        if "failed" in rollout:
            raise RuntimeError(f"{name}: {rollout['failed']}")
        pairs.append((python, rollout))
    row = _row(name, period, (ticks - 1) * period, pairs)
    print(_line(row), flush=True)
    return row


def _row(name: str, period: float, secs: float, pairs: list[tuple[list[player.Tick], dict[str, Any]]]) -> Row:
    together, early = [], []
    for python, rollout in pairs:
        # The tab records the state after each tick, the native player the one before.
        theirs, ours = np.array(rollout["qpos"]), np.array([tick.qpos for tick in python[1:]])
        common = min(len(theirs), len(ours))
        away = np.abs(theirs[:common] - ours[:common]).max(axis=1)
        apart = np.flatnonzero(~(away <= _TOGETHER))
        together.append(period * (int(apart[0]) if apart.size else common))
        early.append(float(away[: round(1.0 / period)].max()))
    return Row(
        environment=name,
        secs=secs,
        browser_return=float(np.mean([sum(rollout["reward"]) for _, rollout in pairs])),
        python_return=float(np.mean([sum(tick.decision.reward for tick in python) for python, _ in pairs])),
        browser_periods=tuple(len(rollout["reward"]) - 1 for _, rollout in pairs),
        python_periods=tuple(python[-1].step for python, _ in pairs),
        together_secs=min(together),
        early=max(early),
        ms_per_tick=sum(r["wallMs"] for _, r in pairs) / sum(len(r["reward"]) for _, r in pairs),
    )


def _line(row: Row) -> str:
    return (
        f"| {row.environment} | {row.browser_return:.5g} | {row.python_return:.5g} | {row.change:.2%} "
        f"| {_periods(row.browser_periods)} | {_periods(row.python_periods)} "
        f"| {row.together_secs:.2f} of {row.secs:.1f} | {row.early:.1e} | {row.ms_per_tick:.2f} |"
    )


def _periods(periods: tuple[int, ...]) -> str:
    return str(periods[0]) if len(set(periods)) == 1 else " ".join(map(str, periods))


def _page(rows: list[Row]) -> str:
    alike = sum(row.change <= 0.05 and row.browser_periods == row.python_periods for row in rows)
    lines = [
        "# Controllers in the browser",
        "",
        f"{alike} of {len(rows)} earn within 5 % of what they earn in Python, and last as long. Each is a trained "
        "policy's controller, played for ten seconds (or until the environment ends the episode) from four resets in a "
        "real Chromium, by MuJoCo WASM 3.14 and onnxruntime-web, and by the native player with MuJoCo and "
        f"onnxruntime in Python, both without draws. {sentence(machine())}",
        "",
        "Returns are means over the four episodes, *periods* how long each lasted. *Together* is how long both robots "
        "were at the same place, every element of qpos within 0.001: the shortest of the four. *First second* is the "
        "largest difference of an element of qpos in it.",
        "",
        "| environment | return, browser | return, Python | difference | periods, browser | periods, Python "
        "| together s | first second | ms a tick |",
        "|---|--:|--:|--:|---|---|--:|--:|--:|",
        *(_line(row) for row in rows),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
