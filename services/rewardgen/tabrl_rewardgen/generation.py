"""Writes a reward: by the library or by a model, checked, repaired and sealed, with an event for each step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import grpc
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.rewards.compile import CompiledReward, compile_reward_with
from tabrl_simulation.rewards.diagnostics import Diagnostic, JailSlowToStart, JailUnavailable, RewardRejected
from tabrl_simulation.rewards.pool import JailPool
from tabrl_simulation.rewards.robot import Robot

from tabrl_rewardgen import library, llm
from tabrl_rewardgen.answers import Answer, SourceStream, not_taken, parse_answer
from tabrl_rewardgen.config import LIBRARY, Config
from tabrl_rewardgen.ledger import Ledger, Purse
from tabrl_rewardgen.metrics import LLM_COST, LLM_TOKENS, REWARDS
from tabrl_rewardgen.prompting import first_messages, repair_message
from tabrl_rewardgen.states import States

__all__ = [
    "Assignment",
    "Event",
    "Workshop",
    "Written",
    "jail_unavailable",
    "rejected",
    "sealed",
    "stage",
    "write_reward",
]

_PHASES = rewardgen_pb2.GenerationPhase
# A reward can do without; whoever waits for one should not wait long for what it is only tried on.
_WAIT_FOR_STATES_SECS = 10.0
_WEIGHTLESS = Diagnostic("weightless", 0, 0, "the weights of all terms are 0", "weigh at least one of them")
_CUT_OFF = Diagnostic("answer-cut-off", 0, 0, "the answer was cut off at its limit of tokens", "answer more briefly")
# What another model may do better. A budget is for all of them.
_ANOTHER_MODEL_MAY = frozenset(
    {
        "PROVIDER_FAILED",
        "PROVIDER_TIMEOUT",
        "PROVIDER_RATE_LIMITED",
        "PROVIDER_AUTHENTICATION",
        "PROVIDER_REFUSED",
        "PROVIDER_ANSWER_UNUSABLE",
    }
)


@dataclass(frozen=True)
class Workshop:
    """What rewards are written with."""

    config: Config
    pool: JailPool
    ledger: Ledger | Purse
    states: States
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Assignment:
    """What to write.

    Attributes:
        prompt: the behaviour in the person's words.
        robot: whose behaviour.
        approach: which of several approaches, from 1; it tells the library which way to go.
        brief: what a model is told beside the prompt: another way to go, or what came of an earlier reward.
    """

    prompt: str
    robot: Robot
    approach: int = 1
    brief: str = ""


@dataclass(frozen=True)
class Written:
    """A finished reward with what its author, a model, the library or nobody (empty), said about it."""

    model: str
    compiled: CompiledReward
    weights: Mapping[str, float]
    term_explanations: Mapping[str, str]
    explanation: str
    left_out: tuple[str, ...]
    usage: llm.Usage | None = None
    name: str = ""
    expected_behaviour: str = ""
    check: str = ""
    remarks: tuple[Diagnostic, ...] = ()


Event = rewardgen_pb2.GenerateRewardResponse | Written


def stage(phase: rewardgen_pb2.GenerationPhase.ValueType, message: str) -> rewardgen_pb2.GenerateRewardResponse:
    """Return the event that a stage began."""
    return rewardgen_pb2.GenerateRewardResponse(stage=rewardgen_pb2.GenerationStage(phase=phase, message=message))


async def write_reward(
    workshop: Workshop, assignment: Assignment, models: Sequence[str]
) -> AsyncGenerator[Event, None]:
    """Yield events, `Written` last. Where one of the models gives no reward, the next one is asked.

    Raises:
        TabrlError: BEHAVIOUR_UNKNOWN, PROVIDER_*, LLM_BUDGET_SPENT, JAIL_UNAVAILABLE.
    """
    for model, following in zip(models, (*models[1:], None), strict=True):
        try:
            async with aclosing(_write_by(workshop, assignment, model)) as events:
                async for event in events:
                    yield event
        except TabrlError as e:
            if following is None or e.reason not in _ANOTHER_MODEL_MAY:
                raise
            yield stage(_PHASES.GENERATION_PHASE_WRITING, f"{model} gave no reward ({e.reason}); asking {following}")
        else:
            return


async def _write_by(workshop: Workshop, assignment: Assignment, model: str) -> AsyncGenerator[Event, None]:
    by_library = model == LIBRARY
    writer = _by_library(workshop, assignment) if by_library else _by_model(workshop, assignment, model)
    try:
        async with aclosing(writer):
            async for event in writer:
                yield event
    except TabrlError as e:
        REWARDS.labels(model, e.reason).inc()
        raise
    except RewardRejected as e:  # by the library: a model's is repaired
        REWARDS.labels(model, "REWARD_REJECTED").inc()
        raise rejected(e.diagnostics) from e
    except JailUnavailable as e:
        REWARDS.labels(model, "JAIL_UNAVAILABLE").inc()
        raise jail_unavailable(e) from e
    REWARDS.labels(model, "OK").inc()


async def _by_library(workshop: Workshop, assignment: Assignment) -> AsyncGenerator[Event, None]:
    robot = assignment.robot
    yield stage(_PHASES.GENERATION_PHASE_WRITING, "looking the behaviour up in the built-in library")
    try:
        found = library.approach(library.write(assignment.prompt, robot), assignment.approach)
    except library.BehaviourUnknown as e:
        raise _unknown(e) from e
    yield rewardgen_pb2.GenerateRewardResponse(source_delta=found.source)
    yield stage(_PHASES.GENERATION_PHASE_SEALING, "checking, tracing and sealing the reward")
    compiled = await sealed(workshop, found.source, robot, wait_secs=_WAIT_FOR_STATES_SECS)
    yield Written(
        model=LIBRARY,
        compiled=compiled,
        weights=found.weights,
        term_explanations=found.term_explanations,
        explanation=found.explanation,
        left_out=found.left_out,
        name=found.name,
        expected_behaviour=found.expected_behaviour,
        check=found.check,
        remarks=tuple(_library_remark(text) for text in found.remarks),
    )


def _library_remark(text: str) -> Diagnostic:
    return Diagnostic("beyond-the-robot", 0, 0, text, "ask for less if it does not learn", "warning")


async def sealed(workshop: Workshop, source: str, robot: Robot, *, wait_secs: float = 0.0) -> CompiledReward:
    """Return the sealed reward of source, tried on states of the robot if these are there within `wait_secs`.

    Raises:
        RewardRejected, JailUnavailable: as `compile_reward_with`.
    """
    recorded = await workshop.states.find(robot.environment_id, wait_secs=wait_secs)
    return await compile_reward_with(workshop.pool, source, robot, recorded)


async def _by_model(workshop: Workshop, assignment: Assignment, model: str) -> AsyncGenerator[Event, None]:
    config, pool, ledger, robot = workshop.config, workshop.pool, workshop.ledger, assignment.robot
    messages = first_messages(assignment.prompt, robot, assignment.brief)
    await workshop.states.find(robot.environment_id)  # what is not recorded yet is, while the model writes
    usage = llm.Usage()
    remarks: Sequence[Diagnostic] = ()
    for attempt in range(1, config.llm_attempts + 1):
        await ledger.require_budget()
        again = f" (attempt {attempt})" if attempt > 1 else ""
        yield stage(_PHASES.GENERATION_PHASE_WRITING, f"asking {model}{again}")
        source = SourceStream()
        text, cut_off = "", False
        async with aclosing(llm.ask(config, model, messages, workshop.secrets)) as pieces:
            async for piece in pieces:
                if isinstance(piece, llm.Completion):
                    text, cut_off = piece.text, piece.cut_off
                    usage = usage.plus(piece.usage)
                    _count(model, piece.usage)
                    await ledger.add(model, piece.usage)
                elif delta := source.feed(piece):
                    yield rewardgen_pb2.GenerateRewardResponse(source_delta=delta)
        answer: Answer | None = None
        try:
            yield stage(_PHASES.GENERATION_PHASE_CHECKING, "checking the source against the reward language")
            answer = await asyncio.to_thread(_read, text, cut_off)
            yield stage(_PHASES.GENERATION_PHASE_SEALING, "tracing and sealing the reward")
            pool.warm()
            compiled = await sealed(workshop, answer.source, robot, wait_secs=_WAIT_FOR_STATES_SECS)
            weights = _weights(answer, compiled)
        except RewardRejected as e:
            remarks = e.diagnostics
        else:
            yield Written(
                model=model,
                compiled=compiled,
                weights=weights,
                term_explanations=answer.term_explanations,
                explanation=answer.explanation,
                left_out=answer.left_out,
                usage=usage,
                name=answer.name,
                expected_behaviour=answer.expected_behaviour,
                check=(check := usable_check(answer.check, robot)),
                remarks=(*answer.remarks, *_not_as_answered(answer, compiled, check)),
            )
            return
        if attempt < config.llm_attempts:
            # The person saw the source as it came, with what the repairs took away above it.
            seen = [remark.moved(answer.lines_above if answer else 0) for remark in remarks]
            repair = rewardgen_pb2.GenerationRepair(attempt=attempt, diagnostics=map(diagnostic_proto, seen))
            yield rewardgen_pb2.GenerateRewardResponse(repair=repair)
            refused = repair_message(remarks, answer.source if answer else "")
            # Only the last attempt stays in the conversation: it grows no longer with each repair.
            messages = [*messages[:2], {"role": "assistant", "content": text[:20_000] or "(nothing)"}, refused]
    raise _unusable(config, model, remarks)


def _read(text: str, cut_off: bool) -> Answer:
    """Return the answer in a text; one that was cut off has lost what came last, whatever can be read of it."""
    if cut_off:
        raise RewardRejected([_CUT_OFF])
    return parse_answer(text)


def _weights(answer: Answer, compiled: CompiledReward) -> dict[str, float]:
    """Return the weight of each term, 1 where the answer gives none.

    Raises:
        RewardRejected: all are 0.
    """
    weights = {term: answer.weights.get(term, 1.0) for term in compiled.terms}
    if not any(weights.values()):
        raise RewardRejected([_WEIGHTLESS])
    return weights


def _not_as_answered(answer: Answer, compiled: CompiledReward, check: str) -> list[Diagnostic]:
    """Return remarks on where the parts of an answer do not fit each other, or the robot."""
    named = {**answer.weights, **answer.term_explanations}
    unknown = [term for term in named if term not in compiled.terms]
    weightless = [term for term in compiled.terms if term not in named]
    remarks = []
    if unknown:
        remarks.append(not_taken(f"it weighs what its source does not return: {', '.join(unknown)[:200]}"))
    if weightless:
        remarks.append(not_taken(f"it gives no weight for {', '.join(weightless)[:200]}, so it is 1"))
    if answer.check and not check:
        remarks.append(not_taken(f"its check on the motion cannot be computed for this robot: {answer.check[:200]}"))
    return remarks


def usable_check(text: str, robot: Robot) -> str:
    """Return a model's check on the motion, or nothing where it cannot be computed for this robot."""
    from tabrl_simulation.motion import Check, CheckError, require_fits

    try:
        if text:
            require_fits(Check(text), robot)
    except CheckError:
        return ""
    return text


def _count(model: str, usage: llm.Usage) -> None:
    LLM_TOKENS.labels(model, "prompt").inc(usage.prompt_tokens)
    LLM_TOKENS.labels(model, "completion").inc(usage.completion_tokens)
    LLM_COST.labels(model).inc(usage.cost_usd or 0.0)


def diagnostic_proto(remark: Diagnostic) -> rewardgen_pb2.Diagnostic:
    """Return the contract's message of a remark."""
    severity = rewardgen_pb2.SEVERITY_WARNING if remark.severity == "warning" else rewardgen_pb2.SEVERITY_ERROR
    return rewardgen_pb2.Diagnostic(
        severity=severity,
        rule=remark.rule,
        line=remark.line,
        column=remark.column,
        message=remark.message,
        suggestion=remark.suggestion,
    )


def rejected(remarks: Sequence[Diagnostic], lines_above: int = 0) -> TabrlError:
    """Return REWARD_REJECTED; each field is `source:LINE:COLUMN` in the text as it was sent."""
    moved = [remark.moved(lines_above) for remark in remarks]
    return TabrlError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "REWARD_REJECTED",
        f"The reward source was refused: {moved[0] if moved else 'no reason was given'}",
        fields=_fields(moved),
        metadata={"violations": str(len(moved))},
    )


def jail_unavailable(error: JailUnavailable) -> TabrlError:
    """Return JAIL_UNAVAILABLE."""
    if isinstance(error, JailSlowToStart):
        message = f"No reward could be compiled, as the machine is busy: {error}; try again."
        return TabrlError(grpc.StatusCode.UNAVAILABLE, "JAIL_UNAVAILABLE", message, retry_after_secs=10.0)
    message = f"No reward source can be compiled on this machine, as its kernel lacks what the jail needs: {error}"
    return TabrlError(grpc.StatusCode.UNAVAILABLE, "JAIL_UNAVAILABLE", message)


def _fields(remarks: Sequence[Diagnostic]) -> list[tuple[str, str]]:
    return [
        (
            f"source:{remark.line}:{remark.column}",
            f"{remark.rule}: {remark.message}" + (f"; {remark.suggestion}" if remark.suggestion else ""),
        )
        for remark in remarks
    ]


def _unknown(error: library.BehaviourUnknown) -> TabrlError:
    remedy = " Reword the prompt, or configure an LLM." if error.nearest else ""
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "BEHAVIOUR_UNKNOWN",
        f"{error}{remedy}",
        metadata={"nearest": error.nearest, "known": ", ".join(error.known)},
    )


def _unusable(config: Config, model: str, remarks: Sequence[Diagnostic]) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.ABORTED,
        "PROVIDER_ANSWER_UNUSABLE",
        f"{model} gave no usable reward in {config.llm_attempts} attempts; reword the prompt or choose another model. "
        f"Last: {remarks[0] if remarks else 'nothing'}",
        fields=_fields(remarks),
        metadata={"model": model, "attempts": str(config.llm_attempts)},
    )
