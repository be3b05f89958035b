"""What a worker says, put on record: one place for workers of this machine and for those elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.failpoints import reach

from tabrl_trainer import attempts, leases
from tabrl_trainer.models import CheckpointRow, RunRow
from tabrl_trainer.protocol import EXIT_TRY_AGAIN
from tabrl_trainer.record import PENDING, UNREACHABLE, Record, append, change_state, newest_checkpoint
from tabrl_trainer.retention import keep

ENV_STEPS = Counter("tabrl_trainer_env_steps", "Control steps trained.", ["environment"])
ENV_STEPS_PER_SEC = Gauge(
    "tabrl_trainer_env_steps_per_second", "Control steps per second of the runs under way.", ["run"]
)
CHECKPOINTS = Counter("tabrl_trainer_checkpoints", "Checkpoints recorded.", ["environment"])

LEFT = "left"

_LONGEST_COMPLAINT_CHARS = 500


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: `finished`, `failed` (with `error`), `crashed`, `deferred`, `interrupted` by us, or `left`.

    A deferred one could not go on for now: the disk is full, or the database is locked. One that is left trains on
    without this Trainer, which stops.
    """

    outcome: str
    detail: str = ""
    error: trainer_pb2.RunError | None = None


Admit = Callable[[Session, RunRow], bool]


def _admit(_session: Session, _run: RunRow) -> bool:
    return True


class WorkerEvents:
    """Puts the events of one attempt on record, and remembers what its worker said last."""

    def __init__(
        self, record: Record, run_id: str, attempt: int, environment_id: str, *, persistently: bool = False
    ) -> None:
        """Begin with an attempt from which nothing was heard.

        What cannot be written for now raises, or is written `persistently`, for a worker that trains on meanwhile.
        """
        self.said_last: Ending | None = None
        self._record = record
        self._persistently = persistently
        self._run_id = run_id
        self._attempt = attempt
        self._environment_id = environment_id
        self._startup_secs: float | None = None
        self._first_steps = 0
        self._counted_steps = 0

    def measure_from(self, startup_secs: float | None, first_steps: int) -> None:
        """Measure the speed of training from here on: the seconds and steps at the first metrics, or None for anew."""
        self._startup_secs, self._first_steps = startup_secs, first_steps

    async def put(self, event: trainer_pb2.RunEvent, admit: Admit = _admit) -> None:
        """Put an event on record, unless `admit`, called first in the same transaction, returns False.

        Raises:
            LeaseLost: a later attempt, or another Trainer, has the run.
        """
        match event.WhichOneof("event"):
            case "state_changed":
                await self._state(event.state_changed, admit)
            case "metrics":
                await self._commit(lambda session, run: self._metrics(session, run, event), admit)
                reach("trainer.metrics_recorded")
                made = event.metrics.env_steps - self._counted_steps
                self._counted_steps = event.metrics.env_steps
                ENV_STEPS.labels(self._environment_id).inc(max(made, 0))
                ENV_STEPS_PER_SEC.labels(self._run_id).set(event.metrics.env_steps_per_sec)
            case "checkpoint":
                reach("trainer.checkpoint_heard")
                await self._commit(lambda session, run: self._checkpoint(session, run, event), admit)
                reach("trainer.checkpoint_recorded")
                CHECKPOINTS.labels(self._environment_id).inc()
            case "log":
                await self._commit(lambda session, run: append(session, run, event), admit)

    def close(self) -> None:
        """Forget the run's speed of the moment."""
        ENV_STEPS_PER_SEC.remove_by_labels({"run": self._run_id})

    def ending(self, status: int, complaint: str) -> Ending:
        """Return how the attempt ended, by its worker's exit status and the last line of its stderr."""
        complaint = complaint[:_LONGEST_COMPLAINT_CHARS]
        if self.said_last is not None and (status == 0 or self.said_last.outcome == "failed"):
            return self.said_last
        if status == EXIT_TRY_AGAIN:
            return Ending("deferred", complaint)
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return Ending(attempts.CRASHED, f"{how}: {complaint}" if complaint else how)

    async def _state(self, changed: trainer_pb2.StateChanged, admit: Admit) -> None:
        if changed.state == trainer_pb2.RUN_STATE_RUNNING:
            await self._commit(self._learns, admit)
        elif changed.state == trainer_pb2.RUN_STATE_SUCCEEDED:
            self.said_last = Ending("finished")
        elif changed.state == trainer_pb2.RUN_STATE_FAILED:
            self.said_last = Ending("failed", changed.error.message, changed.error)

    async def _commit(self, work: Callable[[Session, RunRow], None], admit: Admit) -> None:
        def transaction(session: Session, run: RunRow) -> None:
            # Whose run another Trainer, or a later attempt, has taken over may write no longer.
            if not attempts.is_current(session, run.run_id, self._attempt):
                raise leases.LeaseLost(run.run_id)
            if admit(session, run):
                work(session, run)

        write = self._record.write_persistently if self._persistently else self._record.write
        await write(self._run_id, transaction)

    def _learns(self, session: Session, run: RunRow) -> None:
        if run.state == trainer_pb2.RUN_STATE_STARTING:
            change_state(session, run, trainer_pb2.RUN_STATE_RUNNING)

    def _metrics(self, session: Session, run: RunRow, event: trainer_pb2.RunEvent) -> None:
        metrics = event.metrics
        if run.cost_usd is not None:
            metrics.cost_usd = run.cost_usd
        if self._startup_secs is None:
            # Throughput is measured from the first metrics on: before them lie loading and compiling.
            self._startup_secs, self._first_steps = metrics.elapsed_secs, metrics.env_steps
            self._counted_steps = metrics.env_steps
        attempts.progress(
            session,
            self._run_id,
            self._attempt,
            startup_secs=self._startup_secs,
            training_secs=metrics.elapsed_secs - self._startup_secs,
            env_steps=metrics.env_steps - self._first_steps,
        )
        run.metrics = metrics.SerializeToString()
        append(session, run, event)

    def _checkpoint(self, session: Session, run: RunRow, event: trainer_pb2.RunEvent) -> None:
        """Put a checkpoint on record, unless the record is further already."""
        checkpoint = event.checkpoint
        if not is_further(checkpoint, newest_checkpoint(session, self._run_id)):
            return
        attempts.overcome_crashes(session, self._run_id)
        keep(session, checkpoint.artifact.sha256)
        session.add(
            CheckpointRow(
                run_id=self._run_id,
                env_steps=checkpoint.env_steps,
                sha256=checkpoint.artifact.sha256,
                size_bytes=checkpoint.artifact.size_bytes,
                media_type=checkpoint.artifact.media_type,
                episode_return=checkpoint.episode_return if checkpoint.HasField("episode_return") else None,
                final=checkpoint.final,
                policy_id="",
                publication=PENDING,
            )
        )
        if run.publishing != UNREACHABLE:
            run.publishing = PENDING
        append(session, run, event)


def is_further(checkpoint: trainer_pb2.Checkpoint, newest: CheckpointRow | None) -> bool:
    """Whether a checkpoint is ahead of the newest on record; the final one may be of the same step."""
    if newest is None:
        return True
    if newest.final:
        return False
    return checkpoint.env_steps > newest.env_steps or (checkpoint.final and checkpoint.env_steps == newest.env_steps)
