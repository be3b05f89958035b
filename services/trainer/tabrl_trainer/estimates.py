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


@dataclass(frozen=True)
class _Attempt:
    """An attempt that says how fast its environment is, and what decided that."""

    run_id: str
    startup_secs: float
    training_secs: float
    env_steps: int
    machine: tuple[str, str]
    shape: tuple[object, ...]


class _Measurements:
    """How fast runs were; what is on record of an environment is read once, however many ask."""

    def __init__(self, session: Session) -> None:
        """Start with nothing read."""
        self._session = session
        self._newest: dict[str, Sequence[_Attempt]] = {}

    def of(self, spec: trainer_pb2.RunSpec) -> Measured:
        """Return the speed of the environment's newest runs, of those alike in size and reward where there are any."""
        seen = [each for each in self._newest_of(spec.environment_id) if each.machine == _machine(spec)]
        shape = _shape(spec)
        attempts = ([each for each in seen if each.shape == shape] or seen)[:_RUNS_USED]
        if not attempts:
            return Measured(RENTED if executor_of(spec) == MODAL else default_speed(spec.environment_id), 0)
        return Measured(_mean_speed(attempts), len({each.run_id for each in attempts}))

    def _newest_of(self, environment_id: str) -> Sequence[_Attempt]:
        if environment_id not in self._newest:
            self._newest[environment_id] = _read(self._session, environment_id)
        return self._newest[environment_id]


def estimate(session: Session, spec: trainer_pb2.RunSpec, *, slots: int) -> trainer_pb2.EstimateRunResponse:
    """Return the estimate for a spec whose settings are filled in."""
    measurements = _Measurements(session)
    measured = measurements.of(spec)
    duration_secs = measured.speed.startup_secs + spec.settings.env_steps / measured.speed.env_steps_per_sec
    usd = usd_per_sec(spec)
    return trainer_pb2.EstimateRunResponse(
        duration_secs=duration_secs,
        startup_secs=measured.speed.startup_secs,
        env_steps_per_sec=measured.speed.env_steps_per_sec,
        measured_runs=measured.runs,
        settings=spec.settings,
        queue_secs=_queue_secs(session, measurements, executor_of(spec), slots),
        cost_usd=None if usd is None else usd * duration_secs,
        usd_per_hour=None if usd is None else usd * 3600,
    )


def env_steps_per_sec(session: Session, specs: Sequence[trainer_pb2.RunSpec]) -> list[float]:
    """Return how fast each of some runs would be, in environment steps per second."""
    measurements = _Measurements(session)
    return [measurements.of(spec).speed.env_steps_per_sec for spec in specs]


def _read(session: Session, environment_id: str) -> Sequence[_Attempt]:
    """Return the newest attempts at an environment that trained for long enough."""
    rows = session.execute(
        sa.select(AttemptRow, RunRow.spec)
        .join(RunRow, RunRow.run_id == AttemptRow.run_id)
        .where(RunRow.environment_id == environment_id, AttemptRow.training_secs >= _LEAST_TRAINING_SECS)
        .order_by(AttemptRow.start_time.desc())
        .limit(_RUNS_LOOKED_AT)
    )
    attempts = []
    for row, data in rows:
        spec = trainer_pb2.RunSpec.FromString(data)
        attempts.append(
            _Attempt(
                row.run_id,
                row.startup_secs or 0.0,
                row.training_secs,
                row.env_steps,
                _machine(spec),
                _shape(spec),
            )
        )
    return attempts


def _mean_speed(attempts: Sequence[_Attempt]) -> Speed:
    training_secs = sum(each.training_secs for each in attempts)
    return Speed(
        startup_secs=sum(each.startup_secs for each in attempts) / len(attempts),
        env_steps_per_sec=max(sum(each.env_steps for each in attempts) / training_secs, 1.0),
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


def _queue_secs(session: Session, measurements: _Measurements, executor: str, slots: int) -> float:
    """Return the wait for a slot: what the runs before it still need, shared among the slots."""
    waiting = session.execute(
        sa.select(RunRow.spec, RunRow.metrics).where(
            RunRow.executor == executor, RunRow.state.not_in((*ENDED, trainer_pb2.RUN_STATE_PAUSED))
        )
    ).all()
    if len(waiting) < slots:
        return 0.0
    return sum(_remaining_secs(measurements, spec, metrics) for spec, metrics in waiting) / slots


def _remaining_secs(measurements: _Measurements, spec: bytes, metrics: bytes | None) -> float:
    if metrics is not None:
        return trainer_pb2.TrainingMetrics.FromString(metrics).remaining_secs
    run = trainer_pb2.RunSpec.FromString(spec)
    speed = measurements.of(run).speed
    return speed.startup_secs + run.settings.env_steps / speed.env_steps_per_sec
