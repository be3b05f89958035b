"""A batch as it goes on: a table that is drawn over on a terminal, a line for each change elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from tabrl.trainer.v1 import batches_pb2, trainer_pb2

from tabrl_cli.connection import Connection, UsageError
from tabrl_cli.console import Output, count, duration, printable
from tabrl_cli.errors import CallError
from tabrl_cli.watch import Patience, watch_batch

__all__ = ["candidates_of", "follow_batch", "parameter", "show_batches"]

_STATES = {
    batches_pb2.CANDIDATE_STATE_WAITING: "waits for a free slot",
    batches_pb2.CANDIDATE_STATE_TRAINING: "trains",
    batches_pb2.CANDIDATE_STATE_JUDGING: "is judged",
    batches_pb2.CANDIDATE_STATE_JUDGED: "waits for the others",
    batches_pb2.CANDIDATE_STATE_FINISHED: "is trained and judged",
    batches_pb2.CANDIDATE_STATE_STOPPED: "was stopped early",
    batches_pb2.CANDIDATE_STATE_FAILED: "failed",
}


def candidates_of(title: str, specs: Sequence[tuple[str, trainer_pb2.RunSpec]]) -> batches_pb2.BatchSpec:
    """A batch of candidates, each with its label."""
    return batches_pb2.BatchSpec(
        title=title, candidates=[batches_pb2.CandidateSpec(label=label, spec=spec) for label, spec in specs]
    )


def parameter(text: str) -> batches_pb2.SearchParameter:
    """What `name=low..high`, `name=low..high:log` or `name=one,other` searches. Raises UsageError.

    Choices of several widths of layers are parted by `/`, as in `hidden_layer_sizes=64,64/128,128`.
    """
    name, equals, values = text.partition("=")
    if not equals or not name or not values:
        raise UsageError(f"{text!r} is no parameter; write one as learning_rate=1e-4..1e-2:log or num_envs=64,128")
    if ".." not in values:
        parts = values.split("/") if name == "hidden_layer_sizes" else values.split(",")
        return batches_pb2.SearchParameter(name=name, choices=batches_pb2.ParameterChoices(values=parts))
    bounds, _, scale = values.partition(":")
    try:
        low, high = (float(each) for each in bounds.split(".."))
    except ValueError:
        scale = "none"
    if scale not in ("", "log"):
        raise UsageError(f"{values!r} is no range; write one as 1e-4..1e-2 or 1e-4..1e-2:log")
    return batches_pb2.SearchParameter(
        name=name, range=batches_pb2.ParameterRange(low=low, high=high, log=scale == "log")
    )


def follow_batch(
    connection: Connection, output: Output, batch_id: str, patience: Patience | None = None
) -> batches_pb2.Batch:
    """Shows a batch until it has ended, and its winner. Raises CallError when it ends without one."""

    def lost(error: CallError) -> None:
        output.event("connection_lost", error=error.to_json())

    batch = batches_pb2.Batch()
    with _Progress(output) as progress:
        for batch in watch_batch(connection, batch_id, on_lost=lost, patience=patience or Patience()):
            progress.show(batch)
    output.event("result", batch=batch)
    _show_end(connection, output, batch)
    return batch


def show_batches(output: Output, answer: batches_pb2.ListBatchesResponse) -> None:
    """Shows a page of batches."""
    if output.as_json:
        output.document(answer)
        return
    output.table(
        ("batch", "state", "candidates", "winner", "title"),
        (
            (
                batch.batch_id,
                batches_pb2.BatchState.Name(batch.state).removeprefix("BATCH_STATE_").lower(),
                str(len(batch.candidates)),
                batch.candidates[batch.winner.index].label if batch.HasField("winner") else "",
                batch.spec.title,
            )
            for batch in answer.batches
        ),
        empty="No batches yet: tabrl batch seeds --env ENVIRONMENT starts one.",
    )


class _Progress:
    """What is known of a batch, shown as it changes."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._told: dict[int, tuple[int, int]] = {}
        self._live = Live(console=output.console, auto_refresh=False) if output.live else None

    def __enter__(self) -> _Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, batch: batches_pb2.Batch) -> None:
        """Takes the batch as it stands."""
        self._output.event("snapshot", batch=batch)
        if self._live:
            self._live.update(_table(batch), refresh=True)
            return
        for candidate in batch.candidates:
            now = (int(candidate.state), len(candidate.evaluations))
            if self._told.get(candidate.index) == now:
                continue
            self._told[candidate.index] = now
            judged = f", {_judged(batch, candidate)}" if candidate.evaluations else ""
            why = f": {candidate.reason}" if candidate.reason else ""
            self._output.line(escape(f"· {candidate.label} {_STATES.get(candidate.state, '')}{judged}{why}"))


def _table(batch: batches_pb2.Batch) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("rank", "candidate", "", "steps", "training return", "judged"):
        table.add_column(column, justify="right" if column in ("rank", "steps", "training return") else "left")
    for candidate in batch.candidates:
        parameters = ", ".join(f"{name} {value:.8s}" for name, value in sorted(candidate.parameters.items()))
        reached = f"{candidate.episode_return:.1f}" if candidate.HasField("episode_return") else ""
        table.add_row(
            *(
                Text(printable(cell))
                for cell in (
                    str(candidate.rank or ""),
                    f"{candidate.label}  {parameters}" if parameters else candidate.label,
                    _STATES.get(candidate.state, ""),
                    f"{count(candidate.env_steps)}/{count(candidate.total_env_steps)}",
                    reached,
                    _judged(batch, candidate),
                )
            )
        )
    return table


def _judged(batch: batches_pb2.Batch, candidate: batches_pb2.BatchCandidate) -> str:
    """What the newest evaluation of a candidate found."""
    if not candidate.evaluations:
        return ""
    evaluation = candidate.evaluations[-1]
    error = f" ± {evaluation.score_error:.2g}" if evaluation.HasField("score_error") else ""
    if not evaluation.HasField("held_share"):
        return f"return {evaluation.score:.4g}{error} at {count(evaluation.env_steps)} steps"
    held = round(evaluation.held_share * evaluation.episodes)
    return (
        f"check holds in {held} of {evaluation.episodes}, score {evaluation.score:.2f}{error} "
        f"at {count(evaluation.env_steps)} steps"
    )


def _show_end(connection: Connection, output: Output, batch: batches_pb2.Batch) -> None:
    if batch.state == batches_pb2.BATCH_STATE_CANCELLED:
        raise CallError("CANCELLED", "RUN_CANCELLED", f"The batch {batch.batch_id} was cancelled.")
    if not batch.HasField("winner"):
        raise CallError("INTERNAL", batch.error.reason or "INTERNAL", f"The batch failed: {batch.error.message}")
    winner = batch.candidates[batch.winner.index]
    output.line()
    output.line(f"winner: [bold]{escape(winner.label)}[/bold]")
    for name, value in sorted(winner.parameters.items()):
        output.line(f"  {escape(name)} = {escape(value)}")
    output.line(escape(batch.winner.reason))
    if batch.env_steps_saved:
        saved = f"{count(batch.env_steps_saved)} steps were not trained, about {duration(batch.secs_saved)}"
        output.note(f"{count(batch.env_steps_trained)} steps were trained; {saved}")
    output.line(f"policy [bold]{escape(batch.winner.policy_id)}[/bold], run {escape(batch.winner.run_id)}")
    spec = batch.spec.search.base if batch.spec.HasField("search") else batch.spec.candidates[winner.index].spec
    url = connection.page(
        env=spec.environment_id,
        reward=spec.reward.reward_id,
        run=batch.winner.run_id,
        policy=batch.winner.policy_id,
    )
    output.line(f"see it at [bold blue]{escape(url)}[/bold blue]")
