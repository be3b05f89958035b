"""CancelRun: with a worker, without one, and too late."""

import pytest
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.conftest import CANCELLED, QUEUED, RUNNING, is_state, states


@pytest.mark.parametrize("manner", ["", "deaf "])
async def test_cancel_stops_the_worker_and_keeps_the_checkpoint(rig, manner):
    run_id = await rig.create(f"{manner}run checkpoint:1000 wait")
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    run = await rig.cancel(run_id)
    assert run.state == CANCELLED
    assert run.checkpoints[0].env_steps == 1000
    assert run.HasField("end_time")
    assert (await rig.cancel(run_id)).revision >= run.revision
    assert states(await rig.watch(run_id))[-1] == CANCELLED
    assert (await rig.get(run_id)).checkpoints[0].policy_id


async def test_a_cancel_that_takes_long_answers_with_the_run_as_it_stands(rig, monkeypatch):
    monkeypatch.setattr("tabrl_trainer.servicer._CANCEL_TIMEOUT_SECS", 0.05)
    run_id = await rig.create("deaf run wait")
    await rig.until(run_id, is_state(RUNNING))
    assert (await rig.cancel(run_id)).state == RUNNING
    assert states(await rig.watch(run_id))[-1] == CANCELLED


async def test_a_queued_run_is_cancelled_without_a_worker(rig):
    first = await rig.create("run wait")
    await rig.until(first, is_state(RUNNING))
    second = await rig.create("run final:1")
    assert (await rig.cancel(second)).state == CANCELLED
    await rig.cancel(first)
    assert states(await rig.watch(second)) == [QUEUED, CANCELLED]


async def test_an_ended_or_unknown_run_cannot_be_cancelled(rig):
    run_id = await rig.create("run final:1")
    await rig.watch(run_id)
    for name, reason in ((run_id, "RUN_ENDED"), ("missing", "RUN_NOT_FOUND")):
        with pytest.raises(TabrlError) as caught:
            await rig.cancel(name)
        assert caught.value.reason == reason
