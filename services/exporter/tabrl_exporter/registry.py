"""Names for policies: versions that are numbered once and for all, and tags that point to them.

Each function is one transaction of the caller's. Who changes a name locks its row first, so that changes of one name
come one after the other, whichever process makes them.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Sequence

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import registry_pb2
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.pagination import Page, how_many_fit, invalid_page_token

from tabrl_exporter import policies
from tabrl_exporter.policies import PolicyRow
from tabrl_exporter.registry_rows import (
    LATEST,
    RegisteredRow,
    TagRow,
    VersionRow,
    registered_message,
    tag_message,
    version_message,
)

__all__ = [
    "delete_policy",
    "delete_tag",
    "delete_version",
    "page",
    "register",
    "registered",
    "roll_back_tag",
    "set_tag",
    "update_notes",
    "version",
]


def register(session: Session, name: str, policy_id: str, notes: str) -> registry_pb2.PolicyVersion:
    """Adds a policy as the next version of a name, unless it is one already.

    Raises:
        TabrlError: POLICY_NOT_FOUND, ENVIRONMENT_MISMATCH.
    """
    policy = policies.row(session, policy_id, lock=policies.Lock.AGAINST_DELETION)
    now = _now()
    found = session.get(RegisteredRow, name, with_for_update=True)
    if found is None:
        # Whoever adds the same name at the same time makes this transaction begin anew.
        found = RegisteredRow(
            name=name, environment_id=policy.environment_id, next_number=1, create_time=now, update_time=now
        )
        session.add(found)
        session.flush()
    known = session.scalar(sa.select(VersionRow).filter_by(name=name, policy_id=policy_id))
    if known is not None:
        return version_message(known, policy)
    if found.environment_id != policy.environment_id and _newest(session, [name]):
        drives = f"{name} drives {found.environment_id}, and {policy_id} drives {policy.environment_id}"
        message = f"{drives}; choose another name."
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "ENVIRONMENT_MISMATCH",
            message,
            fields=[("name", message)],
            metadata={"environment_id": found.environment_id},
        )
    added = VersionRow(name=name, number=found.next_number, policy_id=policy_id, notes=notes, create_time=now)
    found.environment_id = policy.environment_id
    found.next_number += 1
    _touch(found)
    session.add(added)
    session.flush()
    return version_message(added, policy)


def registered(session: Session, name: str) -> registry_pb2.RegisteredPolicy:
    """Returns a name with its versions and tags.

    Raises:
        TabrlError: VERSION_NOT_FOUND.
    """
    found = session.get(RegisteredRow, name)
    versions = _versions(session, name)
    if found is None or not versions:
        raise _nothing(name)
    return registered_message(found, versions, _tags(session, [name])[name])


def page(
    session: Session, request: registry_pb2.ListRegisteredPoliciesRequest, asked: Page
) -> registry_pb2.ListRegisteredPoliciesResponse:
    """Returns one page of names, the one changed last first, each with its newest version.

    Raises:
        TabrlError: INVALID_PAGE_TOKEN.
    """
    query = sa.select(RegisteredRow).where(sa.exists().where(VersionRow.name == RegisteredRow.name))
    query = query.order_by(RegisteredRow.update_time.desc(), RegisteredRow.name).limit(asked.size + 1)
    if request.environment_id:
        query = query.where(RegisteredRow.environment_id == request.environment_id)
    if asked.after is not None:
        time, name = _place(asked.after)
        at_once = sa.and_(RegisteredRow.update_time == time, RegisteredRow.name > name)
        query = query.where(sa.or_(RegisteredRow.update_time < time, at_once))
    rows = session.scalars(query).all()
    names = [row.name for row in rows[: asked.size]]
    newest, tags = _newest(session, names), _tags(session, names)
    # One whose last version was deleted in this moment has none to show.
    found = [
        (row, registered_message(row, [newest[row.name]], tags[row.name]))
        for row in rows[: asked.size]
        if row.name in newest
    ]
    shown = found[: how_many_fit(message.ByteSize() for _, message in found)]
    response = registry_pb2.ListRegisteredPoliciesResponse(registered=[message for _, message in shown])
    if len(shown) < len(found) or len(rows) > asked.size:
        last = shown[-1][0] if len(shown) < len(found) else rows[asked.size - 1]
        response.next_page_token = asked.token(f"{last.update_time.isoformat()} {last.name}")
    return response


def version(session: Session, name: str, reference: str) -> registry_pb2.PolicyVersion:
    """Returns the version that a number or a tag names.

    Raises:
        TabrlError: VERSION_NOT_FOUND.
    """
    newest = _newest(session, [name]).get(name)
    if newest is None:
        raise _nothing(name)
    if reference == LATEST:
        return version_message(*newest)
    if reference.isascii() and reference.isdecimal():
        number = int(reference)
        if number > newest[0].number:  # also those that the database has no room for
            raise _no_version(name, number)
        return version_message(*_numbered(session, name, number))
    return version_message(*_numbered(session, name, _tag(session, name, reference).number))


def update_notes(session: Session, name: str, number: int, notes: str) -> registry_pb2.PolicyVersion:
    """Writes the notes of a version anew.

    Raises:
        TabrlError: VERSION_NOT_FOUND.
    """
    found = _locked(session, name)
    row, policy = _numbered(session, name, number)
    if row.notes != notes:
        row.notes = notes
        _touch(found)
    return version_message(row, policy)


def delete_version(session: Session, name: str, number: int) -> None:
    """Takes a version out, unless a tag points to it; tags forget that they ever did.

    Raises:
        TabrlError: VERSION_NOT_FOUND, VERSION_TAGGED.
    """
    found = _locked(session, name)
    row, _ = _numbered(session, name, number)
    tags = _tags(session, [name])[name]
    if pointing := ", ".join(tag.tag for tag in tags if tag.number == number):
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "VERSION_TAGGED",
            f"{name}@{number} is tagged {pointing}; move or delete that first.",
            metadata={"tags": pointing},
        )
    for tag in tags:
        tag.point(tag.number, [earlier for earlier in tag.history() if earlier != number])
    session.delete(row)
    _touch(found)


def set_tag(session: Session, name: str, tag: str, number: int) -> registry_pb2.VersionTag:
    """Points a tag to a version.

    Raises:
        TabrlError: VERSION_NOT_FOUND, or INVALID_FIELD for `latest`.
    """
    _require_movable(tag)
    found = _locked(session, name)
    _numbered(session, name, number)
    row = session.get(TagRow, (name, tag))
    if row is None:
        row = TagRow(name=name, tag=tag, number=number, earlier="[]", set_time=_now())
        session.add(row)
        _touch(found)
    elif row.number != number:
        row.point(number, [row.number, *row.history()])
        row.set_time = _now()
        _touch(found)
    session.flush()
    return tag_message(row)


def roll_back_tag(session: Session, name: str, tag: str, from_number: int) -> registry_pb2.VersionTag:
    """Points a tag to where it pointed before, if it points to `from_number` still, or that is 0.

    Raises:
        TabrlError: VERSION_NOT_FOUND, TAG_MOVED, NOTHING_TO_ROLL_BACK, or INVALID_FIELD for `latest`.
    """
    _require_movable(tag)
    found = _locked(session, name)
    row = _tag(session, name, tag)
    if from_number not in (0, row.number):
        raise TabrlError(
            grpc.StatusCode.ABORTED,
            "TAG_MOVED",
            f"{name}@{tag} points to version {row.number}, not to {from_number} any more; look again.",
            metadata={"number": str(row.number)},
        )
    earlier = row.history()
    if not earlier:
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "NOTHING_TO_ROLL_BACK",
            f"{name}@{tag} never pointed to another version that is still there; set it to the one that you want.",
        )
    row.point(earlier[0], earlier[1:])
    row.set_time = _now()
    _touch(found)
    return tag_message(row)


def delete_tag(session: Session, name: str, tag: str) -> None:
    """Deletes a tag with its history.

    Raises:
        TabrlError: VERSION_NOT_FOUND, or INVALID_FIELD for `latest`.
    """
    _require_movable(tag)
    found = _locked(session, name)
    session.delete(_tag(session, name, tag))
    _touch(found)


def delete_policy(session: Session, policy_id: str) -> None:
    """Deletes a policy that no version names.

    Raises:
        TabrlError: POLICY_NOT_FOUND, POLICY_IN_USE.
    """
    row = policies.row(session, policy_id, lock=policies.Lock.FOR_CHANGE)
    naming = sa.select(VersionRow).where(VersionRow.policy_id == policy_id)
    naming = naming.order_by(VersionRow.name, VersionRow.number)
    if references := ", ".join(f"{each.name}@{each.number}" for each in session.scalars(naming)):
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "POLICY_IN_USE",
            f"{policy_id} is registered as {references}; delete that first.",
            metadata={"policy_id": policy_id, "references": references},
        )
    policies.delete(session, row)


def _versions(session: Session, name: str) -> Sequence[tuple[VersionRow, PolicyRow]]:
    """Returns the versions of a name with their policies, newest first."""
    query = sa.select(VersionRow, PolicyRow).join(PolicyRow, PolicyRow.policy_id == VersionRow.policy_id)
    query = query.where(VersionRow.name == name).order_by(VersionRow.number.desc())
    return [(found, policy) for found, policy in session.execute(query)]


def _newest(session: Session, names: Sequence[str]) -> dict[str, tuple[VersionRow, PolicyRow]]:
    """Returns the newest version of each name that has one."""
    newest = sa.select(VersionRow.name, sa.func.max(VersionRow.number).label("number"))
    newest_of = newest.where(VersionRow.name.in_(names)).group_by(VersionRow.name).subquery()
    query = (
        sa.select(VersionRow, PolicyRow)
        .join(newest_of, sa.and_(VersionRow.name == newest_of.c.name, VersionRow.number == newest_of.c.number))
        .join(PolicyRow, PolicyRow.policy_id == VersionRow.policy_id)
    )
    return {found.name: (found, policy) for found, policy in session.execute(query)}


def _tags(session: Session, names: Sequence[str]) -> dict[str, list[TagRow]]:
    """Returns the tags of names, by tag."""
    tags: dict[str, list[TagRow]] = defaultdict(list)
    for tag in session.scalars(sa.select(TagRow).where(TagRow.name.in_(names)).order_by(TagRow.tag)):
        tags[tag.name].append(tag)
    return tags


def _locked(session: Session, name: str) -> RegisteredRow:
    """Returns a name's row, locked for the rest of the transaction."""
    found = session.get(RegisteredRow, name, with_for_update=True)
    if found is None:
        raise _nothing(name)
    return found


def _numbered(session: Session, name: str, number: int) -> tuple[VersionRow, PolicyRow]:
    query = sa.select(VersionRow, PolicyRow).join(PolicyRow, PolicyRow.policy_id == VersionRow.policy_id)
    found = session.execute(query.where(VersionRow.name == name, VersionRow.number == number)).one_or_none()
    if found is None:
        raise _no_version(name, number)
    return found[0], found[1]


def _tag(session: Session, name: str, tag: str) -> TagRow:
    found = session.get(TagRow, (name, tag))
    if found is None:
        raise _not_found(f"{name} has no tag {tag!r}.", name)
    return found


def _require_movable(tag: str) -> None:
    if tag == LATEST:
        raise invalid_field("tag", "`latest` always points to the newest version; choose a tag of your own")


def _touch(row: RegisteredRow) -> None:
    """Notes that a name has changed; later than before, also where the clock was set back."""
    row.update_time = max(_now(), row.update_time)


def _place(after: str) -> tuple[datetime.datetime, str]:
    """Returns the time and the name that a page token was issued for."""
    time, _, name = after.partition(" ")
    try:
        found = datetime.datetime.fromisoformat(time)
        # At the ends of time there is no such moment in UTC. A name that is no UTF-8 breaks the database's driver.
        moment, encoded = found.astimezone(datetime.UTC), name.encode()
    except (ValueError, OverflowError) as error:
        raise invalid_page_token() from error
    if found.tzinfo is None or not encoded or b"\0" in encoded:
        raise invalid_page_token()
    return moment, name


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _nothing(name: str) -> TabrlError:
    return _not_found(f"Nothing is registered as {name!r}.", name)


def _no_version(name: str, number: int) -> TabrlError:
    return _not_found(f"{name} has no version {number}.", name)


def _not_found(message: str, name: str) -> TabrlError:
    return TabrlError(grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND", message, metadata={"name": name})
