"""Which files of checkpoints stay, and which are deleted once nothing needs them."""

import asyncio
import dataclasses

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call

from tabrl_trainer.conftest import SUCCEEDED, is_state


@pytest.fixture
def config(config, monkeypatch):
    """Keep one checkpoint beside those of policies, and delete at once."""
    monkeypatch.setattr("tabrl_trainer.retention.GRACE_SECS", 0.0)
    monkeypatch.setattr("tabrl_trainer.retention.SWEEP_EVERY_SECS", 0.02)
    return dataclasses.replace(config, keep_checkpoints=1)


async def trained(rig, tmp_path, name: str) -> trainer_pb2.Run:
    """Train a run of five checkpoints, of which policies came of the first and the last."""
    gate = tmp_path / name
    rig.exporter.gate.clear()
    asked = len(rig.exporter.requests)
    run_id = await rig.create(
        f"run checkpoint:1000 file:{gate} checkpoint:2000 checkpoint:3000 checkpoint:4000 final:5000"
    )
    while len(rig.exporter.requests) == asked:
        await asyncio.sleep(0.02)
    gate.touch()
    await rig.until(run_id, is_state(SUCCEEDED))
    rig.exporter.gate.set()
    await rig.watch(run_id)
    return await rig.get(run_id)


async def gone(rig, sha256: str) -> None:
    while rig.store.exists(sha256):
        await asyncio.sleep(0.02)


async def delete(rig, run: trainer_pb2.Run) -> None:
    await call(rig.stub.DeleteRun, trainer_pb2.DeleteRunRequest(run_id=run.run_id), service="trainer")


async def test_the_newest_checkpoints_and_those_of_policies_are_kept(rig, tmp_path):
    run = await trained(rig, tmp_path, "gate")
    published = [bool(checkpoint.policy_id) for checkpoint in run.checkpoints]
    assert published == [True, False, False, False, True]
    # The last is the newest, so that none is kept for being new alone.
    assert [checkpoint.pruned for checkpoint in run.checkpoints] == [False, True, True, True, False]
    for checkpoint in run.checkpoints[1:4]:
        await gone(rig, checkpoint.artifact.sha256)
    assert all(rig.store.exists(run.checkpoints[index].artifact.sha256) for index in (0, 4))


async def test_a_file_that_another_run_has_too_is_kept(rig, tmp_path):
    first = await trained(rig, tmp_path, "first")
    # The scripted worker writes its steps into the file, so these are the first run's files.
    second_id = await rig.create("run checkpoint:2000 final:3000")
    await rig.watch(second_id)
    second = await rig.get(second_id)
    shared = {checkpoint.artifact.sha256 for checkpoint in second.checkpoints}
    assert shared == {checkpoint.artifact.sha256 for checkpoint in first.checkpoints[1:3]}
    await delete(rig, first)
    await gone(rig, first.checkpoints[3].artifact.sha256)
    assert all(rig.store.exists(sha256) for sha256 in shared)


async def test_a_deleted_run_leaves_the_files_of_its_policies(rig, tmp_path):
    rig.exporter.gate.clear()
    cancelled_id = await rig.create("run checkpoint:7000 checkpoint:8000 wait")
    await rig.until(cancelled_id, lambda event: event.checkpoint.env_steps == 8000)
    await rig.cancel(cancelled_id)
    rig.exporter.gate.set()
    await rig.watch(cancelled_id)
    run = await rig.get(cancelled_id)
    with_policy = {c.artifact.sha256 for c in run.checkpoints if c.policy_id}
    without = {c.artifact.sha256 for c in run.checkpoints} - with_policy
    await delete(rig, run)
    for sha256 in without:
        await gone(rig, sha256)
    assert with_policy
    assert all(rig.store.exists(sha256) for sha256 in with_policy)
