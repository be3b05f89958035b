"""Kills trainings at random moments and compares what comes out with trainings that were never stopped.

`python -m tabrl_simulation.benchmarks.resume`, or `make bench`. Each training is a process of its own; SIGKILL comes
at seeded moments of wall clock: while it loads and compiles, while it trains, and while it writes a checkpoint. The
next process goes on from the newest checkpoint on disk. Every checkpoint on the way, and the last above all, must be
the bytes that the undisturbed training wrote.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tabrl_simulation import robots
from tabrl_simulation.benchmarks import killed_training, resume_report
from tabrl_simulation.benchmarks.killed_training import Attempt, Job, Kill
from tabrl_simulation.benchmarks.machine import RESULTS, machine
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.settings import Settings

__all__ = ["Case", "Outcome", "main", "run_chain"]

# Of ten kills, so many come while it loads and compiles, trains, and writes.
_SHARES: Final = {"loading": 2, "training": 5, "writing": 3}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Trainings of one environment, and how often they are killed.

    Attributes:
        environment_id: which one.
        what: why this one.
        kills: over all chains.
        chains: trainings side by side, each with its own seed.
        updates: of each training.
        num_envs: environments of each.
    """

    environment_id: str
    what: str
    kills: int
    chains: int
    updates: int
    num_envs: int


_CASES: Final = (
    Case(
        environment_id="CartpoleBalance",
        what="one action each control step",
        kills=50,
        chains=2,
        updates=800,
        num_envs=64,
    ),
    Case(
        environment_id="PendulumSwingup",
        what="each action held for four control steps",
        kills=10,
        chains=2,
        updates=250,
        num_envs=64,
    ),
    Case(
        environment_id="Go1JoystickFlatTerrain",
        what="random draws in every step, privileged observations, early ends",
        kills=10,
        chains=2,
        updates=60,
        num_envs=32,
    ),
)


@dataclass(kw_only=True)
class Outcome:
    """What became of one chain.

    Attributes:
        seed: of the training.
        attempts: the processes, in order.
        secs: when each was started, since the chain began.
        reference: the undisturbed training.
        sha256: of the last checkpoint's file: undisturbed, and killed.
        arrays: how many arrays the last checkpoint has, and how many of them are equal to the bit.
        checkpoints: how many checkpoints were compared, and how many files are equal.
        rounds: trainings it took to place all kills.
    """

    seed: int
    attempts: list[Attempt] = field(default_factory=list)
    secs: list[float] = field(default_factory=list)
    reference: Attempt
    sha256: tuple[str, str] = ("", "")
    arrays: tuple[int, int] = (0, 0)
    checkpoints: tuple[int, int] = (0, 0)
    rounds: int = 1

    @property
    def equal(self) -> bool:
        """Whether everything was equal."""
        return self.sha256[0] == self.sha256[1] and all(a == b > 0 for a, b in (self.arrays, self.checkpoints))


def main() -> None:
    """Runs the benchmark; writes `resume.json`, `resume.md` and `resume.png`; fails if anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_simulation.benchmarks.resume", description=__doc__)
    names = [case.environment_id for case in _CASES]
    parser.add_argument("--environments", nargs="+", default=names, choices=names)
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which trainings are killed")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    cases = []
    for case in _CASES:
        if case.environment_id in arguments.environments:
            if missing := robots.missing(case.environment_id):
                print(f"{case.environment_id} is left out: {missing}", flush=True)
                continue
            began = time.monotonic()
            outcomes = run_case(case, arguments.seed)
            cases.append({**asdict(case), "secs": time.monotonic() - began, "chains": [asdict(o) for o in outcomes]})
            print(resume_report.line(cases[-1]), flush=True)
            _write(arguments.out, {"machine": machine(), "seed": arguments.seed, "cases": cases})
    if not cases:
        return
    print(f"\n{(arguments.out / 'resume.md').read_text()}\nwritten to {arguments.out}")
    if not all(resume_report.all_equal(case) for case in cases):
        raise SystemExit("a resumed training differs from the one that was never stopped")


def _write(out: Path, result: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "resume.json").write_text(json.dumps(resume_report.shortened(result), indent=1) + "\n")
    (out / "resume.md").write_text(resume_report.table(result))
    resume_report.plot(result, out / "resume.png")


def run_case(case: Case, seed: int) -> list[Outcome]:
    """Runs a case's chains side by side."""
    with (
        tempfile.TemporaryDirectory(prefix="tabrl-resume-") as folder,
        ThreadPoolExecutor(case.chains) as pool,
    ):
        shares = [case.kills // case.chains + (i < case.kills % case.chains) for i in range(case.chains)]
        started = [
            pool.submit(run_chain, case, i, kills, random.Random(f"{seed}/{case.environment_id}/{i}"), Path(folder))
            for i, kills in enumerate(shares)
        ]
        return [future.result() for future in started]


def run_chain(case: Case, seed: int, kills: int, draw: random.Random, folder: Path) -> Outcome:
    """Trains once undisturbed, then again with kills, and compares.

    Args:
        case: what to train.
        seed: of the training.
        kills: how many.
        draw: decides when they come.
        folder: for checkpoints and compiled programs.
    """
    cache, work = folder / "cache", folder / str(seed)
    reference = killed_training.attempt(_job(case, seed, work / "undisturbed"), None, cache=cache)
    # What is compiled now comes from the cache, in less time; so do all the attempts that follow.
    timed = killed_training.attempt(_job(case, seed, work / "again"), None, cache=cache)
    outcome = Outcome(seed=seed, reference=reference)
    began = time.monotonic()
    moments = _moments(kills, timed, draw)
    while moments or not outcome.attempts[-1].finished:
        if outcome.attempts and outcome.attempts[-1].finished:
            _compare(outcome, work / "undisturbed", work / f"killed-{outcome.rounds}")
            outcome.rounds += 1
        job = _job(case, seed, work / f"killed-{outcome.rounds}")
        outcome.secs.append(time.monotonic() - began)
        made = killed_training.attempt(job, moments[0] if moments else None, cache=cache)
        outcome.attempts.append(made)
        if made.killed_secs is not None:
            del moments[0]
    _compare(outcome, work / "undisturbed", work / f"killed-{outcome.rounds}")
    _compare(outcome, work / "undisturbed", work / "again")
    return outcome


def _job(case: Case, seed: int, folder: Path) -> Job:
    settings = Settings(
        env_steps=1_000,
        seed=seed,
        num_envs=case.num_envs,
        unroll_length=20,
        num_minibatches=4,
        updates_per_batch=2,
        hidden_layer_sizes=(32, 32),
    )
    return Job(
        environment_id=case.environment_id,
        settings=settings.to_dict(),
        folder=str(folder),
        updates_per_checkpoint=5,
        updates=case.updates,
    )


def _moments(kills: int, timed: Attempt, draw: random.Random) -> list[Kill]:
    """Draws when to kill, in an order of its own, by how long the undisturbed training took for each thing."""
    first, last = timed.first(killed_training.UPDATED), timed.first(killed_training.FINISHED)
    assert first is not None
    assert last is not None
    writes = _write_secs(timed)
    wanted = [kind for kind, share in _SHARES.items() for _ in range(-(-kills * share // sum(_SHARES.values())))]
    draw.shuffle(wanted)
    # While it trains, they come late enough for the training to get on, and early enough for all to be placed.
    while_training = 2 * (last - first) / max(1, wanted[:kills].count("training"))
    moments = []
    for kind in wanted[:kills]:
        match kind:
            case "loading":
                moments.append(Kill(after="started", times=0, delay_secs=draw.uniform(0.0, first)))
            case "training":
                delay_secs = draw.uniform(0.0, while_training)
                moments.append(Kill(after=killed_training.UPDATED, times=1, delay_secs=delay_secs))
            case _:
                delay_secs = draw.uniform(0.0, writes)
                moments.append(Kill(after=killed_training.WRITING, times=draw.randint(1, 4), delay_secs=delay_secs))
    return moments


def _write_secs(timed: Attempt) -> float:
    began = [secs for secs, word, _ in timed.events if word == killed_training.WRITING]
    ended = [secs for secs, word, _ in timed.events if word == killed_training.WRITTEN]
    return statistics.median(b - a for a, b in zip(began, ended, strict=True))


def _compare(outcome: Outcome, undisturbed: Path, killed: Path) -> None:
    """Adds to an outcome what two trainings have in common: every file of either, and the arrays of the last."""
    names = sorted({path.name for folder in (undisturbed, killed) for path in folder.glob("*.checkpoint")})
    pairs = [tuple(_sha256(folder / name) for folder in (undisturbed, killed)) for name in names]
    equal = sum(one == other for one, other in pairs)
    outcome.checkpoints = (outcome.checkpoints[0] + len(names), outcome.checkpoints[1] + equal)
    one, other = (Checkpoint.read(folder / names[-1]) for folder in (undisturbed, killed))
    paths = one.arrays.keys() | other.arrays.keys()
    same = sum(_same(one.arrays.get(path), other.arrays.get(path)) for path in paths)
    outcome.arrays = (outcome.arrays[0] + len(paths), outcome.arrays[1] + same)
    if outcome.sha256[0] == outcome.sha256[1]:
        outcome.sha256 = (pairs[-1][0], pairs[-1][1])


def _same(one: Any, other: Any) -> bool:
    if one is None or other is None or one.dtype != other.dtype or one.shape != other.shape:
        return False
    return np.ascontiguousarray(one).tobytes() == np.ascontiguousarray(other).tobytes()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "missing"


if __name__ == "__main__":
    main()
