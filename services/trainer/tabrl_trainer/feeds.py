"""What watched runs tell, read once for all who watch them.

A feed keeps the newest events of one run in memory, so that a thousand watchers of it cost one read of the database per
change. Each watcher has its own place in the run's history and takes one event at a time from there: one that is slow
keeps nothing but its place, and reads from the database what the feed no longer keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Generic, TypeVar

from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.record import ENDED, PENDING, Record, events_after, newest_events, run_message, run_row

__all__ = ["Feed", "Feeds", "SharedRead"]

MOST_EVENTS_KEPT = 500
MOST_BYTES_KEPT = 1 << 20
_EVENTS_PER_READ = 100

T = TypeVar("T")


class SharedRead(Generic[T]):
    """Reads once for all who ask at the same time; no answer is older than the question.

    Who asks sooner than `least_secs` after the last read began waits for that long, together with others.
    """

    def __init__(self, read: Callable[[], Awaitable[T]], least_secs: float = 0.0) -> None:
        """Keep what reads, and how long one read comes after another at least."""
        self._read = read
        self._least_secs = least_secs
        self._begun = -math.inf
        self._current: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return what is read from now on: together with others who ask before that begins."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._current))
            # Seen here too: whoever asked may have gone.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._next)

    async def _after(self, current: asyncio.Task[T] | None) -> T:
        if current is not None:
            await asyncio.wait({current})
        await asyncio.sleep(self._begun + self._least_secs - time.monotonic())
        self._begun = time.monotonic()
        self._current, self._next = self._next, None
        return await self._read()


class Feed:
    """One run that is watched: its newest events, from a revision on without gaps, and whether more will come."""

    def __init__(self, record: Record, run_id: str) -> None:
        """Start with nothing read."""
        self.run_id = run_id
        self.watchers: set[asyncio.Event] = set()
        """Set after whatever was read; see `follow`."""
        self.snapshot: SharedRead[trainer_pb2.Run] = SharedRead(
            lambda: record.read(lambda session: run_message(session, run_id))
        )
        """Reads the run as it stands."""
        self.failure: TabrlError | None = None
        self._record = record
        self._kept: deque[trainer_pb2.RunEvent] = deque()
        self._kept_bytes = 0
        self._revision: int | None = None
        self._over = False

    async def follow(self) -> None:
        """Read what is new and tell the watchers, after each change until cancelled or something fails.

        A feed that failed stays so: those who watch raise why, and who comes next gets another one.
        """
        with self._record.subscribed([self.run_id]) as changed:
            while self.failure is None:
                changed.clear()
                try:
                    while await self._read_new():
                        pass
                except Exception as error:
                    self.failure = as_tabrl_error(error, "feed")
                for watcher in self.watchers:
                    watcher.set()
                if self.failure is None:
                    await changed.wait()

    def keeps_after(self, revision: int) -> bool:
        """Whether what comes after a revision is in memory, or is not there yet."""
        return self._revision is None or revision >= self._revision - len(self._kept)

    def has_after(self, revision: int) -> bool:
        """Whether an event after a revision is there, in memory or only in the database; raises as `next_after`."""
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        return self._revision is not None and revision < self._revision

    def next_after(self, revision: int) -> trainer_pb2.RunEvent | None:
        """Return the event after a revision, which is in memory, or None while it is not there yet.

        Raises:
            TabrlError: the feed failed.
        """
        if not self.has_after(revision) or self._revision is None:
            return None
        return self._kept[revision - self._revision]

    def is_over_after(self, revision: int) -> bool:
        """Whether a revision is the last of an ended run."""
        return self._over and self._revision is not None and revision >= self._revision

    async def older_after(self, revision: int) -> Sequence[trainer_pb2.RunEvent]:
        """Return some events after a revision that are no longer in memory; raises as the database does."""
        return await self._record.read(lambda session: events_after(session, self.run_id, revision, _EVENTS_PER_READ))

    async def _read_new(self) -> bool:
        """Take new events in; return whether there may be more."""
        events, over = await self._record.read(lambda session: _read(session, self.run_id, self._revision))
        if self._revision is None:
            self._revision = 0
        for event in events:
            self._revision = event.revision
            self._kept.append(event)
            self._kept_bytes += event.ByteSize()
        while len(self._kept) > 1 and (len(self._kept) > MOST_EVENTS_KEPT or self._kept_bytes > MOST_BYTES_KEPT):
            self._kept_bytes -= self._kept.popleft().ByteSize()
        self._over = over
        return len(events) == MOST_EVENTS_KEPT


class Feeds:
    """The feeds of all runs that are watched."""

    def __init__(self, context: Context[TrainerConfig], record: Record) -> None:
        """Start without any."""
        self._context = context
        self._record = record
        self._feeds: dict[str, Feed] = {}
        self._followers: dict[Feed, asyncio.Task[None]] = {}

    @contextlib.contextmanager
    def watched(self, run_ids: Sequence[str]) -> Iterator[tuple[Sequence[Feed], asyncio.Event]]:
        """Give the feeds of some runs, and an event that is set when any of them has read, or the service stops."""
        changed = asyncio.Event()
        feeds = [self._feed(run_id) for run_id in run_ids]
        for feed in feeds:
            feed.watchers.add(changed)
        try:
            yield feeds, changed
        finally:
            for feed in feeds:
                feed.watchers.discard(changed)
                if not feed.watchers:
                    self._drop(feed)

    async def tell_of_the_end(self) -> None:
        """Wake all who watch when the service stops."""
        await self._context.stopping.wait()
        for feed in self._followers:
            for watcher in feed.watchers:
                watcher.set()

    def _feed(self, run_id: str) -> Feed:
        feed = self._feeds.get(run_id)
        if feed is None or feed.failure is not None:
            feed = self._feeds[run_id] = Feed(self._record, run_id)
            self._followers[feed] = self._context.background(feed.follow(), f"feed {run_id}")
        return feed

    def _drop(self, feed: Feed) -> None:
        self._followers.pop(feed).cancel()
        if self._feeds.get(feed.run_id) is feed:
            del self._feeds[feed.run_id]


def _read(session: Session, run_id: str, revision: int | None) -> tuple[Sequence[trainer_pb2.RunEvent], bool]:
    """Return events after a revision, or the newest ones, and whether an ended run has no more than it had before."""
    row = run_row(session, run_id)
    if revision is None:
        events = newest_events(session, run_id, MOST_EVENTS_KEPT)
    else:
        events = events_after(session, run_id, revision, MOST_EVENTS_KEPT)
    last = events[-1].revision if events else revision or 0
    return events, row.state in ENDED and row.publishing != PENDING and last >= row.revision
