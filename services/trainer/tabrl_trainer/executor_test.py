"""The executor: slots, crashes, and workers that cannot go on for now."""

import asyncio
import dataclasses

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tabrl.trainer.v1 import trainer_pb2

from tabrl_trainer.conftest import (
    CANCELLED,
    FAILED,
    QUEUED,
    RUNNING,
    STARTING,
    SUCCEEDED,
    is_state,
    logs,
    states,
    trainer,
)
from tabrl_trainer.executor import Executor
from tabrl_trainer.record import Record


async def test_a_crashed_worker_resumes_from_its_checkpoint(rig):
    run_id = await rig.create("run resumed checkpoint:1000 crash:1000 final:2000")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    told = logs(events)
    assert told[0] == "resumed at 0"
    assert "SIGKILL" in told[1]
    assert "it resumes from the checkpoint after 1,000 steps" in told[1]
    assert told[2] == "resumed at 1000"
    steps = [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints]
    assert steps == sorted(steps) == [1000, 2000]


async def test_crashes_with_progress_in_between_never_fail_a_run(rig):
    steps = range(1000, 5000, 1000)
    run_id = await rig.create("run " + " ".join(f"checkpoint:{n} crash:{n}" for n in steps) + " final:5000")
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert len([text for text in logs(events) if "SIGKILL" in text]) == 4


async def test_a_worker_that_cannot_go_on_for_now_is_tried_again(rig, short_pauses):
    run_id = await rig.create("run defer:1 checkpoint:1000 defer:1000 final:2000")
    await rig.until(run_id, lambda event: event.log.text.count("STORAGE_FULL"))
    assert (await rig.cancel(run_id)).state == CANCELLED
    run_id = await rig.create("run checkpoint:1000 defer:1000 final:2000")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    assert logs(events) == [
        "Training cannot go on for now and is tried again (STORAGE_FULL: the disk is full); "
        "it resumes from the checkpoint after 1,000 steps."
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full")), "STORAGE_FULL"),
        (RuntimeError("out of something"), "the Trainer lost it, RuntimeError: out of something"),
    ],
)
async def test_what_cannot_be_put_on_record_stops_the_worker_and_resumes_it(
    rig, tmp_path, monkeypatch, short_pauses, error, told
):
    # Given a run that trains, with a checkpoint
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run checkpoint:1000 resumed file:{gate} metrics:1500@2 wait:1000 final:2000")
    await rig.until(run_id, lambda event: event.HasField("policy_published"))

    # when one write fails
    errors, write = [error], Record.write

    async def failing(self, run_id, work):
        if errors:
            raise errors.pop()
        return await write(self, run_id, work)

    monkeypatch.setattr(Record, "write", failing)
    gate.touch()

    # then the worker is stopped, and another one goes on from the checkpoint
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    assert [text for text in logs(events) if told in text and "resumes from the checkpoint after 1,000" in text]
    assert "resumed at 1000" in logs(events)


async def test_a_run_that_is_about_to_start_takes_no_other_slot(config, worker, exporter, monkeypatch):
    # Given two slots, and a first run whose task has not come to its first write
    held, train = asyncio.Event(), Executor._train
    first: list[str] = []

    async def slow(self, run_id, attempt=None):
        first.append(run_id)
        if run_id == first[0]:
            await held.wait()
        await train(self, run_id, attempt)

    monkeypatch.setattr(Executor, "_train", slow)
    async with trainer(dataclasses.replace(config, slots=2), worker, exporter) as rig:
        waiting = await rig.create("run final:1")
        while not first:
            await asyncio.sleep(0.01)
        # when a second one comes, then it trains
        assert states(await rig.watch(await rig.create("run final:1")))[-1] == SUCCEEDED
        assert (await rig.get(waiting)).state == QUEUED
        held.set()
        assert states(await rig.watch(waiting))[-1] == SUCCEEDED


async def test_the_third_crash_fails_the_run(rig):
    run_id = await rig.create("run crash")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, STARTING, RUNNING, FAILED]
    error = (await rig.get(run_id)).error
    assert error.reason == "WORKER_CRASHED"
    assert "out of something" in error.message


async def test_a_final_checkpoint_is_enough_to_succeed(rig):
    run_id = await rig.create("run final:1000 crash")
    assert states(await rig.watch(run_id))[-1] == SUCCEEDED


async def test_divergence_fails_the_run_at_once(rig):
    run_id = await rig.create("run checkpoint:1000 diverge")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, FAILED]
    run = await rig.get(run_id)
    assert run.error.reason == "TRAINING_DIVERGED"
    assert run.checkpoints[0].policy_id


async def test_runs_wait_for_a_slot_in_order(rig, tmp_path):
    gate = tmp_path / "gate"
    runs = [await rig.create(f"run file:{gate} final:1") for _ in range(3)]
    await rig.until(runs[0], is_state(RUNNING))
    assert [(await rig.get(run_id)).state for run_id in runs[1:]] == [QUEUED, QUEUED]
    gate.touch()
    for run_id in runs:
        await rig.watch(run_id)
    starts = [(await rig.get(run_id)).start_time.ToNanoseconds() for run_id in runs]
    assert starts == sorted(starts)


async def test_checkpoints_never_go_backwards(rig):
    run_id = await rig.create("run checkpoint:2000 checkpoint:1000 checkpoint:2000 final:3000 checkpoint:4000")
    await rig.watch(run_id)
    assert [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints] == [2000, 3000]


async def test_a_run_that_is_deleted_as_it_is_taken_is_left_alone(rig, monkeypatch):
    taken = asyncio.Event()
    write = Executor._write

    async def write_late(self, run_id, work):
        if not taken.is_set():
            taken.set()
            await rig.cancel(run_id)
            await rig.stub.DeleteRun(trainer_pb2.DeleteRunRequest(run_id=run_id))
        return await write(self, run_id, work)

    monkeypatch.setattr(Executor, "_write", write_late)
    await rig.create("run final:1000")
    await taken.wait()
    run_id = await rig.create("run final:1000")
    assert states(await rig.watch(run_id))[-1] == SUCCEEDED


async def test_what_is_written_again_because_its_commit_was_in_doubt_changes_nothing(rig, monkeypatch):
    # given a database of which each commit is in doubt
    write = Record.write_persistently

    async def write_twice(self, run_id, work):
        await write(self, run_id, work)
        return await write(self, run_id, work)

    monkeypatch.setattr(Record, "write_persistently", write_twice)
    with capture_logs() as said:
        run_id = await rig.create("run checkpoint:1000 crash:1000 final:2000")
        events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    assert [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints] == [1000, 2000]
    assert not [line for line in said if line["event"] == "run left to another Trainer"]
