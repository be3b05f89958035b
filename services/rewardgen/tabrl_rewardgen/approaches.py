"""Several rewards for one behaviour, written side by side: each goes another way, and none comes twice."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen.generation import Assignment, Workshop, Written, write_reward
from tabrl_rewardgen.side_by_side import side_by_side

__all__ = ["DEFAULT_COUNT", "failure_message", "write_approaches"]

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
Keep = Callable[[int, Written], Awaitable[Event]]


async def write_approaches(
    workshop: Workshop,
    prompt: str,
    robot: Robot,
    models: Sequence[str],
    *,
    count: int,
    done: Iterable[Event],
    keep: Keep,
) -> AsyncGenerator[Event, None]:
    """Yield what happens to each approach of `count` that is not done, as it happens.

    Args:
        workshop: what they are written with.
        prompt: the behaviour in the person's words.
        robot: whose behaviour.
        models: who is asked, in order.
        count: how many approaches.
        done: what became of those that an earlier call wrote.
        keep: puts the reward that an approach came to on record, and returns what became of the approach.

    Raises:
        TabrlError: no approach came to anything; the error of the first.
        Exception: what `keep` raises; it ends the other approaches.
    """
    room = asyncio.Semaphore(_AT_ONCE)
    kept = {event.approach for event in done}
    errors: dict[int, TabrlError] = {}

    async def write(number: int, report: Callable[[Event], None]) -> None:
        assignment = Assignment(prompt, robot, approach=number, brief=_brief(number, count))
        try:
            async with room, aclosing(write_reward(workshop, assignment, models)) as written:
                async for event in written:
                    if not isinstance(event, Written):
                        report(_of_approach(number, event))
                        continue
                    report(await keep(number, event))
                    kept.add(number)
        except TabrlError as error:
            errors[number] = error
            report(Event(approach=number, failure=failure_message(error)))

    jobs = [functools.partial(write, number) for number in range(1, count + 1) if number not in kept]
    async with aclosing(side_by_side(jobs)) as events:
        async for event in events:
            if event is not None:
                yield event
    if not kept and errors:
        raise errors[min(errors)]


def failure_message(error: TabrlError) -> rewardgen_pb2.ApproachFailure:
    """Return why one of several came to nothing."""
    return rewardgen_pb2.ApproachFailure(reason=error.reason, message=error.message)


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
