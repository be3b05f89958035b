"""The worker process: trains one run, saying how it goes in lines on stdout. See `protocol`.

`python -m tabrl_trainer.worker` reads its job from stdin. SIGTERM stops it after the update under way, with one more
checkpoint. It dies with the service that started it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tabrl_chassis.failpoints import reach
from tabrl_chassis.processes import die_with_parent

if TYPE_CHECKING:
    from tabrl.trainer.v1 import trainer_pb2
    from tabrl_chassis.artifacts import ArtifactStore
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.training import Metrics

    from tabrl_trainer.protocol import Job

CHECKPOINT_MEDIA_TYPE = "application/vnd.tabrl.checkpoint"
_METRICS_EVERY_SECS = 1.0

Say = Callable[["trainer_pb2.RunEvent"], None]


class _TryAgainLaterError(Exception):
    """Training cannot go on for now."""


@dataclass
class _Stop:
    """Whether SIGTERM came."""

    asked: bool = False


def main() -> None:
    """Train the job on stdin; exits with 0 when the last line says how it ended, EXIT_TRY_AGAIN when it cannot now."""
    started = time.monotonic()
    die_with_parent()
    say = _take_stdout()
    stop = _Stop()
    signal.signal(signal.SIGTERM, lambda _number, _frame: setattr(stop, "asked", True))
    from tabrl_trainer.protocol import EXIT_TRY_AGAIN, Job

    job = Job.from_json(sys.stdin.read())
    try:
        ending = _train_or_fail(job, say, stop, started)
    except _TryAgainLaterError as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(EXIT_TRY_AGAIN)
    reach("worker.trained")
    if ending is not None:
        say(ending)
    # Everything is said and stored; taking jax and its threads down in good order would cost seconds.
    sys.stderr.flush()
    os._exit(0)


def _take_stdout() -> Say:
    """Return what writes events to stdout, and send everything else that is printed to stderr."""
    from tabrl_trainer.protocol import event_line

    pipe = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return lambda event: _write_all(pipe.fileno(), event_line(event))


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _train_or_fail(job: Job, say: Say, stop: _Stop, started: float) -> trainer_pb2.RunEvent | None:
    """Train; return the last event, or None when stopped. Errors that trying again cannot mend become FAILED.

    Raises `_TryAgainLaterError` for those that pass: the store cannot be used, or the disk is full.
    """
    from tabrl.trainer.v1 import trainer_pb2
    from tabrl_chassis.errors import TabrlError
    from tabrl_simulation.backends import BackendUnavailable
    from tabrl_simulation.checkpoint import CheckpointError
    from tabrl_simulation.environments import MissingRobot, UnknownEnvironment
    from tabrl_simulation.rewards.container import ProgramRefused
    from tabrl_simulation.training import RewardMismatch, TrainingDiverged

    reasons: dict[type[Exception], str] = {
        TrainingDiverged: "TRAINING_DIVERGED",
        CheckpointError: "CHECKPOINT_INCOMPATIBLE",
        RewardMismatch: "REWARD_MISMATCH",
        ProgramRefused: "REWARD_MISMATCH",
        UnknownEnvironment: "ENVIRONMENT_NOT_FOUND",
        MissingRobot: "ROBOT_NOT_INSTALLED",
        BackendUnavailable: "BACKEND_UNAVAILABLE",
    }
    try:
        finished = _train(job, say, stop, started)
    except TabrlError as error:
        if error.code.name in ("UNAVAILABLE", "RESOURCE_EXHAUSTED"):
            raise _TryAgainLaterError(f"{error.reason}: {error.message}") from error
        return _failed(error.reason, error.message)
    except tuple(reasons) as error:
        return _failed(next(reason for kind, reason in reasons.items() if isinstance(error, kind)), str(error))
    except RuntimeError as error:
        if type(error).__name__ != "JaxRuntimeError" or "RESOURCE_EXHAUSTED" not in str(error):
            raise
        words = " ".join(str(error).split())[:200]
        remedy = "Take fewer environments (num_envs), a shorter unroll_length or smaller hidden layers"
        return _failed("OUT_OF_MEMORY", f"The memory does not suffice for these settings ({words}). {remedy}.")
    if stop.asked and not finished:
        return None
    state = trainer_pb2.RUN_STATE_SUCCEEDED if finished else trainer_pb2.RUN_STATE_PAUSED
    return trainer_pb2.RunEvent(state_changed=trainer_pb2.StateChanged(state=state))


def _train(job: Job, say: Say, stop: _Stop, started: float) -> bool:
    """Train to the end, to where the job pauses, or until stopped; return whether the end was reached."""
    from tabrl.trainer.v1 import trainer_pb2
    from tabrl_chassis.artifacts import ArtifactStore
    from tabrl_simulation import environments
    from tabrl_simulation.checkpoint import Checkpoint
    from tabrl_simulation.training import default_settings, train

    from tabrl_trainer.settings import backend_of, settings_of
    from tabrl_trainer.speeds import RemainingTime, default_speed

    artifacts = ArtifactStore(job.artifacts_url)
    resume = Checkpoint.from_bytes(artifacts.read(job.resume_sha256)) if job.resume_sha256 else None
    start_from = Checkpoint.from_bytes(artifacts.read(job.start_sha256)) if job.start_sha256 else None
    reward = None
    if job.spec.HasField("reward"):
        from tabrl_simulation.rewards.program import RewardProgram

        reward = RewardProgram.from_bytes(artifacts.read(job.spec.reward.program_sha256))
    environment = environments.load(job.spec.environment_id)
    reach("worker.loaded")
    loading_secs = time.monotonic() - started
    settings = settings_of(job.spec.settings, default_settings(environment.id))
    remaining = RemainingTime(settings.env_steps, default_speed(environment.id).env_steps_per_sec)
    learns = False
    # What an earlier process of this run has said already is not said again.
    told_until = resume.env_steps if resume is not None else 0
    told: set[tuple[str, str]] = set()

    def on_metrics(metrics: Metrics) -> None:
        nonlocal learns
        if not learns:
            learns = True
            say(trainer_pb2.RunEvent(state_changed=trainer_pb2.StateChanged(state=trainer_pb2.RUN_STATE_RUNNING)))
        message = _metrics_message(metrics, loading_secs)
        message.remaining_secs = remaining.after(message.env_steps, message.elapsed_secs)
        say(trainer_pb2.RunEvent(metrics=message))
        for warning in metrics.warnings:
            if warning.env_steps > told_until and (warning.kind, warning.term) not in told:
                told.add((warning.kind, warning.term))
                line = trainer_pb2.LogLine(level=trainer_pb2.LOG_LEVEL_WARNING, text=warning.text)
                say(trainer_pb2.RunEvent(log=line))

    result = train(
        environment,
        settings,
        reward=reward,
        weights=dict(job.spec.reward.weights),
        backend=backend_of(job.spec),
        resume=resume,
        start_from=start_from,
        checkpoint_every_secs=job.checkpoint_secs,
        metrics_every_secs=_METRICS_EVERY_SECS,
        on_metrics=on_metrics,
        on_checkpoint=lambda checkpoint: say(_keep(artifacts, checkpoint)),
        should_stop=lambda: stop.asked,
        stop_after_env_steps=job.pause_env_steps or None,
    )
    return result.finished


def _keep(artifacts: ArtifactStore, checkpoint: Checkpoint) -> trainer_pb2.RunEvent:
    """Store a checkpoint and return the event that tells of it."""
    from tabrl.trainer.v1 import trainer_pb2

    data = checkpoint.to_bytes()
    reach("worker.checkpoint_made")
    artifact = artifacts.put(data, CHECKPOINT_MEDIA_TYPE)
    reach("worker.checkpoint_stored")
    message = trainer_pb2.Checkpoint(
        env_steps=checkpoint.env_steps,
        artifact=artifact,
        episode_return=checkpoint.episode_return,
        final=checkpoint.final,
    )
    return trainer_pb2.RunEvent(checkpoint=message)


def _metrics_message(metrics: Metrics, loading_secs: float) -> trainer_pb2.TrainingMetrics:
    """Return metrics as the contract has them, with the time since the process started."""
    from tabrl.trainer.v1 import trainer_pb2

    fields = asdict(metrics)
    fields["elapsed_secs"] += loading_secs
    for warning in fields["warnings"]:
        warning["kind"] = f"TERM_WARNING_KIND_{warning['kind'].upper()}"
    return trainer_pb2.TrainingMetrics(**fields)


def _failed(reason: str, message: str) -> trainer_pb2.RunEvent:
    from tabrl.trainer.v1 import trainer_pb2

    error = trainer_pb2.RunError(reason=reason, message=message)
    changed = trainer_pb2.StateChanged(state=trainer_pb2.RUN_STATE_FAILED, error=error)
    return trainer_pb2.RunEvent(state_changed=changed)


if __name__ == "__main__":
    main()
