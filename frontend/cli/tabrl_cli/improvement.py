"""Several rewards for one prompt, and rewards that are improved by training and measuring, told as it happens."""

from __future__ import annotations

import uuid

from rich.markup import escape
from tabrl.rewardgen.v1 import rewardgen_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output
from tabrl_cli.errors import CallError
from tabrl_cli.reward import describe, show_reward, show_trial

__all__ = ["auto_improve", "generate_approaches"]

_TIERS = {
    rewardgen_pb2.TIER_COMMAND: "command, at once",
    rewardgen_pb2.TIER_FINE_TUNE: "fine-tune, about a minute",
    rewardgen_pb2.TIER_FULL: "full training, minutes",
}


def generate_approaches(
    connection: Connection, output: Output, *, prompt: str, environment_id: str, model: str, number: int
) -> list[rewardgen_pb2.Reward]:
    """Asks for several rewards and shows each when it is done, after a broken connection too; returns them.

    Raises CallError.
    """
    request = rewardgen_pb2.GenerateApproachesRequest(
        prompt=prompt, environment_id=environment_id, model=model, count=number, request_id=str(uuid.uuid4())
    )
    done: set[int] = set()
    rewards: list[rewardgen_pb2.Reward] = []
    for message in connection.stream(connection.rewards.GenerateApproaches, request, goes_on=True):
        if message.approach in done:
            continue
        if message.WhichOneof("event") in ("reward", "same_as"):
            done.add(message.approach)
        name = f"approach {message.approach}"
        match message.WhichOneof("event"):
            case "stage":
                output.note(f"· {name}: {message.stage.message}")
            case "repair":
                remarks = "; ".join(describe(each) for each in message.repair.diagnostics)
                output.note(f"· {name} was refused and is repaired: {remarks}")
            case "reward":
                rewards.append(message.reward)
                output.event("approach", approach=message.approach, reward=message.reward)
                output.line(f"[bold]{name}: {escape(message.reward.name)}[/bold]")
                _show_expectation(output, message.reward)
                show_reward(output, message.reward)
            case "same_as":
                output.event("same_as", approach=message.approach, same_as=message.same_as)
                output.note(f"· {name} came out as approach {message.same_as}, and is left out")
            case "failure":
                output.event("failure", approach=message.approach, reason=message.failure.reason)
                output.line(f"[yellow]{name} came to nothing:[/yellow] {escape(message.failure.message)}")
    return rewards


def _show_expectation(output: Output, reward: rewardgen_pb2.Reward) -> None:
    if reward.expected_behaviour:
        output.line(escape(reward.expected_behaviour))
    if reward.HasField("tier"):
        output.line(f"tier: {_TIERS.get(reward.tier.tier, 'unknown')}. {escape(reward.tier.reason)}")
    show_trial(output, reward)


def auto_improve(
    connection: Connection, output: Output, request: rewardgen_pb2.AutoImproveRequest
) -> rewardgen_pb2.Measured:
    """Has rewards written, trained and measured, and shows what comes of each; returns the best. Raises CallError."""
    names: dict[str, str] = {}
    best = None
    for message in connection.stream(connection.rewards.AutoImprove, request, timeout=None):
        where = f"round {message.round}" if message.round else "at the end"
        match message.WhichOneof("event"):
            case "stage":
                output.event("stage", round=message.round, message=message.stage)
                output.note(f"· {where}: {message.stage}")
            case "reward":
                output.event("reward", round=message.round, reward=message.reward)
                names[message.reward.reward_id] = message.reward.name or message.reward.reward_id
                output.line(f"{where}: the reward [bold]{escape(names[message.reward.reward_id])}[/bold]")
            case "run":
                output.event("run", round=message.round, reward_id=message.run.reward_id, run_id=message.run.run_id)
                output.note(f"· {where}: trains as {message.run.run_id}")
            case "measured":
                output.event("measured", round=message.round, measured=message.measured)
                output.line(f"{where}: {_measured(message.measured)}")
            case "failure":
                output.event("failure", round=message.round, reason=message.failure.reason)
                output.line(f"[yellow]{where}:[/yellow] {escape(message.failure.message)}")
            case "best":
                best = message.best
    if best is None:
        raise CallError("INTERNAL", "INTERNAL", "The stream ended without a best reward.")
    output.event("best", best=best)
    output.line(f"[bold]best:[/bold] {_measured(best)}")
    output.line(f"judged by: {escape(best.check)}")
    output.note(f"reward {best.reward_id}, policy {best.policy_id}, run {best.run_id}")
    return best


def _measured(measured: rewardgen_pb2.Measured) -> str:
    found = ", ".join(f"{name} = {value:.3g}" for name, value in sorted(measured.measures.items()))
    verdict = f"the check holds in {measured.held} of {measured.rollouts} rollouts, score {measured.score:.2f}"
    return escape(f"{verdict}; {found}" if found else verdict)
