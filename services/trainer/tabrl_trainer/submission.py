"""Checks what a run is asked to train, and fills in what was left out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError, invalid_field, naming
from tabrl_chassis.service import Context
from tabrl_simulation.backends import MUJOCO_C, BackendUnavailable, require
from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
from tabrl_simulation.rewards.container import ProgramHeader, ProgramRefused, unpack
from tabrl_simulation.rewards.onnx_gate import check_onnx
from tabrl_simulation.settings import InvalidSettings, Settings, default_settings, require_trainable
from tabrl_simulation.starting_point import fine_tuning_defaults, require_fits

from tabrl_trainer.compute import MODAL, executor_of, fill_compute
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.fitting import require_memory
from tabrl_trainer.settings import backend_of, settings_message, settings_of
from tabrl_trainer.starting_points import incompatible, read_starting_point, require_same_robot

_NOT_THERE = ("ARTIFACT_NOT_FOUND", "ARTIFACT_DAMAGED")
_SCENE_TIMEOUT_SECS = 5.0


@dataclass(frozen=True)
class Submission:
    """A run that can be trained: its spec with every setting filled in, and the environment's fingerprint."""

    spec: trainer_pb2.RunSpec
    environment_fingerprint: str


async def check_spec(context: Context[TrainerConfig], spec: trainer_pb2.RunSpec) -> Submission:
    """Return what a spec asks for.

    Raises `TabrlError`: ENVIRONMENT_NOT_FOUND, ARTIFACT_NOT_FOUND, ARTIFACT_DAMAGED, REWARD_MISMATCH, INVALID_FIELD,
    BACKEND_UNAVAILABLE, SERVICE_UNAVAILABLE, and those of `read_starting_point`.
    """
    scene = scene_pb2_grpc.SceneServiceStub(context.channel("scene"))
    request = scene_pb2.GetEnvironmentRequest(environment_id=spec.environment_id)
    with naming("spec.environment_id", "ENVIRONMENT_NOT_FOUND"):
        response = await call(scene.GetEnvironment, request, service="scene", timeout_secs=_SCENE_TIMEOUT_SECS)
    fingerprint = response.environment.fingerprint
    filled = trainer_pb2.RunSpec()
    filled.CopyFrom(spec)
    start_from = None
    if spec.HasField("start_from"):
        start_from = await read_starting_point(context, filled.start_from)
    settings = _settings(spec, start_from)
    filled.settings.CopyFrom(settings_message(settings))
    if start_from is not None:
        _check_sizes(start_from, settings, response.environment)
        await require_same_robot(context, start_from, response.environment)
    fill_compute(filled)
    require_memory(filled, settings, response.environment)
    check_backend(spec)
    if spec.HasField("reward"):
        await asyncio.to_thread(_check_reward, context.artifacts, spec, fingerprint)
    return Submission(filled, fingerprint)


async def check_varied(context: Context[TrainerConfig], spec: trainer_pb2.RunSpec) -> Submission:
    """Return what a spec asks for that was checked before, but for some of its numbers; raises as `check_spec`.

    Whose checkpoint it starts from is not looked at again: that run may have been deleted since.
    """
    varied = trainer_pb2.RunSpec()
    varied.CopyFrom(spec)
    if not spec.HasField("start_from"):
        return await check_spec(context, varied)
    varied.start_from.ClearField("policy_id")
    varied.start_from.ClearField("run_id")
    submission = await check_spec(context, varied)
    submission.spec.start_from.CopyFrom(spec.start_from)
    return submission


def check_backend(spec: trainer_pb2.RunSpec) -> None:
    """Refuses physics that cannot be had here, or that lack what the settings ask for. Raises `TabrlError`."""
    backend = backend_of(spec)
    if backend is None:
        return
    if spec.settings.domain_randomization and backend != MUJOCO_C:
        description = f"{backend} does not do it yet; leave it out, or take mujoco-c as the backend"
        raise invalid_field("spec.settings.domain_randomization", description)
    if executor_of(spec) == MODAL:
        return  # what its image has was checked with the rest of `compute`
    try:
        require(backend)
    except BackendUnavailable as error:
        raise TabrlError(
            grpc.StatusCode.FAILED_PRECONDITION,
            "BACKEND_UNAVAILABLE",
            str(error),
            fields=[("spec.backend", str(error))],
            metadata={"backend": error.backend, "remedy": error.remedy},
        ) from error


def _settings(spec: trainer_pb2.RunSpec, start_from: Checkpoint | None) -> Settings:
    try:
        defaults = default_settings(spec.environment_id)
        if start_from is not None:
            defaults = fine_tuning_defaults(defaults, start_from)
        settings = settings_of(spec.settings, defaults)
        require_trainable(spec.environment_id, settings)
    except InvalidSettings as error:
        raise invalid_field(f"spec.settings.{error.field}", str(error).partition(": ")[2]) from error
    except LookupError as error:
        # Scene knows it, this release of the learner does not.
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "ENVIRONMENT_NOT_FOUND",
            f"{spec.environment_id} cannot be trained: {error}",
            metadata={"environment_id": spec.environment_id},
        ) from error
    return settings


def _check_sizes(start_from: Checkpoint, settings: Settings, environment: scene_pb2.Environment) -> None:
    try:
        require_fits(
            start_from,
            observation_size=environment.observation_size,
            action_size=environment.action_size,
            hidden_layer_sizes=settings.hidden_layer_sizes,
        )
    except CheckpointError as error:
        raise incompatible(str(error)) from error


def _check_reward(artifacts: ArtifactStore, spec: trainer_pb2.RunSpec, fingerprint: str) -> None:
    for sha256 in (spec.reward.onnx_sha256, spec.reward.program_sha256):
        artifacts.renew(sha256)  # nothing may name them until the run does
    with naming("spec.reward.onnx_sha256", *_NOT_THERE):
        onnx = artifacts.read(spec.reward.onnx_sha256)
    with naming("spec.reward.program_sha256", *_NOT_THERE):
        program = artifacts.read(spec.reward.program_sha256)
    try:
        header, _program = unpack(program)
    except ProgramRefused as error:
        raise invalid_field("spec.reward.program_sha256", f"names no reward program: {error}") from error
    _check_environment(header, spec.environment_id, fingerprint)
    try:
        check_onnx(onnx, header)
    except ProgramRefused as error:
        description = f"names no graph of this reward's terms: {error}; take both digests from one reward"
        raise invalid_field("spec.reward.onnx_sha256", description) from error
    unknown = sorted(spec.reward.weights.keys() - set(header.terms))
    if unknown:
        terms = ", ".join(header.terms)
        raise invalid_field(
            f'spec.reward.weights["{unknown[0]}"]', f"the reward has no such term; its terms are {terms}"
        )


def _check_environment(header: ProgramHeader, environment_id: str, fingerprint: str) -> None:
    if header.environment_id != environment_id:
        message = f"The reward was made for {header.environment_id}, not for {environment_id}; generate one for it."
    elif header.environment_fingerprint != fingerprint:
        message = f"The reward was made for another version of {environment_id}; generate it again."
    else:
        return
    raise TabrlError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "REWARD_MISMATCH",
        message,
        fields=[("spec.reward.program_sha256", "was made for another environment or another version of it")],
        metadata={"environment_id": header.environment_id},
    )
