"""What a batch does next, from where its candidates stand: decided here, carried out by `batch_driver`.

Early stopping is successive halving (Jamieson and Talwalkar, "Non-stochastic best arm identification and
hyperparameter optimization", AISTATS 2016) with one difference: whoever falls out of the share that is kept is
stopped only where it is worse by more than the luck of its episodes explains. The candidates of a search come one
after the other, so each is compared with those that were judged at its rung before, as in ASHA (Li et al., "A system
for massively parallel hyperparameter tuning", MLSys 2020).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tabrl.trainer.v1 import trainer_pb2

__all__ = [
    "FAILED",
    "FINISHED",
    "STOPPED",
    "Ask",
    "Candidate",
    "End",
    "Evaluate",
    "Fail",
    "Finish",
    "GoOn",
    "Judged",
    "Move",
    "Policy",
    "Rules",
    "Stop",
    "clear_losers",
    "is_due",
    "plan",
    "ranked",
]

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
"""Outcomes of candidates; empty while one goes on."""

_CLEARLY_IN_STANDARD_ERRORS: Final = 2.0


@dataclass(frozen=True)
class Rules:
    """How a batch decides. Without rungs all candidates train to their end."""

    rungs: tuple[int, ...] = ()
    """Control steps at which candidates are judged on their way."""
    keep_share: float = 0.5
    """Share of a rung's candidates that goes on in any case."""
    by_check: bool = False
    trials: int = 0
    """Of a search; 0 for candidates that are all there from the start."""
    at_once: int = 1


@dataclass(frozen=True)
class Judged:
    """What a policy did: the score of each episode, and in how many the check held (None without one)."""

    scores: tuple[float, ...]
    held: int | None = None

    @property
    def mean(self) -> float:
        """Mean score."""
        return statistics.fmean(self.scores)

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None for a single episode."""
        return statistics.stdev(self.scores) / math.sqrt(len(self.scores)) if len(self.scores) > 1 else None

    @property
    def rank(self) -> tuple[float, float]:
        """What the better one has more of: episodes in which the check held, then score."""
        return (self.held or 0) / len(self.scores), self.mean

    def __str__(self) -> str:
        """Return the score with its standard error, as people read it."""
        error = "" if self.error is None else f" ± {self.error:.2g}"
        return f"{self.mean:.4g}{error}"


@dataclass(frozen=True)
class Policy:
    """The newest checkpoint of a run: its policy once that is published, or why there will be none."""

    env_steps: int
    policy_id: str = ""
    refusal: str = ""
    final: bool = False


@dataclass(frozen=True)
class Candidate:
    """Where a candidate stands."""

    index: int
    label: str
    run_state: int | None
    """None where its run was deleted."""
    newest: Policy | None = None
    rung: int = 0
    """Rungs behind it."""
    outcome: str = ""
    judged: Mapping[int, Judged] = field(default_factory=dict)
    """By rung; the number of rungs stands for its end."""
    error: str = ""
    """Why its run failed."""

    @property
    def goes_on(self) -> bool:
        """Whether nothing is decided yet."""
        return not self.outcome


@dataclass(frozen=True)
class Evaluate:
    """A policy is to be judged."""

    index: int
    rung: int
    policy: Policy


@dataclass(frozen=True)
class GoOn:
    """A candidate has passed its rung."""

    index: int


@dataclass(frozen=True)
class Stop:
    """A candidate is a clear loser."""

    index: int
    reason: str


@dataclass(frozen=True)
class Fail:
    """A candidate cannot be judged."""

    index: int
    reason: str


@dataclass(frozen=True)
class Finish:
    """A candidate is trained to its end and judged."""

    index: int


@dataclass(frozen=True)
class Ask:
    """The search is to propose another trial."""


@dataclass(frozen=True)
class End:
    """All is decided: the number of the winner with the reason, or None where nobody came to its end."""

    winner: int | None
    reason: str


Move = Evaluate | GoOn | Stop | Fail | Finish | Ask | End


def plan(candidates: Sequence[Candidate], rules: Rules) -> list[Move]:
    """Return what is to be done next, each at most once; after it was done there may be more."""
    moves: list[Move] = []
    for candidate in candidates:
        if candidate.goes_on and (move := _next_of(candidate, rules)) is not None:
            moves.append(move)
    failing = {move.index for move in moves if isinstance(move, Fail)}
    moves += _rung_decisions([each for each in candidates if each.index not in failing], rules)
    under_way = sum(candidate.goes_on for candidate in candidates)
    if len(candidates) < rules.trials:
        if under_way < rules.at_once:
            moves.append(Ask())
    elif not under_way:
        moves.append(_end(candidates, rules))
    return moves


def clear_losers(judged: Mapping[int, Judged], keep_share: float) -> dict[int, int]:
    """Return which of a rung's candidates are stopped, each with the worst that is kept, which it is compared with.

    The best share is kept, one at least. Of the others those are stopped whose mean score is below that of the worst
    kept by more than two standard errors of the difference. A single episode tells nothing of luck, so it stops nobody.
    """
    if not judged:
        return {}
    order = sorted(judged, key=lambda index: (*(-part for part in judged[index].rank), index))
    kept = max(1, math.ceil(len(order) * keep_share - 1e-9))
    worst = order[kept - 1]
    return {index: worst for index in order[kept:] if _is_clearly_worse(judged[index], judged[worst])}


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that were judged, best first: who came further stands before who was stopped."""
    tried = [(candidate, max(candidate.judged)) for candidate in candidates if candidate.judged]
    order = sorted(
        tried,
        key=lambda pair: (
            pair[0].outcome in (STOPPED, FAILED),
            -pair[1],
            *(-part for part in pair[0].judged[pair[1]].rank),
            pair[0].index,
        ),
    )
    return [candidate for candidate, _ in order]


def _is_clearly_worse(one: Judged, other: Judged) -> bool:
    if one.error is None or other.error is None:
        return False
    return other.mean - one.mean > _CLEARLY_IN_STANDARD_ERRORS * math.hypot(one.error, other.error)


def _next_of(candidate: Candidate, rules: Rules) -> Move | None:
    """Return what is to be done about a candidate alone; None while it trains or waits."""
    if ended := _ended_early(candidate):
        return Fail(candidate.index, ended)
    if not is_due(candidate, rules) or candidate.newest is None:
        return None
    if candidate.rung in candidate.judged:
        return Finish(candidate.index) if candidate.rung == len(rules.rungs) else None
    if candidate.newest.refusal:
        return Fail(candidate.index, f"Its checkpoint gives no policy: {candidate.newest.refusal}")
    return Evaluate(candidate.index, candidate.rung, candidate.newest) if candidate.newest.policy_id else None


def _ended_early(candidate: Candidate) -> str:
    """Return why a candidate's run does not come to its end; nothing where it may."""
    if candidate.run_state is None:
        return "Its run was deleted."
    if candidate.run_state == trainer_pb2.RUN_STATE_FAILED:
        return f"Its training failed: {candidate.error}"
    return "Its run was cancelled by a person." if candidate.run_state == trainer_pb2.RUN_STATE_CANCELLED else ""


def is_due(candidate: Candidate, rules: Rules) -> bool:
    """Whether a candidate has come to where it is judged next."""
    if candidate.run_state == trainer_pb2.RUN_STATE_SUCCEEDED:
        return True
    if candidate.run_state != trainer_pb2.RUN_STATE_PAUSED or candidate.rung >= len(rules.rungs):
        return False
    return candidate.newest is not None and candidate.newest.env_steps >= rules.rungs[candidate.rung]


def _rung_decisions(candidates: Sequence[Candidate], rules: Rules) -> list[Move]:
    """Return who passes a rung and who is stopped at it."""
    moves: list[Move] = []
    for rung in range(len(rules.rungs)):
        there = [each for each in candidates if each.goes_on and each.rung == rung]
        decided = [each for each in there if rung in each.judged]
        if not decided:
            continue
        if rules.trials:
            cohort = {each.index: each.judged[rung] for each in candidates if rung in each.judged}
        elif any(each.goes_on and each.rung <= rung and rung not in each.judged for each in candidates):
            continue
        else:
            cohort = {each.index: each.judged[rung] for each in decided}
        losers = clear_losers(cohort, rules.keep_share)
        labels = {each.index: each.label for each in candidates}
        for each in decided:
            if each.index in losers:
                worst = losers[each.index]
                moves.append(Stop(each.index, _stopped(each, cohort, worst, labels[worst], rules)))
            else:
                moves.append(GoOn(each.index))
    return moves


def _stopped(loser: Candidate, cohort: Mapping[int, Judged], worst: int, label: str, rules: Rules) -> str:
    what = "score" if rules.by_check else "return"
    steps = rules.rungs[loser.rung]
    return (
        f"Stopped at the rung of {steps:,} steps: its {what} of {cohort[loser.index]} is clearly below the "
        f"{cohort[worst]} of {label}, the last that was kept."
    )


def _end(candidates: Sequence[Candidate], rules: Rules) -> End:
    finished = [each for each in ranked(candidates) if each.outcome == FINISHED]
    if not finished:
        return End(None, "No candidate came to its end; each of them says why.")
    best = finished[0]
    own = best.judged[len(rules.rungs)]
    said = f"{_result(own, rules)}."
    if len(finished) == 1:
        others = "the only one" if len(candidates) == 1 else "the only one of them that was trained to its end"
        return End(best.index, f"{said} It is {others}.")
    second = finished[1].judged[len(rules.rungs)]
    said = f"{_result(own, rules)}; of {finished[1].label}, the next: {_result(second, rules).lower()}."
    if not _is_clearly_worse(second, own):
        said += " The difference is within the luck of these episodes."
    return End(best.index, said)


def _result(judged: Judged, rules: Rules) -> str:
    if not rules.by_check:
        return f"Evaluated return {judged} over {len(judged.scores)} episodes"
    return f"The check held in {judged.held} of {len(judged.scores)} episodes, score {judged}"
