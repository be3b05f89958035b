"""What a run is to go on from: the checkpoint that is meant, and whether it fits."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, invalid_field, naming
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.service import Context
from tabrl_simulation.checkpoint import BEGINNING_BYTES, Checkpoint, CheckpointError, require_beginning

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.models import CheckpointRow
from tabrl_trainer.record import ENDED, newest_checkpoint, run_row

__all__ = ["incompatible", "read_starting_point", "require_same_robot"]

_PREFIX = "spec.start_from"
_NOT_THERE = ("POLICY_NOT_FOUND", "RUN_NOT_FOUND", "ARTIFACT_NOT_FOUND", "ARTIFACT_DAMAGED")
_EXPORTER_TIMEOUT_SECS = 5.0
_SCENE_TIMEOUT_SECS = 5.0
# The largest network that settings allow makes a checkpoint of 150 MB, and the most environments add 50.
_LARGEST_BYTES = 256 << 20
_READ_AT_ONCE = 2
_MOST_READS = 32

# Each holds a whole file, and what was made of it; those that wait for their turn hold nothing.
_readers = ThreadPoolExecutor(_READ_AT_ONCE, thread_name_prefix="starting-point")
_reads = ConcurrencyLimit("readings of checkpoints", _MOST_READS)


async def read_starting_point(context: Context[TrainerConfig], point: trainer_pb2.StartingPoint) -> Checkpoint:
    """Return the checkpoint that is meant, with the sizes of its arrays alone, and fill in its digest and steps.

    Raises `TabrlError`: RUN_NOT_FOUND, POLICY_NOT_FOUND, INVALID_FIELD where these and the digest do not agree,
    ARTIFACT_NOT_FOUND, ARTIFACT_DAMAGED, CHECKPOINT_INCOMPATIBLE, SERVICE_UNAVAILABLE, TOO_MANY_REQUESTS.
    """
    if point.policy_id:
        point.checkpoint_sha256 = await _of_policy(context, point.policy_id, point.checkpoint_sha256)
    if point.run_id:
        point.checkpoint_sha256 = await context.database.read(
            lambda session: _of_run(session, point.run_id, point.checkpoint_sha256)
        )
    with naming(f"{_PREFIX}.checkpoint_sha256", *_NOT_THERE):
        async with _reads:
            checkpoint = await asyncio.get_running_loop().run_in_executor(
                _readers, _read, context.artifacts, point.checkpoint_sha256
            )
    point.env_steps = checkpoint.env_steps
    return checkpoint


async def require_same_robot(
    context: Context[TrainerConfig], checkpoint: Checkpoint, environment: scene_pb2.Environment
) -> None:
    """Make sure that a checkpoint drives the robot of an environment, whatever it was to do there.

    Raises `TabrlError`: CHECKPOINT_INCOMPATIBLE, SERVICE_UNAVAILABLE.
    """
    wanted = environment.summary.environment_id
    if checkpoint.environment_id == wanted:
        return
    scene = scene_pb2_grpc.SceneServiceStub(context.channel("scene"))
    request = scene_pb2.GetEnvironmentRequest(environment_id=checkpoint.environment_id)
    try:
        response = await call(scene.GetEnvironment, request, service="scene", timeout_secs=_SCENE_TIMEOUT_SECS)
    except TabrlError as error:
        if error.reason != "ENVIRONMENT_NOT_FOUND":
            raise
        raise incompatible(f"The checkpoint is of {checkpoint.environment_id}, which is not here any more") from error
    if _actuators(response.environment) != _actuators(environment):
        raise incompatible(f"The checkpoint drives the robot of {checkpoint.environment_id}, not that of {wanted}")


def incompatible(message: str) -> TabrlError:
    """Return the error of a checkpoint that a run cannot go on from."""
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "CHECKPOINT_INCOMPATIBLE",
        f"{message}; start from another checkpoint, or from scratch.",
        fields=[(_PREFIX, message)],
    )


def _read(artifacts: ArtifactStore, sha256: str) -> Checkpoint:
    """Return a checkpoint with zeros in its arrays, which take no memory: many runs may be checked at once."""
    size = artifacts.describe(sha256).size_bytes
    if size > _LARGEST_BYTES:
        raise incompatible(f"{size:,} bytes are too many for a checkpoint, the largest have {_LARGEST_BYTES:,}")
    try:
        require_beginning(b"".join(artifacts.chunks(sha256, 0, BEGINNING_BYTES)))
        checkpoint = Checkpoint.from_bytes(artifacts.read(sha256))
    except CheckpointError as error:
        raise incompatible(str(error)) from error
    sizes = {path: np.broadcast_to(np.zeros((), value.dtype), value.shape) for path, value in checkpoint.arrays.items()}
    return dataclasses.replace(checkpoint, arrays=sizes)


def _actuators(environment: scene_pb2.Environment) -> list[str]:
    return [actuator.name for actuator in environment.structure.actuators]


async def _of_policy(context: Context[TrainerConfig], policy_id: str, sha256: str) -> str:
    """Return the digest of a policy's checkpoint, which must be `sha256` where that is not empty."""
    exporter = exporter_pb2_grpc.ExporterServiceStub(context.channel("exporter"))
    request = exporter_pb2.GetPolicyRequest(policy_id=policy_id)
    with naming(f"{_PREFIX}.policy_id", *_NOT_THERE):
        response = await call(exporter.GetPolicy, request, service="exporter", timeout_secs=_EXPORTER_TIMEOUT_SECS)
    found = str(response.policy.checkpoint_sha256)
    if not found:
        raise invalid_field(
            f"{_PREFIX}.policy_id", f"{policy_id} was imported without its checkpoint; only its maker can train it on"
        )
    if sha256 not in ("", found):
        raise invalid_field(
            f"{_PREFIX}.policy_id", f"{policy_id} was exported from {found}, not from {sha256}; leave one of them out"
        )
    return found


def _of_run(session: Session, run_id: str, sha256: str) -> str:
    """Return `sha256`, which must be of one of the run's checkpoints, or where it is empty the newest one's digest."""
    with naming(f"{_PREFIX}.run_id", *_NOT_THERE):
        run = run_row(session, run_id)
    if not sha256:
        checkpoint = newest_checkpoint(session, run_id)
        if checkpoint is None:
            raise incompatible(f"Run {run_id} has no checkpoint{'' if run.state in ENDED else ' yet'}")
        return checkpoint.sha256
    # Any of them, not the newest alone: a run may train on after another was started from it.
    own = sa.select(CheckpointRow.number).where(CheckpointRow.run_id == run_id, CheckpointRow.sha256 == sha256)
    if session.scalars(own.limit(1)).first() is None:
        raise invalid_field(f"{_PREFIX}.run_id", f"{run_id} has no checkpoint {sha256}; leave one of them out")
    return sha256
