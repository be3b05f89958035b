"""The RPCs of `tabrl.rewardgen.v1.RewardService`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from weakref import WeakValueDictionary

import grpc
from tabrl.rewardgen.v1 import rewardgen_pb2, rewardgen_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.idempotency import earlier_resource, once
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.pagination import page_of
from tabrl_chassis.service import Context
from tabrl_simulation.rewards.diagnostics import JailUnavailable, RewardRejected
from tabrl_simulation.rewards.pool import JailPool
from tabrl_simulation.rewards.repair import repaired
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen import library
from tabrl_rewardgen.approaches import DEFAULT_COUNT, write_approaches
from tabrl_rewardgen.comments import explanations_in
from tabrl_rewardgen.config import LIBRARY, Config
from tabrl_rewardgen.generation import (
    Assignment,
    Workshop,
    Written,
    jail_unavailable,
    rejected,
    sealed,
    stage,
    write_reward,
)
from tabrl_rewardgen.improving import Goal, improve
from tabrl_rewardgen.keeping import Parent, reward_message
from tabrl_rewardgen.ledger import Ledger
from tabrl_rewardgen.metrics import COMPILE_SECONDS
from tabrl_rewardgen.reflection import Evidence, brief
from tabrl_rewardgen.rehearsal import Rehearsal
from tabrl_rewardgen.robots import robot_from
from tabrl_rewardgen.states import States
from tabrl_rewardgen.storage import (
    add_reward,
    approaches_of,
    find_reward,
    keep_approach,
    new_set_id,
    page_of_rewards,
    save_reward,
    saved_rewards,
)

__all__ = ["Servicer"]

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")

_Request = rewardgen_pb2.GenerateRewardRequest | rewardgen_pb2.CreateRewardRequest


class Servicer(rewardgen_pb2_grpc.RewardServiceServicer):
    """Writes, seals and keeps rewards."""

    def __init__(self, context: Context[Config], pool: JailPool, secrets: Mapping[str, str]) -> None:
        """Serve with the stores and the configuration of `context`, compiling in the jails of `pool`.

        `secrets` are the keys of providers that came in a file.
        """
        self._context = context
        self._pool = pool
        self._scene = scene_pb2_grpc.SceneServiceStub(context.channel("scene"))
        self._workshop = Workshop(
            config=context.config,
            pool=pool,
            ledger=Ledger(context.database, context.config.llm_daily_budget_usd),
            states=States(context.channel("scene"), context.artifacts),
            secrets=secrets,
        )
        self._rehearsal = Rehearsal(
            context.channel("trainer"), context.channel("exporter"), context.artifacts, context.log
        )
        self._sets: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._improvements = ConcurrencyLimit("improvements", context.config.improvements, retry_after_secs=60.0)
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

    async def GenerateApproaches(
        self, request: rewardgen_pb2.GenerateApproachesRequest, context: Any
    ) -> AsyncIterator[rewardgen_pb2.GenerateApproachesResponse]:
        """Write several rewards and report each step."""
        count = request.count or DEFAULT_COUNT
        before = await self._context.database.read(lambda session: _approaches_before(session, request))
        if len(before) == count:
            for event in before:
                yield event
            return
        _require_words(request.prompt)
        models = self._models(request.model)
        robot = await self._robot(request.environment_id)
        set_id = await self._context.database.write(lambda session: once(session, request, new_set_id))
        # Who calls this process again while the first call still writes waits, and gets what that one wrote.
        async with self._sets.setdefault(set_id, asyncio.Lock()):
            done = await self._context.database.read(lambda session: approaches_of(session, set_id))
            for event in done:
                yield event
            if len(done) == count:
                return

            async def keep(number: int, written: Written) -> rewardgen_pb2.GenerateApproachesResponse:
                reward = await self._message(written, robot, request.prompt)
                return await self._context.database.write(
                    lambda session: keep_approach(session, set_id, number, reward)
                )

            async with self._limit:
                self._pool.warm()
                writing = write_approaches(
                    self._workshop, request.prompt, robot, models, count=count, done=done, keep=keep
                )
                async with aclosing(writing) as events:
                    async for event in events:
                        yield event

    async def ImproveReward(
        self, request: rewardgen_pb2.ImproveRewardRequest, context: Any
    ) -> AsyncIterator[rewardgen_pb2.ImproveRewardResponse]:
        """Write the next reward after what was seen of an earlier one."""
        earlier = await self._earlier(request)
        if earlier is not None:
            yield rewardgen_pb2.ImproveRewardResponse(reward=earlier)
            return
        models = self._models(request.model)
        if models == (LIBRARY,):
            raise TabrlError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "REFLECTION_NEEDS_LLM",
                "The library cannot reflect on a reward. Configure a language model, or call AutoImprove, which "
                "searches the weights without one.",
            )
        parent = await self._context.database.read(lambda session: find_reward(session, request.reward_id))
        run = await self._rehearsal.run(request.run_id) if request.run_id else None
        if run is not None and run.spec.reward.program_sha256 != parent.program.sha256:
            raise invalid_field("run_id", f"{request.run_id} was not trained for {request.reward_id}")
        evidence = Evidence(
            reward=parent, run=run, measures=request.measures, check=parent.check, remark=request.remark
        )
        async with self._limit:
            self._pool.warm()
            robot = await self._robot(parent.environment_id)
            writing = write_reward(self._workshop, Assignment(parent.prompt, robot, brief=brief(evidence)), models)
            async with aclosing(writing) as events:
                async for event in events:
                    if not isinstance(event, Written):
                        yield _of_improvement(event)
                        continue
                    reward = await self._message(event, robot, parent.prompt, Parent(parent.reward_id, run is not None))
                    yield rewardgen_pb2.ImproveRewardResponse(reward=await self._keep(request, reward))

    async def AutoImprove(
        self, request: rewardgen_pb2.AutoImproveRequest, context: Any
    ) -> AsyncIterator[rewardgen_pb2.AutoImproveResponse]:
        """Write, train, measure, and write again."""
        _require_words(request.prompt)
        models = self._models(request.model)
        async with self._improvements:
            self._pool.warm()
            robot = await self._robot(request.environment_id)
            _require_check(request.check, robot)

            async def keep(written: Written, parent: Parent | None) -> rewardgen_pb2.Reward:
                reward = await self._message(written, robot, request.prompt, parent)
                await self._context.database.write(lambda session: add_reward(session, reward))
                return reward

            goal = Goal.of_request(request, robot, models)
            async with aclosing(improve(self._workshop, self._rehearsal, goal, keep)) as events:
                async for event in events:
                    yield event

    async def SaveReward(
        self, request: rewardgen_pb2.SaveRewardRequest, context: Any
    ) -> rewardgen_pb2.SaveRewardResponse:
        """Save a reward into the person's library, or take it out."""
        name = " ".join(request.name.split())
        reward = await self._context.database.write(lambda session: save_reward(session, request.reward_id, name))
        return rewardgen_pb2.SaveRewardResponse(reward=reward)

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
                    compiled = await sealed(self._workshop, fixed.source, robot)
            except RewardRejected as e:
                raise rejected(e.diagnostics, fixed.lines_above) from e
            except JailUnavailable as e:
                raise jail_unavailable(e) from e
            unknown = sorted(set(request.weights) - set(compiled.terms))
            if unknown:
                raise _unknown_terms(unknown, compiled.terms)
            weights = {term: request.weights.get(term, 1.0) for term in compiled.terms}
            if not any(weights.values()):
                raise invalid_field("weights", "are all 0, so nothing would be rewarded; weigh at least one term")
            written = Written("", compiled, weights, explanations_in(fixed.source, compiled.term_lines), "", ())
            reward = await self._message(written, robot, request.prompt)
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
            lambda session: page_of_rewards(session, request.environment_id, page, saved=request.saved)
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
        _require_words(request.prompt)
        models = self._models(request.model)
        async with self._limit:
            self._pool.warm()
            reading = rewardgen_pb2.GenerationPhase.GENERATION_PHASE_READING_ROBOT
            yield stage(reading, f"reading the robot of {environment_id}")
            robot = await self._robot(environment_id)
            saved = await self._saved(request.prompt, robot) if models == (LIBRARY,) else None
            if saved is not None:
                writing_stage = rewardgen_pb2.GenerationPhase.GENERATION_PHASE_WRITING
                yield stage(writing_stage, f"found {saved.saved_name!r} among the rewards that you saved")
                reward_id = saved.reward_id
                await self._context.database.write(lambda session: once(session, request, lambda _: reward_id))
                yield rewardgen_pb2.GenerateRewardResponse(reward=saved)
                return
            writing = write_reward(self._workshop, Assignment(request.prompt, robot), models)
            async with aclosing(writing) as events:
                async for event in events:
                    if not isinstance(event, Written):
                        yield event
                        continue
                    reward = await self._message(event, robot, request.prompt)
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

    async def _message(
        self, written: Written, robot: Robot, prompt: str, parent: Parent | None = None
    ) -> rewardgen_pb2.Reward:
        return await reward_message(self._context.artifacts, written, robot, prompt, parent=parent)

    async def _saved(self, prompt: str, robot: Robot) -> rewardgen_pb2.Reward | None:
        """Return the reward that a person saved for a prompt that means the same, if there is one."""
        rewards = await self._context.database.read(
            lambda session: saved_rewards(session, robot.environment_id, robot.environment_fingerprint)
        )

        def likest() -> tuple[float, rewardgen_pb2.Reward] | None:
            alike = [
                (max(library.likeness(prompt, reward.prompt), library.likeness(prompt, reward.saved_name)), reward)
                for reward in rewards
            ]
            return max(alike, key=lambda pair: pair[0], default=None)

        best = await asyncio.to_thread(likest)
        return best[1] if best is not None and best[0] >= library.SAME else None

    async def _keep(self, request: Any, reward: rewardgen_pb2.Reward) -> rewardgen_pb2.Reward:
        """Put the reward on record and return it, or the one that a call with the same id recorded meanwhile."""
        return await self._context.database.write(
            lambda session: find_reward(session, once(session, request, lambda inner: add_reward(inner, reward)))
        )


def _approaches_before(session: Any, request: Any) -> list[rewardgen_pb2.GenerateApproachesResponse]:
    """Return what became of the approaches of this very request in earlier calls."""
    set_id = earlier_resource(session, request)
    return [] if set_id is None else approaches_of(session, set_id)


def _require_words(prompt: str) -> None:
    if not prompt.strip():
        raise invalid_field("prompt", "must say which behaviour is wanted")
    if found := _CONTROL.search(prompt):
        raise invalid_field("prompt", f"holds the control character U+{ord(found[0]):04X}; take it out")


def _unknown_terms(unknown: Sequence[str], known: Sequence[str]) -> TabrlError:
    """Name each weight that no term of the reward has, so that one more call can do without them all."""
    description = f"the reward has no such term; it has: {', '.join(known)}"
    return TabrlError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        f"weights.{unknown[0]}: {description}",
        fields=[(f"weights.{name}", description) for name in unknown],
    )


def _require_check(text: str, robot: Robot) -> None:
    """Refuse a check that cannot be computed for a robot, before anything is trained for it."""
    if not text.strip():
        return
    from tabrl_simulation.motion import Check, CheckError, require_fits

    try:
        require_fits(Check(text.strip()), robot)
    except CheckError as error:
        raise invalid_field("check", str(error)) from error


def _of_improvement(event: rewardgen_pb2.GenerateRewardResponse) -> rewardgen_pb2.ImproveRewardResponse:
    """Return the same event of the other stream; both have the same fields."""
    return rewardgen_pb2.ImproveRewardResponse.FromString(event.SerializeToString())
