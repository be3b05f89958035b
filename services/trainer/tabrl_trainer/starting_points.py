"""What a run is to go on from: the checkpoint that is meant, and whether it fits."""

from __future__ import annotations

import asyncio

import grpc
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context
from tabrl_simulation.checkpoint import Checkpoint, CheckpointError

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.record import newest_checkpoint, run_row

__all__ = ["incompatible", "read_starting_point", "require_same_robot"]

_EXPORTER_TIMEOUT_SECS = 5.0
_SCENE_TIMEOUT_SECS = 5.0


async def read_starting_point(context: Context[TrainerConfig], point: trainer_pb2.StartingPoint) -> Checkpoint:
    """Return the checkpoint that is meant, and fill in its digest and steps.

    Raises `TabrlError`: RUN_NOT_FOUND, POLICY_NOT_FOUND, ARTIFACT_NOT_FOUND, ARTIFACT_DAMAGED,
    CHECKPOINT_INCOMPATIBLE, SERVICE_UNAVAILABLE.
    """
    if not point.checkpoint_sha256:
        if point.policy_id:
            point.checkpoint_sha256 = await _of_policy(context, point.policy_id)
        else:
            point.checkpoint_sha256 = await context.database.read(lambda session: _of_run(session, point.run_id))
    data = await asyncio.to_thread(context.artifacts.read, point.checkpoint_sha256)
    try:
        checkpoint = await asyncio.to_thread(Checkpoint.from_bytes, data)
    except CheckpointError as error:
        raise incompatible(str(error)) from error
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
        fields=[("spec.start_from", message)],
    )


def _actuators(environment: scene_pb2.Environment) -> list[str]:
    return [actuator.name for actuator in environment.structure.actuators]


async def _of_policy(context: Context[TrainerConfig], policy_id: str) -> str:
    exporter = exporter_pb2_grpc.ExporterServiceStub(context.channel("exporter"))
    request = exporter_pb2.GetPolicyRequest(policy_id=policy_id)
    response = await call(exporter.GetPolicy, request, service="exporter", timeout_secs=_EXPORTER_TIMEOUT_SECS)
    return str(response.policy.checkpoint_sha256)


def _of_run(session: Session, run_id: str) -> str:
    checkpoint = newest_checkpoint(session, run_row(session, run_id).run_id)
    if checkpoint is None:
        raise incompatible(f"Run {run_id} has no checkpoint yet")
    return checkpoint.sha256
