"""From a written reward to the contract's message, with its files in the artifact store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.trial import TermTrial, weighed

from tabrl_rewardgen.config import LIBRARY
from tabrl_rewardgen.generation import Written, diagnostic_proto
from tabrl_rewardgen.tiers import recommended

__all__ = ["Parent", "reward_message"]

_PROGRAM_TYPE: Final = "application/vnd.tabrl.reward-program"
_ONNX_TYPE: Final = "application/vnd.onnx"


@dataclass(frozen=True)
class Parent:
    """The reward that another improves on, and whether a policy was trained for it."""

    reward_id: str
    was_trained_for: bool


async def reward_message(
    artifacts: ArtifactStore, written: Written, robot: Robot, prompt: str, *, parent: Parent | None = None
) -> rewardgen_pb2.Reward:
    """Return the reward as the contract has it; its program and its ONNX form are in the store then.

    Args:
        artifacts: the store.
        written: the reward; nobody (an empty model) stands for a person.
        robot: what it is for.
        prompt: the behaviour in the person's words.
        parent: the reward that it improves on; None for none.
    """
    compiled = written.compiled
    remarks = [*written.remarks, *compiled.diagnostics]
    if compiled.trial is not None:
        remarks += weighed(compiled.trial, written.weights, compiled.term_lines)
    reward = rewardgen_pb2.Reward(
        reward_id=f"reward-{uuid.uuid4().hex[:16]}",
        environment_id=robot.environment_id,
        environment_fingerprint=robot.environment_fingerprint,
        prompt=prompt,
        origin=_origin(written.model),
        model=written.model,
        source=compiled.source,
        terms=_terms(written),
        explanation=written.explanation,
        left_out=written.left_out,
        program=await asyncio.to_thread(artifacts.put, compiled.program, _PROGRAM_TYPE),
        onnx=await asyncio.to_thread(artifacts.put, compiled.onnx, _ONNX_TYPE),
        diagnostics=map(diagnostic_proto, remarks),
        name=written.name,
        expected_behaviour=written.expected_behaviour,
        check=written.check,
        parent_reward_id=parent.reward_id if parent else "",
        trial=_trial(written),
        tier=recommended(prompt, robot, trained_before=parent is not None and parent.was_trained_for)
        if written.model
        else None,
    )
    reward.create_time.GetCurrentTime()
    if written.usage is not None:
        reward.usage.prompt_tokens = written.usage.prompt_tokens
        reward.usage.completion_tokens = written.usage.completion_tokens
        reward.usage.calls = written.usage.calls
        if written.usage.cost_usd is not None:
            reward.usage.cost_usd = written.usage.cost_usd
    return reward


def _origin(model: str) -> rewardgen_pb2.RewardOrigin.ValueType:
    if not model:
        return rewardgen_pb2.REWARD_ORIGIN_PERSON
    return rewardgen_pb2.REWARD_ORIGIN_LIBRARY if model == LIBRARY else rewardgen_pb2.REWARD_ORIGIN_LLM


def _trial(written: Written) -> rewardgen_pb2.RewardTrial | None:
    trial = written.compiled.trial
    if trial is None:
        return None
    return rewardgen_pb2.RewardTrial(
        states=trial.states, idle_reward=trial.idle(written.weights), random_reward=trial.random(written.weights)
    )


def _terms(written: Written) -> list[rewardgen_pb2.RewardTerm]:
    explanations: Mapping[str, str] = written.term_explanations
    trials = written.compiled.trial.terms if written.compiled.trial else {}
    return [
        rewardgen_pb2.RewardTerm(
            name=term,
            weight=written.weights.get(term, 1.0),
            explanation=explanations.get(term, ""),
            line=written.compiled.term_lines[term],
            trial=_term_trial(trials.get(term)),
        )
        for term in written.compiled.terms
    ]


def _term_trial(trial: TermTrial | None) -> rewardgen_pb2.TermTrial | None:
    if trial is None:
        return None
    return rewardgen_pb2.TermTrial(
        low=trial.low, high=trial.high, mean=trial.mean, std=trial.std, idle=trial.idle, random=trial.random
    )
