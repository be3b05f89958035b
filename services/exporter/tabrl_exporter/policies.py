"""Policies on record: one row each, newest last."""

from __future__ import annotations

import base64
import enum
import hashlib
import json
from typing import Any

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.pagination import Page, how_many_fit

__all__ = [
    "MOST_MEASUREMENTS",
    "Base",
    "Lock",
    "PolicyRow",
    "RefusedExportRow",
    "add_measurement",
    "delete",
    "find",
    "get",
    "page",
    "parity_report",
    "policy_id_of",
    "publish",
    "refuse",
    "remember_export",
    "row",
    "short_id",
]

_ID_BYTES = 10
MOST_MEASUREMENTS = 10
"""How many a policy keeps."""


class Lock(enum.Enum):
    """What other transactions may not do with a row until this one ends, where several write at once."""

    NONE = enum.auto()
    AGAINST_DELETION = enum.auto()
    FOR_CHANGE = enum.auto()


class Base(DeclarativeBase):
    """The Exporter's models."""


class PolicyRow(Base):
    """A published policy: the message itself, and the columns that lists are filtered by."""

    __tablename__ = "policies"

    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    policy_id: Mapped[str] = mapped_column(sa.String(100), unique=True)
    environment_id: Mapped[str] = mapped_column(sa.String(100), index=True)
    run_id: Mapped[str] = mapped_column(sa.String(100), index=True)
    policy: Mapped[bytes] = mapped_column(sa.LargeBinary)
    checkpoint_sha256: Mapped[str] = mapped_column(sa.String(64), default="", index=True)
    parent_checkpoint_sha256: Mapped[str] = mapped_column(sa.String(64), default="", index=True)
    controller_sha256: Mapped[str] = mapped_column(sa.String(64), default="", index=True)

    def message(self) -> exporter_pb2.Policy:
        """Returns the policy."""
        return exporter_pb2.Policy.FromString(self.policy)

    def keep(self, policy: exporter_pb2.Policy) -> None:
        """Has the row hold a policy, also in the columns."""
        self.policy_id, self.environment_id, self.run_id = policy.policy_id, policy.environment_id, policy.run_id
        self.checkpoint_sha256 = policy.checkpoint_sha256
        self.parent_checkpoint_sha256 = policy.lineage.parent_checkpoint_sha256
        self.controller_sha256 = policy.controller.sha256
        self.policy = policy.SerializeToString(deterministic=True)


class RefusedExportRow(Base):
    """The parity report of a policy's last export, where that was refused."""

    __tablename__ = "refused_exports"

    policy_id: Mapped[str] = mapped_column(sa.String(100), primary_key=True)
    report: Mapped[bytes] = mapped_column(sa.LargeBinary)


def policy_id_of(request: exporter_pb2.CreatePolicyRequest) -> str:
    """Returns the id of the policy that a request asks for.

    It follows from what decides the controller: environment, checkpoint, and the reward with its weights. A weight of 1
    is the same as none; title, run and the reward's own id decide nothing.
    """
    decisive: list[Any] = [request.environment_id, request.checkpoint_sha256]
    if request.HasField("reward"):
        weights = sorted((name, weight) for name, weight in request.reward.weights.items() if weight != 1.0)
        decisive += [request.reward.program_sha256, request.reward.onnx_sha256, weights]
    return short_id("p", json.dumps(decisive))


def short_id(kind: str, decisive: str) -> str:
    """Returns an id that follows from what decides it: a letter for its kind, and 16 letters and digits."""
    return kind + base64.b32encode(hashlib.sha256(decisive.encode()).digest()[:_ID_BYTES]).decode().lower()


def find(session: Session, policy_id: str) -> exporter_pb2.Policy | None:
    """Returns a policy, or None."""
    found = _row(session, policy_id, Lock.NONE)
    return None if found is None else found.message()


def get(session: Session, policy_id: str) -> exporter_pb2.Policy:
    """Returns a policy.

    Raises:
        TabrlError: POLICY_NOT_FOUND.
    """
    return row(session, policy_id).message()


def row(session: Session, policy_id: str, *, lock: Lock = Lock.NONE) -> PolicyRow:
    """Returns the row of a policy.

    Raises:
        TabrlError: POLICY_NOT_FOUND.
    """
    found = _row(session, policy_id, lock)
    if found is None:
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "POLICY_NOT_FOUND",
            f"There is no policy {policy_id!r}.",
            metadata={"policy_id": policy_id},
        )
    return found


def publish(session: Session, policy: exporter_pb2.Policy) -> exporter_pb2.Policy:
    """Puts a policy on record, in place of an earlier one of the same id, and returns it as it is on record then.

    What was made and measured of the earlier one stays with it if it has the same controller; where it came from stays,
    unless that is said anew.
    """
    published = exporter_pb2.Policy()
    published.CopyFrom(policy)
    session.execute(sa.delete(RefusedExportRow).where(RefusedExportRow.policy_id == policy.policy_id))
    found = _row(session, policy.policy_id, Lock.FOR_CHANGE)
    if found is None:
        found = PolicyRow()
        session.add(found)
    else:
        earlier = found.message()
        if published.controller.sha256 == earlier.controller.sha256:
            if not published.exports:
                published.exports.extend(earlier.exports)
            if not published.measurements:
                published.measurements.extend(earlier.measurements)
        if not published.HasField("lineage") and earlier.HasField("lineage"):
            published.lineage.CopyFrom(earlier.lineage)
    found.keep(published)
    return published


def add_measurement(session: Session, policy_id: str, measurement: exporter_pb2.PolicyMeasurement) -> None:
    """Keeps what was measured with a policy: the newest first, the oldest given up.

    Raises:
        TabrlError: POLICY_NOT_FOUND.
    """
    found = row(session, policy_id, lock=Lock.FOR_CHANGE)
    policy = found.message()
    kept = [measurement, *policy.measurements][:MOST_MEASUREMENTS]
    del policy.measurements[:]
    policy.measurements.extend(kept)
    found.keep(policy)


def delete(session: Session, found: PolicyRow) -> None:
    """Takes a policy off the record, with the report of an export of it that was refused."""
    session.execute(sa.delete(RefusedExportRow).where(RefusedExportRow.policy_id == found.policy_id))
    session.delete(found)


def refuse(session: Session, policy_id: str, report: exporter_pb2.ParityReport) -> None:
    """Keeps the report of an export that was refused, in place of an earlier one."""
    session.merge(RefusedExportRow(policy_id=policy_id, report=report.SerializeToString(deterministic=True)))


def parity_report(session: Session, policy_id: str) -> exporter_pb2.ParityReport:
    """Returns the report of a policy's last export, also of a refused one.

    Raises:
        TabrlError: POLICY_NOT_FOUND, where there was none.
    """
    refused = session.get(RefusedExportRow, policy_id)
    if refused is not None:
        return exporter_pb2.ParityReport.FromString(refused.report)
    policy = get(session, policy_id)
    if not policy.HasField("parity"):
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "POLICY_NOT_FOUND",
            f"The policy {policy_id!r} was imported, so its source is not here to compare it with.",
            metadata={"policy_id": policy_id},
        )
    return policy.parity


def remember_export(session: Session, policy_id: str, controller_sha256: str, made: exporter_pb2.PolicyExport) -> bool:
    """Adds another form to a policy, in place of an earlier one of the same form.

    Returns whether it did: not where the policy is gone, or has another controller by now.
    """
    found = _row(session, policy_id, Lock.FOR_CHANGE)
    if found is None:
        return False
    policy = found.message()
    if policy.controller.sha256 != controller_sha256:
        return False
    others = [export for export in policy.exports if export.format != made.format]
    del policy.exports[:]
    policy.exports.extend(sorted([*others, made], key=lambda export: export.format))
    found.keep(policy)
    return True


def page(session: Session, request: exporter_pb2.ListPoliciesRequest, asked: Page) -> exporter_pb2.ListPoliciesResponse:
    """Returns one page of policies, newest first."""
    query = sa.select(PolicyRow).order_by(PolicyRow.number.desc()).limit(asked.size + 1)
    if request.environment_id:
        query = query.where(PolicyRow.environment_id == request.environment_id)
    if request.run_id:
        query = query.where(PolicyRow.run_id == request.run_id)
    if (after := asked.after_number()) is not None:
        query = query.where(PolicyRow.number < after)
    rows = session.scalars(query).all()
    shown = rows[: how_many_fit(len(row.policy) for row in rows[: asked.size])]
    response = exporter_pb2.ListPoliciesResponse(policies=[row.message() for row in shown])
    if len(rows) > len(shown):
        response.next_page_token = asked.token(str(shown[-1].number))
    return response


def _row(session: Session, policy_id: str, lock: Lock) -> PolicyRow | None:
    query = sa.select(PolicyRow).where(PolicyRow.policy_id == policy_id)
    if lock is not Lock.NONE:
        query = query.with_for_update(read=lock is Lock.AGAINST_DELETION)
    return session.scalar(query)
