"""How a policy is named on a command line: by its id, by a registered name, or as a version of one."""

from __future__ import annotations

import re
from typing import Annotated

import typer
from tabrl.exporter.v1 import exporter_pb2, registry_pb2

from tabrl_cli.connection import Connection, UsageError
from tabrl_cli.errors import CallError

__all__ = ["PolicyName", "policy_id_of"]

PolicyName = Annotated[
    str,
    typer.Argument(
        help="Id of the policy, or NAME of a registered one for its latest version, or NAME@TAG or NAME@NUMBER.",
        metavar="POLICY",
    ),
]
_REGISTERED = re.compile("[a-z0-9-]{1,60}")


def policy_id_of(connection: Connection, name: str) -> str:
    """Returns the id of the policy that is meant: what names no version is an id. Raises CallError.

    A registered name alone is its latest version, unless it is the id of a policy too.
    """
    registered, at, reference = name.partition("@")
    if at:
        if not registered or not reference:
            raise UsageError(f"{name!r} names no version; write NAME@TAG or NAME@NUMBER, such as go1-dance@latest.")
        return _version(connection, registered, reference)
    if not _REGISTERED.fullmatch(name):
        return name
    try:
        latest = _version(connection, name, "latest")
    except CallError as error:
        if error.reason == "VERSION_NOT_FOUND":
            return name
        raise
    return name if _is_id(connection, name) else latest


def _version(connection: Connection, name: str, reference: str) -> str:
    request = registry_pb2.GetVersionRequest(name=name, reference=reference)
    return connection.call(connection.registry.GetVersion, request).version.policy.policy_id


def _is_id(connection: Connection, name: str) -> bool:
    try:
        connection.call(connection.exporter.GetPolicy, exporter_pb2.GetPolicyRequest(policy_id=name))
    except CallError as error:
        if error.reason == "POLICY_NOT_FOUND":
            return False
        raise
    return True
