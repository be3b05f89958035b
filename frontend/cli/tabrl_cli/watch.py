"""Following runs and batches through broken connections: each event once, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
from tabrl.trainer.v1 import batches_pb2, trainer_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.errors import CallError, call_error

__all__ = ["Patience", "Update", "watch_batch", "watch_run"]

# The service says something at least every 15 s; three times that long in silence is a broken connection.
SILENCE_SECS = 45.0
FIRST_PAUSE_SECS = 0.5
LONGEST_PAUSE_SECS = 5.0
PATIENCE_SECS = 300.0

_LOST = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED", "ABORTED"})
ENDED = frozenset(
    {trainer_pb2.RUN_STATE_SUCCEEDED, trainer_pb2.RUN_STATE_FAILED, trainer_pb2.RUN_STATE_CANCELLED},
)

Update = trainer_pb2.Run | trainer_pb2.RunEvent
OnLost = Callable[[CallError], None]


@dataclass(frozen=True)
class Patience:
    """How long to go on trying, in seconds."""

    silence_secs: float = SILENCE_SECS
    first_pause_secs: float = FIRST_PAUSE_SECS
    longest_pause_secs: float = LONGEST_PAUSE_SECS
    total_secs: float = PATIENCE_SECS


def watch_run(
    connection: Connection,
    run_id: str,
    *,
    on_lost: OnLost = lambda _: None,
    patience: Patience = Patience(),
) -> Iterator[Update]:
    """Yields a snapshot for each connection and every event once, until the run has ended and all of it is told.

    A lost connection is taken up again after the last revision seen; `on_lost` hears of it. Raises CallError for what
    does not pass by itself, and for a connection that stays lost for `patience.total_secs`.
    """
    revision = 0
    state: trainer_pb2.RunState.ValueType = trainer_pb2.RUN_STATE_UNSPECIFIED
    outage = _Outage(patience, on_lost)
    while True:
        try:
            cursor = trainer_pb2.RunCursor(run_id=run_id, after_revision=revision)
            call = connection.trainer.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=[cursor]))
            for message in _messages(call, connection.url, patience):
                outage.is_over()
                kind = message.WhichOneof("update")
                if kind == "snapshot":
                    state = message.snapshot.state
                    yield message.snapshot
                elif kind == "event" and message.event.revision > revision:
                    revision = message.event.revision
                    if message.event.HasField("state_changed"):
                        state = message.event.state_changed.state
                    yield message.event
            _require_ended(state in ENDED, "run")
        except CallError as error:
            if error.code == "OUT_OF_RANGE" and revision > 0:
                # The history was compacted behind us; the snapshot that comes first makes up for it.
                revision = 0
                continue
            outage.wait(error)
        else:
            return


def watch_batch(
    connection: Connection,
    batch_id: str,
    *,
    on_lost: OnLost = lambda _: None,
    patience: Patience = Patience(),
) -> Iterator[batches_pb2.Batch]:
    """Yields a batch as it changes, until it has ended. Raises CallError as `watch_run` does."""
    state: batches_pb2.BatchState.ValueType = batches_pb2.BATCH_STATE_UNSPECIFIED
    outage = _Outage(patience, on_lost)
    while True:
        try:
            call = connection.batches.WatchBatch(batches_pb2.WatchBatchRequest(batch_id=batch_id))
            for message in _messages(call, connection.url, patience):
                outage.is_over()
                if message.HasField("snapshot"):
                    state = message.snapshot.state
                    yield message.snapshot
            _require_ended(state not in (batches_pb2.BATCH_STATE_UNSPECIFIED, batches_pb2.BATCH_STATE_RUNNING), "batch")
        except CallError as error:
            outage.wait(error)
        else:
            return


class _Outage:
    """How long a connection has been lost, and the pause before it is tried again."""

    def __init__(self, patience: Patience, on_lost: OnLost) -> None:
        self._patience = patience
        self._on_lost = on_lost
        self.is_over()

    def is_over(self) -> None:
        """Something was heard."""
        self._since: float | None = None
        self._pause = self._patience.first_pause_secs

    def wait(self, error: CallError) -> None:
        """Pauses; raises an error that does not pass by itself, or has not for too long."""
        if error.code not in _LOST:
            raise error
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._on_lost(error)
        if now - self._since > self._patience.total_secs:
            raise error
        longest = self._patience.longest_pause_secs
        time.sleep(max(self._pause, error.retry_after_secs or 0.0) if self._pause < longest else self._pause)
        self._pause = min(self._pause * 2, longest)


def _require_ended(has_ended: bool, what: str) -> None:
    """Raises CallError where a stream ended as if what is watched had, but was cut short on the way."""
    if not has_ended:
        raise CallError("UNAVAILABLE", "SERVICE_UNAVAILABLE", f"The watch ended before the {what} did.")


def _messages(call: Any, url: str, patience: Patience) -> Iterator[Any]:
    """Yields what a stream says; silence ends it as an error does. Raises CallError."""
    watchdog: threading.Timer | None = None
    try:
        while True:
            watchdog = threading.Timer(patience.silence_secs, call.cancel)
            watchdog.daemon = True
            watchdog.start()
            try:
                message = next(call)
            except StopIteration:
                return
            finally:
                watchdog.cancel()
            yield message
    except grpc.RpcError as error:
        raise call_error(error, url) from error
    finally:
        call.cancel()
