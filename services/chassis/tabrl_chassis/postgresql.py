"""Connections to PostgreSQL on which nobody waits for ever: not we for a server that is silent, nor it for us."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.abc import Buffer, PQGen
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import event

__all__ = ["ANSWER_SECS", "CONNECTING", "create_engine", "never_wait_for_ever"]

R = TypeVar("R")

ANSWER_SECS: Final = 30.0
"""How long to wait for the answer to one statement. Longer than the server waits for a lock, which it tells us."""

CONNECTING: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    # A machine that is gone says nothing: without these, a connection to it hangs for as long as TCP sends again.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,  # milliseconds
}
"""How to connect: parameters of libpq."""
_GIVEN_UP_BY_THE_SERVER: Final = "25P03"  # idle_in_transaction_session_timeout
# The same for the server, so that a process of ours that hangs, or whose machine is gone, holds up no other one.
_SERVER: Final = {
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "20s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",
}
_OPTIONS: Final = " ".join(f"-c {name}={value}" for name, value in _SERVER.items())


def create_engine(url: sa.URL, *, connections: int, is_patient: bool = False) -> sa.Engine:
    """Return an engine that keeps up to so many connections open.

    It waits for ever only where it `is_patient`, as what changes the schema must; see `never_wait_for_ever`.
    """
    engine = sa.create_engine(url, pool_pre_ping=True, pool_size=connections, connect_args=CONNECTING)
    if not is_patient:
        never_wait_for_ever(engine)
    return engine


def never_wait_for_ever(engine: sa.Engine) -> None:
    """Have the connections that an engine makes from now on end where one side does not hear of the other.

    A statement that gets no answer for `ANSWER_SECS` ends with an `OperationalError`, and its connection with it.
    """
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "handle_error", _note_connection_lost)


class _Impatient(psycopg.Connection[Any]):
    """A connection that is closed when the server, or its machine, does not answer."""

    def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        """Wait for the server; overrides psycopg's, in which everything but connecting ends up."""
        try:
            return super().wait(gen, interval, ANSWER_SECS if timeout is None else timeout)
        except psycopg.OperationalError:
            # What it waited for in vain would come as the answer to the next statement.
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


class _Text(StrDumperUnknown):
    """Text as PostgreSQL takes it: a NUL, which it has in none, is replaced, as what cannot be decoded is."""

    def dump(self, obj: str) -> Buffer | None:
        """Return the text in the connection's encoding."""
        return super().dump(obj.replace("\0", "\ufffd"))


def _connect(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> psycopg.Connection[Any]:
    """Connect for SQLAlchemy. Options of the database's URL come last, so that they count."""
    options = f"{_OPTIONS} {parameters.get('options', '')}".rstrip()
    connection = _Impatient.connect(**{**parameters, "options": options})
    connection.adapters.register_dumper(str, _Text)
    return connection


def _note_connection_lost(context: sa.engine.ExceptionContext) -> None:
    """Have the pool drop a connection that the server gave up: its driver does not take that for a lost connection."""
    if getattr(context.original_exception, "sqlstate", "") == _GIVEN_UP_BY_THE_SERVER:
        context.is_disconnect = True
