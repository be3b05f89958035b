"""Work that one of the processes that share a database does for all: another takes it up when that one is gone."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from tabrl_chassis.database import Database
from tabrl_chassis.logs import get_logger
from tabrl_chassis.tasks import cancel_until_ended

__all__ = ["while_leading"]

LOOK_EVERY_SECS = 2.0
GONE_AFTER_SECS = 20.0

_log = get_logger("tabrl_chassis.leadership")


async def while_leading(database: Database, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do work for as long as this process leads in it, again each time that it does.

    Only the leader holds PostgreSQL's advisory lock of that name, on a connection of its own: it is free as soon as the
    leader, its connection or the database is gone, or the leader has not been heard of for `GONE_AFTER_SECS`. For a
    moment two may lead, so the work must bear that. Where no other process can share the database, this one leads.
    """
    if not database.is_shared:
        await work()
        return
    while True:
        try:
            await _lead(database, name, work)
        except sa.exc.DBAPIError as error:
            _log.warning("leadership lost", work=name, cause=str(error.orig))
        await asyncio.sleep(LOOK_EVERY_SECS)


async def _lead(database: Database, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do the work while the lock is held; return when another process holds it."""
    connection = await asyncio.to_thread(_connection_of_its_own, database)
    doing: asyncio.Future[None] | None = None
    try:
        lock = sa.select(sa.func.pg_try_advisory_lock(zlib.crc32(name.encode())))
        if not await asyncio.to_thread(_scalar, connection, lock):
            return
        doing = asyncio.ensure_future(work())
        while not doing.done():
            await asyncio.wait([doing], timeout=LOOK_EVERY_SECS)
            await asyncio.to_thread(_scalar, connection, sa.select(1))
        await doing
    finally:
        if doing is not None:
            await cancel_until_ended([doing])
        await asyncio.to_thread(connection.close)


def _connection_of_its_own(database: Database) -> sa.Connection:
    """Return a connection that is not the pool's: the lock ends with it, and must not go back there."""
    connection = database.engine.connect()
    connection.detach()
    connection.execute(sa.select(sa.func.set_config("idle_session_timeout", f"{GONE_AFTER_SECS:.0f}s", False)))
    connection.commit()
    return connection


def _scalar(connection: sa.Connection, query: sa.Select[Any]) -> Any:
    value = connection.scalar(query)
    connection.commit()
    return value
