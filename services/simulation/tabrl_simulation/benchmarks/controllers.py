"""Every environment's controller: trained for a while, exported, and compared with its source as each export is.

    python -m tabrl_simulation.benchmarks controllers [ENVIRONMENT ...] [--train-secs 20]

States and episodes are those of the trained policy's own rollouts. Checkpoints stay in `--checkpoints`, so that the
next run trains no policy again. Writes `controllers.md` when all are compared. Ends with status 1 when one fails.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from tabrl_simulation import environments
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

__all__ = ["CHECKPOINTS", "checkpoint_of", "main"]

CHECKPOINTS: Final = RESULTS.parents[2] / ".tools" / "benchmarks" / "controllers"
"""Where the trained policies are kept."""


def main() -> None:
    """Compares the controllers of the environments that are named, or of all."""
    parser = argparse.ArgumentParser(prog="controllers", description=__doc__)
    parser.add_argument("environments", nargs="*", metavar="ENVIRONMENT", help="ids; all when none is named")
    parser.add_argument("--train-secs", type=float, default=20.0, help="how long each policy learns")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="folder of the trained policies")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(_measure(options.environments[0], options.checkpoints, options.train_secs)))
        return
    names = options.environments or list(environments.CATEGORY)
    rows = [_in_own_process(name, options.checkpoints, options.train_secs) for name in names]
    failed = [row["environment"] for row in rows if not row.get("passed")]
    print(f"{len(rows) - len(failed)} of {len(rows)} exported and passed")
    if not options.environments:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / "controllers.md").write_text(_page(rows, options.train_secs))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def checkpoint_of(environment_id: str, folder: Path, train_secs: float) -> bytes:
    """Returns the checkpoint of a policy that learned for so long, training it where the folder has none."""
    path = folder / f"{environment_id}.ckpt"
    if not path.exists():
        from tabrl_simulation import training
        from tabrl_simulation.settings import default_settings

        began: list[float] = []

        def learned_enough() -> bool:
            began.append(time.monotonic())  # asked before each rollout: the first ones compile
            return len(began) > 3 and began[-1] - began[3] >= train_secs

        environment = environments.load(environment_id)
        result = training.train(environment, default_settings(environment_id), should_stop=learned_enough)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(result.checkpoint.to_bytes())
    return path.read_bytes()


def _in_own_process(name: str, checkpoints: Path, train_secs: float) -> dict[str, Any]:
    """Measures in a process of its own: all environments in one take gigabytes."""
    command = [sys.executable, "-m", f"{__package__}.controllers", name, "--one"]
    command += ["--checkpoints", str(checkpoints), "--train-secs", str(train_secs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    row: dict[str, Any] = {"environment": name, "passed": False, "reason": done.stderr.strip()[-200:]}
    if done.returncode == 0:
        row = json.loads(done.stdout.splitlines()[-1])
    print(_line(row), flush=True)
    return row


def _measure(name: str, checkpoints: Path, train_secs: float) -> dict[str, Any]:
    from tabrl_simulation import training
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.controllers import build, parity

    training.use_compilation_cache()
    checkpoint = Checkpoint.from_bytes(checkpoint_of(name, checkpoints, train_secs))
    bench = build.prepare(name)
    build.build_controller(bench, checkpoint, None, checkpoint_sha256="0" * 64)  # the first one compiles and imports
    began = time.perf_counter()
    made = build.build_controller(bench, checkpoint, None, checkpoint_sha256="0" * 64)
    built = time.perf_counter()
    report = parity.measure(bench, made)
    measured = time.perf_counter()
    closed = report.closed_loop
    assert closed is not None  # `measure` always tries it
    worst = max(report.outputs, key=lambda output: output.max_difference)
    return {
        "environment": name,
        "env_steps": checkpoint.env_steps,
        "build_secs": built - began,
        "parity_secs": measured - built,
        "kilobytes": len(made.onnx) / 1000,
        "states": report.states,
        "worst": worst.max_difference,
        "worst_output": worst.name,
        "exceptions": [
            [output.name, output.max_difference, output.tolerance]
            for output in report.outputs
            if output.max_difference > report.tolerance
        ],
        "secs": closed.secs,
        "together_secs": min(episode.together_secs for episode in closed.episodes),
        "twin_together_secs": min(episode.twin_together_secs for episode in closed.episodes),
        "controller_return": sum(episode.controller_return for episode in closed.episodes) / len(closed.episodes),
        "source_return": sum(episode.source_return for episode in closed.episodes) / len(closed.episodes),
        "controller_steps": [episode.controller_steps for episode in closed.episodes],
        "source_steps": [episode.source_steps for episode in closed.episodes],
        "passed": report.passed,
        "reason": report.reason,
    }


_HEAD: Final = (
    "| environment | steps learned | export s | parity s | kB | states | largest difference | of "
    "| together s | twin s | return, controller | return, source | periods, controller | periods, source |\n"
    "|---|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|---|---|"
)


def _line(row: dict[str, Any]) -> str:
    if "worst" not in row:
        return f"| {row['environment']} | **failed**: {row['reason']} |" + " |" * 12
    fate = "" if row["passed"] else f" **refused**: {row['reason']}"
    return (
        f"| {row['environment']}{fate} | {row['env_steps']:,} | {row['build_secs']:.2f} | {row['parity_secs']:.1f} "
        f"| {row['kilobytes']:.0f} | {row['states']} | {row['worst']:.1e} | {row['worst_output']} "
        f"| {row['together_secs']:.2f} of {row['secs']:.1f} | {row['twin_together_secs']:.2f} "
        f"| {row['controller_return']:.4g} | {row['source_return']:.4g} "
        f"| {_steps(row['controller_steps'])} | {_steps(row['source_steps'])} |"
    )


def _steps(steps: list[int]) -> str:
    return str(steps[0]) if len(set(steps)) == 1 else " ".join(map(str, steps))


def _page(rows: list[dict[str, Any]], train_secs: float) -> str:
    passed = sum(bool(row.get("passed")) for row in rows)
    exact = [row for row in rows if "worst" in row and not row["exceptions"]]
    lines = [
        "# Every environment's controller",
        "",
        f"{passed} of {len(rows)} environments export a controller that passes the gate; in {len(exact)} of them no "
        "output differs from its source by more than 1e-5, relative to the larger of 1 and the value. Each policy "
        f"learned for {train_secs:g} s with the default settings, compiling left out, so most still fall. "
        f"{sentence(machine())}",
        "",
        "*Export* is the second one of the process, without the parity. *Together* is how long the controller, played "
        "by its manifest, and its source, in the environment as training has it, were at the same place (every element "
        "of qpos within 0.001), and *twin* how long the source was with itself when its ctrl was moved by the "
        "difference that was found, or by the last bit: the shortest of three twins and four episodes. Returns are "
        "means over these episodes; *periods* are how long they lasted, one number where all lasted as long.",
        "",
        _HEAD,
        *(_line(row) for row in rows),
        "",
    ]
    exceptions = [(row["environment"], *each) for row in rows for each in row.get("exceptions", [])]
    if exceptions:
        lines += [
            "Beyond 1e-5, and allowed: what follows from an action that float32's rounding alone, measured against "
            "float64, moves as far in the source itself, and rewards that the last bit of their inputs moves as far.",
            "",
            "| environment | output | difference | allowed |",
            "|---|---|--:|--:|",
            *(f"| {name} | {output} | {moved:.1e} | {allowed:.1e} |" for name, output, moved, allowed in exceptions),
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
