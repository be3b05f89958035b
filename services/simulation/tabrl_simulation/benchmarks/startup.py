"""Measures the time from starting a process to its first training update.

`python -m tabrl_simulation.benchmarks.startup`, or `make bench`.

Cold, nothing was compiled before; warm, the compiled programs of an earlier process are found on disk. Python's own
bytecode is there both times, as after an installation.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

__all__ = ["Start", "main"]

_ENVIRONMENTS: Final = ("CartpoleBalance", "Go1JoystickFlatTerrain", "HumanoidWalk")
_WARM: Final = 3
_GOALS: Final = {"cold": 30.0, "warm": 10.0}


@dataclass(frozen=True, kw_only=True)
class Start:
    """One process, up to its first update.

    Attributes:
        environment: its id.
        temperature: "cold" or "warm".
        secs: by phase, in their order: python and imports, environment, training up to the end of its first update.
        load_average: of the machine, before.
    """

    environment: str
    temperature: str
    secs: dict[str, float]
    load_average: float


def main() -> None:
    """Runs the benchmark; writes `startup.json` and `startup.md`."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.startup", description=__doc__)
    parser.add_argument("--environments", nargs="+", default=list(_ENVIRONMENTS), metavar="ID")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--worker", nargs=2, metavar=("ENVIRONMENT", "BEGAN"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(_start(arguments.worker[0], float(arguments.worker[1]))))
        return
    starts: list[Start] = []
    for environment_id in arguments.environments:
        with tempfile.TemporaryDirectory(prefix="tabrl-startup-") as cache:
            for temperature in ("cold", *["warm"] * _WARM):
                starts.append(_in_own_process(environment_id, temperature, cache))
                print(f"{environment_id} {temperature}: {sum(starts[-1].secs.values()):.1f} s", flush=True)
    described = machine()
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": described, "starts": [asdict(start) for start in starts]}
    (arguments.out / "startup.json").write_text(compact(result))
    (arguments.out / "startup.md").write_text(_page(described, starts))
    print(f"\n{(arguments.out / 'startup.md').read_text()}\nwritten to {arguments.out}")


def _in_own_process(environment_id: str, temperature: str, cache: str) -> Start:
    load_average = os.getloadavg()[0]
    done = subprocess.run(
        [sys.executable, "-m", "tabrl_simulation.benchmarks.startup", "--worker", environment_id, str(time.time())],
        env={**os.environ, "TABRL_CACHE": cache, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    secs: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return Start(environment=environment_id, temperature=temperature, secs=secs, load_average=load_average)


def _start(environment_id: str, began: float) -> dict[str, float]:
    from mujoco_playground import registry  # noqa: F401 (what takes long is to be told apart)

    from tabrl_simulation import environments, rollout, training  # noqa: F401

    imported = time.time()
    environment = environments.load(environment_id)
    loaded = time.time()
    result = training.train(environment, training.default_settings(environment_id), should_stop=_after_one())
    return {"imports": imported - began, "environment": loaded - imported, "first update": result.startup_secs}


def _after_one() -> Any:
    asked = iter(range(1_000_000))
    return lambda: next(asked) > 0


def _page(described: dict[str, Any], starts: list[Start]) -> str:
    rows = []
    for environment_id in dict.fromkeys(start.environment for start in starts):
        for temperature, goal in _GOALS.items():
            several = [s for s in starts if (s.environment, s.temperature) == (environment_id, temperature)]
            if not several:
                continue
            phases = {name: statistics.median(s.secs[name] for s in several) for name in several[0].secs}
            total = statistics.median(sum(s.secs.values()) for s in several)
            rows.append(
                f"| {environment_id} | {temperature} | **{total:.1f}** | {goal:.0f} | "
                + " | ".join(f"{secs:.1f}" for secs in phases.values())
                + f" | {statistics.median(s.load_average for s in several):.1f} |"
            )
    return "\n".join(
        [
            "# From the start of a process to its first update",
            "",
            sentence(described),
            "",
            f"Seconds; cold once, warm the median of {_WARM}. Imports: Python, jax, MuJoCo, Playground, Brax. "
            "Environment: its model, and what it observes. First update: starting states, warming up the statistics of "
            "observations, the first rollout and the first update, with all that is compiled for them.",
            "",
            "| environment | | start to first update | at most | imports | environment | first update | load average |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
