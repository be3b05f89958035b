"""EstimateRun: from runs seen here, and the wait in the queue."""

import pytest
import sqlalchemy as sa
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call

from tabrl_trainer.conftest import RUNNING, is_state


async def estimate(rig, **spec) -> trainer_pb2.EstimateRunResponse:
    spec = trainer_pb2.RunSpec(**{"environment_id": "CartpoleBalance", **spec})
    return await call(rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec), service="trainer")


async def test_an_estimate_learns_from_runs_seen_here(rig):
    settings = trainer_pb2.TrainingSettings(env_steps=100_000)
    first = await estimate(rig, settings=settings)
    assert first.measured_runs == 0
    assert first.duration_secs == pytest.approx(first.startup_secs + 100_000 / first.env_steps_per_sec)
    assert first.settings.HasField("learning_rate")
    # 50,000 steps in 10 s, after 4 s of loading.
    await rig.watch(await rig.create("run metrics:10000@4 metrics:60000@14 final:60000"))
    second = await estimate(rig, settings=settings)
    assert (second.measured_runs, second.startup_secs, second.env_steps_per_sec) == (1, 4.0, 5000.0)
    assert (second.duration_secs, second.queue_secs) == (24.0, 0.0)


async def test_an_estimate_counts_the_queue(rig):
    run_id = await rig.create("run metrics:10000@4 wait")
    await rig.until(run_id, lambda event: event.HasField("metrics"))
    assert (await estimate(rig)).queue_secs == 5.0
    await rig.cancel(run_id)


async def test_what_is_on_record_of_an_environment_is_read_once_for_the_whole_queue(rig):
    await rig.watch(await rig.create("run metrics:10000@4 metrics:60000@14 final:60000"))
    await rig.until(await rig.create("run wait"), is_state(RUNNING))
    for environment_id in ("CartpoleBalance", "CartpoleSwingup") * 10:
        await rig.create("wait", environment_id, settings=trainer_pb2.TrainingSettings(env_steps=50_000))
    asked = []

    def counts(_connection, _cursor, statement, *_):
        if "FROM attempts" in statement and "startup_secs" in statement:
            asked.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", counts)
    try:
        queue_secs = (await estimate(rig, settings=trainer_pb2.TrainingSettings(env_steps=50_000))).queue_secs
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", counts)
    assert len(asked) == 2
    # ten that need 4 s and then 10 s as measured, ten at the release's speed, and the one that trains, which is long
    assert queue_secs > 10 * (4 + 10)
