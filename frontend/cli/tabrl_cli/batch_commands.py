"""`tabrl batch`: several trainings as one, of which the best by evaluation is kept."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import batches_pb2

from tabrl_cli import reward_records
from tabrl_cli.batches import candidates_of, follow_batch, parameter, show_batches
from tabrl_cli.connection import DEFAULT_GATEWAY, UsageError
from tabrl_cli.errors import EXIT_INTERRUPTED
from tabrl_cli.improvement import generate_approaches
from tabrl_cli.session import AsJson, Gateway, Limit, Session, open_session
from tabrl_cli.training import run_spec

app = typer.Typer(help="Try several at once; the best by evaluation wins.", no_args_is_help=True, rich_markup_mode=None)

EnvironmentId = Annotated[str, typer.Option("--env", help="Environment, such as WalkerWalk.")]
RewardId = Annotated[str, typer.Option("--reward", help="Train for this reward; without it, for its own task.")]
Check = Annotated[str, typer.Option(help="What motions are judged by, such as \"mean(up('torso')) > 0.9\".")]
Steps = Annotated[int | None, typer.Option(min=1000, help="Control steps of each training.")]
Halve = Annotated[bool, typer.Option("--halve", help="Stop clear losers early, by successive halving.")]
Rungs = Annotated[list[int] | None, typer.Option("--rung", help="Steps after which losers are stopped; repeatable.")]
Episodes = Annotated[int, typer.Option(min=0, max=100, help="Episodes that judge each; 0 for the default.")]
BatchId = Annotated[str, typer.Argument(help="Id of the batch.")]


@app.command("approaches")
def approaches(  # noqa: PLR0917
    prompt: Annotated[str, typer.Argument(help="The behaviour in words.")],
    environment_id: EnvironmentId,
    check: Check,
    number: Annotated[int, typer.Option("--count", min=1, max=6, help="How many rewards to write.")] = 3,
    model: Annotated[str, typer.Option(help="Who writes them; `tabrl models` lists them.")] = "",
    steps: Steps = None,
    halve: Halve = False,
    rungs: Rungs = None,
    episodes: Episodes = 0,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write several rewards for a prompt, train for each, and keep the robot that does what was asked."""
    with open_session(gateway, as_json) as session:
        rewards = generate_approaches(
            session.connection,
            session.output,
            prompt=prompt,
            environment_id=environment_id,
            model=model,
            number=number,
        )
        specs = [
            (each.name or each.reward_id, run_spec(environment_id, each, title=prompt, env_steps=steps, seed=None))
            for each in rewards
        ]
        spec = candidates_of(prompt, specs)
        _submit(session, _judged(spec, check=check, episodes=episodes, halve=halve, rungs=rungs))


@app.command("seeds")
def seeds(  # noqa: PLR0917
    number: Annotated[int, typer.Option("--count", min=1, max=64, help="How many seeds, from 0 on.")] = 3,
    environment_id: EnvironmentId = "",
    reward_id: RewardId = "",
    check: Check = "",
    steps: Steps = None,
    halve: Halve = False,
    rungs: Rungs = None,
    episodes: Episodes = 0,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Train the same several times with other draws, and keep the best."""
    with open_session(gateway, as_json) as session:
        reward, environment_id, title = _task(session, environment_id, reward_id)
        specs = [
            (f"seed {seed}", run_spec(environment_id, reward, title=title, env_steps=steps, seed=seed))
            for seed in range(number)
        ]
        spec = candidates_of(title, specs)
        _submit(session, _judged(spec, check=check, episodes=episodes, halve=halve, rungs=rungs))


@app.command("search")
def search(  # noqa: PLR0917
    over: Annotated[
        list[str],
        typer.Option(help="What to search: learning_rate=1e-4..1e-2:log, num_envs=64,128, reward.weights.upright=0..2"),
    ],
    trials: Annotated[int, typer.Option(min=1, max=256, help="How many to try.")] = 10,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="How many at once.")] = 1,
    search_seed: Annotated[int, typer.Option(min=0, help="Seed of the search's own draws.")] = 0,
    environment_id: EnvironmentId = "",
    reward_id: RewardId = "",
    check: Check = "",
    steps: Steps = None,
    halve: Halve = False,
    rungs: Rungs = None,
    episodes: Episodes = 0,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Search numbers of the learner and weights of the reward, each trial after what came of those before it."""
    with open_session(gateway, as_json) as session:
        reward, environment_id, title = _task(session, environment_id, reward_id)
        spec = batches_pb2.BatchSpec(
            title=title,
            search=batches_pb2.SearchSpec(
                base=run_spec(environment_id, reward, title=title, env_steps=steps, seed=None),
                parameters=[parameter(each) for each in over],
                trials=trials,
                at_once=at_once,
                seed=search_seed,
            ),
        )
        _submit(session, _judged(spec, check=check, episodes=episodes, halve=halve, rungs=rungs))


@app.command("watch")
def watch(batch_id: BatchId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Follow a batch to its end."""
    with open_session(gateway, as_json) as session:
        _follow(session, batch_id)


@app.command("list")
def list_batches(limit: Limit = 20, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """List the batches, newest first."""
    with open_session(gateway, as_json) as session:
        request = batches_pb2.ListBatchesRequest(page_size=limit)
        show_batches(
            session.output, session.connection.listed(session.connection.batches.ListBatches, request, "batches")
        )


@app.command("cancel")
def cancel(batch_id: BatchId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Stop a batch and its runs; their newest checkpoints stay."""
    with open_session(gateway, as_json) as session:
        request = batches_pb2.CancelBatchRequest(batch_id=batch_id)
        answer = session.connection.call(session.connection.batches.CancelBatch, request)
        if as_json:
            session.output.document(answer)
        else:
            session.output.line(f"batch {answer.batch.batch_id}: cancelled")


@app.command("delete")
def delete(batch_id: BatchId, gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """Delete a batch that has ended; its runs stay."""
    with open_session(gateway, as_json) as session:
        request = batches_pb2.DeleteBatchRequest(batch_id=batch_id)
        answer = session.connection.call(session.connection.batches.DeleteBatch, request)
        if as_json:
            session.output.document(answer)
        else:
            session.output.line("the batch is deleted")


def _task(session: Session, environment_id: str, reward_id: str) -> tuple[rewardgen_pb2.Reward | None, str, str]:
    """What is trained for: a reward, or None for the environment's own task; its environment, and a title."""
    reward = reward_records.reward_for_training(
        session.connection, session.output, prompt=None, environment_id=environment_id, reward_id=reward_id, model=""
    )
    if reward is None:
        return None, environment_id, "its own task"
    return reward, reward.environment_id, reward_records.title(reward)


def _judged(
    spec: batches_pb2.BatchSpec, *, check: str, episodes: int, halve: bool, rungs: list[int] | None
) -> batches_pb2.BatchSpec:
    """The same batch with how it is judged, and when losers are stopped."""
    spec.judgement.check, spec.judgement.episodes = check, episodes
    if halve or rungs:
        spec.halving.rung_env_steps.extend(rungs or [])
        spec.halving.SetInParent()
    if not spec.HasField("search") and not spec.candidates:
        raise UsageError("There is nothing to try: no reward came of the prompt.")
    return spec


def _submit(session: Session, spec: batches_pb2.BatchSpec) -> None:
    request = batches_pb2.CreateBatchRequest(spec=spec, request_id=str(uuid.uuid4()))
    batch = session.connection.call(session.connection.batches.CreateBatch, request).batch
    session.output.event("batch", batch=batch)
    session.output.note(f"batch {batch.batch_id}")
    _follow(session, batch.batch_id)


def _follow(session: Session, batch_id: str) -> None:
    try:
        follow_batch(session.connection, session.output, batch_id)
    except KeyboardInterrupt:
        session.output.line()
        session.output.line(
            f"The batch goes on: `tabrl batch watch {batch_id}` follows it, `tabrl batch cancel {batch_id}` stops it."
        )
        raise typer.Exit(EXIT_INTERRUPTED) from None
