"""How many rewards seal as they were first written, before any repair.

`python -m tests.benchmarks.first_answers`, or `make bench-first-answers`. For each row of `behaviours.tsv` the reward
by the library and the recorded first answer of a language model are read, checked, traced and verified in jails, and
sealed, as RewardGen does it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tabrl_rewardgen import library
from tabrl_simulation import environments
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence
from tabrl_simulation.rewards.compile import compile_reward_with
from tabrl_simulation.rewards.diagnostics import RewardRejected
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.pool import JailPool

from tests.benchmarks.behaviours import WRITERS, Row, recorded_answer, rows

__all__ = ["Sealed", "main"]


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What came of one first answer.

    Attributes:
        id: of the row.
        writer: who wrote it: `library` or `llm`.
        terms: how many terms it has; 0 if it was refused.
        refused: why, in the writer's or the checker's words; empty if it was sealed.
        secs: from its source to the sealed program.
    """

    id: str
    writer: str
    terms: int = 0
    refused: str = ""
    secs: float = 0.0


def main() -> None:
    """Runs the benchmark; writes `first_answers.json` and `first_answers.md`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.first_answers", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=[row.id for row in rows()], metavar="ID")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    chosen = [row for row in rows() if not arguments.rows or row.id in arguments.rows]
    sealed = asyncio.run(_sealed(chosen))
    described = machine()
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": described, "sealed": [asdict(each) for each in sealed]}
    (arguments.out / "first_answers.json").write_text(compact(result))
    page = _page(sentence(described), sealed)
    (arguments.out / "first_answers.md").write_text(page)
    print(f"\n{page}\nwritten to {arguments.out}")


async def _sealed(chosen: Sequence[Row]) -> list[Sealed]:
    sealed = []
    async with JailPool() as pool:
        for writer in WRITERS:
            for row in chosen:
                sealed.append(await _seal(pool, row, writer))
                print(f"{row.id} ({writer}): {sealed[-1].refused or f'{sealed[-1].terms} terms'}", flush=True)
    return sealed


async def _seal(pool: JailPool, row: Row, writer: str) -> Sealed:
    robot = robot_of(environments.load(row.environment))
    began = time.perf_counter()
    try:
        written = library.write(row.prompt, robot) if writer == "library" else recorded_answer(row)
        reward = await compile_reward_with(pool, written.source, robot)
    except (library.BehaviourUnknown, RewardRejected) as error:
        return Sealed(id=row.id, writer=writer, refused=str(error))
    return Sealed(id=row.id, writer=writer, terms=len(reward.terms), secs=time.perf_counter() - began)


def _page(machine_sentence: str, sealed: Sequence[Sealed]) -> str:
    by_id = {row.id: row for row in rows()}
    shares = []
    for writer in WRITERS:
        own = [each for each in sealed if each.writer == writer]
        good = sum(not each.refused for each in own)
        shares.append(f"- {writer}: {good} of {len(own)} seal as first written, {good / len(own):.0%}.")
    lines = [
        f"| {by_id[each.id].environment} | {by_id[each.id].prompt} | {each.writer} | {each.terms or ''} "
        f"| {each.refused.replace('|', '/') or 'sealed'} | {each.secs:.1f} |"
        for each in sealed
    ]
    return "\n".join(
        [
            "# Rewards as first written: how many seal",
            "",
            machine_sentence,
            "",
            "Every row of the table of behaviours: the reward by the built-in library, and the first answer of a "
            "language model to the prompt that RewardGen sends, as recorded. No answer was repaired.",
            "",
            *shares,
            "",
            "| environment | prompt | reward by | terms | | s |",
            "|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
