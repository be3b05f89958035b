"""The tables of the registry, and its rows as the contract has them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence

import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.orm import Mapped, mapped_column
from tabrl.exporter.v1 import registry_pb2
from tabrl_chassis.database import UtcDateTime

from tabrl_exporter.policies import Base, PolicyRow

__all__ = ["LATEST", "RegisteredRow", "TagRow", "VersionRow", "registered_message", "tag_message", "version_message"]

LATEST = "latest"
"""The tag that always points to the newest version; it is on no record."""

_MOST_EARLIER = 20


class RegisteredRow(Base):
    """A name. `next_number` is that of its next version, so that none is given twice; one without versions is free."""

    __tablename__ = "registered_policies"

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    environment_id: Mapped[str] = mapped_column(sa.String(100), index=True)
    next_number: Mapped[int]
    create_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    update_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime, index=True)


class VersionRow(Base):
    """A version of a name. The database itself refuses to delete the policy of one."""

    __tablename__ = "policy_versions"
    __table_args__ = (sa.UniqueConstraint("name", "policy_id", name="uq_policy_versions_policy"),)

    name: Mapped[str] = mapped_column(sa.String(60), sa.ForeignKey("registered_policies.name"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    policy_id: Mapped[str] = mapped_column(sa.String(100), sa.ForeignKey("policies.policy_id"), index=True)
    notes: Mapped[str] = mapped_column(sa.Text)
    create_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)


class TagRow(Base):
    """A tag. `earlier` is a JSON list of the versions that it pointed to before, newest first."""

    __tablename__ = "version_tags"
    __table_args__ = (sa.ForeignKeyConstraint(["name", "number"], ["policy_versions.name", "policy_versions.number"]),)

    name: Mapped[str] = mapped_column(sa.String(60), primary_key=True)
    tag: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    number: Mapped[int]
    earlier: Mapped[str] = mapped_column(sa.Text)
    set_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)

    def history(self) -> list[int]:
        """Returns where it pointed before, newest first."""
        return [int(number) for number in json.loads(self.earlier)]

    def point(self, number: int, earlier: Sequence[int]) -> None:
        """Points it to a version, with what it pointed to before: the newest of these, and none twice in a row."""
        kept: list[int] = []
        for each in earlier:
            if each != (kept[-1] if kept else number):
                kept.append(each)
        self.number, self.earlier = number, json.dumps(kept[:_MOST_EARLIER])


def registered_message(
    row: RegisteredRow, versions: Sequence[tuple[VersionRow, PolicyRow]], tags: Sequence[TagRow]
) -> registry_pb2.RegisteredPolicy:
    """Returns a name with its versions, which are given newest first and are not none, and its tags, by name."""
    newest = versions[0][0]
    latest = registry_pb2.VersionTag(tag=LATEST, number=newest.number, set_time=_timestamp(newest.create_time))
    return registry_pb2.RegisteredPolicy(
        name=row.name,
        environment_id=row.environment_id,
        versions=[version_message(version, policy) for version, policy in versions],
        tags=sorted([latest, *map(tag_message, tags)], key=lambda tag: tag.tag),
        create_time=_timestamp(row.create_time),
        update_time=_timestamp(row.update_time),
    )


def version_message(version: VersionRow, policy: PolicyRow) -> registry_pb2.PolicyVersion:
    """Returns a version with its policy."""
    return registry_pb2.PolicyVersion(
        number=version.number,
        policy=policy.message(),
        notes=version.notes,
        create_time=_timestamp(version.create_time),
    )


def tag_message(tag: TagRow) -> registry_pb2.VersionTag:
    """Returns a tag."""
    return registry_pb2.VersionTag(
        tag=tag.tag, number=tag.number, earlier=tag.history(), set_time=_timestamp(tag.set_time)
    )


def _timestamp(time: datetime.datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message
