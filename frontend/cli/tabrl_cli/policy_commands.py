"""`tabrl policies` and what else there is to do with policies and the names that they are registered under."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.message import Message
from rich.markup import escape
from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl.inference.v1 import inference_pb2

from tabrl_cli import evaluation, exports, policy_records, registered
from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.policy_names import PolicyName, policy_id_of
from tabrl_cli.session import AsJson, EnvironmentFilter, Gateway, Limit, Session, open_session

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="Registered name, such as go1-dance.")]
Tag = Annotated[str, typer.Argument(help="Tag, such as stable.")]
Episodes = Annotated[int, typer.Option(min=1, max=100, help="How many episodes to play.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed that chooses the starting states.")]
Check = Annotated[str, typer.Option(help="What to judge the motion by, such as \"mean(up('pole')) > 0.9\".")]
Number = Annotated[int, typer.Argument(help="Number of the version.", min=1)]


@app.command("policies")
def policies(
    environment_id: EnvironmentFilter = "",
    run_id: Annotated[str, typer.Option("--run", help="Only policies of this run.")] = "",
    limit: Limit = 20,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the policies, newest first."""
    with open_session(gateway, as_json) as session:
        policy_records.list_policies(
            session.connection, session.output, environment_id=environment_id, run_id=run_id, limit=limit
        )


@app.command("policy")
def policy(name: PolicyName, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Say what a policy is, how exact, how good, and where it comes from."""
    with open_session(gateway, as_json) as session:
        policy_records.show_policy(session.connection, session.output, policy_id_of(session.connection, name))


@app.command("measure")
def measure(  # noqa: PLR0917
    name: PolicyName,
    episodes: Episodes = 5,
    seed: Seed = 0,
    check: Check = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Play whole episodes on the server, and keep what was measured with the policy."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, name)
        request = registry_pb2.MeasurePolicyRequest(policy_id=policy_id, episodes=episodes, seed=seed, check=check)
        policy_records.measure(session.connection, session.output, request)


@app.command("evaluate")
def evaluate(  # noqa: PLR0917
    policy: PolicyName,
    episodes: Episodes = 5,
    seed: Seed = 0,
    check: Check = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Play whole episodes on the server and measure them."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, policy)
        request = inference_pb2.EvaluateRequest(policy_id=policy_id, episodes=episodes, seed=seed, check=check)
        evaluation.evaluate(session.connection, session.output, request)


@app.command("export")
def export(
    policy: PolicyName,
    form: Annotated[
        exports.Format, typer.Option("--format", help="Whole controller, with smaller weights, or the network alone.")
    ] = exports.Format.CONTROLLER,
    path: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, or a folder for it.")] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write a policy to a file, and say how exact it is in that form."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, policy)
        exports.export(session.connection, session.output, policy_id=policy_id, form=form, path=path)


@app.command("compare")
def compare(
    left: Annotated[str, typer.Argument(help="Policy, or NAME, NAME@TAG or NAME@NUMBER.", metavar="A")],
    right: Annotated[str, typer.Argument(help="The other one.", metavar="B")],
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Say in what two policies differ, the most telling first."""
    with open_session(gateway, as_json) as session:
        ids = [policy_id_of(session.connection, name) for name in (left, right)]
        policy_records.compare(session.connection, session.output, *ids)


@app.command("delete-policy")
def delete_policy(name: PolicyName, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Delete a policy that no version names; its files go with the next collection of garbage."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, name)
        request = exporter_pb2.DeletePolicyRequest(policy_id=policy_id)
        answer = session.connection.call(session.connection.exporter.DeletePolicy, request)
        _say(session, answer, f"policy {policy_id} is deleted")


@app.command("collect-garbage")
def collect_garbage(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Delete the files that nothing names and that are a day old; by itself that is done every hour."""
    with open_session(gateway, as_json) as session:
        policy_records.collect_garbage(session.connection, session.output, dry_run=dry_run)


@app.command("register")
def register(
    name: PolicyName,
    registered_name: Annotated[str, typer.Argument(help="Name, such as go1-dance.", metavar="NAME")],
    notes: Annotated[str, typer.Option(help="What people are to know of it.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Register a policy as the next version of a name, which the first one makes."""
    with open_session(gateway, as_json) as session:
        policy_id = policy_id_of(session.connection, name)
        registered.register(session.connection, session.output, policy_id, registered_name, notes)


@app.command("registry")
def registry(
    name: Annotated[str, typer.Argument(help="Name to list the versions of; without it, all names.")] = "",
    environment_id: EnvironmentFilter = "",
    limit: Limit = 20,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the registered names, the one changed last first, or the versions of one."""
    with open_session(gateway, as_json) as session:
        if name:
            registered.show_name(session.connection, session.output, name)
        else:
            registered.list_names(session.connection, session.output, environment_id=environment_id, limit=limit)


@app.command("tag")
def tag(name: Name, tag_name: Tag, number: Number, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Point a tag to a version; `latest` points to the newest by itself."""
    with open_session(gateway, as_json) as session:
        registered.set_tag(session.connection, session.output, name, tag_name, number)


@app.command("rollback")
def rollback(
    name: Name,
    tag_name: Tag,
    from_number: Annotated[
        int,
        typer.Option("--from", min=0, help="Only if it points to this version still; whatever, if left out."),
    ] = 0,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Point a tag to where it pointed before."""
    with open_session(gateway, as_json) as session:
        registered.roll_back(session.connection, session.output, name, tag_name, from_number)


@app.command("untag")
def untag(name: Name, tag_name: Tag, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Delete a tag; the version stays."""
    with open_session(gateway, as_json) as session:
        request = registry_pb2.DeleteTagRequest(name=name, tag=tag_name)
        answer = session.connection.call(session.connection.registry.DeleteTag, request)
        _say(session, answer, f"{name}@{tag_name} is deleted")


@app.command("unregister")
def unregister(name: Name, number: Number, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Take a version out of the registry; its policy stays."""
    with open_session(gateway, as_json) as session:
        request = registry_pb2.DeleteVersionRequest(name=name, number=number)
        answer = session.connection.call(session.connection.registry.DeleteVersion, request)
        _say(session, answer, f"{name}@{number} is deleted; its policy stays")


@app.command("notes")
def notes(
    name: Name,
    number: Number,
    text: Annotated[str, typer.Argument(help="What people are to know of it; '' for nothing.")],
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write the notes of a version anew."""
    with open_session(gateway, as_json) as session:
        registered.write_notes(session.connection, session.output, name, number, text)


def _say(session: Session, answer: Message, words: str) -> None:
    if session.output.as_json:
        session.output.document(answer)
    else:
        session.output.line(escape(words))
