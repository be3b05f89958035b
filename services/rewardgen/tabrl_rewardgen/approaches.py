"""Several rewards for one behaviour, written side by side: each goes another way, and none comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.generation import Assignment, Workshop, Written, write_reward

__all__ = ["DEFAULT_COUNT", "write_approaches"]

DEFAULT_COUNT: Final = 3

_WAYS: Final = (
    "the most direct way: reward what is asked for as plainly as you can, with as few terms as do",
    "by posture and rhythm: reward how a skilled mover would do it, with terms that guide there step by step",
    "by one measure: reward a single quantity that is high only when all of it holds, kept dense",
    "sparingly: let effort and haste cost so much that only a calm and steady way of doing it pays",
    "boldly: reward doing much of it, fast and large, as far as the robot's limits go",
    "robustly: reward what keeps it going after a push, such as a wide stance and a low sway",
)
_AT_ONCE: Final = 3

Event = rewardgen_pb2.GenerateApproachesResponse
Keep = Callable[[Written], Awaitable[rewardgen_pb2.Reward]]


async def write_approaches(
    workshop: Workshop, prompt: str, robot: Robot, models: Sequence[str], *, count: int, keep: Keep
) -> AsyncGenerator[Event, None]:
    """Yield what happens to each of `count` approaches, as it happens.

    Args:
        workshop: what they are written with.
        prompt: the behaviour in the person's words.
        robot: whose behaviour.
        models: who is asked, in order.
        count: how many approaches.
        keep: puts a finished reward on record.

    Raises:
        TabrlError: no approach came to anything; the error of the first.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    room = asyncio.Semaphore(_AT_ONCE)
    seen: dict[str, int] = {}
    errors: dict[int, TabrlError] = {}

    async def write(number: int) -> None:
        assignment = Assignment(prompt, robot, approach=number, brief=_brief(number, count))
        try:
            async with room, aclosing(write_reward(workshop, assignment, models)) as written:
                async for event in written:
                    if not isinstance(event, Written):
                        await events.put(_of_approach(number, event))
                        continue
                    digest = program_digest(event)
                    if digest in seen:
                        await events.put(Event(approach=number, same_as=seen[digest]))
                        continue
                    seen[digest] = number
                    await events.put(Event(approach=number, reward=await keep(event)))
        except TabrlError as error:
            errors[number] = error
            failure = rewardgen_pb2.ApproachFailure(reason=error.reason, message=error.message)
            await events.put(Event(approach=number, failure=failure))

    async def write_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(1, count + 1):
                    group.create_task(write(number))
        finally:
            await events.put(None)

    writing = asyncio.create_task(write_all())
    try:
        while (event := await events.get()) is not None:
            yield event
        await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    if not seen and errors:
        raise errors[min(errors)]


def program_digest(written: Written) -> str:
    """Return what tells one program from another."""
    import hashlib

    return hashlib.sha256(written.compiled.program).hexdigest()


def _brief(number: int, count: int) -> str:
    if count == 1:
        return ""
    return (
        f"You are one of {count} authors who write a reward for this wish, each in another way. Yours: "
        f"{_WAYS[(number - 1) % len(_WAYS)]}."
    )


def _of_approach(number: int, event: rewardgen_pb2.GenerateRewardResponse) -> Event:
    response = Event(approach=number)
    match event.WhichOneof("event"):
        case "stage":
            response.stage.CopyFrom(event.stage)
        case "source_delta":
            response.source_delta = event.source_delta
        case "repair":
            response.repair.CopyFrom(event.repair)
    return response
