"""Many who watch one batch: each sees it end, for the price of one."""

import asyncio
import time

import grpc
import pytest
from tabrl.trainer.v1 import batches_pb2
from tabrl_chassis.errors import error_from

from tabrl_trainer import batch_record
from tabrl_trainer.batches_test import DONE, batch_of
from tabrl_trainer.conftest import RUNNING, is_state, trainer

WATCHERS = 60


async def test_a_batch_is_read_once_for_all_who_watch_it(rig, monkeypatch):
    reads = []

    def counted(session, batch_id, read=batch_record.batch_message):
        reads.append(batch_id)
        return read(session, batch_id)

    batch = await rig.create_batch(batch_of("0.2", "0.5", steps="run count:60 checkpoint:1000 final:4000"))
    monkeypatch.setattr("tabrl_trainer.batch_record.batch_message", counted)
    begun = time.monotonic()
    watched = await asyncio.gather(*[rig.watch_batch(batch.batch_id) for _ in range(WATCHERS)])
    secs = time.monotonic() - begun
    for snapshots in watched:
        assert snapshots[-1].state == DONE
        assert [each.revision for each in snapshots] == sorted(each.revision for each in snapshots)
    # one at once, then at most four in a second
    assert len(reads) <= 2 + secs / 0.25


async def test_a_drain_breaks_the_watch_of_a_batch_off(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        batch = await rig.create_batch(batch_of("0.5", steps="run wait"))
        await rig.until(batch.candidates[0].run_id, is_state(RUNNING))
        stream = rig.batches.WatchBatch(batches_pb2.WatchBatchRequest(batch_id=batch.batch_id))
        await stream.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest(stream)
    error = error_from(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert error.retry_after_secs


async def rest(stream) -> None:
    """Read a stream to its end."""
    while await stream.read() is not grpc.aio.EOF:
        pass
