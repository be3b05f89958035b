"""Writes, trains, measures and writes again, and keeps the best by what the robot did.

With a language model each round's rewards are written after what came of the best so far. Without one the weights of
the library's reward are searched (Optuna's tree-structured Parzen estimator; Bergstra et al., 2011).
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.approaches import failure_message
from tabrl_rewardgen.config import LIBRARY
from tabrl_rewardgen.generation import Assignment, Workshop, Written, write_reward
from tabrl_rewardgen.keeping import Parent
from tabrl_rewardgen.ledger import Purse
from tabrl_rewardgen.reflection import Evidence, brief
from tabrl_rewardgen.rehearsal import Rehearsal, Rehearsed
from tabrl_rewardgen.side_by_side import side_by_side

__all__ = ["Goal", "improve"]

_DEFAULT_ROUNDS: Final = 3
_DEFAULT_CANDIDATES: Final = 2
_FIRST_WEIGHTS: Final = 0.25
_LARGEST_FACTOR: Final = 8.0
_SEED: Final = 0
_PROGRESS_EVERY_SECS: Final = 10.0

Event = rewardgen_pb2.AutoImproveResponse
Keep = Callable[[Written, Parent | None], Awaitable[rewardgen_pb2.Reward]]


@dataclasses.dataclass(frozen=True)
class Goal:
    """What is to be brought about, by whom, and what it may take; see `AutoImproveRequest`."""

    prompt: str
    robot: Robot
    models: tuple[str, ...]
    check: str = ""
    rounds: int = _DEFAULT_ROUNDS
    candidates: int = _DEFAULT_CANDIDATES
    env_steps: int = 0
    budget_secs: float = 0.0
    budget_usd: float = 0.0

    @classmethod
    def of_request(cls, request: rewardgen_pb2.AutoImproveRequest, robot: Robot, models: tuple[str, ...]) -> Goal:
        """Return the goal that a request says, defaults filled in."""
        return cls(
            prompt=request.prompt,
            robot=robot,
            models=models,
            check=request.check.strip(),
            rounds=request.rounds or _DEFAULT_ROUNDS,
            candidates=request.candidates or _DEFAULT_CANDIDATES,
            env_steps=request.env_steps,
            budget_secs=request.budget_secs,
            budget_usd=request.budget_usd,
        )


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """A reward with the weights it was trained with, and what came of it."""

    reward: rewardgen_pb2.Reward
    weights: Mapping[str, float]
    rehearsed: Rehearsed

    @property
    def rank(self) -> tuple[int, float]:
        """What the best has most of."""
        return self.rehearsed.measured.held, self.rehearsed.measured.score


async def improve(workshop: Workshop, rehearsal: Rehearsal, goal: Goal, keep: Keep) -> AsyncGenerator[Event, None]:
    """Yield what happens, the best last.

    Args:
        workshop: what rewards are written with.
        rehearsal: where they are trained and measured.
        goal: what is to be brought about.
        keep: puts a finished reward on record, with the one that it improves on.

    Raises:
        TabrlError: nothing could be written, trained or measured; the first error.
    """
    loop = _Loop(workshop, rehearsal, goal, keep)
    async with aclosing(loop.run()) as events:
        async for event in events:
            yield event


class _Loop:
    """One improvement, with what it has seen so far."""

    def __init__(self, workshop: Workshop, rehearsal: Rehearsal, goal: Goal, keep: Keep) -> None:
        self._workshop = dataclasses.replace(workshop, ledger=Purse(workshop.ledger, goal.budget_usd))
        self._rehearsal = rehearsal
        self._goal = goal
        self._keep = keep
        self._check = goal.check
        self._best: _Outcome | None = None
        self._error: TabrlError | None = None
        self._is_spent = False

    async def run(self) -> AsyncGenerator[Event, None]:
        by_library = self._goal.models == (LIBRARY,)
        rounds = self._searched() if by_library else self._reflected()

        # The time runs in a task of its own: a slow listener, for whom this generator waits, must not be what it ends.
        async def within_budget(report: Callable[[Event], None]) -> None:
            try:
                async with asyncio.timeout(self._goal.budget_secs or None), aclosing(rounds) as events:
                    async for event in events:
                        report(event)
            except TimeoutError:
                report(Event(stage="the time that was set is spent; what was under way is ended"))
            except TabrlError as error:
                self._error = self._error or error

        async with aclosing(side_by_side([within_budget])) as events:
            async for event in events:
                if event is not None:
                    yield event
        if self._best is None:
            raise self._error or invalid_field(
                "budget_secs", "nothing could be trained and measured within it; set more, or fewer env_steps"
            )
        yield Event(best=self._measured(self._best))

    async def _reflected(self) -> AsyncGenerator[Event, None]:
        """Let a model write each round's rewards."""
        for number in range(1, self._goal.rounds + 1):
            rewards: list[rewardgen_pb2.Reward] = []
            async with aclosing(self._written(number)) as events:
                async for event in events:
                    if event.HasField("reward"):
                        rewards.append(event.reward)
                    yield event
            tried = [(reward, {term.name: term.weight for term in reward.terms}) for reward in rewards]
            async with aclosing(self._rehearsed(number, tried)) as events:
                async for event in events:
                    yield event
            if self._is_reached():
                yield Event(round=number, stage="the check holds in every rollout: nothing is left to improve")
                return
            if self._is_spent:
                return

    async def _written(self, number: int) -> AsyncGenerator[Event, None]:
        told: list[str] = []
        parent: Parent | None = None
        if self._best is not None:
            measured = self._best.rehearsed.measured
            evidence = Evidence(
                reward=self._best.reward,
                run=self._best.rehearsed.run,
                measures=measured.measures,
                held=(measured.held, measured.rollouts),
                check=self._check,
            )
            told = [brief(evidence)]
            parent = Parent(self._best.reward.reward_id, was_trained_for=True)
        for candidate in range(1, self._goal.candidates + 1):
            yield Event(round=number, stage=f"writing reward {candidate} of {self._goal.candidates}")
            another = (
                f"This is version {candidate} of {self._goal.candidates}; let it differ from what you wrote first."
            )
            assignment = Assignment(
                self._goal.prompt,
                self._goal.robot,
                approach=candidate,
                brief="\n\n".join([*told, *([another] if candidate > 1 else [])]),
            )
            try:
                reward = await self._one(assignment, parent)
            except TabrlError as error:
                self._error = self._error or error
                yield Event(round=number, failure=failure_message(error))
                self._is_spent = error.reason == "LLM_BUDGET_SPENT"
                if self._is_spent:
                    return
                continue
            yield Event(round=number, reward=reward)

    async def _one(self, assignment: Assignment, parent: Parent | None) -> rewardgen_pb2.Reward:
        async with aclosing(write_reward(self._workshop, assignment, self._goal.models)) as events:
            async for event in events:
                if isinstance(event, Written):
                    return await self._keep(event, parent)
        raise AssertionError("a reward is written or an error is raised")

    async def _searched(self) -> AsyncGenerator[Event, None]:
        """Search the weights of the library's reward."""
        yield Event(round=1, stage="writing the library's reward, whose weights are searched")
        reward = await self._one(Assignment(self._goal.prompt, self._goal.robot), None)
        yield Event(round=1, reward=reward)
        base = {term.name: term.weight for term in reward.terms}
        study = await asyncio.to_thread(_study, base)
        for number in range(1, self._goal.rounds + 1):
            asked = [study.ask() for _ in range(self._goal.candidates)]
            tried = [(reward, _drawn(trial, base)) for trial in asked]
            trials = {_key(weights): trial for trial, (_, weights) in zip(asked, tried, strict=True)}
            async with aclosing(self._rehearsed(number, tried)) as events:
                async for event in events:
                    if event.HasField("measured"):
                        study.tell(trials[_key(event.measured.weights)], event.measured.score)
                    yield event
            if self._is_reached():
                yield Event(round=number, stage="the check holds in every rollout: nothing is left to improve")
                return

    async def _rehearsed(
        self, number: int, tried: Sequence[tuple[rewardgen_pb2.Reward, Mapping[str, float]]]
    ) -> AsyncGenerator[Event, None]:
        """Train for each reward side by side and measure what comes of it."""
        self._check = self._check or next((reward.check for reward, _ in tried if reward.check), "")
        if tried and not self._check:
            example = "such as mean(up('torso')) > 0.9"
            raise invalid_field("check", f"the reward's author gave none; say what the motion is judged by, {example}")
        runs: dict[str, trainer_pb2.Run] = {}

        async def rehearse(
            reward: rewardgen_pb2.Reward, weights: Mapping[str, float], report: Callable[[Event], None]
        ) -> None:
            def told(run: trainer_pb2.Run) -> None:
                if run.run_id not in runs:
                    begun = rewardgen_pb2.ImprovementRun(reward_id=reward.reward_id, run_id=run.run_id)
                    report(Event(round=number, run=begun))
                runs[run.run_id] = run

            try:
                rehearsed = await self._rehearsal.rehearse(
                    reward, weights, self._check, env_steps=self._goal.env_steps, told=told
                )
            except TabrlError as error:
                self._error = self._error or error
                report(Event(round=number, failure=failure_message(error)))
                return
            del runs[rehearsed.run.run_id]
            outcome = _Outcome(reward, weights, rehearsed)
            if self._best is None or outcome.rank > self._best.rank:
                self._best = outcome
            report(Event(round=number, measured=self._measured(outcome)))

        jobs = [functools.partial(rehearse, reward, weights) for reward, weights in tried]
        told_last = ""
        async with aclosing(side_by_side(jobs, pause_secs=_PROGRESS_EVERY_SECS)) as events:
            async for event in events:
                if event is not None:
                    yield event
                elif (progress := _progress(runs.values())) != told_last:
                    told_last = progress
                    yield Event(round=number, stage=progress)

    def _measured(self, outcome: _Outcome) -> rewardgen_pb2.Measured:
        measured = outcome.rehearsed.measured
        return rewardgen_pb2.Measured(
            reward_id=outcome.reward.reward_id,
            run_id=outcome.rehearsed.run.run_id,
            policy_id=outcome.rehearsed.policy_id,
            check=self._check,
            held=measured.held,
            rollouts=measured.rollouts,
            score=measured.score,
            measures=measured.measures,
            weights=outcome.weights,
        )

    def _is_reached(self) -> bool:
        if self._best is None:
            return False
        measured = self._best.rehearsed.measured
        return measured.held == measured.rollouts


def _progress(runs: Iterable[trainer_pb2.Run]) -> str:
    parts = []
    for run in runs:
        share = min(1.0, run.metrics.env_steps / max(1, run.spec.settings.env_steps))
        reached = f", return {run.metrics.episode_return:.4g}" if run.metrics.HasField("episode_return") else ""
        if run.state == trainer_pb2.RUN_STATE_QUEUED:
            parts.append(f"{run.run_id} waits for a free slot")
        elif run.state == trainer_pb2.RUN_STATE_SUCCEEDED:
            parts.append(f"{run.run_id} is trained, its robot is measured")
        else:
            parts.append(f"{run.run_id} at {100 * share:.0f} %{reached}")
    return "; ".join(parts) or "the trainings are being prepared"


def _study(base: Mapping[str, float]) -> Any:
    """Return a search around the library's own weights, which are the first that are tried."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=_SEED, n_startup_trials=4)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(dict.fromkeys(base, 1.0))
    return study


def _drawn(trial: Any, base: Mapping[str, float]) -> dict[str, float]:
    """Return weights around the library's own: each an eighth to eight times as much."""
    return {
        name: (weight or _FIRST_WEIGHTS) * trial.suggest_float(name, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR, log=True)
        for name, weight in base.items()
    }


def _key(weights: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(weights.items()))
