"""The registry of policies: one row each, newest last."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.pagination import Page

__all__ = [
    "Base",
    "PolicyRow",
    "RefusedExportRow",
    "find",
    "page",
    "parity_report",
    "policy_id_of",
    "publish",
    "refuse",
    "remember_export",
]

_ID_BYTES = 10


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

    def message(self) -> exporter_pb2.Policy:
        """Returns the policy."""
        return exporter_pb2.Policy.FromString(self.policy)


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
    digest = hashlib.sha256(json.dumps(decisive).encode()).digest()
    return "p" + base64.b32encode(digest[:_ID_BYTES]).decode().lower()


def find(session: Session, policy_id: str) -> exporter_pb2.Policy | None:
    """Returns a policy, or None."""
    row = session.scalar(sa.select(PolicyRow).where(PolicyRow.policy_id == policy_id))
    return None if row is None else row.message()


def publish(session: Session, policy: exporter_pb2.Policy) -> None:
    """Puts a policy on record, in place of an earlier one of the same id."""
    body = policy.SerializeToString(deterministic=True)
    session.execute(sa.delete(RefusedExportRow).where(RefusedExportRow.policy_id == policy.policy_id))
    row = session.scalar(sa.select(PolicyRow).where(PolicyRow.policy_id == policy.policy_id))
    if row is not None:
        # Also the columns: another run may have asked for it this time.
        row.environment_id, row.run_id, row.policy = policy.environment_id, policy.run_id, body
        return
    session.add(
        PolicyRow(policy_id=policy.policy_id, environment_id=policy.environment_id, run_id=policy.run_id, policy=body)
    )


def refuse(session: Session, policy_id: str, report: exporter_pb2.ParityReport) -> None:
    """Keeps the report of an export that was refused, in place of an earlier one."""
    session.merge(RefusedExportRow(policy_id=policy_id, report=report.SerializeToString(deterministic=True)))


def parity_report(session: Session, policy_id: str) -> exporter_pb2.ParityReport | None:
    """Returns the report of a policy's last export, also of a refused one; None if there was none."""
    refused = session.get(RefusedExportRow, policy_id)
    if refused is not None:
        return exporter_pb2.ParityReport.FromString(refused.report)
    policy = find(session, policy_id)
    return policy.parity if policy is not None else None


def remember_export(session: Session, policy_id: str, controller_sha256: str, made: exporter_pb2.PolicyExport) -> bool:
    """Adds another form to a policy, in place of an earlier one of the same form.

    Returns whether it did: not where the policy is gone, or has another controller by now.
    """
    row = session.scalar(sa.select(PolicyRow).where(PolicyRow.policy_id == policy_id).with_for_update())
    if row is None:
        return False
    policy = row.message()
    if policy.controller.sha256 != controller_sha256:
        return False
    others = [export for export in policy.exports if export.format != made.format]
    del policy.exports[:]
    policy.exports.extend(sorted([*others, made], key=lambda export: export.format))
    row.policy = policy.SerializeToString(deterministic=True)
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
    response = exporter_pb2.ListPoliciesResponse(policies=[row.message() for row in rows[: asked.size]])
    if len(rows) > asked.size:
        response.next_page_token = asked.token(str(rows[asked.size - 1].number))
    return response
