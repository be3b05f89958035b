"""Trains Go1 until it follows a command: `python -m tabrl_simulation.benchmarks joystick`.

Each training runs in a process of its own with default settings, which begin with an easier form of the task, and keeps
the checkpoints of the environment's own form with the time they were written. Afterwards each is exported, and the
controller drives MuJoCo C for ten seconds from sixteen starting states with the command held at 0.5 m/s forwards. The
first checkpoint from which on all of these walks follow the command, none of them falling, is the answer.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tabrl_simulation import environments, settings
from tabrl_simulation.benchmarks import walking
from tabrl_simulation.benchmarks.compact import compact, thinned
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

__all__ = ["main"]

_ENVIRONMENT: Final = "Go1JoystickFlatTerrain"
_BASE: Final = "trunk"
_SPEED_M_PER_S: Final = 0.5
_CHECKPOINT_SECS: Final = 20.0


def main() -> None:
    """Runs the benchmark; writes `joystick.json`, `joystick.md` and `joystick.png`."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.joystick", description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--env-steps", type=int, default=settings.default_settings(_ENVIRONMENT).env_steps)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--keep", type=Path, help="folder for the checkpoints")
    parser.add_argument("--worker", type=int, metavar="SEED", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        print(json.dumps(_measure(arguments.worker, arguments.env_steps, arguments.out, arguments.keep)))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    described = machine()
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="tabrl-joystick-") as cache:
        for seed in arguments.seeds:
            runs.append(_in_own_process(seed, arguments, cache))
            print(_line(runs[-1]), flush=True)
            result = {"machine": described, "environment": _ENVIRONMENT, "speed_m_per_s": _SPEED_M_PER_S, "runs": runs}
            (arguments.out / "joystick.json").write_text(compact(result))
            (arguments.out / "joystick.md").write_text(_page(described, runs))
            _plot(runs, arguments.out / "joystick.png")
    print(f"\n{(arguments.out / 'joystick.md').read_text()}\nwritten to {arguments.out}")


def _in_own_process(seed: int, arguments: argparse.Namespace, cache: str) -> dict[str, Any]:
    load_average = os.getloadavg()[0]
    command = [sys.executable, "-m", "tabrl_simulation.benchmarks.joystick", "--worker", str(seed)]
    command += ["--env-steps", str(arguments.env_steps), "--out", str(arguments.out)]
    command += ["--keep", str(arguments.keep)] if arguments.keep else []
    done = subprocess.run(
        command,
        env={**os.environ, "TABRL_CACHE": cache, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**run, "load_average": load_average}


def _measure(seed: int, env_steps: int, out: Path, keep: Path | None) -> dict[str, Any]:
    """Trains once, then lets every checkpoint walk; all times are since the process began to load."""
    began = time.monotonic()
    import numpy as np
    from tabrl.play.player import Controller

    from tabrl_simulation import curriculum, training
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.controllers import build

    environment = environments.load(_ENVIRONMENT)
    chosen = dataclasses.replace(settings.default_settings(_ENVIRONMENT), seed=seed, env_steps=env_steps)
    kept: list[tuple[float, Checkpoint]] = []
    curve: list[tuple[int, float, float | None]] = []
    result = training.train(
        environment,
        chosen,
        checkpoint_every_secs=_CHECKPOINT_SECS,
        on_metrics=lambda m: curve.append((m.env_steps, m.elapsed_secs, m.episode_return)),
        on_checkpoint=lambda checkpoint: kept.append((time.monotonic() - began, checkpoint)),
    )
    # The first of them have learned from an easier form of the task alone.
    begun = curriculum.easing(environment)
    least = begun.until(chosen.env_steps) + chosen.batch_steps if begun is not None else 0
    kept = [each for each in kept if each[1].env_steps >= least]
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        for _, checkpoint in kept:
            (keep / f"joystick-{seed}-{checkpoint.env_steps:09d}").write_bytes(checkpoint.to_bytes())
    workbench = build.prepare(_ENVIRONMENT)
    model = workbench.environment.model
    held = {"command": np.array([_SPEED_M_PER_S, 0.0, 0.0], np.float32)}
    checkpoints = []
    for secs, checkpoint in kept:
        built = build.build_controller(workbench, checkpoint, None, checkpoint_sha256="0" * 64)
        controller = Controller(built.onnx, built.manifest)
        walks = walking.walk_from_each_start(controller, model, _BASE, held)
        checkpoints.append(
            {
                "env_steps": checkpoint.env_steps,
                "secs": secs,
                "fell": sum(walk.fell_after_secs is not None for walk in walks),
                "forward_m_per_s": [walk.forward_m_per_s for walk in walks],
                "follows": walking.follows(walks, _SPEED_M_PER_S),
            }
        )
        print(f"seed {seed}: {_told(checkpoints[-1])}", file=sys.stderr, flush=True)
    walking.draw(controller, model, _BASE, out / f"joystick-{seed}.png", held)
    return {
        "seed": seed,
        "settings": chosen.to_dict(),
        "startup_secs": result.startup_secs,
        "training_secs": result.elapsed_secs,
        "checkpoints": checkpoints,
        "exploring": thinned(curve),
    }


def _answer(run: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the first checkpoint that follows the command, as do all after it; None if the last one does not."""
    answer = None
    for checkpoint in reversed(run["checkpoints"]):
        if not checkpoint["follows"]:
            break
        answer = checkpoint
    return answer


def _line(run: dict[str, Any]) -> str:
    answer = _answer(run)
    follows = f"from {answer['secs']:.0f} s, {answer['env_steps']:,} steps on" if answer else "not at the end"
    return f"{_ENVIRONMENT} seed {run['seed']}: follows {follows}; {_told(run['checkpoints'][-1])}"


def _told(checkpoint: dict[str, Any]) -> str:
    speeds = checkpoint["forward_m_per_s"]
    return (
        f"at {checkpoint['secs']:.0f} s, {checkpoint['env_steps']:,} steps: {checkpoint['fell']} falls, "
        f"{min(speeds):.2f} to {max(speeds):.2f} m/s"
    )


def _page(described: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    rows = []
    for run in runs:
        answer, last = _answer(run), run["checkpoints"][-1]
        first = next((checkpoint for checkpoint in run["checkpoints"] if checkpoint["follows"]), None)
        starts = len(last["forward_m_per_s"])
        rows.append(
            f"| {run['seed']} | {_minutes(first)} | {_minutes(answer)} | {answer['env_steps'] if answer else 0:,} "
            f"| {last['secs'] / 60:.1f} | {last['env_steps']:,} | {starts - last['fell']} of {starts} "
            f"| {min(last['forward_m_per_s']):.2f} to {max(last['forward_m_per_s']):.2f} "
            f"| {statistics.fmean(last['forward_m_per_s']):.2f} | {run['load_average']:.1f} |"
        )
    return "\n".join(
        [
            f"# {_ENVIRONMENT}: until it follows a command",
            "",
            sentence(described),
            "",
            f"Trained with the default settings, at first in an easier form of the task (`curriculum`), then from the "
            f"environment's own reward; from there on a checkpoint every {_CHECKPOINT_SECS:.0f} s. Each checkpoint's "
            "exported controller drives MuJoCo C for ten seconds from "
            f"sixteen starting states with the command held at {_SPEED_M_PER_S} m/s forwards. It follows if none "
            "falls, and each goes within 0.1 m/s of it forwards, and under 0.1 m/s sideways, from two seconds on. "
            "Minutes since the start of the process; the first seed finds no compiled programs.",
            "",
            "| seed | first follows, min | follows from then on, min | steps by then | trained, min | steps "
            "| did not fall | m/s forwards | mean | load average |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "![Walking, every tenth of a second](joystick-0.png)",
            "",
        ]
    )


def _minutes(checkpoint: dict[str, Any] | None) -> str:
    return f"{checkpoint['secs'] / 60:.1f}" if checkpoint else "never"


def _plot(runs: list[dict[str, Any]], path: Path) -> None:
    from matplotlib import pyplot

    figure, (speeds, falls) = pyplot.subplots(2, 1, figsize=(7, 5), sharex=True)
    for run in runs:
        minutes = [checkpoint["secs"] / 60 for checkpoint in run["checkpoints"]]
        means = [statistics.fmean(checkpoint["forward_m_per_s"]) for checkpoint in run["checkpoints"]]
        speeds.plot(minutes, means, ".-", label=f"seed {run['seed']}")
        falls.plot(minutes, [checkpoint["fell"] for checkpoint in run["checkpoints"]], ".-")
    speeds.axhspan(_SPEED_M_PER_S - 0.1, _SPEED_M_PER_S + 0.1, color="0.9")
    speeds.set(ylabel="m/s forwards, mean", title=f"{_ENVIRONMENT}, command {_SPEED_M_PER_S} m/s")
    speeds.legend(fontsize=8)
    falls.set(xlabel="minutes since the process started", ylabel="falls in sixteen walks")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
