"""Brings batches on: has policies evaluated, stops losers, asks the search for trials, names winners.

All of it follows from the record (`batch_plan`), and each step is one transaction that looks again before it changes
anything. So it does not matter when the process ends, nor that for a moment two Trainers may lead.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc
from sqlalchemy.orm import Session
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.trainer.v1 import batches_pb2
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.failpoints import reach
from tabrl_chassis.service import Context
from tabrl_chassis.tasks import cancel_until_ended

from tabrl_trainer import batch_plan, batch_record
from tabrl_trainer.batch_plan import Ask, Candidate, End, Evaluate, Fail, Judged
from tabrl_trainer.batch_record import RUNNING
from tabrl_trainer.batch_search import Outcome, Proposal, Searches
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.executor import Executors
from tabrl_trainer.models import CandidateRow
from tabrl_trainer.queueing import require_room
from tabrl_trainer.record import Record, persistently
from tabrl_trainer.retries import PASSING, pauses
from tabrl_trainer.search_parameters import with_parameters
from tabrl_trainer.submission import Submission, check_varied

__all__ = ["LOOK_EVERY_SECS", "BatchDriver"]

LOOK_EVERY_SECS: Final = 3.0
"""How often to look where nothing is heard: of the end of a run on another Trainer nothing may be."""

# A hundred episodes of a humanoid on a busy machine.
_EVALUATION_TIMEOUT_SECS: Final = 1800.0
_FIRST_PAUSE_SECS: Final = 0.5
_LONGEST_PAUSE_SECS: Final = 10.0
# So many of one kind, and they are no mishaps any more.
_MOST_MISHAPS: Final = 3
_MISHAPS: Final = ("INTERNAL", "DEADLINE_EXCEEDED")
_DECIDE: Final = "decide"
_TELL: Final = "tell the study"


@dataclass(frozen=True)
class _Checked:
    """What a trial trains, or why its parameters cannot be used together."""

    submission: Submission | None
    refusal: str = ""


@dataclass(frozen=True)
class _Played:
    """What a policy did."""

    episodes: Sequence[inference_pb2.EpisodeResult]
    summary: inference_pb2.EvaluationSummary


class _Patience:
    """Whether something that failed is tried again: always while others are away or busy, a few times after mishaps."""

    def __init__(self) -> None:
        """Start with nothing failed."""
        self._mishaps: Counter[str] = Counter()

    def allows(self, error: TabrlError) -> bool:
        """Whether to try again after an error, which is counted."""
        if error.code in PASSING:
            return True
        self._mishaps[error.reason] += 1
        return error.reason in _MISHAPS and self._mishaps[error.reason] < _MOST_MISHAPS


@dataclass
class _Setback:
    """Until when what went wrong is left alone, by the clock that only runs forward; longer each time."""

    until: float = 0.0
    _pauses: Iterator[float] = field(default_factory=lambda: pauses(_FIRST_PAUSE_SECS))

    def again(self) -> float:
        """Leave it alone from now on; returns for how long, in seconds."""
        pause = next(self._pauses)
        self.until = time.monotonic() + pause
        return pause


class BatchDriver:
    """Drives all batches of a database; one Trainer at a time does."""

    def __init__(
        self, context: Context[TrainerConfig], record: Record, executor: Executors, searches: Searches
    ) -> None:
        """Keep what driving needs."""
        self._context = context
        self._record = record
        self._executor = executor
        self._searches = searches
        self._inference = inference_pb2_grpc.InferenceServiceStub(context.channel("inference"))
        self._doing: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._setbacks: dict[tuple[str, str], _Setback] = {}
        # The Inference service takes a few evaluations at once; the others are for people.
        self._one_evaluation = asyncio.Semaphore(1)

    async def run(self) -> None:
        """Drive batches until the service stops, or another Trainer leads."""
        with self._record.subscribed_to_all() as changed:
            try:
                while True:
                    changed.clear()
                    running = await self._record.read_persistently(batch_record.running)
                    self._give_up_all_but(running)
                    for batch_id in running:
                        await self._bring_on(batch_id, changed)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_EVERY_SECS):
                            await changed.wait()
            finally:
                await cancel_until_ended(self._doing.values())
                self._doing.clear()

    def _give_up_all_but(self, running: Sequence[str]) -> None:
        """End what is being done of batches that were cancelled, and forget what went wrong with them."""
        self._setbacks = {key: each for key, each in self._setbacks.items() if key[0] in running}
        for (batch_id, what), task in self._doing.items():
            if batch_id not in running and what != _TELL:
                task.cancel()

    async def _bring_on(self, batch_id: str, changed: asyncio.Event) -> None:
        """Do what is due of a batch. Where that goes wrong, it is left alone for a while, and the others go on."""
        setback = self._setbacks.get((batch_id, _DECIDE))
        if setback is not None and time.monotonic() < setback.until:
            return
        try:
            await self._advance(batch_id, changed)
        except Exception as error:
            if not _is_gone(error):
                self._went_wrong(batch_id, _DECIDE, error)
        else:
            self._setbacks.pop((batch_id, _DECIDE), None)

    def _went_wrong(self, batch_id: str, what: str, error: Exception) -> float:
        """Log that something of a batch went wrong; returns for how long it is left alone, in seconds."""
        pause_secs = self._setbacks.setdefault((batch_id, what), _Setback()).again()
        self._context.log.exception("batch held up", batch=batch_id, work=what, pause_secs=pause_secs, error=str(error))
        return pause_secs

    async def _advance(self, batch_id: str, changed: asyncio.Event) -> None:
        """Do what is due of a batch: decisions at once, what takes time in tasks of their own."""
        moves, spec = await self._record.read_persistently(lambda session: _due(session, batch_id))
        while any(not isinstance(move, Evaluate | Ask) for move in moves):
            moves = await self._record.transact_persistently(lambda session: _decide(session, batch_id))
            self._executor.wake()
            await self._stop_workers(batch_id)
            if any(isinstance(move, End) for move in moves):
                self._start(batch_id, _TELL, self._telling(batch_id, spec), changed)
                return
            moves, spec = await self._record.read_persistently(lambda session: _due(session, batch_id))
        for move in moves:
            match move:
                case Evaluate():
                    work = self._evaluation(batch_id, move, spec.judgement)
                    self._start(batch_id, f"evaluate {move.index} {move.rung}", work, changed)
                case Ask():
                    self._start(batch_id, "ask", lambda: self._ask(batch_id, spec.search), changed)

    def _start(self, batch_id: str, what: str, work: Callable[[], Awaitable[None]], changed: asyncio.Event) -> None:
        """Do something of a batch in a task, unless it is being done; when it is done, look what is due then."""
        key = (batch_id, what)
        if key in self._doing:
            return

        async def doing() -> None:
            try:
                await work()
            except Exception as error:
                if _is_gone(error):
                    return
                # Nothing of one batch may hold up the others; the next look, after a pause, tries it again.
                await asyncio.sleep(self._went_wrong(batch_id, what, error))
            else:
                self._setbacks.pop(key, None)
            finally:
                self._doing.pop(key, None)
                changed.set()

        self._doing[key] = asyncio.create_task(doing(), name=f"batch {batch_id}: {what}")

    async def _stop_workers(self, batch_id: str) -> None:
        """Have this Trainer's workers of stopped candidates stop now; other Trainers look for theirs."""
        stopped = (batch_plan.STOPPED, batch_plan.FAILED)
        for row in await self._record.read_persistently(lambda session: batch_record.candidate_rows(session, batch_id)):
            if row.outcome in stopped:
                self._executor.stop(row.run_id)

    def _evaluation(
        self, batch_id: str, due: Evaluate, judgement: batches_pb2.JudgementSpec
    ) -> Callable[[], Awaitable[None]]:
        async def evaluate() -> None:
            try:
                played = await self._played(batch_id, due, judgement)
            except TabrlError as error:
                fail = Fail(due.index, f"Its policy could not be evaluated: {error.message}")
                await self._record.transact_persistently(lambda session: _fail(session, batch_id, fail))
                return
            if played is None:
                return
            reach("trainer.batch_evaluated")
            evaluation, scores = _evaluation_message(due, played)
            await self._record.transact_persistently(
                lambda session: (
                    None,
                    batch_record.add_evaluation(session, batch_id, due.index, evaluation, scores),
                )
            )

        return evaluate

    async def _is_due(self, batch_id: str, move: batch_plan.Move) -> bool:
        """Whether something is still to be done: it may have been, since the look that started it."""
        moves, _ = await self._record.read_persistently(lambda session: _due(session, batch_id))
        return move in moves

    async def _played(self, batch_id: str, due: Evaluate, judgement: batches_pb2.JudgementSpec) -> _Played | None:
        """Have the Inference service play a policy, as often as it takes while that is away or busy.

        Returns None where that is not due any more.

        Raises:
            TabrlError: it will not play this policy, or has missed the deadline too often.
        """
        patience = _Patience()
        for pause in pauses(_FIRST_PAUSE_SECS, _LONGEST_PAUSE_SECS):
            # One try for each turn: while this policy waits for its next one, others are played.
            async with self._one_evaluation:
                if not await self._is_due(batch_id, due):
                    return None
                try:
                    return await _play(self._inference, due.policy.policy_id, judgement)
                except TabrlError as error:
                    if not patience.allows(error):
                        raise
                    wait_secs = max(error.retry_after_secs or 0.0, pause)
            await asyncio.sleep(wait_secs)
        raise AssertionError("pauses end")

    async def _ask(self, batch_id: str, search: batches_pb2.SearchSpec) -> None:
        """Make a candidate of the search's next trial."""
        if not await self._is_due(batch_id, Ask()):
            return
        outcomes, taken = await self._record.read_persistently(lambda session: _told(session, batch_id))
        proposal = await persistently(lambda: self._searches.propose(batch_id, search, outcomes, taken))
        reach("trainer.batch_trial_asked")
        try:
            checked = await self._checked(search, proposal)
        except TabrlError as error:
            await self._end_with(batch_id, error)
            return
        await self._record.transact_persistently(
            lambda session: _add_trial(session, self._context, batch_id, proposal, checked)
        )
        self._executor.wake()

    async def _checked(self, search: batches_pb2.SearchSpec, proposal: Proposal) -> _Checked:
        """Return what a trial trains, or why its parameters cannot be used together.

        Raises:
            TabrlError: it is not for the parameters that nothing can be trained.
        """
        spec = with_parameters(search.base, proposal.parameters)
        patience = _Patience()
        for pause in pauses(_FIRST_PAUSE_SECS, _LONGEST_PAUSE_SECS):
            try:
                return _Checked(await check_varied(self._context, spec))
            except TabrlError as error:
                if error.reason == "INVALID_FIELD":
                    return _Checked(None, f"These parameters cannot be used together: {error.message}")
                if not patience.allows(error):
                    raise
                await asyncio.sleep(max(error.retry_after_secs or 0.0, pause))
        raise AssertionError("pauses end")

    async def _end_with(self, batch_id: str, error: TabrlError) -> None:
        """Have a batch fail for an error, and stop its runs."""
        self._context.log.warning("batch failed", batch=batch_id, cause=str(error))
        await self._record.transact_persistently(lambda session: (None, batch_record.fail(session, batch_id, error)))
        await self._stop_workers(batch_id)

    def _telling(self, batch_id: str, spec: batches_pb2.BatchSpec) -> Callable[[], Awaitable[None]]:
        async def tell() -> None:
            """Let the study know of the last trials, for those who look at it; nothing depends on it any more."""
            if not spec.HasField("search"):
                return
            outcomes, _ = await self._record.read_persistently(lambda session: _told(session, batch_id))
            await self._searches.tell(batch_id, outcomes)

        return tell


def _is_gone(error: Exception) -> bool:
    """Whether an error says that a person cancelled and deleted the batch meanwhile."""
    return isinstance(error, TabrlError) and error.reason == "BATCH_NOT_FOUND"


async def _play(
    stub: inference_pb2_grpc.InferenceServiceAsyncStub, policy_id: str, judgement: batches_pb2.JudgementSpec
) -> _Played:
    """Have a policy played once; raises `TabrlError`, DEADLINE_EXCEEDED where that takes too long."""
    request = inference_pb2.EvaluateRequest(
        policy_id=policy_id, episodes=judgement.episodes, seed=judgement.seed, check=judgement.check
    )
    episodes: list[inference_pb2.EpisodeResult] = []
    try:
        async for response in stub.Evaluate(request, timeout=_EVALUATION_TIMEOUT_SECS):
            if response.HasField("episode"):
                episodes.append(response.episode)
            else:
                return _Played(episodes, response.summary)
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            raise _too_slow(len(episodes), judgement.episodes) from error
        raise error_from(error, service="inference") from error
    raise TabrlError(grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE", "The evaluation ended without a summary.")


def _too_slow(played: int, wanted: int) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
        f"{played} of {wanted} episodes ended within {_EVALUATION_TIMEOUT_SECS:,.0f} s; "
        "ask for fewer in judgement.episodes, or try again when the machine has less to do.",
    )


def _evaluation_message(due: Evaluate, played: _Played) -> tuple[batches_pb2.CandidateEvaluation, list[float]]:
    """Return an evaluation as the contract has it, and the score of each episode."""
    by_check = played.summary.HasField("checked")
    scores = [episode.checked.score if by_check else episode.episode_return for episode in played.episodes]
    judged = Judged(tuple(scores))
    message = batches_pb2.CandidateEvaluation(
        rung=due.rung,
        env_steps=due.policy.env_steps,
        policy_id=due.policy.policy_id,
        episodes=len(played.episodes),
        score=judged.mean,
        score_error=judged.error,
        mean_return=played.summary.mean_return,
        mean_survived=played.summary.mean_survived,
    )
    if by_check:
        message.held_share = statistics.fmean(episode.checked.held for episode in played.episodes)
        message.measures.update(played.summary.checked.measures)
    return message, scores


def _due(session: Session, batch_id: str) -> tuple[list[batch_plan.Move], batches_pb2.BatchSpec]:
    batch = batch_record.batch_row(session, batch_id)
    spec = batch_record.spec_of(batch)
    if batch.state != RUNNING:
        return [], spec
    return batch_plan.plan(batch_record.standings(session, batch), batch_record.rules_of(spec)), spec


def _decide(session: Session, batch_id: str) -> tuple[list[batch_plan.Move], Collection[str]]:
    """Carry out what can be decided now; return it with the ids of what changed."""
    batch = batch_record.batch_row(session, batch_id, locked=True)
    moves, _ = _due(session, batch_id)
    decisions: list[batch_plan.Move] = [move for move in moves if not isinstance(move, Evaluate | Ask)]
    return decisions, batch_record.apply(session, batch, decisions) if decisions else []


def _fail(session: Session, batch_id: str, fail: Fail) -> tuple[None, Collection[str]]:
    batch = batch_record.batch_row(session, batch_id, locked=True)
    standing = batch_record.standings(session, batch)[fail.index]
    if batch.state != RUNNING or not standing.goes_on:
        return None, []
    return None, batch_record.apply(session, batch, [fail])


def _told(session: Session, batch_id: str) -> tuple[list[Outcome], list[int]]:
    """Return what came of a search's trials that have ended, and the numbers of all that there are."""
    batch = batch_record.batch_row(session, batch_id)
    rows = {row.index: row for row in batch_record.candidate_rows(session, batch_id)}
    outcomes = [
        _outcome(row.trial, standing)
        for standing in batch_record.standings(session, batch)
        if not standing.goes_on and (row := rows[standing.index]).trial is not None
    ]
    return outcomes, [row.trial for row in rows.values() if row.trial is not None]


def _outcome(trial: int, candidate: Candidate) -> Outcome:
    if candidate.outcome == batch_plan.FAILED or not candidate.judged:
        return Outcome(trial, None)
    last = max(candidate.judged)
    stopped = candidate.outcome == batch_plan.STOPPED
    return Outcome(trial, candidate.judged[last].mean, last if stopped else None)


def _add_trial(
    session: Session, context: Context[TrainerConfig], batch_id: str, proposal: Proposal, checked: _Checked
) -> tuple[None, Collection[str]]:
    """Put a trial on record as a candidate, unless it is there or no other is wanted any more."""
    batch = batch_record.batch_row(session, batch_id, locked=True)
    rows = batch_record.candidate_rows(session, batch_id)
    moves, _ = _due(session, batch_id)
    if Ask() not in moves or any(row.trial == proposal.trial for row in rows):
        return None, []
    if checked.submission is not None:
        require_room(session, 1, most=context.config.max_queued)
    candidate = CandidateRow(
        index=len(rows),
        label=f"trial {proposal.trial + 1}",
        outcome="" if checked.submission is not None else batch_plan.FAILED,
        reason=checked.refusal,
        trial=proposal.trial,
        parameters=json.dumps(proposal.parameters),
    )
    batch_record.add_candidate(session, context.artifacts, batch, candidate, checked.submission)
    batch.revision += 1
    return None, [batch_id, candidate.run_id]
