"""One worker process: starts it, puts what it says on record, and finds out how it ended."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.failpoints import reach
from tabrl_chassis.logs import get_logger
from tabrl_chassis.processes import start_python, stop
from tabrl_simulation.backends import has_gpu

from tabrl_trainer import attempts, leases
from tabrl_trainer.models import CheckpointRow, RunRow
from tabrl_trainer.protocol import EXIT_TRY_AGAIN, Job, MalformedLine, parse_event
from tabrl_trainer.record import PENDING, UNREACHABLE, Record, append, change_state, newest_checkpoint
from tabrl_trainer.retention import keep

# CancelRun promises to stop a run within 5 s.
_CANCEL_GRACE_SECS = 3.0
_DRAIN_GRACE_SECS = 2.0
_LAST_WORDS_SECS = 1.0
_LONGEST_LINE_BYTES = 1 << 20
_STDERR_LINES_KEPT = 20

ENV_STEPS = Counter("tabrl_trainer_env_steps", "Control steps trained.", ["environment"])
ENV_STEPS_PER_SEC = Gauge(
    "tabrl_trainer_env_steps_per_second", "Control steps per second of the runs under way.", ["run"]
)
CHECKPOINTS = Counter("tabrl_trainer_checkpoints", "Checkpoints recorded.", ["environment"])

_log = get_logger("tabrl_trainer.worker")


@dataclass(frozen=True)
class Ending:
    """How a worker ended: `finished`, `paused`, `failed` (with `error`), `crashed`, `deferred`, or `interrupted` by us.

    A paused one has come to the steps at which it was to pause.
    A deferred one could not go on for now: the disk is full, or the database is locked.
    """

    outcome: str
    detail: str = ""
    error: trainer_pb2.RunError | None = None


@dataclass
class WorkerProcess:
    """The process of one attempt."""

    record: Record
    run_id: str
    attempt: int
    _last: Ending | None = None
    _startup_secs: float | None = None
    _first_steps: int = 0
    _counted_steps: int = 0
    _stderr: deque[str] = field(default_factory=lambda: deque(maxlen=_STDERR_LINES_KEPT))

    async def run(self, worker: Sequence[str], job: Job, *, niceness: int, cancelled: asyncio.Event) -> Ending:
        """Run the worker to its end and return how it ended.

        When `cancelled` is set, or this coroutine is cancelled, the worker is told to stop, then killed.
        """
        pipe = asyncio.subprocess.PIPE
        process = await start_python(
            worker,
            niceness=niceness,
            environment=_environment(job.spec) | os.environ,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=_LONGEST_LINE_BYTES,
        )
        said = asyncio.create_task(self._read_events(process, job))
        complained = asyncio.create_task(self._read_complaints(process))
        told_to_stop = asyncio.create_task(_stop_when(cancelled, process))
        try:
            reach("trainer.worker_started")
            await _send(process, job)
            reach("trainer.job_sent")
            # Not gather, which would stop listening when this is cancelled: the last words come after that.
            done, _ = await asyncio.wait({said, complained}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # raises: a worker whose words cannot be put on record must not train on unheard
            status = await process.wait()
        finally:
            told_to_stop.cancel()
            if process.returncode is None:
                await stop(process, grace_secs=_DRAIN_GRACE_SECS)
                # What it said last, its checkpoint above all, is still in the pipe.
                await asyncio.wait({said}, timeout=_LAST_WORDS_SECS)
            if said.done() and not said.cancelled():
                said.exception()  # seen, also where the wait above was cancelled
            said.cancel()
            complained.cancel()
            ENV_STEPS_PER_SEC.remove_by_labels({"run": self.run_id})
        if cancelled.is_set():
            return Ending("interrupted", "stopped on request")
        if self._last is not None and (status == 0 or self._last.outcome == "failed"):
            return self._last
        if status == EXIT_TRY_AGAIN:
            return Ending("deferred", self._stderr[-1][:500] if self._stderr else "")
        return Ending(attempts.CRASHED, self._crash(status))

    async def _read_events(self, process: asyncio.subprocess.Process, job: Job) -> None:
        assert process.stdout is not None
        async for line in _lines(process.stdout):
            try:
                event = parse_event(line)
            except MalformedLine as error:
                _log.warning("worker wrote no event", run=self.run_id, error=str(error))
                continue
            await self._put_on_record(event, job.spec.environment_id)

    async def _read_complaints(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in _lines(process.stderr):
            text = line.decode(errors="replace").rstrip()
            if text:
                self._stderr.append(text)
                _log.info("worker", run=self.run_id, line=text[:2000])

    async def _put_on_record(self, event: trainer_pb2.RunEvent, environment_id: str) -> None:
        match event.WhichOneof("event"):
            case "state_changed":
                await self._state(event.state_changed)
            case "metrics":
                await self.record.write(self.run_id, lambda session, run: self._metrics(session, run, event))
                reach("trainer.metrics_recorded")
                made = event.metrics.env_steps - self._counted_steps
                self._counted_steps = event.metrics.env_steps
                ENV_STEPS.labels(environment_id).inc(max(made, 0))
                ENV_STEPS_PER_SEC.labels(self.run_id).set(event.metrics.env_steps_per_sec)
            case "checkpoint":
                reach("trainer.checkpoint_heard")
                await self.record.write(self.run_id, lambda session, run: self._checkpoint(session, run, event))
                reach("trainer.checkpoint_recorded")
                CHECKPOINTS.labels(environment_id).inc()
            case "log":
                await self.record.write(self.run_id, lambda session, run: self._log(session, run, event))

    async def _state(self, changed: trainer_pb2.StateChanged) -> None:
        if changed.state == trainer_pb2.RUN_STATE_RUNNING:
            await self.record.write(self.run_id, self._learns)
        elif changed.state == trainer_pb2.RUN_STATE_SUCCEEDED:
            self._last = Ending("finished")
        elif changed.state == trainer_pb2.RUN_STATE_PAUSED:
            self._last = Ending("paused")
        elif changed.state == trainer_pb2.RUN_STATE_FAILED:
            self._last = Ending("failed", changed.error.message, changed.error)

    def _learns(self, session: Session, run: RunRow) -> None:
        self._require_current(session, run)
        if run.state == trainer_pb2.RUN_STATE_STARTING:
            change_state(session, run, trainer_pb2.RUN_STATE_RUNNING)

    def _metrics(self, session: Session, run: RunRow, event: trainer_pb2.RunEvent) -> None:
        self._require_current(session, run)
        metrics = event.metrics
        if self._startup_secs is None:
            # Throughput is measured from the first metrics on: before them lie loading and compiling.
            self._startup_secs, self._first_steps = metrics.elapsed_secs, metrics.env_steps
            self._counted_steps = metrics.env_steps
        attempts.progress(
            session,
            self.run_id,
            self.attempt,
            startup_secs=self._startup_secs,
            training_secs=metrics.elapsed_secs - self._startup_secs,
            env_steps=metrics.env_steps - self._first_steps,
        )
        run.metrics = metrics.SerializeToString()
        append(session, run, event)

    def _log(self, session: Session, run: RunRow, event: trainer_pb2.RunEvent) -> None:
        self._require_current(session, run)
        append(session, run, event)

    def _checkpoint(self, session: Session, run: RunRow, event: trainer_pb2.RunEvent) -> None:
        """Put a checkpoint on record, unless the record is further already."""
        checkpoint = event.checkpoint
        self._require_current(session, run)
        if not _is_further(checkpoint, newest_checkpoint(session, self.run_id)):
            return
        attempts.overcome_crashes(session, self.run_id)
        keep(session, checkpoint.artifact.sha256)
        session.add(
            CheckpointRow(
                run_id=self.run_id,
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

    def _require_current(self, session: Session, run: RunRow) -> None:
        """Refuse what a worker says whose run another Trainer, or a later attempt, has taken over."""
        if not attempts.is_current(session, run.run_id, self.attempt):
            raise leases.LeaseLost(run.run_id)

    def _crash(self, status: int) -> str:
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"{how}: {self._stderr[-1][:500]}" if self._stderr else how


def _environment(spec: trainer_pb2.RunSpec) -> dict[str, str]:
    """Return the environment variables of a worker, where they are not set already."""
    # XLA prints kilobytes of harmless lines otherwise.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if has_gpu() and spec.backend != trainer_pb2.PHYSICS_BACKEND_MUJOCO_C:
        return quiet
    # With physics on the processor, each step's arrays would travel to a GPU and back for little work there.
    return quiet | {"JAX_PLATFORMS": "cpu"}


def _is_further(checkpoint: trainer_pb2.Checkpoint, newest: CheckpointRow | None) -> bool:
    """Whether a checkpoint is ahead of the newest on record; the final one may be of the same step."""
    if newest is None:
        return True
    if newest.final:
        return False
    return checkpoint.env_steps > newest.env_steps or (checkpoint.final and checkpoint.env_steps == newest.env_steps)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream, without those beyond the limit."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue  # the reader has dropped what was too long; not to read on would block the worker
        if not line:
            return
        yield line


async def _send(process: asyncio.subprocess.Process, job: Job) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(job.to_json().encode())
        await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return  # it is gone already; its exit status tells


async def _stop_when(cancelled: asyncio.Event, process: asyncio.subprocess.Process) -> None:
    await cancelled.wait()
    await stop(process, grace_secs=_CANCEL_GRACE_SECS)
