"""Rewards on record: those to train for, a person's own, and those that a person saved."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

from rich.markup import escape
from tabrl.rewardgen.v1 import rewardgen_pb2

from tabrl_cli.connection import COMPILE_SECS, Connection, UsageError
from tabrl_cli.console import Output
from tabrl_cli.reward import generate_reward, origin, show_reward, show_trial

__all__ = ["compile_source", "list_rewards", "reward_for_training", "save", "title"]


def reward_for_training(
    connection: Connection, output: Output, *, prompt: str | None, environment_id: str, reward_id: str, model: str
) -> rewardgen_pb2.Reward | None:
    """The reward that was named, or is written for a prompt; None for the environment's own task. Raises CallError."""
    if reward_id:
        if model:
            raise UsageError("--model says who writes a reward; one that is there, as --reward names, is written.")
        if prompt is not None:
            raise UsageError("Give a prompt, for which a reward is written, or --reward with one that is there.")
        request = rewardgen_pb2.GetRewardRequest(reward_id=reward_id)
        reward = connection.call(connection.rewards.GetReward, request).reward
        if environment_id and environment_id != reward.environment_id:
            raise UsageError(f"{reward_id} is for {reward.environment_id}; leave --env out, or name that.")
        output.event("reward", reward=reward)
        return reward
    if not environment_id:
        raise UsageError("Name the environment with --env; `tabrl envs` lists them.")
    if prompt is None:
        return None
    return generate_reward(connection, output, prompt=prompt, environment_id=environment_id, model=model)


def title(reward: rewardgen_pb2.Reward) -> str:
    """What a reward is called, in the words that there are."""
    return reward.saved_name or reward.prompt or reward.name or reward.reward_id


def compile_source(connection: Connection, output: Output, *, path: str, environment_id: str, prompt: str) -> None:
    """Has a person's source sealed, and shows the reward. Raises CallError."""
    request = rewardgen_pb2.CompileRewardRequest(
        environment_id=environment_id, source=_read(path), prompt=prompt, request_id=str(uuid.uuid4())
    )
    reward = connection.call(connection.rewards.CompileReward, request, timeout=COMPILE_SECS).reward
    if output.as_json:
        output.document(reward)
        return
    show_reward(output, reward)
    show_trial(output, reward)
    output.note(f"train for it: tabrl try --reward {reward.reward_id}")


def list_rewards(connection: Connection, output: Output, *, environment_id: str, saved: bool, limit: int) -> None:
    """Shows the newest rewards. Raises CallError."""
    request = rewardgen_pb2.ListRewardsRequest(environment_id=environment_id, saved=saved, page_size=limit)
    answer = connection.listed(connection.rewards.ListRewards, request, "rewards")
    if output.as_json:
        output.document(answer)
        return
    output.table(
        ("reward", "environment", "prompt", "terms", "saved as", "by"),
        (
            (
                reward.reward_id,
                reward.environment_id,
                reward.prompt,
                ", ".join(term.name for term in reward.terms),
                reward.saved_name,
                origin(reward),
            )
            for reward in answer.rewards
        ),
        empty="You saved no reward yet; `tabrl save REWARD NAME` saves one." if saved else "No rewards yet.",
    )


def save(connection: Connection, output: Output, *, reward_id: str, name: str) -> None:
    """Names a reward as the person's own, or takes it out of their library. Raises CallError."""
    request = rewardgen_pb2.SaveRewardRequest(reward_id=reward_id, name=name)
    reward = connection.call(connection.rewards.SaveReward, request).reward
    if output.as_json:
        output.document(reward)
    elif reward.saved_name:
        output.line(
            f"saved as [bold]{escape(reward.saved_name)}[/bold]: the library answers with it on {reward.environment_id}"
        )
    else:
        output.line(f"{reward.reward_id} is no longer in your library")


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode()
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{path} cannot be read: {reason}") from error
