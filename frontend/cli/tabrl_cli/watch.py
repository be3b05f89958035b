"""Following a run through broken connections: each event once, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grpc
from tabrl.trainer.v1 import trainer_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.errors import CallError, call_error

# The service says something at least every 15 s; three times that long in silence is a broken connection.
SILENCE_SECS = 45.0
FIRST_PAUSE_SECS = 0.5
LONGEST_PAUSE_SECS = 5.0
PATIENCE_SECS = 300.0

_LOST = frozenset({"UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED", "DEADLINE_EXCEEDED", "ABORTED"})
ENDED = frozenset(
    {trainer_pb2.RUN_STATE_SUCCEEDED, trainer_pb2.RUN_STATE_FAILED, trainer_pb2.RUN_STATE_CANCELLED},
)


@dataclass(frozen=True)
class Patience:
    """How long to go on trying, in seconds."""

    silence_secs: float = SILENCE_SECS
    first_pause_secs: float = FIRST_PAUSE_SECS
    longest_pause_secs: float = LONGEST_PAUSE_SECS
    total_secs: float = PATIENCE_SECS


Update = trainer_pb2.Run | trainer_pb2.RunEvent


def watch_run(
    connection: Connection,
    run_id: str,
    *,
    on_lost: Callable[[CallError], None] = lambda _: None,
    patience: Patience = Patience(),
) -> Iterator[Update]:
    """Yields a snapshot for each connection and every event once, until the run has ended and all of it is told.

    A lost connection is taken up again after the last revision seen; `on_lost` hears of it. Raises CallError for what
    does not pass by itself, and for a connection that stays lost for `patience.total_secs`.
    """
    revision = 0
    state: trainer_pb2.RunState.ValueType = trainer_pb2.RUN_STATE_UNSPECIFIED
    pause = patience.first_pause_secs
    lost_since: float | None = None
    while True:
        try:
            for message in _connect(connection, run_id, revision, patience):
                lost_since, pause = None, patience.first_pause_secs
                kind = message.WhichOneof("update")
                if kind == "snapshot":
                    state = message.snapshot.state
                    yield message.snapshot
                elif kind == "event" and message.event.revision > revision:
                    revision = message.event.revision
                    if message.event.HasField("state_changed"):
                        state = message.event.state_changed.state
                    yield message.event
            _require_ended(state)
        except CallError as error:
            if error.code == "OUT_OF_RANGE" and revision > 0:
                # The history was compacted behind us; the snapshot that comes first makes up for it.
                revision = 0
                continue
            if error.code not in _LOST:
                raise
            now = time.monotonic()
            if lost_since is None:
                lost_since = now
                on_lost(error)
            if now - lost_since > patience.total_secs:
                raise
            time.sleep(max(pause, error.retry_after_secs or 0.0) if pause < patience.longest_pause_secs else pause)
            pause = min(pause * 2, patience.longest_pause_secs)
        else:
            return


def _require_ended(state: trainer_pb2.RunState.ValueType) -> None:
    """Raises CallError where a stream ended as if the run had, but was cut short on the way."""
    if state not in ENDED:
        raise CallError("UNAVAILABLE", "SERVICE_UNAVAILABLE", "The watch ended before the run did.")


def _connect(
    connection: Connection, run_id: str, revision: int, patience: Patience
) -> Iterator[trainer_pb2.WatchRunsResponse]:
    """Watches over one connection; silence ends it as an error does."""
    request = trainer_pb2.WatchRunsRequest(
        cursors=[trainer_pb2.RunCursor(run_id=run_id, after_revision=revision)],
    )
    call = connection.trainer.WatchRuns(request)
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
        raise call_error(error, connection.url) from error
    finally:
        call.cancel()
