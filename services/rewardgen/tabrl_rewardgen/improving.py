"""Writes, trains, measures and writes again, and keeps the best by what the robot did.

With a language model each round's rewards are written after what came of the best so far. Without one the weights of
the library's reward are searched (Optuna's tree-structured Parzen estimator; Bergstra et al., 2011).
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.config import LIBRARY
from tabrl_rewardgen.generation import Assignment, Workshop, Written, write_reward
from tabrl_rewardgen.reflection import Evidence, brief
from tabrl_rewardgen.rehearsal import Rehearsal, Rehearsed

__all__ = ["Goal", "improve"]

_DEFAULT_ROUNDS: Final = 3
_DEFAULT_CANDIDATES: Final = 2
_FIRST_WEIGHTS: Final = 0.25
_LARGEST_FACTOR: Final = 8.0
_SEED: Final = 0
_PROGRESS_EVERY_SECS: Final = 10.0

Event = rewardgen_pb2.AutoImproveResponse
Keep = Callable[[Written, str], Awaitable[rewardgen_pb2.Reward]]


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
        keep: puts a finished reward on record, with the id of the one that it improves on.

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
        self._workshop = workshop
        self._rehearsal = rehearsal
        self._goal = goal
        self._keep = keep
        self._check = goal.check
        self._best: _Outcome | None = None
        self._error: TabrlError | None = None
        self._cost_usd = 0.0
        self._deadline = time.monotonic() + goal.budget_secs if goal.budget_secs else None

    async def run(self) -> AsyncGenerator[Event, None]:
        by_library = self._goal.models == (LIBRARY,)
        rounds = self._searched() if by_library else self._reflected()
        try:
            async with asyncio.timeout_at(self._loop_deadline()), aclosing(rounds) as events:
                async for event in events:
                    yield event
        except TimeoutError:
            yield Event(stage="the time that was set is spent; what was under way is ended")
        if self._best is None:
            raise self._error or invalid_field(
                "budget_secs", "nothing could be trained and measured within it; set more, or fewer env_steps"
            )
        yield Event(best=self._measured(self._best))

    def _loop_deadline(self) -> float | None:
        left = None if self._deadline is None else self._deadline - time.monotonic()
        return None if left is None else asyncio.get_running_loop().time() + left

    async def _reflected(self) -> AsyncGenerator[Event, None]:
        """Let a model write each round's rewards."""
        for number in range(1, self._goal.rounds + 1):
            if self._goal.budget_usd and self._cost_usd >= self._goal.budget_usd:
                yield Event(round=number, stage=f"the models have cost ${self._cost_usd:.2f}, which is the limit")
                return
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

    async def _written(self, number: int) -> AsyncGenerator[Event, None]:
        told, parent = "", ""
        if self._best is not None:
            measured = self._best.rehearsed.measured
            evidence = Evidence(
                reward=self._best.reward,
                run=self._best.rehearsed.run,
                measures=measured.measures,
                held=(measured.held, measured.rollouts),
                check=self._check,
            )
            told, parent = brief(evidence), self._best.reward.reward_id
        for candidate in range(1, self._goal.candidates + 1):
            yield Event(round=number, stage=f"writing reward {candidate} of {self._goal.candidates}")
            ways = (
                f"\n\nThis is version {candidate} of {self._goal.candidates}; let it differ from what you wrote first."
            )
            assignment = Assignment(
                self._goal.prompt, self._goal.robot, approach=candidate, brief=told + (ways if candidate > 1 else "")
            )
            try:
                reward = await self._one(assignment, parent)
            except TabrlError as error:
                self._error = self._error or error
                yield Event(round=number, failure=_failure(error))
                continue
            yield Event(round=number, reward=reward)

    async def _one(self, assignment: Assignment, parent: str) -> rewardgen_pb2.Reward:
        async with aclosing(write_reward(self._workshop, assignment, self._goal.models)) as events:
            async for event in events:
                if isinstance(event, Written):
                    self._cost_usd += (event.usage.cost_usd or 0.0) if event.usage else 0.0
                    return await self._keep(event, parent)
        raise AssertionError("a reward is written or an error is raised")

    async def _searched(self) -> AsyncGenerator[Event, None]:
        """Search the weights of the library's reward."""
        study = await asyncio.to_thread(_study)
        yield Event(round=1, stage="writing the library's reward, whose weights are searched")
        reward = await self._one(Assignment(self._goal.prompt, self._goal.robot), "")
        yield Event(round=1, reward=reward)
        base = {term.name: term.weight for term in reward.terms}
        for number in range(1, self._goal.rounds + 1):
            trials: list[tuple[Any, dict[str, float]]] = [(study.ask(), {}) for _ in range(self._goal.candidates)]
            tried = []
            for position, (trial, weights) in enumerate(trials):
                first = number == 1 and position == 0  # the library's own weights are one of those that are tried
                weights.update(base if first else _drawn(trial, base))
                tried.append((reward, weights))
            async with aclosing(self._rehearsed(number, tried)) as events:
                async for event in events:
                    if event.HasField("measured"):
                        _tell(study, trials, dict(event.measured.weights), event.measured.score)
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
            raise invalid_field("check", "the reward's author gave none; say by which check the motion is judged")
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        runs: dict[str, trainer_pb2.Run] = {}
        begun_runs: set[str] = set()

        async def rehearse(reward: rewardgen_pb2.Reward, weights: Mapping[str, float]) -> None:
            def told(run: trainer_pb2.Run) -> None:
                if run.run_id not in begun_runs:
                    begun_runs.add(run.run_id)
                    begun = rewardgen_pb2.ImprovementRun(reward_id=reward.reward_id, run_id=run.run_id)
                    events.put_nowait(Event(round=number, run=begun))
                runs[run.run_id] = run

            try:
                rehearsed = await self._rehearsal.rehearse(
                    reward, weights, self._check, env_steps=self._goal.env_steps, told=told
                )
            except TabrlError as error:
                self._error = self._error or error
                events.put_nowait(Event(round=number, failure=_failure(error)))
                return
            runs.pop(rehearsed.run.run_id, None)
            outcome = _Outcome(reward, weights, rehearsed)
            if self._best is None or outcome.rank > self._best.rank:
                self._best = outcome
            events.put_nowait(Event(round=number, measured=self._measured(outcome)))

        async def all_of_them() -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    for reward, weights in tried:
                        group.create_task(rehearse(reward, weights))
            finally:
                events.put_nowait(None)

        rehearsing = asyncio.create_task(all_of_them())
        try:
            while True:
                try:
                    event = await asyncio.wait_for(events.get(), _PROGRESS_EVERY_SECS)
                except TimeoutError:
                    yield Event(round=number, stage=_progress(runs.values()))
                    continue
                if event is None:
                    break
                yield event
            await rehearsing
        finally:
            rehearsing.cancel()
            await asyncio.gather(rehearsing, return_exceptions=True)

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
        share = run.metrics.env_steps / max(1, run.spec.settings.env_steps)
        reached = f", return {run.metrics.episode_return:.4g}" if run.metrics.HasField("episode_return") else ""
        if run.state == trainer_pb2.RUN_STATE_QUEUED:
            parts.append(f"{run.run_id} waits for a free slot")
        elif run.state == trainer_pb2.RUN_STATE_SUCCEEDED:
            parts.append(f"{run.run_id} is trained, its robot is measured")
        else:
            parts.append(f"{run.run_id} at {100 * share:.0f} %{reached}")
    return "; ".join(parts) or "the trainings are being prepared"


def _failure(error: TabrlError) -> rewardgen_pb2.ApproachFailure:
    return rewardgen_pb2.ApproachFailure(reason=error.reason, message=error.message)


def _study() -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=_SEED, n_startup_trials=4))


def _drawn(trial: Any, base: Mapping[str, float]) -> dict[str, float]:
    """Return weights around the library's own: each an eighth to eight times as much."""
    return {
        name: (weight or _FIRST_WEIGHTS) * trial.suggest_float(name, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR, log=True)
        for name, weight in base.items()
    }


def _tell(study: Any, trials: list[tuple[Any, dict[str, float]]], weights: Mapping[str, float], score: float) -> None:
    for trial, given in list(trials):
        if given == weights:
            if trial.params:
                study.tell(trial, score)
            trials.remove((trial, given))
            return
