"""`tabrl rewards` and what else there is to do with rewards and those who write them."""

from __future__ import annotations

from typing import Annotated

import typer
from tabrl.rewardgen.v1 import rewardgen_pb2

from tabrl_cli import reward_records
from tabrl_cli.connection import DEFAULT_GATEWAY
from tabrl_cli.improvement import auto_improve, generate_approaches
from tabrl_cli.session import AsJson, EnvironmentFilter, Gateway, Limit, open_session

app = typer.Typer(rich_markup_mode=None)


@app.command("approaches")
def approaches(  # noqa: PLR0917
    prompt: Annotated[str, typer.Argument(help="The behaviour in words.")],
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    number: Annotated[int, typer.Option("--count", min=1, max=6, help="How many rewards to write.")] = 3,
    model: Annotated[str, typer.Option(help="Who writes them; `tabrl models` lists them.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write several different rewards for a prompt, each with what to expect of it."""
    with open_session(gateway, as_json) as session:
        generate_approaches(
            session.connection,
            session.output,
            prompt=prompt,
            environment_id=environment_id,
            model=model,
            number=number,
        )


@app.command("improve")
def improve(  # noqa: PLR0917
    prompt: Annotated[str, typer.Argument(help="The behaviour in words.")],
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    check: Annotated[str, typer.Option(help="What the motion is judged by, such as \"mean(up('pole')) > 0.9\".")] = "",
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often to write, train and measure.")] = 3,
    candidates: Annotated[int, typer.Option(min=1, max=6, help="Rewards in each round.")] = 2,
    steps: Annotated[int, typer.Option(min=0, help="Control steps of each training; 0 for a third of usual.")] = 0,
    secs: Annotated[float, typer.Option(min=0.0, help="What all may take, in seconds; 0 for no limit.")] = 0.0,
    usd: Annotated[float, typer.Option(min=0.0, help="What the LLM may cost, in US dollars; 0 for no limit.")] = 0.0,
    model: Annotated[str, typer.Option(help="Who writes them; `tabrl models` lists them.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Write rewards, train for each, measure the robot, and write better ones; keep the best by what it did."""
    with open_session(gateway, as_json) as session:
        request = rewardgen_pb2.AutoImproveRequest(
            prompt=prompt,
            environment_id=environment_id,
            model=model,
            check=check,
            rounds=rounds,
            candidates=candidates,
            env_steps=steps,
            budget_secs=secs,
            budget_usd=usd,
        )
        auto_improve(session.connection, session.output, request)


@app.command("compile")
def compile_source(
    path: Annotated[str, typer.Argument(help="File with `def reward(state, action)`; - for standard input.")],
    environment_id: Annotated[str, typer.Option("--env", help="Environment, such as CartpoleBalance.")],
    prompt: Annotated[str, typer.Option(help="What it is for, in words.")] = "",
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Check and seal a reward that you wrote, and say how it fares on real states of the robot."""
    with open_session(gateway, as_json) as session:
        reward_records.compile_source(
            session.connection, session.output, path=path, environment_id=environment_id, prompt=prompt
        )


@app.command("rewards")
def list_rewards(
    environment_id: EnvironmentFilter = "",
    saved: Annotated[bool, typer.Option("--saved", help="Only those that you saved.")] = False,
    limit: Limit = 20,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """List the rewards, newest first."""
    with open_session(gateway, as_json) as session:
        reward_records.list_rewards(
            session.connection, session.output, environment_id=environment_id, saved=saved, limit=limit
        )


@app.command("save")
def save(
    reward_id: Annotated[str, typer.Argument(help="Id of the reward.")],
    name: Annotated[str, typer.Argument(help="What you call it, such as 'my dance'; '' takes it out again.")],
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Save a reward into your library, which answers prompts with it (`--model library`) that mean the same."""
    with open_session(gateway, as_json) as session:
        reward_records.save(session.connection, session.output, reward_id=reward_id, name=name)


@app.command("models")
def models(gateway: Gateway = DEFAULT_GATEWAY, as_json: AsJson = False) -> None:
    """List who can write rewards here; the first is the default."""
    with open_session(gateway, as_json) as session:
        answer = session.connection.call(session.connection.rewards.ListModels, rewardgen_pb2.ListModelsRequest())
        if as_json:
            session.output.document(answer)
            return
        session.output.table(
            ("model", "name", "what it is"),
            ((model.name, model.title, model.description) for model in answer.models),
            empty="No model answers.",
        )
