"""`tabrl runs` and what else there is to do with runs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from tabrl.trainer.v1 import trainer_pb2

from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.console import count
from tabrl_cli.errors import EXIT_INTERRUPTED
from tabrl_cli.progress import reached_return
from tabrl_cli.session import AsJson, EnvironmentFilter, Gateway, Limit, Session, open_session
from tabrl_cli.training import watch_to_the_end

app = typer.Typer(rich_markup_mode=None)

RunId = Annotated[str, typer.Argument(help="Id of the run.")]
_NO_RUNS = "No runs yet: tabrl try PROMPT --env ENVIRONMENT starts one."


@app.command("runs")
def runs(  # noqa: PLR0917
    environment_id: EnvironmentFilter = "",
    query: Annotated[str, typer.Option(help="Only those whose prompt, notes, tags or id hold this.")] = "",
    tag: Annotated[str, typer.Option(help="Only those with this tag.")] = "",
    limit: Limit = 20,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.ListRunsRequest(environment_id=environment_id, query=query, tag=tag, page_size=limit)
        answer = session.connection.listed(session.connection.trainer.ListRuns, request, "runs")
        if as_json:
            session.output.document(answer)
            return
        session.output.table(
            ("run", "environment", "state", "steps", "return", "prompt"),
            (
                (
                    run.run_id,
                    run.spec.environment_id,
                    _state(run.state) + (f" ({run.error.reason})" if run.HasField("error") else ""),
                    count(run.metrics.env_steps) if run.HasField("metrics") else "",
                    reached_return(run.metrics) if run.HasField("metrics") else "",
                    run.spec.title,
                )
                for run in answer.runs
            ),
            empty="No run is like that." if query or tag or environment_id else _NO_RUNS,
        )
        if any(not run.metrics.HasField("episode_return") for run in answer.runs if run.HasField("metrics")):
            session.output.note("≈ is what the first episodes come to if they go on as they began; none had ended yet")


@app.command("watch")
def watch(
    run_id: RunId,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Follow a run to its end."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.GetRunRequest(run_id=run_id)
        follow(session, session.connection.call(session.connection.trainer.GetRun, request).run)


@app.command("pause")
def pause(run_id: RunId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Stop a run for a while; it gives up its slot."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.PauseRunRequest(run_id=run_id)
        _show_state(session, session.connection.call(session.connection.trainer.PauseRun, request))


@app.command("continue")
def continue_run(run_id: RunId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Go on with a paused run, from its newest checkpoint."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.ContinueRunRequest(run_id=run_id)
        _show_state(session, session.connection.call(session.connection.trainer.ContinueRun, request))


@app.command("cancel")
def cancel(
    run_id: RunId,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Stop a run; its newest checkpoint stays."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.CancelRunRequest(run_id=run_id)
        _show_state(session, session.connection.call(session.connection.trainer.CancelRun, request))


@app.command("note")
def note(
    run_id: RunId,
    text: Annotated[str | None, typer.Argument(help="What to write; '' takes it away, nothing leaves it.")] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag; these replace those there are; '' for none.")
    ] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write notes and tags beside a run, by which `tabrl runs --query` finds it."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.UpdateRunRequest(run_id=run_id, notes=text)
        if tags is not None:
            request.tags.values.extend(tag for tag in tags if tag)
            request.tags.SetInParent()
        answer = session.connection.call(session.connection.trainer.UpdateRun, request)
        if as_json:
            session.output.document(answer)
        else:
            session.output.note(f"run {answer.run.run_id}: {' '.join(f'#{tag}' for tag in answer.run.tags)}")
            session.output.line(escape(answer.run.notes))


@app.command("delete")
def delete(run_id: RunId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Delete a run that has ended, with its history; its policies stay."""
    with open_session(gateway, as_json) as session:
        request = trainer_pb2.DeleteRunRequest(run_id=run_id)
        answer = session.connection.call(session.connection.trainer.DeleteRun, request)
        if as_json:
            session.output.document(answer)
        else:
            session.output.line(f"run {escape(run_id)} is deleted")


def follow(session: Session, run: trainer_pb2.Run) -> None:
    """Shows a run as it happens; who leaves it is told how to come back."""
    try:
        watch_to_the_end(session.connection, session.output, run)
    except KeyboardInterrupt:
        session.output.line()
        session.output.line(
            f"The run goes on: `tabrl watch {run.run_id}` follows it, `tabrl cancel {run.run_id}` stops it."
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _show_state(
    session: Session,
    answer: trainer_pb2.CancelRunResponse | trainer_pb2.PauseRunResponse | trainer_pb2.ContinueRunResponse,
) -> None:
    if session.output.as_json:
        session.output.document(answer)
    else:
        session.output.line(f"run {answer.run.run_id}: {_state(answer.run.state)}")


def _state(state: trainer_pb2.RunState.ValueType) -> str:
    return trainer_pb2.RunState.Name(state).removeprefix("RUN_STATE_").lower()
