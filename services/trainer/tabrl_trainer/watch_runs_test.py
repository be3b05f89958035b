"""WatchRuns: every event once, in order, through breaks and restarts."""

import asyncio
import signal
from pathlib import Path

import grpc
import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError, error_from

from tabrl_trainer.conftest import (
    QUEUED,
    RUNNING,
    STARTING,
    SUCCEEDED,
    Rig,
    is_state,
    logs,
    states,
    trainer,
)
from tabrl_trainer.scripted_trainer import start


async def test_a_watch_goes_on_where_it_broke_off(rig):
    run_id = await rig.create("run metrics:1000@2 checkpoint:1000 final:2000")
    everything = await rig.watch(run_id)
    assert await rig.watch(run_id, after=3) == everything[3:]
    assert await rig.watch(run_id, after=len(everything)) == []


async def test_a_watch_begins_with_a_snapshot_of_each_run(rig):
    first, second = await rig.create("final:1"), await rig.create("final:2")
    cursors = [trainer_pb2.RunCursor(run_id=run_id) for run_id in (first, second)]
    responses = [r async for r in rig.stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=cursors))]
    assert [response.snapshot.run_id for response in responses[:2]] == [first, second]
    ended = {r.event.run_id for r in responses if r.HasField("event") and is_state(SUCCEEDED)(r.event)}
    assert ended == {first, second}


@pytest.mark.parametrize(
    ("run_id", "after", "reason"),
    [("missing", 0, grpc.StatusCode.NOT_FOUND), (None, 1000, grpc.StatusCode.OUT_OF_RANGE)],
)
async def test_a_watch_of_what_is_not_there_is_refused(rig, run_id, after, reason):
    known = await rig.create("final:1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.watch(run_id or known, after)
    assert caught.value.code() is reason


async def watch_until_it_breaks(rig, run_id, begun: asyncio.Event) -> tuple[list[trainer_pb2.RunEvent], TabrlError]:
    events = []
    try:
        async for event in rig.follow(run_id):
            events.append(event)
            begun.set()
    except grpc.aio.AioRpcError as error:
        return events, error_from(error)
    raise AssertionError("the watch ended as if the run had")


async def test_a_drain_breaks_watches_off_and_the_run_goes_on_after_the_restart(config, worker, exporter, tmp_path):
    gate = tmp_path / "gate"
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create(f"run checkpoint:1000 resumed file:{gate} final:2000")
        watching = asyncio.create_task(watch_until_it_breaks(rig, run_id, begun := asyncio.Event()))
        await rig.until(run_id, lambda event: event.HasField("checkpoint"))
        await begun.wait()
    events, error = await watching
    assert states(events) == [QUEUED, STARTING, RUNNING]
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert error.retry_after_secs
    gate.touch()
    async with trainer(config, worker, exporter) as rig:
        events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert (
        "The Trainer was restarted while this run trained; it resumes from the checkpoint after 1,000 steps."
        in logs(events)
    )
    assert "resumed at 1000" in logs(events)


async def test_the_checkpoint_written_on_a_drain_is_kept(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create("run onstop:1500 checkpoint:1000 resumed wait")
        await rig.until(run_id, lambda event: event.log.text == "resumed at 0")
    async with trainer(config, worker, exporter) as rig:
        await rig.until(run_id, lambda event: event.log.text == "resumed at 1500")
        assert [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints] == [1000, 1500]
        await rig.cancel(run_id)


async def test_a_killed_trainer_takes_its_worker_along_and_resumes_and_a_signal_drains_it(
    config, worker, exporter, tmp_path
):
    gate, pid_file = tmp_path / "gate", tmp_path / "pid"
    script = Path(worker[0])
    script.write_text(f"import os; open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n" + script.read_text())
    process, address = await asyncio.to_thread(start, config, script, tmp_path / "log")
    rig = Rig(config, address, exporter)
    run_id = await rig.create(f"run checkpoint:1000 resumed file:{gate} final:2000")
    await rig.until(run_id, lambda event: event.log.text == "resumed at 0")
    worker_pid = int(pid_file.read_text())
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert "jaxlib" not in loaded
    process.send_signal(signal.SIGKILL)
    process.wait()
    while _alive(worker_pid):
        await asyncio.sleep(0.02)
    await rig.channel.close()
    gate.touch()
    process, address = await asyncio.to_thread(start, config, script, tmp_path / "log")
    rig = Rig(config, address, exporter)
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert "resumed at 1000" in logs(events)
    # A signal to stop breaks off the watch of a run that has not ended, and the process ends in good order.
    run_id = await rig.create("run wait")
    await rig.until(run_id, is_state(RUNNING))
    watching = asyncio.create_task(watch_until_it_breaks(rig, run_id, begun := asyncio.Event()))
    await begun.wait()
    process.terminate()
    events, error = await watching
    assert error.reason == "DRAINING"
    assert await asyncio.to_thread(process.wait, 30) == 0
    await rig.channel.close()


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
