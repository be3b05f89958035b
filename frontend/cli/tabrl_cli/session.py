"""What every command has: a connection, a place to write to, and a typed end when a call fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output
from tabrl_cli.errors import CallError

__all__ = ["AsJson", "EnvironmentFilter", "Gateway", "Limit", "Session", "open_session"]

Gateway = Annotated[str, typer.Option(envvar="TABRL_GATEWAY", help="URL of the gateway.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON, one document a line.")]
EnvironmentFilter = Annotated[str, typer.Option("--env", help="Only this environment.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many to list at most.")]


@dataclass(frozen=True)
class Session:
    """One run of the program."""

    connection: Connection
    output: Output


@contextlib.contextmanager
def open_session(gateway: str, as_json: bool) -> Iterator[Session]:
    """Opens a connection, and ends the program with a typed message when a call fails."""
    output = Output(as_json=as_json)
    try:
        connection = Connection(gateway)
        try:
            yield Session(connection, output)
        finally:
            connection.close()
    except CallError as error:
        output.error(error)
        raise typer.Exit(error.exit_status) from error
