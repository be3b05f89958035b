"""The Watch stream: per run a snapshot, then its events after a revision, then new ones as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

import grpc
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.feeds import Feed, Feeds
from tabrl_trainer.record import now, timestamp

__all__ = ["HEARTBEAT_SECS", "draining", "watch"]

HEARTBEAT_SECS = 10.0
"""How often those who watch hear that the stream is alive; the contracts promise every 15 s at least."""
_BACK_AFTER_SECS = 1.0
# Then it is the next run's turn.
_EVENTS_PER_TURN = 100


@dataclass
class _Place:
    """How far one run has been told: all of `revision`, and no less than `least` before the stream may end."""

    feed: Feed
    revision: int
    least: int = 0

    def is_told(self) -> bool:
        """Whether the run has ended, its publication is settled and every event has been told."""
        return self.revision >= self.least and self.feed.is_over_after(self.revision)


async def watch(
    context: Context[TrainerConfig], feeds: Feeds, request: trainer_pb2.WatchRunsRequest
) -> AsyncGenerator[trainer_pb2.WatchRunsResponse, None]:
    """Tell the runs that a request names.

    Ends when each has ended and been told in full. Raises `TabrlError`: RUN_NOT_FOUND, REVISION_OUT_OF_RANGE, and
    DRAINING when the service stops before.
    """
    after = {cursor.run_id: cursor.after_revision for cursor in request.cursors}
    with feeds.watched(list(after)) as (watched, changed):
        places = [_Place(feed, after[feed.run_id]) for feed in watched]
        for place in places:
            yield trainer_pb2.WatchRunsResponse(snapshot=await _snapshot(place))
        while True:
            changed.clear()
            for place in places:
                if not place.feed.has_after(place.revision):
                    continue
                async for event in _next_events(place):
                    yield trainer_pb2.WatchRunsResponse(event=event)
                if place.feed.has_after(place.revision):
                    changed.set()
            if all(place.is_told() for place in places):
                return
            if context.stopping.is_set():
                raise draining()
            try:
                async with asyncio.timeout(HEARTBEAT_SECS):
                    await changed.wait()
            except TimeoutError:
                yield trainer_pb2.WatchRunsResponse(heartbeat=trainer_pb2.Heartbeat(time=timestamp(now())))


async def _snapshot(place: _Place) -> trainer_pb2.Run:
    run = await place.feed.snapshot()
    if place.revision > run.revision:
        raise TabrlError(
            grpc.StatusCode.OUT_OF_RANGE,
            "REVISION_OUT_OF_RANGE",
            f"Run {run.run_id} has {run.revision} revisions, nothing comes after {place.revision}; watch from 0.",
            metadata={"run_id": run.run_id, "revision": str(run.revision)},
        )
    place.least = run.revision
    return run


async def _next_events(place: _Place) -> AsyncIterator[trainer_pb2.RunEvent]:
    """Yield a turn's events. Nothing is held while one is sent: however slow that is, it costs no memory."""
    for _ in range(_EVENTS_PER_TURN):
        if not place.feed.keeps_after(place.revision):
            for event in await place.feed.older_after(place.revision):
                place.revision = event.revision
                yield event
            return
        next_event = place.feed.next_after(place.revision)
        if next_event is None:
            return
        place.revision = next_event.revision
        yield next_event


def draining() -> TabrlError:
    """Return the error of a watch that ends because the service stops."""
    return TabrlError(
        grpc.StatusCode.UNAVAILABLE,
        "DRAINING",
        "The Trainer is shutting down; what it trains goes on when it is back, so watch again in a moment.",
        retry_after_secs=_BACK_AFTER_SECS,
    )
