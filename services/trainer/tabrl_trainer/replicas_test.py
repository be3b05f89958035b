"""Several Trainers that share a PostgreSQL: one queue, and each run trained by one of them at a time."""

import asyncio
import contextlib
import dataclasses
import time

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.database import Database

from tabrl_trainer import leases
from tabrl_trainer.batches_test import FINISHED, batch_of, search_of
from tabrl_trainer.conftest import (
    CANCELLED,
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
from tabrl_trainer.holder import Holder
from tabrl_trainer.record import Record, log


@pytest.fixture
def database_url(postgresql_server):
    """Only PostgreSQL is shared."""
    with postgresql_server.database() as url:
        yield url


@pytest.fixture
def other_config(config, tmp_path):
    """The configuration of a second Trainer, with a data folder of its own."""
    return dataclasses.replace(config, data=tmp_path / "other", artifacts_url=str(config.data / "artifacts"))


@pytest.fixture
async def pair(config, other_config, worker, exporter):
    """Two Trainers that run."""
    async with trainer(config, worker, exporter) as one, trainer(other_config, worker, exporter) as other:
        yield one, other


@pytest.fixture
def short_leases(monkeypatch):
    """Leases that end soon."""
    monkeypatch.setattr(leases, "LEASE_SECS", 1.5)
    monkeypatch.setattr(leases, "RENEW_EVERY_SECS", 0.3)
    monkeypatch.setattr("tabrl_trainer.executor.LOOK_EVERY_SECS", 0.1)


def in_order(events) -> bool:
    """Whether revisions count from 1 without a gap."""
    return [event.revision for event in events] == list(range(1, len(events) + 1))


async def test_runs_of_one_queue_are_trained_once_each(pair, tmp_path, exporter):
    one, other = pair
    gate = tmp_path / "gate"
    runs = [await one.create(f"run checkpoint:1 file:{gate} final:2") for _ in range(4)]
    # both have one slot, so that two train at once
    await asyncio.gather(*[other.until(run_id, is_state(RUNNING)) for run_id in runs[:2]])
    assert [(await one.get(run_id)).state for run_id in runs[2:]] == [QUEUED, QUEUED]
    gate.touch()
    for run_id in runs:
        events = await other.watch(run_id)
        assert in_order(events)
        assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    finals = [event.policy_published for run_id in runs for event in await one.watch(run_id)]
    assert sum(published.final for published in finals) == len(runs)


async def test_a_run_is_watched_and_cancelled_through_any_of_them(config, other_config, worker, exporter):
    async with trainer(config, worker, exporter) as one:
        run_id = await one.create("run checkpoint:1000 wait")
        await one.until(run_id, is_state(RUNNING))
        async with trainer(other_config, worker, exporter) as other:
            watching = asyncio.create_task(other.watch(run_id))
            cancelled = await other.cancel(run_id)
            assert cancelled.state == CANCELLED
            events = await watching
            assert in_order(events)
            assert states(events)[-1] == CANCELLED


async def test_a_run_whose_trainer_is_lost_is_taken_over_and_a_late_word_is_refused(
    config, other_config, worker, exporter, short_leases, monkeypatch, tmp_path
):
    # given a Trainer that no longer renews its leases, as one that hangs, though its worker trains on
    async def hangs(self):
        await asyncio.Event().wait()

    gate = tmp_path / "gate"
    async with contextlib.AsyncExitStack() as stack:
        with monkeypatch.context() as patched:
            patched.setattr(Executor, "keep_leases", hangs)
            patched.setattr(Executor, "_take_over", lambda _self: asyncio.sleep(0))
            one = await stack.enter_async_context(trainer(config, worker, exporter))
            run_id = await one.create(f"run checkpoint:1000 resumed file:{gate} final:2000")
            await one.until(run_id, lambda event: event.HasField("policy_published"))
        # when another one looks, then it goes on from the checkpoint
        other = await stack.enter_async_context(trainer(other_config, worker, exporter))
        await other.until(run_id, lambda event: event.log.text == "resumed at 1000")
        # and what the first worker says after that is not put on record, though both say the same
        gate.touch()
        events = await other.watch(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert "The Trainer was lost while this run trained; it resumes from the checkpoint after 1,000 steps." in logs(
        events
    )
    assert sum(event.checkpoint.final for event in events if event.HasField("checkpoint")) == 1


async def test_a_trainer_that_stops_hands_its_run_over_at_once(config, other_config, worker, exporter, tmp_path):
    gate = tmp_path / "gate"
    async with trainer(other_config, worker, exporter) as other:
        # the only slot of the first one is taken before there is another, so that this other trains the second run
        busy = await other.create("run wait")
        await other.until(busy, is_state(RUNNING))
        async with trainer(config, worker, exporter) as one:
            run_id = await one.create(f"run checkpoint:1000 file:{gate} final:2000")
            await one.until(run_id, lambda event: event.HasField("policy_published"))
            await other.cancel(busy)
        stopped = time.monotonic()
        await _until_running_again(other, run_id)
        assert time.monotonic() - stopped < leases.LEASE_SECS
        gate.touch()
        assert states(await other.watch(run_id))[-1] == SUCCEEDED


async def _until_running_again(rig, run_id):
    count = 0
    async for event in rig.follow(run_id):
        count += event.state_changed.state == RUNNING
        if count == 2:
            return


async def test_a_database_that_goes_away_for_a_while_loses_nothing(
    config, worker, exporter, postgresql_server, short_pauses, tmp_path
):
    gate = tmp_path / "gate"
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create(f"run checkpoint:1000 file:{gate} metrics:1500@2 final:2000")
        await rig.until(run_id, lambda event: event.HasField("policy_published"))
        postgresql_server.pause()
        gate.touch()
        await asyncio.sleep(2.0)
        postgresql_server.start()
        events = await _watch_persistently(rig, run_id)
    assert in_order(events)
    assert states(events)[-1] == SUCCEEDED


async def _watch_persistently(rig, run_id):
    for _ in range(50):
        with contextlib.suppress(Exception):
            events = await rig.watch(run_id)
            if events and events[-1].revision and states(events)[-1] == SUCCEEDED:
                return events
        await asyncio.sleep(0.2)
    raise AssertionError(f"the run did not end: {(await rig.get(run_id)).state}")


async def test_the_same_request_through_both_makes_one_run(pair):
    request = trainer_pb2.CreateRunRequest(
        spec=trainer_pb2.RunSpec(environment_id="CartpoleBalance", title="run final:1"),
        request_id="7d1a1e7e-58a9-4a35-8b5f-0d6d2a0c9a11",
    )
    answers = await asyncio.gather(*[rig.stub.CreateRun(request) for rig in pair * 4])
    assert len({answer.run.run_id for answer in answers}) == 1


async def test_what_one_trainer_adds_to_an_ended_run_is_told_by_another_that_has_a_feed_of_it(pair, config, tmp_path):
    one, other = pair
    # given an ended run that somebody still watches through one of them, beside a run that goes on
    gate = tmp_path / "gate"
    ended, going = await one.create("run final:1"), await one.create(f"run file:{gate} final:1")
    last = (await one.watch(ended))[-1].revision
    request = trainer_pb2.WatchRunsRequest(cursors=[trainer_pb2.RunCursor(run_id=run_id) for run_id in (ended, going)])
    stream = other.stub.WatchRuns(request)
    while (update := await stream.read()).event.run_id != ended or update.event.revision < last:
        pass
    # when a word is added to it elsewhere, then who comes next is told that word before the stream ends
    database = Database(config.database_url)
    await Record(database).write(ended, lambda session, run: log(session, run, trainer_pb2.LOG_LEVEL_INFO, "late"))
    assert logs(await other.watch(ended))[-1:] == ["late"]
    database.close()
    gate.touch()


def test_a_trainer_goes_by_one_name_after_each_start(tmp_path):
    first = Holder(tmp_path)
    # a second process with the folder goes by another name
    second = Holder(tmp_path)
    assert first.name != second.name
    first.close()
    second.close()
    again = Holder(tmp_path)
    assert again.name == first.name
    again.close()


async def test_a_batch_is_driven_once_by_several_trainers(pair, inference):
    one, other = pair
    batch_id = (await one.create_batch(batch_of("0.1,0.11", "0.9,0.91", "0.5,0.51", rungs=(1000,)))).batch_id
    batch = (await other.watch_batch(batch_id))[-1]
    assert batch.winner.index == 1
    assert batch == await one.get_batch(batch_id)
    # three at the rung, two at their end, none of them twice
    assert len(inference.requests) == 5
    assert len({request.policy_id for request in inference.requests}) == 5


async def test_a_search_is_driven_on_by_another_trainer_when_the_first_stops(
    config, other_config, worker, exporter, inference
):
    inference.scores = lambda _policy: asyncio.sleep(0, [0.5, 0.51])
    async with trainer(other_config, worker, exporter) as other:
        async with trainer(config, worker, exporter) as one:
            batch_id = (await one.create_batch(search_of(4))).batch_id
            while len((await one.get_batch(batch_id)).candidates) < 2:
                await asyncio.sleep(0.02)
        batch = (await other.watch_batch(batch_id))[-1]
    assert len(batch.candidates) == 4
    assert len({tuple(sorted(candidate.parameters.items())) for candidate in batch.candidates}) == 4
    assert {candidate.state for candidate in batch.candidates} == {FINISHED}


async def test_a_batch_waits_for_a_database_that_goes_away(
    config, worker, exporter, inference, postgresql_server, short_pauses
):
    inference.gate.clear()
    async with trainer(config, worker, exporter) as rig:
        batch_id = (await rig.create_batch(batch_of("0.1,0.11", "0.9,0.91", rungs=(1000,)))).batch_id
        while not inference.requests:
            await asyncio.sleep(0.02)
        postgresql_server.pause()
        inference.gate.set()
        await asyncio.sleep(2.0)
        postgresql_server.start()
        for _ in range(50):
            with contextlib.suppress(Exception):
                batch = (await rig.watch_batch(batch_id))[-1]
                break
            await asyncio.sleep(0.2)
    assert batch.winner.index == 1
    assert [len(candidate.evaluations) for candidate in batch.candidates] == [1, 2]
