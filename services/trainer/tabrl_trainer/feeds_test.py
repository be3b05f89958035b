"""Many who watch one run: each is told all of it in order, whatever its place and its pace, for the price of one."""

import asyncio
import random
import time

import grpc
import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import error_from

from tabrl_trainer import feeds
from tabrl_trainer.conftest import SUCCEEDED, is_state, logs, states
from tabrl_trainer.feeds import SharedRead


def in_order(events, after=0) -> bool:
    """Whether revisions count on from one without a gap or a repeat."""
    return [event.revision for event in events] == list(range(after + 1, after + 1 + len(events)))


async def test_watchers_that_come_at_any_time_from_any_place_are_told_all_in_order(rig, monkeypatch):
    # given a feed that keeps little, so that most of what is told comes from the database
    monkeypatch.setattr(feeds, "MOST_EVENTS_KEPT", 8)
    monkeypatch.setattr(feeds, "_EVENTS_PER_READ", 3)
    monkeypatch.setattr("tabrl_trainer.watching._EVENTS_PER_TURN", 4)
    run_id = await rig.create("run lines:100x20 final:1000")

    # when watchers come while it trains, from the start or from where it is
    async def watches():
        await asyncio.sleep(random.random())
        after = random.choice([0, (await rig.get(run_id)).revision])
        return after, await rig.watch(run_id, after)

    told = await asyncio.gather(*[watches() for _ in range(40)])

    # then each is told everything after its place
    everything = await rig.watch(run_id)
    assert in_order(everything)
    assert states(everything)[-1] == SUCCEEDED
    assert sum(line.startswith("99 ") for line in logs(everything)) == 1
    for after, events in told:
        assert events == everything[after:]


async def test_a_watch_of_many_runs_gives_each_its_turn(rig, monkeypatch):
    # given a run that has much to tell, and one that waits behind it
    monkeypatch.setattr("tabrl_trainer.watching._EVENTS_PER_TURN", 5)
    talkative = await rig.create("run lines:60x20 wait")
    waiting = await rig.create("run final:1")
    await rig.until(talkative, lambda event: event.log.text.startswith("59 "))
    cursors = [trainer_pb2.RunCursor(run_id=run_id) for run_id in (talkative, waiting)]
    told = []
    async for update in rig.stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=cursors)):
        if update.HasField("event"):
            told.append(update.event)
        if len(told) > 60:
            break
    # then what the second has to tell does not wait for the end of that
    assert waiting in {event.run_id for event in told[:20]}
    assert in_order([event for event in told if event.run_id == talkative])


async def test_a_run_that_is_deleted_while_it_is_watched_is_said_to_be_gone(rig, exporter):
    # given a run that has ended, and is watched until its policy is published
    exporter.gate.clear()
    run_id = await rig.create("run final:1")
    stream = rig.follow(run_id)
    while not is_state(SUCCEEDED)(await anext(stream)):
        pass
    await rig.stub.DeleteRun(trainer_pb2.DeleteRunRequest(run_id=run_id))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(stream)
    assert error_from(caught.value).reason == "RUN_NOT_FOUND"
    exporter.gate.set()


async def test_a_shared_read_serves_all_who_ask_before_it_begins_and_none_who_ask_later():
    clock = 0

    async def read():
        begun = clock
        await asyncio.sleep(0.01)
        reads.append(begun)
        return begun

    reads: list[int] = []
    shared = SharedRead(read)
    first = [asyncio.create_task(shared()) for _ in range(100)]
    await asyncio.sleep(0.005)
    clock = 1
    second = [asyncio.create_task(shared()) for _ in range(100)]
    second[0].cancel()
    assert await asyncio.gather(*first) == [0] * 100
    assert await asyncio.gather(*second[1:]) == [1] * 99
    assert reads == [0, 1]


async def test_a_shared_read_that_fails_is_tried_again_by_the_next_who_asks():
    answers = iter([OSError("away"), "here"])

    async def read():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SharedRead(read)
    with pytest.raises(OSError, match="away"):
        await shared()
    assert await shared() == "here"


async def test_a_shared_read_of_a_pace_keeps_it_and_lets_nobody_wait_without_need():
    async def read():
        reads.append(time.monotonic())
        return len(reads)

    reads: list[float] = []
    shared = SharedRead(read, 0.2)
    begun = time.monotonic()
    assert await shared() == 1
    assert time.monotonic() - begun < 0.2
    assert await asyncio.gather(*[shared() for _ in range(100)]) == [2] * 100
    assert reads[1] - reads[0] >= 0.2
