"""The RPCs of `tabrl.rewardgen.v1.RewardService`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

import grpc
from tabrl.rewardgen.v1 import rewardgen_pb2, rewardgen_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.idempotency import earlier_resource, once
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.pagination import page_of
from tabrl_chassis.service import Context
from tabrl_simulation.rewards.compile import compile_reward_with
from tabrl_simulation.rewards.diagnostics import JailUnavailable, RewardRejected
from tabrl_simulation.rewards.pool import JailPool
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.comments import explanations_in
from tabrl_rewardgen.config import LIBRARY, Config
from tabrl_rewardgen.generation import (
    Workshop,
    Written,
    diagnostic_proto,
    jail_unavailable,
    rejected,
    stage,
    write_reward,
)
from tabrl_rewardgen.ledger import Ledger
from tabrl_rewardgen.metrics import COMPILE_SECONDS
from tabrl_rewardgen.robots import robot_from
from tabrl_rewardgen.storage import add_reward, find_reward, page_of_rewards

__all__ = ["Servicer"]

_PROGRAM_TYPE = "application/vnd.tabrl.reward-program"
_ONNX_TYPE = "application/vnd.onnx"

_Request = rewardgen_pb2.GenerateRewardRequest | rewardgen_pb2.CreateRewardRequest


class Servicer(rewardgen_pb2_grpc.RewardServiceServicer):
    """Writes, seals and keeps rewards."""

    def __init__(self, context: Context[Config], pool: JailPool) -> None:
        """Serve with the stores and the configuration of `context`, compiling in the jails of `pool`."""
        self._context = context
        self._pool = pool
        self._scene = scene_pb2_grpc.SceneServiceStub(context.channel("scene"))
        ledger = Ledger(context.database, context.config.llm_daily_budget_usd)
        self._workshop = Workshop(context.config, pool, ledger)
        self._limit = ConcurrencyLimit("reward generations", context.config.generations, retry_after_secs=5.0)

    async def GenerateReward(
        self, request: rewardgen_pb2.GenerateRewardRequest, context: Any
    ) -> AsyncIterator[rewardgen_pb2.GenerateRewardResponse]:
        """Write a reward and report each step."""
        async with aclosing(self._generated(request, request.environment_id)) as events:
            async for event in events:
                yield event

    async def CreateReward(
        self, request: rewardgen_pb2.CreateRewardRequest, context: Any
    ) -> rewardgen_pb2.CreateRewardResponse:
        """Write a reward and answer once."""
        async with aclosing(self._generated(request, request.scene_name)) as events:
            async for event in events:
                if event.HasField("reward"):
                    return rewardgen_pb2.CreateRewardResponse(reward=event.reward)
        raise AssertionError("a generation ends with a reward or raises")

    async def CompileReward(
        self, request: rewardgen_pb2.CompileRewardRequest, context: Any
    ) -> rewardgen_pb2.CompileRewardResponse:
        """Seal a person's source."""
        earlier = await self._earlier(request)
        if earlier is not None:
            return rewardgen_pb2.CompileRewardResponse(reward=earlier)
        async with self._limit:
            self._pool.warm()
            robot = await self._robot(request.environment_id)
            fixed = repaired(request.source)
            try:
                with COMPILE_SECONDS.time():
                    compiled = await compile_reward_with(self._pool, fixed.source, robot)
            except RewardRejected as e:
                raise rejected(e.diagnostics, fixed.lines_above) from e
            except JailUnavailable as e:
                raise jail_unavailable(e) from e
            unknown = sorted(set(request.weights) - set(compiled.terms))
            if unknown:
                known = ", ".join(compiled.terms)
                raise invalid_field(f"weights.{unknown[0]}", f"the reward has no such term; it has: {known}")
            weights = {term: request.weights.get(term, 1.0) for term in compiled.terms}
            written = Written("", compiled, weights, explanations_in(fixed.source, compiled.term_lines), "", ())
            reward = await self._reward(written, robot, request.prompt, rewardgen_pb2.REWARD_ORIGIN_PERSON)
            return rewardgen_pb2.CompileRewardResponse(reward=await self._keep(request, reward))

    async def GetReward(self, request: rewardgen_pb2.GetRewardRequest, context: Any) -> rewardgen_pb2.GetRewardResponse:
        """Return one reward."""
        reward = await self._context.database.read(lambda session: find_reward(session, request.reward_id))
        return rewardgen_pb2.GetRewardResponse(reward=reward)

    async def ListRewards(
        self, request: rewardgen_pb2.ListRewardsRequest, context: Any
    ) -> rewardgen_pb2.ListRewardsResponse:
        """Return a page of rewards."""
        page = page_of(request)
        rewards, token = await self._context.database.read(
            lambda session: page_of_rewards(session, request.environment_id, page)
        )
        return rewardgen_pb2.ListRewardsResponse(rewards=rewards, next_page_token=token)

    async def ListModels(
        self, request: rewardgen_pb2.ListModelsRequest, context: Any
    ) -> rewardgen_pb2.ListModelsResponse:
        """Return what can write rewards here, the default first."""
        # Whoever asks this is about to ask for a reward: by the time they have typed it, the jails are warm.
        self._pool.warm()
        models = [
            rewardgen_pb2.Model(name=name, title=name, description=f"The language model {name}, through LiteLLM.")
            for name in self._context.config.llm_models
        ]
        description = "Known behaviours of known robots, and of any that stands; needs no key and no network."
        models.append(rewardgen_pb2.Model(name=LIBRARY, title="Built-in library", description=description))
        return rewardgen_pb2.ListModelsResponse(models=models)

    async def _generated(
        self, request: _Request, environment_id: str
    ) -> AsyncGenerator[rewardgen_pb2.GenerateRewardResponse, None]:
        earlier = await self._earlier(request)
        if earlier is not None:
            yield rewardgen_pb2.GenerateRewardResponse(reward=earlier)
            return
        if not request.prompt.strip():
            raise invalid_field("prompt", "must say which behaviour is wanted")
        models = self._models(request.model)
        async with self._limit:
            self._pool.warm()
            reading = rewardgen_pb2.GenerationPhase.GENERATION_PHASE_READING_ROBOT
            yield stage(reading, f"reading the robot of {environment_id}")
            robot = await self._robot(environment_id)
            writing = write_reward(self._workshop, request.prompt, robot, models)
            async with aclosing(writing) as events:
                async for event in events:
                    if not isinstance(event, Written):
                        yield event
                        continue
                    by_library = event.model == LIBRARY
                    origin = rewardgen_pb2.REWARD_ORIGIN_LIBRARY if by_library else rewardgen_pb2.REWARD_ORIGIN_LLM
                    reward = await self._reward(event, robot, request.prompt, origin)
                    yield rewardgen_pb2.GenerateRewardResponse(reward=await self._keep(request, reward))

    def _models(self, asked: str) -> tuple[str, ...]:
        """Return who is to write, in order; whoever asks for one gets that one or an error."""
        models = self._context.config.llm_models
        if not asked:
            return models or (LIBRARY,)
        if asked != LIBRARY and asked not in models:
            known = ", ".join([*models, LIBRARY])
            raise TabrlError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "MODEL_NOT_CONFIGURED",
                f"The model {asked!r} is not configured here; there are: {known}. Set TABRL_LLM_MODEL to offer others.",
                metadata={"model": asked, "known": known},
            )
        return (asked,)

    async def _robot(self, environment_id: str) -> Robot:
        response = await call(
            self._scene.GetEnvironment,
            scene_pb2.GetEnvironmentRequest(environment_id=environment_id),
            service="scene",
        )
        return robot_from(response.environment)

    async def _earlier(self, request: Any) -> rewardgen_pb2.Reward | None:
        def look(session: Any) -> rewardgen_pb2.Reward | None:
            reward_id = earlier_resource(session, request)
            return None if reward_id is None else find_reward(session, reward_id)

        return await self._context.database.read(look)

    async def _keep(self, request: Any, reward: rewardgen_pb2.Reward) -> rewardgen_pb2.Reward:
        """Put the reward on record and return it, or the one that a call with the same id recorded meanwhile."""
        return await self._context.database.write(
            lambda session: find_reward(session, once(session, request, lambda inner: add_reward(inner, reward)))
        )

    async def _reward(
        self, written: Written, robot: Robot, prompt: str, origin: rewardgen_pb2.RewardOrigin.ValueType
    ) -> rewardgen_pb2.Reward:
        compiled = written.compiled
        artifacts = self._context.artifacts
        reward = rewardgen_pb2.Reward(
            reward_id=f"reward-{uuid.uuid4().hex[:16]}",
            environment_id=robot.environment_id,
            environment_fingerprint=robot.environment_fingerprint,
            prompt=prompt,
            origin=origin,
            model=written.model,
            source=compiled.source,
            terms=_terms(written),
            explanation=written.explanation,
            left_out=written.left_out,
            program=await asyncio.to_thread(artifacts.put, compiled.program, _PROGRAM_TYPE),
            onnx=await asyncio.to_thread(artifacts.put, compiled.onnx, _ONNX_TYPE),
            diagnostics=map(diagnostic_proto, compiled.diagnostics),
        )
        reward.create_time.GetCurrentTime()
        if written.usage is not None:
            reward.usage.prompt_tokens = written.usage.prompt_tokens
            reward.usage.completion_tokens = written.usage.completion_tokens
            reward.usage.calls = written.usage.calls
            if written.usage.cost_usd is not None:
                reward.usage.cost_usd = written.usage.cost_usd
        return reward


def _terms(written: Written) -> list[rewardgen_pb2.RewardTerm]:
    explanations: Mapping[str, str] = written.term_explanations
    return [
        rewardgen_pb2.RewardTerm(
            name=term,
            weight=written.weights.get(term, 1.0),
            explanation=explanations.get(term, ""),
            line=written.compiled.term_lines[term],
        )
        for term in written.compiled.terms
    ]
