"""`kill -9` of the Trainer around each commit of a batch: it ends as it would have, with nothing twice."""

import asyncio
import contextlib
import itertools
import uuid

import pytest
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.batches_test import FINISHED, STOPPED, batch_of, by_learning_rate, ended, search_of
from tabrl_trainer.conftest import Rig
from tabrl_trainer.scripted_trainer import start

_ENDS_WITHIN_SECS = 60.0

HALVING = [
    "trainer.batch_created",
    "trainer.before_batch_commit:1",
    "trainer.before_batch_commit:3",
    "trainer.before_batch_commit:5",
    "trainer.batch_committed:1",
    "trainer.batch_committed:3",
    "trainer.batch_committed:4",
    "trainer.batch_committed:6",
    "trainer.batch_evaluated:1",
    "trainer.batch_evaluated:3",
]
SEARCH = ["trainer.batch_trial_asked:1", "trainer.batch_trial_asked:3", "trainer.batch_committed:4"]


def each_on_one_database(points: list[str]) -> pytest.MarkDecorator:
    """Ask for each point once, on SQLite and PostgreSQL in turn: starting a Trainer twice takes seconds."""
    databases = itertools.cycle(["sqlite", "postgresql"])
    return pytest.mark.parametrize(
        ("database_url", "point"), list(zip(databases, points, strict=False)), indirect=["database_url"]
    )


@contextlib.asynccontextmanager
async def process(config, worker, exporter, **environment):
    """A Trainer as a process of its own."""
    log = config.data.parent / "trainer.log"
    running, address = await asyncio.to_thread(start, config, worker[0], log, environment)
    rig = Rig(config, address, exporter)
    try:
        yield rig, running
    finally:
        await rig.channel.close()
        running.kill()
        await asyncio.to_thread(running.wait)


async def killed_at(point, config, worker, exporter, inference, spec, scores) -> str:
    """Have a Trainer be killed at a point while it drives a batch; returns the request id of that."""
    request_id = str(uuid.uuid4())
    fired = config.data.parent / "fired"
    armed = {"TABRL_FAILPOINT": point, "TABRL_FAILPOINT_FILE": str(fired)}
    async with process(config, worker, exporter, **armed) as (rig, running):
        inference.scores = scores(rig)
        with contextlib.suppress(TabrlError):
            await rig.create_batch(spec, request_id)
        await asyncio.wait_for(asyncio.to_thread(running.wait), _ENDS_WITHIN_SECS)
        assert fired.exists()
    return request_id


def essence(batch: batches_pb2.Batch) -> list:
    """What came of a batch, without ids and times."""
    return [
        (
            candidate.label,
            candidate.state,
            candidate.rungs_passed,
            candidate.rank,
            sorted(candidate.parameters.items()),
            [(each.rung, each.env_steps, round(each.score, 6)) for each in candidate.evaluations],
        )
        for candidate in batch.candidates
    ]


@each_on_one_database(HALVING)
async def test_a_batch_with_rungs_ends_as_without_the_kill(config, worker, exporter, inference, point):
    spec = batch_of("0.1,0.11", "0.9,0.91", rungs=(1000,))
    by_title = inference.scores
    request_id = await killed_at(point, config, worker, exporter, inference, spec, lambda _rig: by_title)
    async with process(config, worker, exporter) as (rig, _running):
        batch = await rig.create_batch(spec, request_id)
        batch = await ended(rig, batch.batch_id)
        runs = (await rig.stub.ListRuns(trainer_pb2.ListRunsRequest())).runs
    assert essence(batch) == [
        ("with 0.1,0.11", STOPPED, 0, 2, [], [(0, 1000, 0.104)]),
        ("with 0.9,0.91", FINISHED, 1, 1, [], [(0, 1000, 0.904), (1, 4000, 0.904)]),
    ]
    assert batch.winner.index == 1
    assert sorted(run.run_id for run in runs) == sorted(candidate.run_id for candidate in batch.candidates)
    assert sorted(run.state for run in runs) == [
        trainer_pb2.RUN_STATE_SUCCEEDED,
        trainer_pb2.RUN_STATE_CANCELLED,
    ]


@each_on_one_database(SEARCH)
async def test_a_search_tries_the_same_as_without_the_kill(config, worker, exporter, inference, point):
    def scores(rig):
        return lambda policy: by_learning_rate(rig, policy)

    spec = search_of(5)
    request_id = await killed_at(point, config, worker, exporter, inference, spec, scores)
    async with process(config, worker, exporter) as (rig, _running):
        inference.scores = scores(rig)
        batch = await ended(rig, (await rig.create_batch(spec, request_id)).batch_id)
        undisturbed = await ended(rig, (await rig.create_batch(spec)).batch_id)
        runs = (await rig.stub.ListRuns(trainer_pb2.ListRunsRequest())).runs
    assert essence(batch) == essence(undisturbed)
    assert len({tuple(sorted(candidate.parameters.items())) for candidate in batch.candidates}) == 5
    assert len(runs) == 10
