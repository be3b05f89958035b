"""Many watchers of many runs; and those who do not read, who cost no memory and hold nobody up."""

import asyncio
import json

import aiohttp
import grpc
import psutil
import pytest
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc

from tabrl_trainer.conftest import CANCELLED, RUNNING, SUCCEEDED, Rig, is_state, states
from tabrl_trainer.scripted_trainer import start

RUNS, READERS = 100, 20
SLOW, LINES, LINE_BYTES = 50, 300, 20_000


@pytest.fixture
def database_url(tmp_path):
    """One kind of database: what differs between them is not how many read, and how fast."""
    return f"sqlite:///{tmp_path / 'test.db'}"


async def test_as_many_runs_as_a_watch_may_name_are_told_to_many(rig):
    # given a list of runs that wait behind one
    await rig.create("run wait")
    waiting = await asyncio.gather(*[rig.create("run final:1") for _ in range(RUNS)])
    request = trainer_pb2.WatchRunsRequest(cursors=[trainer_pb2.RunCursor(run_id=run_id) for run_id in waiting])

    async def reads():
        told = [update async for update in rig.stub.WatchRuns(request)]
        snapshots = [update.snapshot.run_id for update in told if update.HasField("snapshot")]
        return snapshots, [update.event for update in told if update.HasField("event")]

    # when many look at the list while each of them is cancelled
    reading = [asyncio.create_task(reads()) for _ in range(READERS)]
    await asyncio.gather(*[rig.cancel(run_id) for run_id in waiting])

    # then each sees every run end
    for snapshots, events in await asyncio.gather(*reading):
        assert snapshots == waiting
        ended = [event.run_id for event in events if is_state(CANCELLED)(event)]
        assert sorted(ended) == sorted(waiting)
        assert len(events) == 2 * RUNS


@pytest.fixture
async def process(config, worker, tmp_path):
    """A Trainer in a process of its own, and its address."""
    process, address = await asyncio.to_thread(start, config, worker[0], tmp_path / "log")
    yield process, address
    process.kill()
    process.wait()


async def test_those_who_do_not_read_cost_no_memory_and_hold_nobody_up(process, config, exporter, tmp_path):
    process, address = process
    rig = Rig(config, address, exporter)
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run file:{gate} lines:{LINES}x{LINE_BYTES} final:1000")
    await rig.until(run_id, is_state(RUNNING))

    # given watchers that ask and then do not read, of whose library a stream holds 64 KiB and not megabytes
    request = trainer_pb2.WatchRunsRequest(cursors=[trainer_pb2.RunCursor(run_id=run_id)])
    channel = grpc.aio.insecure_channel(address, options=[("grpc.http2.bdp_probe", 0)])
    stub = trainer_pb2_grpc.TrainerServiceStub(channel)
    slow = [stub.WatchRuns(request) for _ in range(SLOW)]
    await asyncio.gather(*[stream.read() for stream in slow])
    before = psutil.Process(process.pid).memory_info().rss

    # when much happens, then another watcher is told all of it and the run ends
    gate.touch()
    everything = await rig.watch(run_id)
    assert [event.revision for event in everything] == list(range(1, len(everything) + 1))
    assert states(everything)[-1] == SUCCEEDED

    # and what the slow ones have not taken is kept nowhere
    assert await _messages_sent(tmp_path / "log") < len(everything) * SLOW / 2
    grown = psutil.Process(process.pid).memory_info().rss - before
    print(f"{SLOW} slow watchers of {LINES * LINE_BYTES / 1e6:.0f} MB each: {grown / 1e6:.0f} MB more")
    assert grown < LINES * LINE_BYTES * SLOW / 4

    # until they read on: all of it, in order
    async def rest(stream):
        told = []
        while (update := await stream.read()) is not grpc.aio.EOF:
            if update.HasField("event"):
                told.append(update.event)
        return told

    for told in await asyncio.gather(*[rest(stream) for stream in slow[:5]]):
        assert told == everything
    for stream in slow[5:]:
        stream.cancel()
    await rig.channel.close()
    await channel.close()


async def _messages_sent(log):
    """Return how many messages of watches the Trainer whose log this is has sent."""
    serving = next(json.loads(line) for line in log.read_text().splitlines() if '"event": "serving"' in line)
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{serving['http_port']}/metrics") as got:
        lines = (await got.text()).splitlines()
    sent = next(line for line in lines if line.startswith("grpc_server_msg_sent_total") and '"WatchRuns"' in line)
    return float(sent.split()[-1])
