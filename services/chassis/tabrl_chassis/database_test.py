"""Transactions, migrations, request ids and pages on a real database."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import uuid

import grpc
import pytest
import sqlalchemy as sa
from tabrl.trainer.v1 import trainer_pb2

from tabrl_chassis import database as database_module
from tabrl_chassis import postgresql
from tabrl_chassis.database import Database, schema_differences
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.idempotency import once, request_ids_table
from tabrl_chassis.pagination import page_of

METADATA = sa.MetaData()
RUNS = sa.Table("runs", METADATA, sa.Column("run_id", sa.String(36), primary_key=True))
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
)
request_ids_table(METADATA)

FIRST = """
import sqlalchemy as sa
from alembic import op
from tabrl_chassis.idempotency import request_id_columns

revision, down_revision = "0001", None

def upgrade() -> None:
    op.create_table("runs", sa.Column("run_id", sa.String(36), primary_key=True))
    op.create_table("request_ids", *request_id_columns())
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"

def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    )
"""


@pytest.fixture
def migrations(tmp_path, monkeypatch):
    name = f"migrations_{uuid.uuid4().hex}"
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "m0001_runs.py").write_text(FIRST)
    (package / "m0002_events.py").write_text(SECOND)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.fixture
def database(database_url, migrations):
    opened = Database(database_url)
    opened.migrate(migrations)
    yield opened
    opened.close()


def add_run(run_id: str):
    return lambda session: session.execute(RUNS.insert().values(run_id=run_id))


def run_ids(session) -> list[str]:
    return list(session.scalars(sa.select(RUNS.c.run_id)))


async def test_migrations_make_the_models_and_run_once(database, migrations):
    await database.write(add_run("r1"))
    database.migrate(migrations)
    assert await database.read(run_ids) == ["r1"]
    assert schema_differences(database, METADATA) == []


async def test_a_newer_database_is_refused(database, migrations, tmp_path):
    (tmp_path / migrations / "m0002_events.py").unlink()
    with pytest.raises(Exception, match="0002"):
        database.migrate(migrations)


async def test_a_write_that_raises_leaves_nothing(database):
    def work(session):
        add_run("r1")(session)
        raise KeyError("changed my mind")

    with pytest.raises(KeyError):
        await database.write(work)
    assert await database.read(run_ids) == []


async def test_sqlite_is_configured(tmp_path, migrations):
    database = Database(f"sqlite:///{tmp_path}/trainer/trainer.db")
    database.migrate(migrations)

    def pragmas(session):
        return [session.execute(sa.text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys")]

    assert await database.read(pragmas) == ["wal", 1]
    database.close()


async def test_what_refers_to_nothing_is_refused(database):
    with pytest.raises(sa.exc.IntegrityError):
        await database.write(lambda session: session.execute(EVENTS.insert().values(run_id="none", revision=1)))


async def test_processes_that_start_at_once_migrate_once(database_url, migrations, tmp_path):
    code = "import sys; from tabrl_chassis.database import Database; Database(sys.argv[1]).migrate(sys.argv[2])"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    starting = [
        subprocess.Popen([sys.executable, "-c", code, database_url, migrations], env=environment) for _ in range(3)
    ]
    assert [process.wait(60) for process in starting] == [0, 0, 0]
    database = Database(database_url)
    assert schema_differences(database, METADATA) == []
    database.close()


async def test_a_database_that_was_away_is_used_again(postgresql_server, migrations):
    with postgresql_server.database() as url:
        database = Database(url)
        database.migrate(migrations)
        await database.write(add_run("r1"))
        postgresql_server.pause()
        try:
            with pytest.raises(sa.exc.OperationalError) as away:
                await database.write(add_run("r2"))
            assert as_tabrl_error(away.value, "test").reason == "STORAGE_UNAVAILABLE"
        finally:
            postgresql_server.start()
        await database.write(add_run("r3"))
        assert await database.read(run_ids) == ["r1", "r3"]
        database.close()


async def test_a_connection_whose_server_does_not_answer_is_given_up(postgresql_server, monkeypatch):
    monkeypatch.setattr(postgresql, "ANSWER_SECS", 0.5)
    with postgresql_server.database() as url:
        database = Database(url)
        backend = await database.read(lambda session: session.scalar(sa.func.pg_backend_pid()))
        os.kill(backend, signal.SIGSTOP)
        try:
            assert await database.read(lambda session: session.scalar(sa.func.pg_backend_pid())) != backend
        finally:
            os.kill(backend, signal.SIGCONT)
        with pytest.raises(sa.exc.OperationalError, match="timeout"):
            await database.read(lambda session: session.execute(sa.select(sa.func.pg_sleep(20))))
        await database.ping()
        database.close()


async def test_a_row_that_somebody_keeps_locked_is_not_waited_for_long(postgresql_server, migrations, monkeypatch):
    monkeypatch.setattr(postgresql, "_OPTIONS", "-c lock_timeout=200ms -c idle_in_transaction_session_timeout=1s")
    with postgresql_server.database() as url:
        database = Database(url)
        database.migrate(migrations)
        await database.write(add_run("r1"))
        locked = RUNS.select().with_for_update()
        with database.engine.connect() as holding:
            holding.execute(locked)
            with pytest.raises(sa.exc.OperationalError) as refused:
                await database.write(lambda session: session.execute(locked))
            assert as_tabrl_error(refused.value, "test").reason == "STORAGE_UNAVAILABLE"
            async with asyncio.timeout(10):  # until the server has given up who holds it
                while True:
                    with contextlib.suppress(sa.exc.OperationalError):
                        await database.write(lambda session: session.execute(locked))
                        break
            with pytest.raises(sa.exc.DBAPIError) as lost:
                holding.execute(locked)
            assert as_tabrl_error(lost.value, "test").reason == "STORAGE_UNAVAILABLE"
        database.close()


async def test_no_text_is_too_odd_to_be_written_or_looked_for(database):
    await database.write(add_run("nul\0"))
    await database.read(lambda session: session.execute(RUNS.select().where(RUNS.c.run_id.contains("\0"))).all())
    assert len(await database.read(run_ids)) == 1


async def test_what_is_urgent_waits_for_nobody(database):
    release = threading.Event()
    blocked = [asyncio.ensure_future(database.read(lambda _session: release.wait())) for _ in range(40)]
    try:
        async with asyncio.timeout(10):
            await database.ping()
            assert await database.read(run_ids, urgent=True) == []
    finally:
        release.set()
        await asyncio.gather(*blocked)


async def test_closing_does_not_wait_for_ever(database_url, monkeypatch):
    monkeypatch.setattr(database_module, "_CLOSE_WITHIN_SECS", 0.1)
    database = Database(database_url)
    release = threading.Event()
    blocked = asyncio.ensure_future(database.read(lambda _session: release.wait(30)))
    await asyncio.sleep(0.1)
    try:
        await asyncio.to_thread(database.close)
        assert not blocked.done()
    finally:
        release.set()
        await blocked


async def test_two_processes_worth_of_writers_wait_for_each_other(database):
    other = Database(database.url.render_as_string(hide_password=False))
    writes = [(database if i % 2 else other).write(add_run(f"r{i}")) for i in range(40)]
    await asyncio.gather(*writes)
    assert len(await database.read(run_ids)) == 40
    other.close()


def create_request(request_id: str = "", environment_id: str = "CartpoleBalance") -> trainer_pb2.CreateRunRequest:
    return trainer_pb2.CreateRunRequest(spec=trainer_pb2.RunSpec(environment_id=environment_id), request_id=request_id)


async def create(database: Database, request: trainer_pb2.CreateRunRequest) -> str:
    def make(session) -> str:
        run_id = uuid.uuid4().hex
        add_run(run_id)(session)
        return run_id

    return await database.write(lambda session: once(session, request, make))


async def test_the_same_request_id_and_body_give_the_same_run(database):
    request_id = str(uuid.uuid4())
    results = await asyncio.gather(*[create(database, create_request(request_id)) for _ in range(5)])
    assert len(set(results)) == 1
    assert await database.read(run_ids) == [results[0]]


async def test_the_same_request_id_with_another_body_is_refused(database):
    request_id = str(uuid.uuid4())
    await create(database, create_request(request_id))
    with pytest.raises(TabrlError) as caught:
        await create(database, create_request(request_id, "WalkerStand"))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_without_a_request_id_every_call_makes_a_run(database):
    assert await create(database, create_request()) != await create(database, create_request())


def list_request(size: int = 0, token: str = "", environment_id: str = "") -> trainer_pb2.ListRunsRequest:
    return trainer_pb2.ListRunsRequest(page_size=size, page_token=token, environment_id=environment_id)


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (7, 7), (501, 500)])
def test_page_sizes_are_coerced(asked, given):
    assert page_of(list_request(asked)).size == given


def test_a_token_carries_its_key_to_the_next_page_of_any_size():
    token = page_of(list_request(2)).token("r2")
    assert page_of(list_request(3, token)).after == "r2"


@pytest.mark.parametrize("token", ["x", "bm90IGpzb24", "é", "e30", "W10"])
def test_a_made_up_token_is_refused(token):
    with pytest.raises(TabrlError) as caught:
        page_of(list_request(token=token))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


def test_a_token_of_another_query_is_refused():
    token = page_of(list_request(environment_id="CartpoleBalance")).token("r2")
    with pytest.raises(TabrlError, match="another query"):
        page_of(list_request(token=token))


def test_a_negative_size_is_refused():
    with pytest.raises(TabrlError) as caught:
        page_of(list_request(-1))
    assert caught.value.reason == "INVALID_FIELD"


def test_a_key_that_is_a_number_comes_back_as_one():
    page = page_of(list_request())
    assert page.after_number() is None
    assert page_of(list_request(token=page.token("17"))).after_number() == 17


@pytest.mark.parametrize("forged", ["", "r2", "-1", "1.5", "\u0663", str(2**63), "9" * 300])
def test_a_forged_number_in_a_token_is_refused(forged):
    page = page_of(list_request(token=page_of(list_request()).token(forged)))
    with pytest.raises(TabrlError) as caught:
        page.after_number()
    assert caught.value.reason == "INVALID_PAGE_TOKEN"
