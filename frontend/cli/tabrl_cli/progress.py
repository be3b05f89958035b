"""A run as it trains: a moving bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from tabrl.trainer.v1 import trainer_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output, count, duration
from tabrl_cli.errors import CallError
from tabrl_cli.watch import Patience, watch_run

PLAIN_LINE_SECS = 5.0

_STATES = {
    trainer_pb2.RUN_STATE_QUEUED: "waits for a free slot",
    trainer_pb2.RUN_STATE_STARTING: "loads and compiles",
    trainer_pb2.RUN_STATE_RUNNING: "trains",
    trainer_pb2.RUN_STATE_SUCCEEDED: "is trained",
    trainer_pb2.RUN_STATE_FAILED: "failed",
    trainer_pb2.RUN_STATE_CANCELLED: "was cancelled",
    trainer_pb2.RUN_STATE_PAUSED: "is paused",
}


class RunProgress:
    """What is known of a run, shown as it changes."""

    def __init__(self, output: Output, *, total_steps: int) -> None:
        """Takes how many steps the run will make; 0 when that is not known yet."""
        self._output = output
        self._total = total_steps
        self._state: trainer_pb2.RunState.ValueType = trainer_pb2.RUN_STATE_UNSPECIFIED
        self._revision = 0
        self._last_line, self._last_steps = 0.0, -1
        self._told: set[str] = set()
        self.policies: list[trainer_pb2.PolicyPublished] = []
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if output.live:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[steps]}"),
                TextColumn("[bold]{task.fields[reached]}[/bold]"),
                TextColumn("[dim]{task.fields[left]}[/dim]"),
                console=output.console,
            )
            self._task = self._bar.add_task("waits", total=max(1, total_steps), steps="", reached="", left="")

    def __enter__(self) -> RunProgress:
        """Starts drawing."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops drawing."""
        if self._bar:
            self._bar.stop()

    def snapshot(self, run: trainer_pb2.Run) -> None:
        """Takes the run as it stands."""
        self._total = run.spec.settings.env_steps or self._total
        self._revision = run.revision
        self._enter(run.state)
        if run.HasField("metrics"):
            self._metrics(run.metrics)
        for checkpoint in run.checkpoints:
            if checkpoint.policy_id:
                self._published(
                    trainer_pb2.PolicyPublished(
                        env_steps=checkpoint.env_steps,
                        checkpoint_sha256=checkpoint.artifact.sha256,
                        policy_id=checkpoint.policy_id,
                        final=checkpoint.final,
                    )
                )
            elif checkpoint.HasField("refusal"):
                self._refused(checkpoint.env_steps, checkpoint.artifact.sha256, checkpoint.refusal)

    def event(self, event: trainer_pb2.RunEvent) -> None:
        """Takes what happened."""
        self._output.event("run_event", run_event=event)
        match event.WhichOneof("event"):
            # The history is told after the snapshot, which is further already.
            case "state_changed" if event.revision > self._revision:
                self._enter(event.state_changed.state)
            case "metrics":
                self._metrics(event.metrics)
            case "policy_published":
                self._published(event.policy_published)
            case "policy_refused":
                refused = event.policy_refused
                self._refused(refused.env_steps, refused.checkpoint_sha256, refused.error)
            case "log" if event.log.level >= trainer_pb2.LOG_LEVEL_WARNING:
                self._output.line(f"[yellow]{escape(event.log.text)}[/yellow]")

    def lost(self, error: CallError) -> None:
        """Tells that the connection is lost and will be taken up again."""
        self._output.event("connection_lost", error=error.to_json())
        self._output.line(f"[yellow]connection lost:[/yellow] {escape(error.message)} [dim]trying again[/dim]")

    def _enter(self, state: trainer_pb2.RunState.ValueType) -> None:
        if state == self._state:
            return
        self._state = state
        text = _STATES.get(state, "")
        if self._bar:
            self._bar.update(self._task, description=text)
        elif text:
            self._output.line(f"· {text}")

    def _metrics(self, metrics: trainer_pb2.TrainingMetrics) -> None:
        steps = f"{count(metrics.env_steps)}/{count(self._total)} steps" if self._total else count(metrics.env_steps)
        reached = "  ".join([f"return {reached_return(metrics)}", *survival(metrics)])
        self._easier(metrics)
        self._plateau(metrics)
        left = f"{duration(metrics.remaining_secs)} left" if metrics.remaining_secs else ""
        if self._bar:
            self._bar.update(
                self._task,
                completed=metrics.env_steps,
                total=max(1, self._total, metrics.env_steps),
                steps=steps,
                reached=reached,
                left=left,
            )
            return
        now = time.monotonic()
        if metrics.env_steps <= self._last_steps:
            return
        if now - self._last_line >= PLAIN_LINE_SECS:
            self._last_line, self._last_steps = now, metrics.env_steps
            # the last unroll may go past the end
            share = f"{min(100.0, 100 * metrics.env_steps / self._total):3.0f} %  " if self._total else ""
            speed = f"{count(metrics.env_steps_per_sec)} steps/s" if metrics.env_steps_per_sec else ""
            self._output.line("  ".join(part for part in (f"  {share}{steps}", reached, speed, left) if part))

    def _easier(self, metrics: trainer_pb2.TrainingMetrics) -> None:
        until = metrics.easier_until_env_steps
        if until and "easier" not in self._told:
            self._told.add("easier")
            self._output.note(f"· an easier form of the task until step {count(until)}; returns are of that form")

    def _plateau(self, metrics: trainer_pb2.TrainingMetrics) -> None:
        since = metrics.plateau_since_env_steps
        if since and f"plateau {since}" not in self._told:
            self._told.add(f"plateau {since}")
            self._output.note(f"· the return has not improved since {count(since)} steps")

    def _published(self, policy: trainer_pb2.PolicyPublished) -> None:
        if policy.policy_id in self._told:
            return
        self._told.add(policy.policy_id)
        self.policies.append(policy)
        kind = "final policy" if policy.final else "policy"
        self._output.line(
            f"[green]✓[/green] {kind} [bold]{escape(policy.policy_id)}[/bold] after {count(policy.env_steps)} steps"
        )

    def _refused(self, env_steps: int, checkpoint_sha256: str, error: trainer_pb2.RunError) -> None:
        if checkpoint_sha256 in self._told:
            return
        self._told.add(checkpoint_sha256)
        self._output.line(
            f"[red]✗[/red] the checkpoint after {count(env_steps)} steps gives no policy "
            f"({error.reason}): {escape(error.message)}"
        )


def reached_return(metrics: trainer_pb2.TrainingMetrics) -> str:
    """The return so far; `≈` marks one that is projected from parts of episodes."""
    if metrics.HasField("episode_return"):
        return f"{metrics.episode_return:.1f}"
    return f"≈{metrics.projected_return:.1f}"


def survival(metrics: trainer_pb2.TrainingMetrics) -> list[str]:
    """How many of the newest episodes went on to their end and how long they were, unless all did."""
    if not metrics.HasField("survival") or metrics.survival >= 1:
        return []
    length = f", {100 * metrics.episode_share:.0f} % of the time" if metrics.HasField("episode_share") else ""
    return [f"survives {100 * metrics.survival:.0f} %{length}"]


def follow_run(
    connection: Connection, output: Output, run_id: str, *, total_steps: int = 0, patience: Patience | None = None
) -> tuple[trainer_pb2.Run, str]:
    """Shows a run until it ends; returns it with the id of its last policy, empty for none. Raises CallError."""
    with RunProgress(output, total_steps=total_steps) as progress:
        for update in watch_run(connection, run_id, on_lost=progress.lost, patience=patience or Patience()):
            if isinstance(update, trainer_pb2.Run):
                progress.snapshot(update)
            else:
                progress.event(update)
        run = connection.call(connection.trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id)).run
        progress.snapshot(run)
    newest = max(progress.policies, key=lambda policy: (policy.final, policy.env_steps), default=None)
    return run, newest.policy_id if newest else ""
