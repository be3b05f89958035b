"""A service's own database: SQLAlchemy 2 in worker threads, migrated by Alembic when the service starts."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

T = TypeVar("T")

_BUSY_TIMEOUT_SECS = 10
_READER_THREADS = 4
_KEEPER_THREADS = 2
_CLOSE_WITHIN_SECS = 10.0
_MOST_COLLISIONS = 5
# What two writers at once run into on PostgreSQL, and not again when one tries anew: a row that the other one just
# added, a deadlock, a snapshot that has aged.
_COLLISIONS = frozenset({"23505", "40001", "40P01"})
# Any number that no other program that shares the database takes for the same purpose.
_MIGRATION_LOCK = 7_402_259


class UtcDateTime(sa.types.TypeDecorator[datetime.datetime]):
    """A column of aware datetimes in UTC; in migrations, `sa.DateTime(timezone=True)`. SQLite alone drops the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """Return the time in UTC."""
        return None if value is None else value.astimezone(datetime.UTC)

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime.datetime | None:
        """Return the time with its zone."""
        if not isinstance(value, datetime.datetime):
            return None
        return value.replace(tzinfo=datetime.UTC) if value.tzinfo is None else value.astimezone(datetime.UTC)


class Database:
    """Transactions as plain functions of a session, run off the event loop.

    SQLite (the default) is opened in WAL mode with foreign keys on; writers take the write lock at their start, one at
    a time. On PostgreSQL several processes write at once; a transaction that collides with another's is tried again, so
    that the functions may be called more than once. Objects stay readable after their transaction.
    """

    def __init__(self, url: str) -> None:
        """Open the database; the folder of an SQLite file is made when it is missing."""
        self.url = sa.make_url(url)
        is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.url.drivername in ("postgresql", "postgres"):
            self.url = self.url.set(drivername="postgresql+psycopg")
        if is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        self.is_shared = not is_sqlite
        """Whether other processes may write to it too."""
        writers = 1 if is_sqlite else _READER_THREADS
        self.engine = (
            _sqlite_engine(self.url)
            if is_sqlite
            else self._postgresql_engine(writers + _READER_THREADS + _KEEPER_THREADS)
        )
        self._writing = self.engine.execution_options(tabrl_write=True)
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="database-write")
        self._readers = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="database-read")
        self._keepers = ThreadPoolExecutor(_KEEPER_THREADS, thread_name_prefix="database-keep")

    async def read(self, work: Callable[[Session], T], *, urgent: bool = False) -> T:
        """Return `work(session)` of a transaction that is rolled back.

        What is `urgent` does not wait for other transactions to end, however many there are. It must be small and rare.
        """
        return await self._run(self._keepers if urgent else self._readers, self._read, work)

    async def write(self, work: Callable[[Session], T], *, urgent: bool = False) -> T:
        """Return `work(session)` of a transaction that is committed, or rolled back when `work` raises.

        A caller that is cancelled does not undo it: the transaction ends in its thread. `urgent` is as in `read`.
        """
        return await self._run(self._keepers if urgent else self._writers, self._write, work)

    async def ping(self) -> None:
        """Raise when the database does not answer."""
        await self.read(lambda session: session.execute(sa.text("SELECT 1")), urgent=True)

    def migrate(self, package: str, revision: str = "head") -> None:
        """Bring the schema up to a revision, or the newest, in `package` (a Python package of Alembic revisions)."""
        from alembic import command

        with self.changing_schema() as engine:
            command.upgrade(_alembic_config(package, engine), revision)

    @contextlib.contextmanager
    def changing_schema(self) -> Iterator[sa.Engine]:
        """Let one process at a time make or change tables of a database that several share. Blocks.

        Gives the engine to do it by, whose statements take as long as they take.
        """
        if not self.is_shared:
            yield self.engine
            return
        engine = self._postgresql_engine(2, is_patient=True)
        try:
            with engine.connect() as connection:
                connection.execute(sa.select(sa.func.pg_advisory_lock(_MIGRATION_LOCK)))
                try:
                    yield engine
                finally:
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(_MIGRATION_LOCK)))
        finally:
            engine.dispose()

    def close(self) -> None:
        """Let the transactions under way end, for a moment at most, and close every connection. Blocks."""
        ending = threading.Thread(target=self._end_threads, daemon=True)
        ending.start()
        ending.join(_CLOSE_WITHIN_SECS)
        self.engine.dispose()

    def _end_threads(self) -> None:
        for threads in (self._writers, self._readers, self._keepers):
            threads.shutdown(cancel_futures=True)

    def _postgresql_engine(self, connections: int, *, is_patient: bool = False) -> sa.Engine:
        # Imported here: who has an SQLite file need not load PostgreSQL's driver.
        from tabrl_chassis.postgresql import create_engine

        return create_engine(self.url, connections=connections, is_patient=is_patient)

    async def _run(self, threads: ThreadPoolExecutor, run: Callable[[Any], T], work: Callable[[Session], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, run, work)

    def _read(self, work: Callable[[Session], T]) -> T:
        with Session(self.engine, expire_on_commit=False) as session:
            return work(session)

    def _write(self, work: Callable[[Session], T]) -> T:
        for remaining in reversed(range(_MOST_COLLISIONS)):
            try:
                with Session(self._writing, expire_on_commit=False) as session, session.begin():
                    return work(session)
            except sa.exc.DBAPIError as error:
                if not remaining or getattr(error.orig, "sqlstate", "") not in _COLLISIONS:
                    raise
        raise AssertionError("the last try returns or raises")


def schema_differences(database: Database, metadata: sa.MetaData) -> list[Any]:
    """Return what differs between a migrated database and the models, as Alembic operations; empty for nothing."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def _alembic_config(package: str, engine: sa.Engine) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(resources.files("tabrl_chassis") / "migration"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(resources.files(package)))
    config.attributes["engine"] = engine
    return config


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: `_begin_sqlite` decides which lock they take.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # what a caller was told survives a machine that loses power
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_TIMEOUT_SECS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reader that turns writer midway fails at once with SQLITE_BUSY whatever the timeout; one that locks first waits.
    writes = connection.get_execution_options().get("tabrl_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
