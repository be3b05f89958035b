"""Prompts with physical checks: is what a reward was written for what the trained robot does?

`python -m tests.benchmarks.behaviours`, or `make bench-behaviours`. For each row of `behaviours.tsv` a reward is
written from the prompt alone, by the library or by a language model whose answers were recorded (`--writer llm`),
sealed, and trained for with the environment's default settings. The exported controller
then drives MuJoCo C for ten seconds from five of its starting states; the row passes where the check holds on four.
Each row is a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, numbered

if TYPE_CHECKING:
    from tabrl_rewardgen.answers import Answer

__all__ = ["WRITERS", "Judged", "Row", "main", "recorded_answer", "rows"]

WRITERS: Final = ("library", "llm")
"""Who writes rewards here: the built-in library, and a language model whose answers were recorded."""

_TABLE: Final = Path(__file__).with_suffix(".tsv")
_ANSWERS: Final = Path(__file__).parents[2] / "services/rewardgen/tabrl_rewardgen/testdata/behaviours.json"
_ROLLOUTS: Final = 5
_ENOUGH: Final = 4


@dataclass(frozen=True)
class Row:
    """A behaviour: in words, and as a check on the motion; see `tabrl_simulation.motion.checks`."""

    id: str
    environment: str
    prompt: str
    check: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of a row.

    Attributes:
        id: of the row.
        writer: who wrote the reward: `library` or `llm`.
        refused: why there was no reward, in the writer's or the checker's words; empty if there was one.
        left_out: parts of the prompt that the writer says it left out.
        env_steps: control steps of the training.
        secs: from its start to its end, compiling included.
        held: for each rollout, whether the check held.
        machine: that it was trained on.
    """

    id: str
    writer: str
    refused: str = ""
    left_out: tuple[str, ...] = ()
    env_steps: int = 0
    secs: float = 0.0
    held: tuple[bool, ...] = ()
    machine: dict[str, Any]

    @property
    def passed(self) -> bool:
        """Whether the check held often enough."""
        return sum(self.held) >= _ENOUGH


def rows() -> list[Row]:
    """Returns the table."""
    with _TABLE.open(newline="") as file:
        return [Row(**row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def main() -> None:
    """Runs the benchmark; writes `behaviours.json` and `behaviours.md` after every row."""
    from tabrl_simulation.environments import DM_CONTROL

    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.behaviours", description=__doc__)
    fitting = [row.id for row in rows() if row.environment in DM_CONTROL]
    parser.add_argument("--rows", nargs="+", default=fitting, choices=[row.id for row in rows()], metavar="ID")
    parser.add_argument("--writer", choices=WRITERS, default="library")
    parser.add_argument("--share", type=float, default=1.0, help="of the environment's default training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--worker", metavar="ID", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    by_id = {row.id: row for row in rows()}
    if arguments.worker:
        print(json.dumps(asdict(_judge(by_id[arguments.worker], arguments.writer, arguments.share, arguments.seed))))
        return
    judged = {(each.id, each.writer): each for each in _earlier(arguments.out)}
    for name in arguments.rows:
        key = name, arguments.writer
        judged[key] = _in_own_process(name, arguments.writer, arguments.share, arguments.seed)
        print(_line(judged[key]), flush=True)
        everything = [(row.id, writer) for writer in WRITERS for row in rows()]
        _write(arguments.out, [judged[key] for key in everything if key in judged])
    print(f"\n{(arguments.out / 'behaviours.md').read_text()}\nwritten to {arguments.out}")


def _in_own_process(name: str, writer: str, share: float, seed: int) -> Judged:
    command = [sys.executable, "-m", "tests.benchmarks.behaviours", "--worker", name]
    command += ["--writer", writer, "--share", str(share), "--seed", str(seed)]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return _read(json.loads(done.stdout.splitlines()[-1]))


def _judge(row: Row, writer: str, share: float, seed: int) -> Judged:
    """Writes, trains and judges."""
    from tabrl.play.player import Controller
    from tabrl_rewardgen import library
    from tabrl_simulation import environments, training
    from tabrl_simulation.controllers import build
    from tabrl_simulation.motion import Check, record
    from tabrl_simulation.rewards.compile import compile_reward
    from tabrl_simulation.rewards.diagnostics import RewardRejected
    from tabrl_simulation.rewards.from_model import robot_of
    from tabrl_simulation.rewards.program import RewardProgram

    environment = environments.load(row.environment)
    robot = robot_of(environment)
    try:
        written = library.write(row.prompt, robot) if writer == "library" else recorded_answer(row)
        compiled = compile_reward(written.source, robot)
    except (library.BehaviourUnknown, RewardRejected) as error:
        return Judged(id=row.id, writer=writer, refused=str(error), machine=machine())
    began = time.monotonic()
    program = RewardProgram.from_bytes(compiled.program)
    settings = training.default_settings(row.environment)
    settings = dataclasses.replace(settings, seed=seed, env_steps=max(1_000, round(share * settings.env_steps)))
    trained = training.train(environment, settings, reward=program, weights=written.weights)
    secs = time.monotonic() - began
    reward = build.Reward(program=program, onnx=compiled.onnx, program_sha256=program.sha256, weights=written.weights)
    bench = build.prepare(row.environment)
    digest = hashlib.sha256(trained.checkpoint.to_bytes()).hexdigest()
    made = build.build_controller(bench, trained.checkpoint, reward, checkpoint_sha256=digest)
    controller, check = Controller(made.onnx, made.manifest), Check(row.check)
    return Judged(
        id=row.id,
        writer=writer,
        left_out=written.left_out,
        env_steps=trained.checkpoint.env_steps,
        secs=secs,
        held=tuple(check.holds(record(controller, environment.model, reset=index)) for index in range(_ROLLOUTS)),
        machine=machine(),
    )


def recorded_answer(row: Row) -> Answer:
    """Returns a language model's first answer to the prompt of this row."""
    from tabrl_rewardgen.answers import parse_answer

    return parse_answer(json.loads(_ANSWERS.read_text())[row.id]["answers"][0])


def _earlier(out: Path) -> Iterator[Judged]:
    path = out / "behaviours.json"
    if path.exists():
        yield from map(_read, json.loads(path.read_text())["judged"])


def _read(values: dict[str, Any]) -> Judged:
    return Judged(**{**values, "left_out": tuple(values["left_out"]), "held": tuple(values["held"])})


def _line(judged: Judged) -> str:
    verdict = "passes" if judged.passed else judged.refused or "fails"
    return f"{judged.id} ({judged.writer}): {verdict} ({sum(judged.held)} of {_ROLLOUTS}), {judged.secs:.0f} s"


def _write(out: Path, judged: Sequence[Judged]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "behaviours.json").write_text(compact({"judged": [asdict(each) for each in judged]}))
    (out / "behaviours.md").write_text(_page(judged))


def _share(writer: str, judged: Sequence[Judged]) -> str:
    own = [each for each in judged if each.writer == writer]
    return f"- {writer}: {sum(each.passed for each in own)} of {len(own)} pass."


def _page(judged: Sequence[Judged]) -> str:
    by_id = {row.id: row for row in rows()}
    machines, numbers = numbered([each.machine for each in judged])
    lines = []
    for each, number in zip(judged, numbers, strict=True):
        row = by_id[each.id]
        verdict = "refused" if each.refused else "pass" if each.passed else "fail"
        lines.append(
            f"| {row.environment} | {row.prompt} | {each.writer} | **{verdict}** | {sum(each.held)} of {_ROLLOUTS} "
            f"| {each.env_steps:,} | {each.secs:.0f} | {number} | `{row.check}` |"
        )
    return "\n".join(
        [
            "# Behaviours: from a prompt to the motion",
            "",
            machines,
            "",
            "A reward written from the prompt alone, by the built-in library or by a language model (its first answer, "
            "as recorded), trained for with the environment's "
            f"default settings; the exported controller drives MuJoCo C for ten seconds from {_ROLLOUTS} starting "
            f"states. A row passes where the check on the motion, which looks at no reward, holds on {_ENOUGH}.",
            "",
            *(_share(writer, judged) for writer in WRITERS if any(each.writer == writer for each in judged)),
            "",
            "| environment | prompt | reward by | | rollouts | steps | s | machine | check |",
            "|---|---|---|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
