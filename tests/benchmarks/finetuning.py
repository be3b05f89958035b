"""Fine-tuning beside training from scratch: how soon is a new wish learned by a robot that can do something already?

`python -m tests.benchmarks.finetuning`, or `make bench-finetuning`. A policy is trained for an environment's own
reward, then for a reward that the library writes for a prompt: from scratch, and from that policy in several ways, one
of them the product's (`tabrl_simulation.starting_point`). Checkpoints are kept with the time they were written, and
their exported controllers played afterwards in MuJoCo C under the new reward, without exploration noise. Each training
is a process of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from tabrl_simulation import starting_point
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, numbered

if TYPE_CHECKING:
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.controllers.build import Reward
    from tabrl_simulation.learner import LearnerState

__all__ = ["WAYS", "main"]

SCRATCH: Final = "from scratch"
FINE_TUNED: Final = "fine-tuned"

_EPISODES: Final = 3
_CHECKPOINTS: Final = 12
_GOALS: Final = (0.5, 0.8)
"""Shares of what training from scratch came to, above where the policy began, whose time is told."""


@dataclasses.dataclass(frozen=True)
class _Pair:
    """What the robot can do, by the environment's own reward, and what it is to do then."""

    environment: str
    prompt: str


_PAIRS: Final = {
    "walker": _Pair("WalkerWalk", "walk backwards"),
    "walker-slowly": _Pair("WalkerWalk", "walk slowly"),
    "cheetah": _Pair("CheetahRun", "run backwards"),
}


def _all_kept(fresh: LearnerState, checkpoint: Checkpoint) -> LearnerState:
    """Everything as it was: the deviation and Adam's step size, small by then, and the statistics of returns."""
    from tabrl_simulation import tree_paths

    learned: LearnerState = tree_paths.unflatten("learner", fresh, checkpoint.group("learner"))
    return learned._replace(key=fresh.key)


def _deviation(std: float) -> Callable[[LearnerState, Checkpoint], LearnerState]:
    """As the product does it, but for the deviation of the first actions."""

    def carry_over(fresh: LearnerState, checkpoint: Checkpoint) -> LearnerState:
        with mock.patch.object(starting_point, "EXPLORING_STD", std):
            return _CARRY_OVER(fresh, checkpoint)

    return carry_over


def _fresh_optimizer(fresh: LearnerState, checkpoint: Checkpoint) -> LearnerState:
    """As the product does it, but for Adam's moments."""
    return _CARRY_OVER(fresh, checkpoint)._replace(optimizer=fresh.optimizer)


def _fresh_value(fresh: LearnerState, checkpoint: Checkpoint) -> LearnerState:
    """As the product does it, but for the value network."""
    started = _CARRY_OVER(fresh, checkpoint)
    return started._replace(params=started.params.replace(value=fresh.params.value))


def _fresh_statistics(fresh: LearnerState, checkpoint: Checkpoint) -> LearnerState:
    """As the product does it, but for the statistics of observations."""
    return _CARRY_OVER(fresh, checkpoint)._replace(normalizer=fresh.normalizer)


_CARRY_OVER: Final = starting_point.carry_over

WAYS: Final[Mapping[str, Callable[[LearnerState, Checkpoint], LearnerState] | None]] = {
    SCRATCH: None,
    FINE_TUNED: _CARRY_OVER,
    "all kept": _all_kept,
    "deviation 0.25": _deviation(0.25),
    "deviation 0.5": _deviation(0.5),
    "fresh optimizer": _fresh_optimizer,
    "fresh value network": _fresh_value,
    "fresh observation statistics": _fresh_statistics,
}
"""How a training can start: from nothing, or from a checkpoint in one of several ways."""


def main() -> None:
    """Runs the benchmark; writes `finetuning.json`, `finetuning.md` and `finetuning.png` after every training."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.finetuning", description=__doc__)
    parser.add_argument("--pairs", nargs="+", default=list(_PAIRS), choices=_PAIRS)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--share", type=float, default=0.4, help="of the environment's default steps")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument(
        "--bases", type=Path, default=Path(".data/bench-finetuning"), help="folder for what is started from"
    )
    parser.add_argument("--worker", nargs=3, metavar=("PAIR", "WAY", "SEED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        pair, way, seed = arguments.worker
        print(json.dumps(_measure(_PAIRS[pair], way, int(seed), arguments.share, arguments.bases)))
        return
    runs = {(run["pair"], run["way"], run["seed"]): run for run in _earlier(arguments.out)}
    for pair in arguments.pairs:
        _base(_PAIRS[pair], arguments.bases)
        for seed in arguments.seeds:
            for way in arguments.ways:
                run = _in_own_process(pair, way, seed, arguments.share, arguments.bases)
                runs[pair, way, seed] = {"pair": pair, **run, "machine": machine()}
                print(_line(runs[pair, way, seed]), flush=True)
                order = [(p, w, s) for p in _PAIRS for w in WAYS for s in range(1 + max(key[2] for key in runs))]
                _write(arguments.out, [runs[key] for key in order if key in runs])
    print(f"\n{(arguments.out / 'finetuning.md').read_text()}\nwritten to {arguments.out}")


def _earlier(out: Path) -> list[dict[str, Any]]:
    path = out / "finetuning.json"
    runs: list[dict[str, Any]] = json.loads(path.read_text())["runs"] if path.exists() else []
    return runs


def _in_own_process(pair: str, way: str, seed: int, share: float, bases: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.finetuning", "--worker", pair, way, str(seed)]
    command += ["--share", str(share), "--bases", str(bases)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    load_average = os.getloadavg()[0]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    run: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**run, "load_average": load_average}


def _base(pair: _Pair, bases: Path) -> Checkpoint:
    """Returns what is started from: a policy of the environment's own reward and default settings, trained once."""
    from tabrl_simulation import environments, training
    from tabrl_simulation.checkpoint import Checkpoint

    path = bases / f"{pair.environment}.checkpoint"
    environment = environments.load(pair.environment)
    if path.exists() and (base := Checkpoint.read(path)).environment_fingerprint == environment.fingerprint:
        return base
    base = training.train(environment, training.default_settings(pair.environment)).checkpoint
    base.write(path)
    return base


def _measure(pair: _Pair, way: str, seed: int, share: float, bases: Path) -> dict[str, Any]:
    """Trains once and plays every checkpoint; times are since training began, compiling included."""
    from tabrl_rewardgen import library
    from tabrl_simulation import environments, training
    from tabrl_simulation.controllers import build
    from tabrl_simulation.rewards.compile import compile_reward
    from tabrl_simulation.rewards.from_model import robot_of
    from tabrl_simulation.rewards.program import RewardProgram

    environment = environments.load(pair.environment)
    robot = robot_of(environment)
    written = library.write(pair.prompt, robot)
    compiled = compile_reward(written.source, robot)
    program = RewardProgram.from_bytes(compiled.program)
    settings = training.default_settings(pair.environment)
    settings = dataclasses.replace(settings, seed=seed, env_steps=round(share * settings.env_steps))
    carry_over = WAYS[way]
    if carry_over is not None:
        starting_point.carry_over = carry_over
    kept: list[tuple[float, Checkpoint]] = []
    steps_between = settings.env_steps / _CHECKPOINTS
    began = time.monotonic()

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        if not kept or checkpoint.final or checkpoint.env_steps >= len(kept) * steps_between:
            kept.append((time.monotonic() - began, checkpoint))

    trained = training.train(
        environment,
        settings,
        reward=program,
        weights=written.weights,
        start_from=None if carry_over is None else _base(pair, bases),
        checkpoint_every_secs=0.0,
        on_checkpoint=on_checkpoint,
    )
    reward = build.Reward(program=program, onnx=compiled.onnx, program_sha256=program.sha256, weights=written.weights)
    return {
        "way": way,
        "seed": seed,
        "startup_secs": trained.startup_secs,
        "checkpoints": [
            {"env_steps": checkpoint.env_steps, "secs": secs, "mean_return": _played(pair, checkpoint, reward)}
            for secs, checkpoint in kept
        ],
    }


def _played(pair: _Pair, checkpoint: Checkpoint, reward: Reward) -> float:
    """Returns the mean return of a checkpoint's controller over a few episodes."""
    from tabrl.play.player import Controller, Player
    from tabrl_simulation import environments
    from tabrl_simulation.controllers import build

    bench = build.prepare(pair.environment)
    digest = hashlib.sha256(checkpoint.to_bytes()).hexdigest()
    made = build.build_controller(bench, checkpoint, reward, checkpoint_sha256=digest)
    player = Player(Controller(made.onnx, made.manifest), environments.load(pair.environment).model)
    returns = [sum(tick.decision.reward for tick in player.episode(reset=index)) for index in range(_EPISODES)]
    return float(sum(returns) / len(returns))


def _goals(runs: Sequence[Mapping[str, Any]], pair: str) -> list[float]:
    """Returns the returns whose time is told: shares of the way from the worst beginning to the best from scratch."""
    points = [run["checkpoints"] for run in runs if run["pair"] == pair and run["way"] == SCRATCH]
    if not points:
        return []
    low = min(each[0]["mean_return"] for each in points)
    high = max(point["mean_return"] for each in points for point in each)
    return [low + share * (high - low) for share in _GOALS]


def _reached(run: Mapping[str, Any], goal: float) -> Mapping[str, Any] | None:
    return next((point for point in run["checkpoints"] if point["mean_return"] >= goal), None)


def _line(run: Mapping[str, Any]) -> str:
    last = run["checkpoints"][-1]
    return f"{run['pair']}, {run['way']}, seed {run['seed']}: {last['mean_return']:.0f} after {last['secs']:.0f} s"


def _write(out: Path, runs: Sequence[dict[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "finetuning.json").write_text(compact({"runs": runs}))
    (out / "finetuning.md").write_text(_page(runs))
    _plot(runs, out / "finetuning.png")


def _page(runs: Sequence[dict[str, Any]]) -> str:
    machines, numbers = numbered([run["machine"] for run in runs])
    lines = []
    for run, number in zip(runs, numbers, strict=True):
        points = run["checkpoints"]
        reached = ["not known"] * len(_GOALS)
        for index, goal in enumerate(_goals(runs, run["pair"])):
            point = _reached(run, goal)
            reached[index] = f"{point['secs']:.0f} s, {point['env_steps']:,}" if point else "not reached"
        lowest = min(point["mean_return"] for point in points)
        lines.append(
            f"| {_PAIRS[run['pair']].environment} → {_PAIRS[run['pair']].prompt} | {run['way']} | {run['seed']} "
            f"| {points[0]['mean_return']:.0f} | {lowest:.0f} | {' | '.join(reached)} "
            f"| {points[-1]['mean_return']:.0f} | {points[-1]['env_steps']:,} | {points[-1]['secs']:.0f} "
            f"| {run['load_average']:.1f} | {number} |"
        )
    shares = " | ".join(f"to {share:.0%} (s, steps)" for share in _GOALS)
    return "\n".join(
        [
            "# Fine-tuning beside training from scratch",
            "",
            machines,
            "",
            "A policy of the environment's own reward and default settings goes on for a reward that the library wrote "
            f"for a prompt. Returns are under the new reward, without exploration noise, means of {_EPISODES} "
            "episodes. First: after the first update. Lowest: the dip. To 50 % and 80 %: of the way from the first to "
            "the best return of the trainings from scratch; seconds since training began, compiling included.",
            "",
            "![Returns by time](finetuning.png)",
            "",
            "| | way | seed | first | lowest | " + shares + " | last | steps | s | load average | machine |",
            "|---|---|---|---|---|" + "---|" * len(_GOALS) + "---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def _plot(runs: Sequence[dict[str, Any]], path: Path) -> None:
    from matplotlib import pyplot

    pairs = list(dict.fromkeys(run["pair"] for run in runs))
    figure, grid = pyplot.subplots(1, len(pairs), figsize=(5.2 * len(pairs), 3.8), squeeze=False)
    colours = {way: f"C{index}" for index, way in enumerate(WAYS)}
    for axes, pair in zip(grid.flat, pairs, strict=True):
        for run in (run for run in runs if run["pair"] == pair):
            points = run["checkpoints"]
            label = run["way"] if run["seed"] == min(other["seed"] for other in runs) else None
            axes.plot(
                [point["env_steps"] / 1e6 for point in points],
                [point["mean_return"] for point in points],
                ".-",
                color=colours[run["way"]],
                linewidth=2.0 if run["way"] in (SCRATCH, FINE_TUNED) else 0.9,
                label=label,
            )
        axes.set_title(f"{_PAIRS[pair].environment} → {_PAIRS[pair].prompt}", fontsize=10)
        axes.set(xlabel="million control steps", ylabel="return")
        axes.grid(alpha=0.3)
    grid.flat[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
