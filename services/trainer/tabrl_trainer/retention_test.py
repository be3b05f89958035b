"""Which files of checkpoints stay, and which are deleted once nothing needs them."""

import asyncio
import dataclasses
import datetime

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError

from tabrl_trainer import batch_record
from tabrl_trainer.batches_test import DONE, batch_of, ended, search_of
from tabrl_trainer.conftest import SUCCEEDED, is_state
from tabrl_trainer.models import CheckpointRow, UnwantedFileRow
from tabrl_trainer.record import SKIPPED, now
from tabrl_trainer.starting_points_test import stored


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


@pytest.fixture
def database(rig):
    """The Trainer's database, as another process has it."""
    database = Database(rig.config.database_url)
    yield database
    database.close()


async def swept(rig, database, sha256: str) -> None:
    """Put a file on the list, and wait until whatever can be deleted is."""
    # What is needed by nothing goes by the first sweep; by the second all others have been looked at too.
    for digests in ([sha256, rig.store.put(b"first").sha256], [rig.store.put(b"second").sha256]):
        rows = [UnwantedFileRow(sha256=each, since=now() - datetime.timedelta(days=1)) for each in digests]
        await database.write(lambda session, rows=rows: session.add_all(rows))
        await gone(rig, digests[-1])


async def search_between_trials(rig, inference, **start_from) -> str:
    """Begin a search of two trials, of which the first one is trained, and is judged once `inference.gate` is set."""
    inference.scores = lambda _policy: asyncio.sleep(0, [0.5])
    inference.gate.clear()
    spec = search_of(2)
    del spec.search.parameters[1]  # the network is that of the starting point
    spec.search.base.start_from.MergeFrom(trainer_pb2.StartingPoint(**start_from))
    batch_id = (await rig.create_batch(spec)).batch_id
    while not inference.requests:
        await asyncio.sleep(0.02)
    return batch_id


async def test_what_the_trials_of_a_search_start_from_is_kept_between_them(rig, inference, database):
    # given a search of which no run is under way
    sha256 = stored(rig)
    batch_id = await search_between_trials(rig, inference, checkpoint_sha256=sha256)

    await swept(rig, database, sha256)

    # then the second one starts from it all the same, and once the batch has ended it may go
    assert rig.store.exists(sha256)
    inference.gate.set()
    batch = await ended(rig, batch_id)
    assert batch.state == DONE
    assert [bool(candidate.run_id) for candidate in batch.candidates] == [True, True]
    await swept(rig, database, sha256)
    assert not rig.store.exists(sha256)


async def test_a_run_that_a_search_starts_from_may_be_deleted_meanwhile(rig, inference, database):
    # given a search that starts from a run
    run_id = await rig.create("final:1")
    await rig.watch(run_id)
    sha256 = stored(rig)
    checkpoint = {"env_steps": 7000, "size_bytes": 1, "media_type": "", "final": False, "policy_id": ""}
    row = CheckpointRow(run_id=run_id, sha256=sha256, publication=SKIPPED, **checkpoint)
    await database.write(lambda session: session.add(row))
    batch_id = await search_between_trials(rig, inference, run_id=run_id)

    await delete(rig, await rig.get(run_id))
    await swept(rig, database, rig.store.put(b"of nothing").sha256)

    # then the second trial starts from it too, and both say where they come from
    assert rig.store.exists(sha256)
    inference.gate.set()
    batch = await ended(rig, batch_id)
    assert batch.state == DONE
    points = [(await rig.get(candidate.run_id)).spec.start_from for candidate in batch.candidates]
    assert [(point.run_id, point.checkpoint_sha256) for point in points] == [(run_id, sha256)] * 2


async def test_what_the_candidates_of_a_batch_start_from_is_kept_until_it_ends(rig, inference, database):
    inference.gate.clear()
    spec = batch_of("0.5")
    spec.candidates[0].spec.start_from.checkpoint_sha256 = sha256 = stored(rig)
    batch_id = (await rig.create_batch(spec)).batch_id
    while not inference.requests:
        await asyncio.sleep(0.02)
    await swept(rig, database, sha256)
    assert rig.store.exists(sha256)
    inference.gate.set()
    assert (await ended(rig, batch_id)).state == DONE


async def test_a_search_whose_starting_point_was_deleted_since_it_was_checked_is_refused(rig, database):
    spec = search_of(2)
    spec.search.base.start_from.checkpoint_sha256 = "0" * 64
    with pytest.raises(TabrlError) as caught:
        await database.write(lambda session: batch_record.create(session, rig.store, spec, ()))
    assert caught.value.reason == "ARTIFACT_NOT_FOUND"
