"""`GET /api/training/{run_id}/events`: WatchRuns of one run for those who have no gRPC, as server-sent events.

Each event is a `RunEvent` in protobuf's JSON under its revision as id, so that a browser's `EventSource` goes on where
it was (`Last-Event-ID`) a second after a connection broke; others say `?after_revision=`. A snapshot comes first
(`event: snapshot`), heartbeats are comments, and `event: end` is last. Asked for what comes after a run's last event,
it answers 204, at which an `EventSource` stops.
"""

from __future__ import annotations

import re
from contextlib import aclosing

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import invalid_field
from tabrl_chassis.service import Context
from tabrl_chassis.validation import validate

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.feeds import Feeds
from tabrl_trainer.record import ENDED
from tabrl_trainer.watching import watch

__all__ = ["routes"]

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_BACK_AFTER_MS = "1000"
_LARGEST_REVISION = 2**63 - 1
_NUMBER = re.compile(r"[0-9]{1,19}")  # no longer: Python refuses to read numbers of thousands of digits


def routes(context: Context[TrainerConfig], feeds: Feeds) -> list[web.RouteDef]:
    """Return the routes of the Trainer's HTTP port."""

    async def events(request: web.Request) -> web.StreamResponse:
        cursor = trainer_pb2.RunCursor(run_id=request.match_info["run_id"], after_revision=_after_revision(request))
        watching = trainer_pb2.WatchRunsRequest(cursors=[cursor])
        validate(watching)
        async with aclosing(watch(context, feeds, watching)) as updates:
            # The first is the snapshot, before which whatever is wrong with the request is said.
            snapshot = (await anext(updates)).snapshot
            if snapshot.state in ENDED and 0 < snapshot.revision == cursor.after_revision:
                return web.Response(status=204)
            response = web.StreamResponse(headers=_HEADERS)
            try:
                await response.prepare(request)
                await response.write(_block(snapshot, event="snapshot", retry=_BACK_AFTER_MS))
                async for update in updates:
                    is_event = update.HasField("event")
                    block = _block(update.event, id=str(update.event.revision)) if is_event else b": heartbeat\n\n"
                    await response.write(block)
                await response.write(_block(None, event="end"))
            except ConnectionResetError:
                pass  # nobody listens any more
            except Exception as error:
                # The service stops, the run was deleted, or the database is away: who asks again is told.
                as_tabrl_error(error, "events")
            return response

    return [web.get("/api/training/{run_id}/events", events)]


def _after_revision(request: web.Request) -> int:
    """Return the revision to go on after; raises `TabrlError` INVALID_FIELD."""
    text = request.headers.get("Last-Event-ID") or request.query.get("after_revision") or "0"
    if not _NUMBER.fullmatch(text) or int(text) > _LARGEST_REVISION:
        raise invalid_field("after_revision", "must be the id of an event, a whole number from 0 on")
    return int(text)


def _block(message: Message | None, **fields: str) -> bytes:
    """Return one event of the stream; JSON in one line, so that it is one field."""
    data = (
        "{}" if message is None else json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True)
    )
    lines = [*(f"{name}: {value}" for name, value in fields.items()), f"data: {data}", "", ""]
    return "\n".join(lines).encode()
