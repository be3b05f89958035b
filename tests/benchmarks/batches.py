"""Three approaches to a behaviour: as one batch with successive halving, and as three runs one after the other.

`python -m tests.benchmarks.batches`, or `make bench-batches`. All of TabRL runs as `make up` starts it, with one slot.
The built-in library writes the approaches; both ways train them for the same steps with the same seed, and judge them
by the same check on the same episodes. A way's time is from its first submission until its winner is known: training,
export and evaluation included.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2, rewardgen_pb2_grpc
from tabrl.trainer.v1 import batches_pb2, batches_pb2_grpc, trainer_pb2, trainer_pb2_grpc
from tabrl_simulation.benchmarks.compact import compact
from tabrl_simulation.benchmarks.machine import RESULTS, machine, sentence

from tests.stack.running_stack import running_stack

__all__ = ["main"]

_ENVIRONMENT: Final = "CheetahRun"
_PROMPT: Final = "Run forward as fast as you can"
_CHECK: Final = "mean(vel('torso')[:, 0]) > 3"
_EPISODES: Final = 5
_ENDED: Final = (trainer_pb2.RUN_STATE_SUCCEEDED, trainer_pb2.RUN_STATE_FAILED, trainer_pb2.RUN_STATE_CANCELLED)


@dataclass(frozen=True)
class Tried:
    """What came of one approach in one way.

    Attributes:
        label: name of the approach.
        env_steps: control steps that it was trained for.
        score: of its last evaluation, 0 to 1.
        held_share: share of the episodes in which the check held.
        speed: mean velocity ahead in those, in m/s.
        fate: how it ended.
    """

    label: str
    env_steps: int
    score: float
    held_share: float
    speed: float
    fate: str


@dataclass(frozen=True)
class Way:
    """What came of one way to try all of them.

    Attributes:
        name: `batch` or `separate`.
        secs: from the first submission to the winner.
        winner: label of the best.
        why: in the service's words, or empty.
        env_steps_saved: not trained, as losers were stopped.
        secs_saved: what those would have taken.
        load: mean number of processes that wanted a processor in the last minute, when it ended.
        tried: the approaches.
    """

    name: str
    secs: float
    winner: str
    why: str
    env_steps_saved: int
    secs_saved: float
    load: float
    tried: tuple[Tried, ...]


class _Caller:
    """Speaks with the services through the gateway."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.rewards = rewardgen_pb2_grpc.RewardServiceStub(channel)
        self.trainer = trainer_pb2_grpc.TrainerServiceStub(channel)
        self.batches = batches_pb2_grpc.BatchServiceStub(channel)
        self.inference = inference_pb2_grpc.InferenceServiceStub(channel)

    def approaches(self, number: int) -> list[rewardgen_pb2.Reward]:
        request = rewardgen_pb2.GenerateApproachesRequest(
            prompt=_PROMPT, environment_id=_ENVIRONMENT, model="library", count=number
        )
        return [each.reward for each in self.rewards.GenerateApproaches(request) if each.HasField("reward")]

    def batch(self, specs: Sequence[tuple[str, trainer_pb2.RunSpec]]) -> Way:
        spec = batches_pb2.BatchSpec(
            title=_PROMPT,
            candidates=[batches_pb2.CandidateSpec(label=label, spec=run) for label, run in specs],
            halving=batches_pb2.HalvingSpec(),
            judgement=batches_pb2.JudgementSpec(check=_CHECK, episodes=_EPISODES),
        )
        began = time.monotonic()
        batch = self.batches.CreateBatch(batches_pb2.CreateBatchRequest(spec=spec)).batch
        for response in self.batches.WatchBatch(batches_pb2.WatchBatchRequest(batch_id=batch.batch_id)):
            batch = response.snapshot if response.HasField("snapshot") else batch
        secs = time.monotonic() - began
        if not batch.HasField("winner"):
            raise SystemExit(f"the batch has no winner: {batch}")
        return Way(
            name="batch",
            secs=secs,
            winner=batch.candidates[batch.winner.index].label,
            why=batch.winner.reason,
            env_steps_saved=batch.env_steps_saved,
            secs_saved=batch.secs_saved,
            load=os.getloadavg()[0],
            tried=tuple(_of_batch(each) for each in batch.candidates),
        )

    def separate(self, specs: Sequence[tuple[str, trainer_pb2.RunSpec]]) -> Way:
        began = time.monotonic()
        tried = tuple(self._one(label, run) for label, run in specs)
        secs = time.monotonic() - began
        best = max(tried, key=lambda each: (each.held_share, each.score))
        return Way("separate", secs, best.label, "", 0, 0.0, os.getloadavg()[0], tried)

    def _one(self, label: str, spec: trainer_pb2.RunSpec) -> Tried:
        run = self.trainer.CreateRun(trainer_pb2.CreateRunRequest(spec=spec)).run
        while run.state not in _ENDED or not run.checkpoints[-1].policy_id:
            time.sleep(0.25)
            run = self.trainer.GetRun(trainer_pb2.GetRunRequest(run_id=run.run_id)).run
            if run.state in _ENDED and run.state != trainer_pb2.RUN_STATE_SUCCEEDED:
                raise SystemExit(f"{label} came to nothing: {run.error.message}")
        request = inference_pb2.EvaluateRequest(
            policy_id=run.checkpoints[-1].policy_id, episodes=_EPISODES, check=_CHECK
        )
        *_, last = self.inference.Evaluate(request)
        checked = last.summary.checked
        return Tried(
            label,
            run.checkpoints[-1].env_steps,
            checked.score,
            checked.held / _EPISODES,
            _speed(checked.measures),
            "trained to its end",
        )


def main() -> None:
    """Runs both ways; writes `batches.json` and `batches.md`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.batches", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="control steps of each training")
    parser.add_argument("--count", type=int, default=3, help="how many approaches")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _bake(Path(folder) / "data")
        ways = _ways(Path(folder), arguments.count, arguments.steps, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    found = {"machine": machine(), "steps": arguments.steps, "ways": [asdict(way) for way in ways]}
    (arguments.out / "batches.json").write_text(compact(found))
    (arguments.out / "batches.md").write_text(_page(found["machine"], arguments.steps, ways))
    print((arguments.out / "batches.md").read_text())


def _bake(data: Path) -> None:
    """Prepares the environments, from those of this checkout where there are any."""
    baked = Path(__file__).parents[2] / ".data" / "scene"
    if baked.is_dir():
        shutil.copytree(baked, data / "scene", ignore=shutil.ignore_patterns("*.db*"))
    subprocess.run([sys.executable, "-m", "tabrl_scene.bake", "--data", str(data)], check=True)


def _ways(folder: Path, count: int, steps: int, seed: int) -> list[Way]:
    ways = []
    with running_stack(folder) as stack, grpc.insecure_channel(stack.url.removeprefix("http://")) as channel:
        caller = _Caller(channel)
        specs = list(_specs(caller.approaches(count), steps, seed))
        for way in (caller.batch, caller.separate):
            ways.append(way(specs))
            print(ways[-1], flush=True)
    return ways


def _specs(rewards: Sequence[rewardgen_pb2.Reward], steps: int, seed: int) -> Iterator[tuple[str, trainer_pb2.RunSpec]]:
    for reward in rewards:
        yield (
            reward.name,
            trainer_pb2.RunSpec(
                environment_id=_ENVIRONMENT,
                reward=trainer_pb2.RewardRef(
                    reward_id=reward.reward_id,
                    program_sha256=reward.program.sha256,
                    onnx_sha256=reward.onnx.sha256,
                    weights={term.name: term.weight for term in reward.terms},
                ),
                settings=trainer_pb2.TrainingSettings(env_steps=steps, seed=seed),
                title=f"{_PROMPT}: {reward.name}",
            ),
        )


def _of_batch(candidate: batches_pb2.BatchCandidate) -> Tried:
    last = candidate.evaluations[-1] if candidate.evaluations else batches_pb2.CandidateEvaluation()
    ended = candidate.state == batches_pb2.CANDIDATE_STATE_FINISHED
    return Tried(
        candidate.label,
        candidate.env_steps,
        last.score,
        last.held_share,
        _speed(last.measures),
        "trained to its end" if ended else candidate.reason,
    )


def _speed(measures: Any) -> float:
    return float(next(iter(measures.values()), 0.0))


def _page(described: dict[str, Any], steps: int, ways: Sequence[Way]) -> str:
    batch, separate = ways
    said = "the same" if batch.winner == separate.winner else "another than"
    lines = [
        f"| {way.name} | {each.label} | {each.env_steps:,} | {each.speed:.2f} | {each.held_share:.0%} "
        f"| {each.score:.3f} | {each.fate} |"
        for way in ways
        for each in way.tried
    ]
    steps_of = {way.name: sum(each.env_steps for each in way.tried) for way in ways}
    times = [
        f"| {way.name} | {way.secs:.0f} | {steps_of[way.name]:,} | {way.winner} | {way.load:.1f} |" for way in ways
    ]
    what = f"{len(batch.tried)} approaches of the built-in library to “{_PROMPT}” on {_ENVIRONMENT}"
    return "\n".join(
        [
            "# Batches: several approaches as one, against one after the other",
            "",
            sentence(described),
            "",
            f"{what}, {steps:,} control steps each, one slot, default rungs, judged by `{_CHECK}` on {_EPISODES} "
            "episodes. The batch took "
            f"{batch.secs / separate.secs:.0%} of the time of the separate runs; its winner is {said} theirs. "
            f"{batch.env_steps_saved:,} steps were not trained, which it puts at {batch.secs_saved:.0f} s.",
            "",
            "| way | s until the winner is known | steps trained | winner | load of the machine at its end |",
            "|---|---|---|---|---|",
            *times,
            "",
            f"The batch says: {batch.why}",
            "",
            "| way | approach | steps | m/s ahead | check held | score | |",
            "|---|---|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    main()
