"""How a policy is named on a command line: by its id, or as a version of a registered name."""

from __future__ import annotations

from typing import Annotated

import typer
from tabrl.exporter.v1 import registry_pb2

from tabrl_cli.connection import Connection, UsageError

__all__ = ["PolicyName", "policy_id_of"]

PolicyName = Annotated[
    str, typer.Argument(help="Id of the policy, or NAME@TAG or NAME@NUMBER of a registered one.", metavar="POLICY")
]


def policy_id_of(connection: Connection, name: str) -> str:
    """Returns the id of the policy that is meant: what is no NAME@VERSION is an id. Raises CallError."""
    registered, at, reference = name.partition("@")
    if not at:
        return name
    if not registered or not reference:
        raise UsageError(f"{name!r} names no version; write NAME@TAG or NAME@NUMBER, such as go1-dance@latest.")
    request = registry_pb2.GetVersionRequest(name=registered, reference=reference)
    return connection.call(connection.registry.GetVersion, request).version.policy.policy_id
