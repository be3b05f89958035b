"""PauseRun and ContinueRun: a run gives up its slot, and goes on from its newest checkpoint."""

import asyncio

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.conftest import CANCELLED, PAUSED, QUEUED, RUNNING, STARTING, SUCCEEDED, is_state, logs, states


async def pause(rig, run_id):
    return (await call(rig.stub.PauseRun, trainer_pb2.PauseRunRequest(run_id=run_id), service="trainer")).run


async def go_on(rig, run_id):
    return (await call(rig.stub.ContinueRun, trainer_pb2.ContinueRunRequest(run_id=run_id), service="trainer")).run


async def test_a_paused_run_gives_up_its_slot_and_goes_on_from_its_checkpoint(rig, tmp_path):
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run resumed checkpoint:1000 file:{gate} final:2000")
    await rig.until(run_id, lambda event: event.HasField("policy_published"))
    paused = await pause(rig, run_id)
    assert paused.state == PAUSED
    assert not paused.HasField("end_time")
    # pausing again changes nothing, and another run takes the slot
    assert (await pause(rig, run_id)).revision == paused.revision
    assert states(await rig.watch(await rig.create("run final:1")))[-1] == SUCCEEDED
    assert (await go_on(rig, run_id)).state in (QUEUED, STARTING, RUNNING)
    gate.touch()
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, PAUSED, QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert logs(events) == ["resumed at 0", "resumed at 1000"]


async def test_a_run_that_waits_is_paused_and_continued_in_its_place(rig, tmp_path):
    gate = tmp_path / "gate"
    first = await rig.create(f"run file:{gate} final:1")
    await rig.until(first, is_state(RUNNING))
    second = await rig.create("run final:1")
    assert (await pause(rig, second)).state == PAUSED
    assert (await go_on(rig, second)).state == QUEUED
    assert (await go_on(rig, second)).state == QUEUED
    gate.touch()
    assert states(await rig.watch(second)) == [QUEUED, PAUSED, QUEUED, STARTING, RUNNING, SUCCEEDED]


async def test_who_continues_a_run_that_is_about_to_pause_has_it_go_on(rig, monkeypatch, tmp_path):
    # given a worker that takes long to stop
    monkeypatch.setattr("tabrl_trainer.servicer._CANCEL_TIMEOUT_SECS", 0.05)
    gate = tmp_path / "gate"
    run_id = await rig.create(f"deaf run checkpoint:1000 file:{gate} final:2000")
    await rig.until(run_id, lambda event: event.HasField("policy_published"))
    assert (await pause(rig, run_id)).state == RUNNING
    await go_on(rig, run_id)
    # then the worker that was told to stop is followed by another one
    gate.touch()
    events = await rig.watch(run_id)
    assert PAUSED not in states(events)
    assert states(events)[-1] == SUCCEEDED


async def test_a_paused_run_can_be_cancelled(rig):
    run_id = await rig.create("run checkpoint:1000 wait")
    await rig.until(run_id, lambda event: event.HasField("policy_published"))
    await pause(rig, run_id)
    assert (await rig.cancel(run_id)).state == CANCELLED


async def test_a_paused_run_stays_paused_when_the_trainer_starts_again(config, worker, exporter):
    from tabrl_trainer.conftest import trainer

    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create("run checkpoint:1000 wait:1000 final:2000")
        await rig.until(run_id, lambda event: event.HasField("policy_published"))
        await pause(rig, run_id)
    async with trainer(config, worker, exporter) as rig:
        await asyncio.sleep(0.5)
        assert (await rig.get(run_id)).state == PAUSED
        await go_on(rig, run_id)
        assert states(await rig.watch(run_id))[-1] == SUCCEEDED


@pytest.mark.parametrize("change", [pause, go_on])
async def test_an_ended_or_unknown_run_is_neither_paused_nor_continued(rig, change):
    run_id = await rig.create("run final:1")
    await rig.watch(run_id)
    for name, reason in ((run_id, "RUN_ENDED"), ("missing", "RUN_NOT_FOUND")):
        with pytest.raises(TabrlError) as caught:
            await change(rig, name)
        assert caught.value.reason == reason
