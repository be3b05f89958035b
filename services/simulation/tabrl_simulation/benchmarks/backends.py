"""How far MJX-JAX and MJX-Warp are from MuJoCo C, how long they compile, and how fast they step on this machine.

`python -m tabrl_simulation.benchmarks.backends`. From equal states all move by equal random actions for 20 control
steps. What differs by more than 1e-3 is moved again with constraint solvers that go on until they have converged:
Playground's models stop them after a few iterations, and what is left to do then differs from solver to solver.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tabrl_simulation import environments
from tabrl_simulation.backends import MJX, WARP
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, numbered

__all__ = ["main"]

# One environment of each model comes first: those of one model differ in little but their rewards.
_ENVIRONMENTS: Final = (
    "CartpoleBalance",
    "PendulumSwingup",
    "AcrobotSwingup",
    "ReacherEasy",
    "PointMass",
    "BallInCup",
    "FingerSpin",
    "FishSwim",
    "SwimmerSwimmer6",
    "HopperStand",
    "CheetahRun",
    "WalkerStand",
    "HumanoidStand",
)
_SIMULATIONS: Final = 64
_CONTROL_STEPS: Final = 20
_LIMIT: Final = 1e-3
_LONGEST_SECS: Final = 900


def main() -> None:
    """Runs the benchmark; writes `backends.json` and `backends.md` after every comparison."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.backends", description=__doc__)
    parser.add_argument("--environments", nargs="+", default=list(_ENVIRONMENTS), metavar="ID")
    parser.add_argument("--backends", nargs="+", default=[MJX, WARP], choices=[MJX, WARP])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--worker", nargs=2, metavar=("ENVIRONMENT", "BACKEND"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(_measure(*arguments.worker)))
        return
    described = machine()
    rows = _earlier_rows(arguments.out)
    for environment_id in arguments.environments:
        environments.check(environment_id)
        for backend in arguments.backends:
            rows[environment_id, backend] = _in_own_process(environment_id, backend) | {"machine": described}
            print(_line(rows[environment_id, backend]), flush=True)
            _write(arguments.out, list(rows.values()))


def _in_own_process(environment_id: str, backend: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tabrl_simulation.benchmarks.backends", "--worker", environment_id, backend]
    asked = {"environment": environment_id, "backend": backend, "load_average": os.getloadavg()[0]}
    try:
        done = subprocess.run(
            command,
            env={"JAX_PLATFORMS": "cpu", **os.environ},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=_LONGEST_SECS,
        )
    except subprocess.TimeoutExpired:
        return asked | {"failed": f"not done after {_LONGEST_SECS} s"}
    except subprocess.CalledProcessError as error:
        return asked | {"failed": f"exit status {error.returncode}"}
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return asked | measured


def _measure(environment_id: str, backend: str) -> dict[str, Any]:
    from tabrl_simulation.backends import parity

    environment = environments.load(environment_id)

    def compare(converged: bool) -> parity.Parity:
        return parity.compare(
            environment, backend, simulations=_SIMULATIONS, control_steps=_CONTROL_STEPS, converged=converged
        )

    found = compare(converged=False)
    option = environment.model.opt
    measured = {
        "solver_iterations": [int(option.iterations), int(option.ls_iterations)],
        "differences": _plain(found),
        "steps_within": found.steps_within(_LIMIT),
        "compile_secs": found.compile_secs,
        "steps_per_sec": found.steps_per_sec,
        "steps_per_sec_on_mujoco_c": found.steps_per_sec_on_mujoco_c,
    }
    if found.steps_within(_LIMIT) < _CONTROL_STEPS:
        again = compare(converged=True)
        measured |= {"converged_differences": _plain(again), "converged_steps_within": again.steps_within(_LIMIT)}
    return measured


def _plain(found: Any) -> dict[str, float | None]:
    """Returns the greatest difference of each quantity; None where it is not finite, which JSON cannot say."""
    greatest = {name: float(values.max()) for name, values in found.differences.items()}
    return {name: value if math.isfinite(value) else None for name, value in greatest.items()}


def _earlier_rows(out: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns the comparisons of earlier benchmarks, on whatever machine."""
    path = out / "backends.json"
    if not path.exists():
        return {}
    return {(row["environment"], row["backend"]): row for row in json.loads(path.read_text())["rows"]}


def _write(out: Path, rows: list[dict[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    result = {"simulations": _SIMULATIONS, "control_steps": _CONTROL_STEPS, "limit": _LIMIT, "rows": rows}
    (out / "backends.json").write_text(compact(result))
    (out / "backends.md").write_text(_table(rows))


def _table(rows: list[dict[str, Any]]) -> str:
    machines, numbers = numbered([row["machine"] for row in rows])
    lines = [
        "# Physics backends beside MuJoCo C",
        "",
        machines,
        "",
        f"{_SIMULATIONS} simulations from equal states, equal random actions, {_CONTROL_STEPS} control steps.",
        "Other work ran on the machine, which compile times and rates show. Compiling includes one run, and leaves out",
        "the kernels that MJX-Warp had kept from before.",
        "",
        f"| environment | backend | greatest difference in qpos, qvel, observation | control steps within {_LIMIT} "
        "| the same, solvers converged | compile, s | control steps/s | on MuJoCo C | machine |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row, number in zip(rows, numbers, strict=True):
        if "failed" in row:
            lines.append(f"| {row['environment']} | {row['backend']} | {row['failed']} | | | | | | {number} |")
            continue
        converged = ""
        if "converged_differences" in row:
            converged = f"{_numbers(row['converged_differences'])}: {row['converged_steps_within']}"
        lines.append(
            f"| {row['environment']} | {row['backend']} | {_numbers(row['differences'])} | {row['steps_within']} "
            f"| {converged} | {row['compile_secs']:.0f} | {row['steps_per_sec']:,.0f} "
            f"| {row['steps_per_sec_on_mujoco_c']:,.0f} | {number} |"
        )
    return "\n".join(lines) + "\n"


def _numbers(differences: dict[str, float | None]) -> str:
    return ", ".join("not finite" if value is None else f"{value:.0e}" for value in differences.values())


def _line(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"{row['environment']} on {row['backend']}: {row['failed']}"
    return (
        f"{row['environment']} on {row['backend']}: {row['steps_within']} of {_CONTROL_STEPS} control steps within "
        f"{_LIMIT}, compiled in {row['compile_secs']:.0f} s, {row['steps_per_sec']:,.0f} steps/s"
    )


if __name__ == "__main__":
    main()
