"""Registered names as a terminal shows them: their versions, and where their tags point."""

from __future__ import annotations

from collections import defaultdict

from rich.markup import escape
from tabrl.exporter.v1 import registry_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output, count
from tabrl_cli.policy_records import date, newest_return

__all__ = ["list_names", "register", "roll_back", "set_tag", "show_name", "write_notes"]


def register(connection: Connection, output: Output, policy_id: str, name: str, notes: str) -> None:
    """Registers a policy. Raises CallError."""
    request = registry_pb2.RegisterVersionRequest(name=name, policy_id=policy_id, notes=notes)
    answer = connection.call(connection.registry.RegisterVersion, request)
    if output.as_json:
        output.document(answer)
    else:
        output.line(f"{escape(policy_id)} is [bold]{escape(name)}@{answer.version.number}[/bold]")


def list_names(connection: Connection, output: Output, *, environment_id: str, limit: int) -> None:
    """Shows the names. Raises CallError."""
    request = registry_pb2.ListRegisteredPoliciesRequest(environment_id=environment_id, page_size=limit)
    answer = connection.listed(connection.registry.ListRegisteredPolicies, request, "registered")
    if output.as_json:
        output.document(answer)
        return
    output.table(
        ("name", "environment", "latest", "return", "tags", "changed"),
        (
            (
                each.name,
                each.environment_id,
                str(each.versions[0].number),
                newest_return(each.versions[0].policy),
                ", ".join(f"{tag.tag} → {tag.number}" for tag in each.tags if tag.tag != "latest"),
                date(each.update_time),
            )
            for each in answer.registered
        ),
        empty="Nothing is registered yet: tabrl register POLICY NAME registers a policy.",
    )


def show_name(connection: Connection, output: Output, name: str) -> None:
    """Shows the versions of a name. Raises CallError."""
    request = registry_pb2.GetRegisteredPolicyRequest(name=name)
    answer = connection.call(connection.registry.GetRegisteredPolicy, request)
    if output.as_json:
        output.document(answer)
        return
    found = answer.registered
    tags = defaultdict[int, list[str]](list)
    for tag in found.tags:
        tags[tag.number].append(tag.tag)
    output.line(f"[bold]{escape(found.name)}[/bold] drives {escape(found.environment_id)}")
    output.table(
        ("version", "policy", "tags", "steps", "return", "registered", "notes"),
        (
            (
                str(version.number),
                version.policy.policy_id,
                ", ".join(tags[version.number]),
                count(version.policy.env_steps),
                newest_return(version.policy),
                date(version.create_time),
                version.notes,
            )
            for version in found.versions
        ),
        empty="",
    )
    for tag in found.tags:
        if tag.earlier:
            before = ", ".join(str(number) for number in tag.earlier)
            output.note(f"{tag.tag} pointed to {before} before; tabrl rollback {found.name} {tag.tag} goes back")


def set_tag(connection: Connection, output: Output, name: str, tag: str, number: int) -> None:
    """Points a tag to a version. Raises CallError."""
    request = registry_pb2.SetTagRequest(name=name, tag=tag, number=number)
    answer = connection.call(connection.registry.SetTag, request)
    _show_tag(output, name, answer)


def roll_back(connection: Connection, output: Output, name: str, tag: str, from_number: int) -> None:
    """Points a tag to where it pointed before. Raises CallError."""
    request = registry_pb2.RollBackTagRequest(name=name, tag=tag, from_number=from_number)
    _show_tag(output, name, connection.call(connection.registry.RollBackTag, request))


def write_notes(connection: Connection, output: Output, name: str, number: int, notes: str) -> None:
    """Writes the notes of a version anew. Raises CallError."""
    request = registry_pb2.UpdateVersionRequest(name=name, number=number, notes=notes)
    answer = connection.call(connection.registry.UpdateVersion, request)
    if output.as_json:
        output.document(answer)
    else:
        output.line(f"{escape(name)}@{number}: {escape(answer.version.notes) or 'no notes'}")


def _show_tag(
    output: Output, name: str, answer: registry_pb2.SetTagResponse | registry_pb2.RollBackTagResponse
) -> None:
    if output.as_json:
        output.document(answer)
        return
    tag = answer.tag
    before = f", before that to {tag.earlier[0]}" if tag.earlier else ""
    output.line(f"{escape(name)}@{escape(tag.tag)} points to version [bold]{tag.number}[/bold]{before}")
