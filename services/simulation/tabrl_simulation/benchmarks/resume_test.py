"""Three kills of a small training: while it loads, trains and writes."""

import dataclasses
from pathlib import Path

from tabrl_simulation.benchmarks import killed_training
from tabrl_simulation.benchmarks.killed_training import Job, Kill
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.settings import Settings


def test_a_training_killed_at_any_moment_ends_as_one_that_was_not(tmp_path: Path) -> None:
    settings = Settings(
        env_steps=1_000, num_envs=16, unroll_length=10, num_minibatches=2, updates_per_batch=1, hidden_layer_sizes=(8,)
    )
    job = Job(
        environment_id="PendulumSwingup",
        settings=settings.to_dict(),
        updates=150,
        folder=str(tmp_path / "killed"),
        updates_per_checkpoint=3,
    )
    undisturbed = dataclasses.replace(job, folder=str(tmp_path / "undisturbed"))
    kills = [
        Kill(after=killed_training.UPDATED, times=8, delay_secs=0.0),
        Kill(after=killed_training.LOADED, times=1, delay_secs=0.1),
        Kill(after=killed_training.WRITING, times=4, delay_secs=0.0),
    ]

    attempts = [killed_training.attempt(job, kill, cache=tmp_path / "cache") for kill in (*kills, None)]
    whole = killed_training.attempt(undisturbed, None, cache=tmp_path / "cache")

    assert [made.finished for made in attempts] == [False, False, False, True]
    assert whole.finished
    assert attempts[1].resumed_from >= 6 * 640
    assert attempts[1].resumed_from % (3 * 640) == 0
    assert attempts[2].resumed_from == attempts[1].resumed_from < attempts[3].resumed_from
    one, other = (killed_training.newest(Path(each.folder)) for each in (undisturbed, job))
    assert one is not None
    assert other is not None
    assert Checkpoint.read(one).env_steps == 150 * 640
    assert one.read_bytes() == other.read_bytes()
