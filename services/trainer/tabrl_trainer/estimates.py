"""How long a run would take, and what it would cost: from what was seen here, or from the release's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2

from tabrl_trainer.compute import MODAL, executor_of, usd_per_sec
from tabrl_trainer.models import AttemptRow, RunRow
from tabrl_trainer.record import ENDED
from tabrl_trainer.speeds import RENTED, Speed, default_speed

_RUNS_LOOKED_AT = 50
_RUNS_USED = 5
# Shorter trainings say little about the speed.
_LEAST_TRAINING_SECS = 2.0
# The fields that decide how fast a run is; length, seed and step sizes do not.
_DECISIVE = ("num_envs", "unroll_length", "num_minibatches", "updates_per_batch", "hidden_layer_sizes")


@dataclass(frozen=True)
class Measured:
    """A speed, and the number of runs it was measured on (0: the release's table)."""

    speed: Speed
    runs: int


def estimate(session: Session, spec: trainer_pb2.RunSpec, *, slots: int) -> trainer_pb2.EstimateRunResponse:
    """Return the estimate for a spec whose settings are filled in."""
    measured = _measure(session, spec)
    duration_secs = measured.speed.startup_secs + spec.settings.env_steps / measured.speed.env_steps_per_sec
    usd = usd_per_sec(spec)
    return trainer_pb2.EstimateRunResponse(
        duration_secs=duration_secs,
        startup_secs=measured.speed.startup_secs,
        env_steps_per_sec=measured.speed.env_steps_per_sec,
        measured_runs=measured.runs,
        settings=spec.settings,
        queue_secs=_queue_secs(session, executor_of(spec), slots),
        cost_usd=None if usd is None else usd * duration_secs,
        usd_per_hour=None if usd is None else usd * 3600,
    )


def _measure(session: Session, spec: trainer_pb2.RunSpec) -> Measured:
    """Return the speed of the newest runs of the environment, of those alike in size and reward where there are any."""
    rows = session.execute(
        sa.select(AttemptRow, RunRow.spec)
        .join(RunRow, RunRow.run_id == AttemptRow.run_id)
        .where(RunRow.environment_id == spec.environment_id, AttemptRow.training_secs >= _LEAST_TRAINING_SECS)
        .order_by(AttemptRow.start_time.desc())
        .limit(_RUNS_LOOKED_AT)
    ).all()
    seen = [
        (row, kept) for row, data in rows if _machine(kept := trainer_pb2.RunSpec.FromString(data)) == _machine(spec)
    ]
    alike = [row for row, kept in seen if _shape(kept) == _shape(spec)]
    attempts = (alike or [row for row, _ in seen])[:_RUNS_USED]
    if not attempts:
        return Measured(RENTED if executor_of(spec) == MODAL else default_speed(spec.environment_id), 0)
    return Measured(_mean_speed(attempts), len({row.run_id for row in attempts}))


def _mean_speed(attempts: Sequence[AttemptRow]) -> Speed:
    training_secs = sum(row.training_secs for row in attempts)
    return Speed(
        startup_secs=sum(row.startup_secs or 0.0 for row in attempts) / len(attempts),
        env_steps_per_sec=max(sum(row.env_steps for row in attempts) / training_secs, 1.0),
    )


def _machine(spec: trainer_pb2.RunSpec) -> tuple[str, str]:
    return executor_of(spec), spec.compute.gpu


def _shape(spec: trainer_pb2.RunSpec) -> tuple[object, ...]:
    values = [getattr(spec.settings, name) for name in _DECISIVE]
    return (
        spec.HasField("reward"),
        spec.backend,
        *(tuple(value) if hasattr(value, "__iter__") else value for value in values),
    )


def _queue_secs(session: Session, executor: str, slots: int) -> float:
    """Return the wait for a slot: what the runs before it still need, shared among the slots."""
    waiting = session.scalars(
        sa.select(RunRow).where(
            RunRow.executor == executor, RunRow.state.not_in((*ENDED, trainer_pb2.RUN_STATE_PAUSED))
        )
    ).all()
    if len(waiting) < slots:
        return 0.0
    return sum(_remaining_secs(session, run) for run in waiting) / slots


def _remaining_secs(session: Session, run: RunRow) -> float:
    spec = trainer_pb2.RunSpec.FromString(run.spec)
    if run.metrics is not None:
        return trainer_pb2.TrainingMetrics.FromString(run.metrics).remaining_secs
    speed = _measure(session, spec).speed
    return speed.startup_secs + spec.settings.env_steps / speed.env_steps_per_sec
