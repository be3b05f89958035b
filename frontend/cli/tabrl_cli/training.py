"""Starting a run, and saying how it ended."""

from __future__ import annotations

import enum
import re
import sys
import uuid

import typer
from rich.markup import escape
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output, count, duration, usd
from tabrl_cli.errors import CallError
from tabrl_cli.progress import follow_run, reached_return


class Backend(enum.StrEnum):
    """Physics to simulate with."""

    MUJOCO_C = "mujoco-c"
    MJX = "mjx"
    WARP = "warp"


class Place(enum.StrEnum):
    """Where to train."""

    HERE = "here"
    MODAL = "modal"


def compute_of(place: Place, gpu: str, max_secs: int) -> trainer_pb2.Compute | None:
    """Where a run is trained; None for the Trainer's own machine, unless what was asked for makes no sense there."""
    if place is Place.HERE and not gpu and not max_secs:
        return None
    executor = trainer_pb2.EXECUTOR_MODAL if place is Place.MODAL else trainer_pb2.EXECUTOR_LOCAL
    return trainer_pb2.Compute(executor=executor, gpu=gpu, max_secs=max_secs)


def run_spec(
    environment_id: str,
    reward: rewardgen_pb2.Reward | None,
    *,
    title: str,
    env_steps: int | None,
    seed: int | None,
    backend: Backend | None = None,
    randomize: bool = False,
    start_from: str = "",
    compute: trainer_pb2.Compute | None = None,
) -> trainer_pb2.RunSpec:
    """What to train: for a reward, or for the environment's own task where there is none.

    What is not given takes the environment's defaults, or is the machine's choice. `start_from` is the id of a run or a
    policy, or the digest of a checkpoint.
    """
    settings = trainer_pb2.TrainingSettings()
    if env_steps is not None:
        settings.env_steps = env_steps
    if seed is not None:
        settings.seed = seed
    if randomize:
        settings.domain_randomization = True
    return trainer_pb2.RunSpec(
        environment_id=environment_id,
        reward=trainer_pb2.RewardRef(
            reward_id=reward.reward_id,
            program_sha256=reward.program.sha256,
            onnx_sha256=reward.onnx.sha256,
            weights={term.name: term.weight for term in reward.terms},
        )
        if reward is not None
        else None,
        settings=settings,
        title=title,
        start_from=_starting_point(start_from) if start_from else None,
        backend=trainer_pb2.PhysicsBackend.Value(f"PHYSICS_BACKEND_{backend.name if backend else 'UNSPECIFIED'}"),
        compute=compute,
    )


def _starting_point(name: str) -> trainer_pb2.StartingPoint:
    if re.fullmatch("[0-9a-f]{64}", name):
        return trainer_pb2.StartingPoint(checkpoint_sha256=name)
    if name.startswith("run-"):
        return trainer_pb2.StartingPoint(run_id=name)
    return trainer_pb2.StartingPoint(policy_id=name)


def show_estimate(connection: Connection, output: Output, spec: trainer_pb2.RunSpec) -> trainer_pb2.EstimateRunResponse:
    """Says how long a run would take, and what it would cost. Raises CallError."""
    estimate = connection.call(connection.trainer.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec))
    output.event("estimate", estimate=estimate)
    basis = (
        f"measured on {estimate.measured_runs} run{'s' if estimate.measured_runs > 1 else ''} here"
        if estimate.measured_runs
        else "a guess until a run has been measured here"
    )
    output.line(
        f"Training takes about [bold]{duration(estimate.duration_secs)}[/bold] for "
        f"{count(estimate.settings.env_steps)} steps [dim]({count(estimate.env_steps_per_sec)} steps/s, {basis})[/dim]"
    )
    if estimate.HasField("cost_usd"):
        hourly = f"{usd(estimate.usd_per_hour)} an hour for {escape(spec.compute.gpu or 'its GPU')}, by list prices"
        output.line(f"on Modal it costs about [bold]{usd(estimate.cost_usd)}[/bold] [dim]({hourly})[/dim]")
    if estimate.queue_secs >= 1:
        output.note(f"about {duration(estimate.queue_secs)} in the queue before that")
    return estimate


def is_asked(output: Output) -> bool:
    """Whether somebody is there to answer."""
    return output.live and sys.stdin.isatty()


def start_run(
    connection: Connection, output: Output, spec: trainer_pb2.RunSpec, *, may_cost: bool = False
) -> trainer_pb2.Run:
    """Says how long it will take and starts it; asks first, on a terminal, where it costs. Raises CallError, Abort."""
    estimate = show_estimate(connection, output, spec)
    if estimate.HasField("cost_usd") and not may_cost and is_asked(output):
        typer.confirm("Start it?", abort=True)
    request = trainer_pb2.CreateRunRequest(spec=spec, request_id=str(uuid.uuid4()))
    run = connection.call(connection.trainer.CreateRun, request).run
    output.event("run", run=run)
    output.note(f"run {run.run_id}")
    return run


def watch_to_the_end(connection: Connection, output: Output, run: trainer_pb2.Run) -> str:
    """Follows a run and returns the id of its policy. Raises CallError when it ends without one."""
    ended, policy_id = follow_run(connection, output, run.run_id, total_steps=run.spec.settings.env_steps)
    reward_id = ended.spec.reward.reward_id
    url = connection.page(env=ended.spec.environment_id, reward=reward_id, run=ended.run_id, policy=policy_id)
    state = trainer_pb2.RunState.Name(ended.state)
    output.event("result", state=state, run_id=ended.run_id, policy_id=policy_id, url=url, metrics=ended.metrics)
    if ended.state == trainer_pb2.RUN_STATE_FAILED:
        raise CallError("INTERNAL", ended.error.reason or "INTERNAL", f"The run failed: {ended.error.message}")
    if ended.state == trainer_pb2.RUN_STATE_CANCELLED:
        raise CallError("CANCELLED", "RUN_CANCELLED", f"The run {ended.run_id} was cancelled.")
    if not policy_id:
        raise _without_policy(ended)
    output.line()
    if ended.HasField("metrics"):
        output.line(f"return {reached_return(ended.metrics)} after {count(ended.metrics.env_steps)} steps")
    if ended.HasField("cost_usd"):
        output.line(f"it cost about {usd(ended.cost_usd)} on Modal [dim](by list prices)[/dim]")
    output.line(f"policy [bold]{escape(policy_id)}[/bold]")
    output.line(f"see it at [bold blue]{escape(url)}[/bold blue]")
    return policy_id


def _without_policy(run: trainer_pb2.Run) -> CallError:
    """Why a run that has ended well has no policy: its checkpoints were refused, or it is still to come."""
    last = run.checkpoints[-1] if run.checkpoints else None
    if last is not None and last.HasField("refusal"):
        return CallError(
            "FAILED_PRECONDITION",
            last.refusal.reason,
            f"The run has ended, but its last checkpoint gives no policy: {last.refusal.message}",
        )
    return CallError(
        "UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
        "The run has ended, but the Exporter has not published its policy yet; it will appear in `tabrl policies`.",
    )
