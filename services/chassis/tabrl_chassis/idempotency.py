"""Calls that are safe to repeat: the same `request_id` and body give the same resource."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from typing import Any

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tabrl_chassis.errors import TabrlError

TABLE_NAME = "request_ids"


def request_id_columns() -> list[sa.Column[Any]]:
    """Return the columns of the table, for a service's first migration and for `request_ids_table`."""
    return [
        sa.Column("request_id", sa.String(36), primary_key=True),
        sa.Column("method", sa.String(100), nullable=False),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("resource_id", sa.String(100), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    ]


def request_ids_table(metadata: sa.MetaData) -> sa.Table:
    """Declare the table among a service's models."""
    return sa.Table(TABLE_NAME, metadata, *request_id_columns())


_TABLE = request_ids_table(sa.MetaData())


def earlier_resource(session: Session, request: Any) -> str | None:
    """Return the id of the resource that this very request made before; None when it is new or carries no `request_id`.

    Raises `TabrlError` ALREADY_EXISTS / REQUEST_ID_REUSED when its `request_id` came with another body.
    """
    if not request.request_id:
        return None
    row = session.execute(sa.select(_TABLE).where(_TABLE.c.request_id == request.request_id)).one_or_none()
    if row is None:
        return None
    if (row.method, row.body_sha256) != (request.DESCRIPTOR.full_name, _body_sha256(request)):
        raise TabrlError(
            grpc.StatusCode.ALREADY_EXISTS,
            "REQUEST_ID_REUSED",
            f"The request_id {request.request_id} was used before for another request; choose a new one.",
            fields=[("request_id", "was used before with another body")],
        )
    return str(row.resource_id)


def once(session: Session, request: Any, create: Callable[[Session], str]) -> str:
    """Return the id of the request's resource, made by `create` in this transaction unless an earlier call made it."""
    earlier = earlier_resource(session, request)
    if earlier is not None:
        return earlier
    resource_id = create(session)
    if request.request_id:
        session.execute(
            _TABLE.insert().values(
                request_id=request.request_id,
                method=request.DESCRIPTOR.full_name,
                body_sha256=_body_sha256(request),
                resource_id=resource_id,
                create_time=datetime.datetime.now(datetime.UTC),
            )
        )
    return resource_id


def _body_sha256(request: Any) -> str:
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    return hashlib.sha256(body.SerializeToString(deterministic=True)).hexdigest()
