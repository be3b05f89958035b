"""From a request to a published policy: artifacts in, the export process, artifacts and a row out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
from google.protobuf import timestamp_pb2
from prometheus_client import Histogram
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.references import digests_in

from tabrl_exporter import exchange
from tabrl_exporter.export_process import ExportProcess
from tabrl_exporter.stored_files import ASSET_TYPE, JSON_TYPE, ONNX_TYPE, XML_TYPE
from tabrl_exporter.work_rooms import work_room

__all__ = ["error_of", "export_policy", "parity_message", "reward_files"]

_SECONDS = Histogram(
    "tabrl_exporter_export_seconds",
    "Time of an export, waiting for its turn included.",
    ["outcome"],
    buckets=(0.25, 0.5, 1, 2, 3, 5, 10, 20, 40, 80, 160),
)
_PARITY = Histogram(
    "tabrl_exporter_parity_max",
    "Largest difference between a controller and its source, relative to the larger of 1 and the value.",
    buckets=(1e-8, 1e-7, 3e-7, 1e-6, 3e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1),
)

_CODES = {
    "CHECKPOINT_INCOMPATIBLE": grpc.StatusCode.FAILED_PRECONDITION,
    "CONTROLLER_INCOMPATIBLE": grpc.StatusCode.FAILED_PRECONDITION,
    "PARITY_FAILED": grpc.StatusCode.FAILED_PRECONDITION,
    "REWARD_MISMATCH": grpc.StatusCode.INVALID_ARGUMENT,
    "ROBOT_NOT_INSTALLED": grpc.StatusCode.FAILED_PRECONDITION,
    "STORAGE_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


async def export_policy(
    request: exporter_pb2.CreatePolicyRequest,
    policy_id: str,
    *,
    artifacts: ArtifactStore,
    process: ExportProcess,
    work_folder: Path,
    refused: Callable[[exporter_pb2.ParityReport], Awaitable[None]],
) -> exporter_pb2.Policy:
    """Exports a checkpoint, stores its controller and returns the policy, which is not on record yet.

    A controller that differs from its source is not stored; `refused` is told its report.

    Raises:
        TabrlError: as CreatePolicy says.
    """
    begin = time.perf_counter()
    outcome = "failed"
    try:
        order_inputs = await asyncio.to_thread(_inputs, request, artifacts)
        async with work_room(work_folder) as folder:
            order = exchange.Export(
                environment_id=request.environment_id,
                checkpoint=order_inputs[0],
                checkpoint_sha256=request.checkpoint_sha256,
                reward=order_inputs[1],
                folder=folder,
                origin=exchange.Origin(
                    run_id=request.run_id,
                    parent_checkpoint_sha256=request.parent_checkpoint_sha256,
                    reward_id=request.reward.reward_id,
                    prompt=request.prompt,
                ),
            )
            reply = await process.export(order)
            if isinstance(reply, exchange.Refusal):
                outcome = reply.reason.lower()
                if reply.parity is not None:
                    await refused(parity_message(reply.parity))
                raise error_of(reply)
            policy = await asyncio.to_thread(_stored, request, policy_id, Path(folder), reply, artifacts)
        _PARITY.observe(max((difference for difference, _ in reply.parity.outputs.values()), default=0.0))
        outcome = "published"
        return policy
    finally:
        _SECONDS.labels(outcome).observe(time.perf_counter() - begin)


def _inputs(
    request: exporter_pb2.CreatePolicyRequest, artifacts: ArtifactStore
) -> tuple[str, exchange.RewardFiles | None]:
    for sha256 in digests_in(request):
        artifacts.renew(sha256)  # nothing may name them until the policy does
    checkpoint = str(artifacts.local_path(request.checkpoint_sha256))
    return checkpoint, reward_files(request.reward, artifacts) if request.HasField("reward") else None


def reward_files(reward: exporter_pb2.PolicyReward, artifacts: ArtifactStore) -> exchange.RewardFiles:
    """Returns a reward as files of the store.

    Raises:
        TabrlError: ARTIFACT_NOT_FOUND, ARTIFACT_DAMAGED or STORAGE_UNAVAILABLE.
    """
    return exchange.RewardFiles(
        program=str(artifacts.local_path(reward.program_sha256)),
        onnx=str(artifacts.local_path(reward.onnx_sha256)),
        program_sha256=reward.program_sha256,
        weights=dict(reward.weights),
    )


def _stored(
    request: exporter_pb2.CreatePolicyRequest,
    policy_id: str,
    folder: Path,
    exported: exchange.Exported,
    artifacts: ArtifactStore,
) -> exporter_pb2.Policy:
    # The manifest names the others, so it goes last: whoever finds it finds them.
    artifacts.put_file(folder / "scene.xml", XML_TYPE)
    for name in exported.assets:
        artifacts.put_file(folder / name, ASSET_TYPE)
    controller = artifacts.put_file(folder / "controller.onnx", ONNX_TYPE)
    manifest = artifacts.put_file(folder / "manifest.json", JSON_TYPE)
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    policy = exporter_pb2.Policy(
        policy_id=policy_id,
        environment_id=request.environment_id,
        title=request.title,
        run_id=request.run_id,
        env_steps=exported.env_steps,
        checkpoint_sha256=request.checkpoint_sha256,
        controller=controller,
        manifest=manifest,
        parity=parity_message(exported.parity),
        create_time=now,
        lineage=manifest_pb2.ControllerLineage(
            run_id=request.run_id,
            env_steps=exported.env_steps,
            parent_checkpoint_sha256=request.parent_checkpoint_sha256,
            reward_id=request.reward.reward_id,
            prompt=request.prompt,
        ),
    )
    if request.HasField("reward"):
        policy.reward.CopyFrom(request.reward)
    return policy


def parity_message(parity: exchange.Parity) -> exporter_pb2.ParityReport:
    """Returns a report as the contract has it."""
    message = exporter_pb2.ParityReport(
        states=parity.states,
        tolerance=parity.tolerance,
        outputs=[
            exporter_pb2.OutputDifference(name=name, max_difference=difference, tolerance=allowed)
            for name, (difference, allowed) in parity.outputs.items()
        ],
        passed=parity.passed,
        onnxruntime_version=parity.onnxruntime_version,
        jax_version=parity.jax_version,
        mujoco_version=parity.mujoco_version,
        onnx_opset=parity.onnx_opset,
    )
    if parity.closed_loop is not None:
        episodes = [exporter_pb2.ClosedLoopEpisode(**episode) for episode in parity.closed_loop["episodes"]]
        message.closed_loop.CopyFrom(exporter_pb2.ClosedLoopReport(**{**parity.closed_loop, "episodes": episodes}))
    return message


def error_of(refusal: exchange.Refusal) -> Exception:
    """Returns the error that a refusal of the export process becomes."""
    code = _CODES.get(refusal.reason)
    if code is None:
        # A defect: the chassis logs the traceback under an incident and answers INTERNAL.
        return RuntimeError(f"the export process failed:\n{refusal.message}")
    fields = list(refusal.fields.items())
    return TabrlError(code, refusal.reason, refusal.message, fields=fields, metadata=refusal.metadata)
