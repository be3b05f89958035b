"""From source to a sealed reward: check here, trace in one throwaway jail, verify in another, keep what both forms
agree on.

The calling process never imports jax and never runs the source. Jails can be kept warm, as starting one takes seconds
and using one a fraction of a second; each is used once.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

from tabrl_simulation.rewards.checker import CheckedSource, check
from tabrl_simulation.rewards.container import ProgramHeader, ProgramRefused, pack, unpack
from tabrl_simulation.rewards.diagnostics import Diagnostic, RewardRejected, from_plain
from tabrl_simulation.rewards.inputs import shapes
from tabrl_simulation.rewards.message import MessageRefused
from tabrl_simulation.rewards.onnx_gate import LONGEST_ONNX
from tabrl_simulation.rewards.pool import ChildDied, ChildTooSlow, JailPool
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.rewards.trial import Trial

__all__ = ["CompiledReward", "compile_reward", "compile_reward_with"]


@dataclass(frozen=True)
class CompiledReward:
    """A sealed reward.

    Attributes:
        source: The source, as it was traced.
        terms: Names of the terms, in the order of the source.
        term_lines: Line of the source that returns each term, from 1.
        program: Container with the batched `jax.export` program, for `RewardProgram.from_bytes`.
        onnx: ONNX graph of the same terms for one environment.
        diagnostics: Remarks that did not stop it.
        trial: How it fared on states that the robot really gets into; None where none were given.
    """

    source: str
    terms: tuple[str, ...]
    term_lines: dict[str, int]
    program: bytes
    onnx: bytes
    diagnostics: tuple[Diagnostic, ...]
    trial: Trial | None = None


def compile_reward(source: str, robot: Robot) -> CompiledReward:
    """Return the sealed reward of source, in a process without an event loop.

    Errors are those of `compile_reward_with`.
    """

    async def once() -> CompiledReward:
        async with JailPool() as pool:
            pool.warm()
            return await compile_reward_with(pool, source, robot)

    return asyncio.run(once())


async def compile_reward_with(
    pool: JailPool, source: str, robot: Robot, recorded: bytes | None = None
) -> CompiledReward:
    """Return the sealed reward of source.

    Args:
        pool: whose jails trace and verify it.
        source: in the reward language.
        robot: what it is for.
        recorded: the file of states that the robot really gets into (`real_states`), to try the reward on.

    Raises:
        RewardRejected: the source breaks a rule, fails when traced, costs too much, is not finite, or has forms that
            differ.
        JailUnavailable: this kernel lacks what the jail needs, or no jail started in time (`JailSlowToStart`); nothing
            was run.
    """
    checked = await asyncio.to_thread(check, source, robot)
    header, exported, onnx = await _traced(pool, checked, robot)
    if len(onnx) > LONGEST_ONNX:
        raise RewardRejected([_unusable("its ONNX form is too long")])
    program = pack(header, exported)
    places = {term: checked.term_places.get(term, checked.return_place) for term in header.terms}
    remarks, trial = await _verified(pool, program, onnx, robot, places, recorded)
    lines = {term: line for term, (line, _) in places.items()}
    return CompiledReward(source, header.terms, lines, program, onnx, remarks, trial)


async def _traced(pool: JailPool, checked: CheckedSource, robot: Robot) -> tuple[ProgramHeader, bytes, bytes]:
    """Ask a jail for the two forms. What it answers is judged as if its author had written it."""
    try:
        fields, blobs = await pool.ask("trace", {"source": checked.source, "robot": robot.plain()})
        if "rejected" in fields:
            raise RewardRejected(from_plain(fields["rejected"]) or [_unusable("it gave no reason")])
        exported, onnx = blobs
        header = _header(fields, robot)
        unpack(pack(header, exported))
    except ChildTooSlow as e:
        message = f"tracing took longer than {e.limit_secs:g} s"
        raise RewardRejected(
            [Diagnostic("too-slow", 0, 0, message, "write it with fewer and simpler operations")]
        ) from e
    except ChildDied as e:
        message = "tracing was stopped: it used more memory or time than a reward may"
        raise RewardRejected(
            [Diagnostic("too-much", 0, 0, message, "write it with fewer and simpler operations")]
        ) from e
    except (MessageRefused, ProgramRefused, ValueError, KeyError, TypeError) as e:
        raise RewardRejected([_unusable(str(e))]) from e
    return header, exported, onnx


def _header(fields: dict[str, Any], robot: Robot) -> ProgramHeader:
    readable = shapes(robot)
    inputs = {str(name): readable[str(name)] for name in fields["inputs"]}
    terms = tuple(str(term) for term in fields["terms"])
    identity = (robot.environment_id, robot.environment_fingerprint)
    return ProgramHeader(*identity, inputs, robot.action_size, bool(fields["uses_action"]), terms)


async def _verified(  # noqa: PLR0917  all of what a reward is
    pool: JailPool,
    program: bytes,
    onnx: bytes,
    robot: Robot,
    places: dict[str, tuple[int, int]],
    recorded: bytes | None,
) -> tuple[tuple[Diagnostic, ...], Trial | None]:
    request = {
        "program": base64.b64encode(program).decode(),
        "onnx": base64.b64encode(onnx).decode(),
        "robot": robot.plain(),
        "places": {term: list(place) for term, place in places.items()},
    }
    try:
        fields, _ = await pool.ask("verify", request, [recorded] if recorded else [])
    except (ChildTooSlow, ChildDied, MessageRefused) as e:
        raise RewardRejected([_unusable(f"it could not be verified: {e}")]) from e
    if "rejected" in fields:
        raise RewardRejected(from_plain(fields["rejected"]))
    if "refused" in fields:
        raise RewardRejected([_unusable(str(fields["refused"])[:500])])
    try:
        trial = Trial.from_plain(fields["trial"]) if fields.get("trial") else None
    except ValueError as e:
        raise RewardRejected([_unusable(str(e))]) from e
    return from_plain(fields.get("remarks")), trial


def _unusable(reason: str) -> Diagnostic:
    return Diagnostic(
        "program-refused", 0, 0, f"the sealed program was refused: {reason}", "write the reward more simply"
    )
