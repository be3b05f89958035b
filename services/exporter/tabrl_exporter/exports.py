"""Other forms of a published policy: made once, kept in the artifact store, remembered with the policy."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final, TypeAlias

import grpc
from prometheus_client import Histogram
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.tasks import SharedWork

from tabrl_exporter import exchange, policies
from tabrl_exporter.export_process import ExportProcess
from tabrl_exporter.exporting import error_of, parity_message, reward_files
from tabrl_exporter.stored_files import JSON_TYPE, ONNX_TYPE, ZIP_TYPE, parse_manifest
from tabrl_exporter.work_rooms import work_room

__all__ = ["Exports"]

Format: TypeAlias = exporter_pb2.ExportFormat.ValueType

_SECONDS = Histogram(
    "tabrl_exporter_form_seconds",
    "Time to write a policy in another form, waiting for its turn included.",
    ["form", "outcome"],
    buckets=(0.25, 0.5, 1, 2, 3, 5, 10, 20, 40, 80, 160),
)

_PUBLISHED: Final = (exporter_pb2.EXPORT_FORMAT_UNSPECIFIED, exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP32)
_FORMS: Final[dict[Format, str]] = {
    exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16: "fp16",
    exporter_pb2.EXPORT_FORMAT_CONTROLLER_INT8: "int8",
    exporter_pb2.EXPORT_FORMAT_POLICY_ONNX: "policy",
    exporter_pb2.EXPORT_FORMAT_WEIGHTS: "weights",
}
_NEEDS_CHECKPOINT: Final = (exporter_pb2.EXPORT_FORMAT_POLICY_ONNX, exporter_pb2.EXPORT_FORMAT_WEIGHTS)


class Exports:
    """Makes other forms of policies in the export process; equal calls at the same time share one."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        process: ExportProcess,
        work_folder: Path,
        limit: ConcurrencyLimit,
    ) -> None:
        """Keeps files in `artifacts`, with room for others in `work_folder`; `limit` bounds what waits."""
        self._database = database
        self._artifacts = artifacts
        self._process = process
        self._work_folder = work_folder
        self._limit = limit
        self._under_way: SharedWork[tuple[str, Format], exporter_pb2.PolicyExport] = SharedWork()

    async def export(self, policy: exporter_pb2.Policy, wanted: Format) -> exporter_pb2.PolicyExport:
        """Returns a policy in a form: as it was published, as it was made before, or made now.

        Raises:
            TabrlError: as ExportPolicy says.
        """
        if wanted in _PUBLISHED:
            await asyncio.to_thread(self._require, policy.controller.sha256, policy.manifest.sha256)
            return exporter_pb2.PolicyExport(
                format=exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP32,
                file=policy.controller,
                manifest=policy.manifest,
                parity=policy.parity,
            )
        known = next((export for export in policy.exports if export.format == wanted), None)
        if known is not None and await asyncio.to_thread(self._is_stored, known):
            return known
        return await self._under_way.of(
            (policy.policy_id, wanted),
            lambda: self._make(policy, wanted),
            name=f"export {policy.policy_id} {_FORMS[wanted]}",
        )

    async def stop(self) -> None:
        """Ends what is under way."""
        await self._under_way.stop()

    async def _make(self, policy: exporter_pb2.Policy, wanted: Format) -> exporter_pb2.PolicyExport:
        begin = time.perf_counter()
        outcome = "failed"
        try:
            async with self._limit, work_room(self._work_folder) as folder:
                order = await asyncio.to_thread(self._order, policy, wanted, folder)
                reply = await self._process.reformat(order)
                if isinstance(reply, exchange.Refusal):
                    outcome = reply.reason.lower()
                    raise error_of(reply)
                made = await asyncio.to_thread(self._stored, wanted, Path(folder), reply)
            # A policy that is gone or exported anew by now has no use for it; whoever asked still gets it.
            await self._database.write(
                lambda session: policies.remember_export(session, policy.policy_id, policy.controller.sha256, made)
            )
            outcome = "made"
            return made
        finally:
            _SECONDS.labels(_FORMS[wanted], outcome).observe(time.perf_counter() - begin)

    def _order(self, policy: exporter_pb2.Policy, wanted: Format, folder: str) -> exchange.Reformat:
        manifest = parse_manifest(self._artifacts.read(policy.manifest.sha256))
        checkpoint, reward = self._origin(policy, wanted)
        return exchange.Reformat(
            form=_FORMS[wanted],
            environment_id=policy.environment_id,
            controller=str(self._artifacts.local_path(policy.controller.sha256)),
            manifest=str(self._artifacts.local_path(policy.manifest.sha256)),
            scene=str(self._artifacts.local_path(manifest.scene_xml.sha256)),
            assets={
                asset.path: str(self._artifacts.local_path(asset.artifact.sha256)) for asset in manifest.scene_assets
            },
            checkpoint=checkpoint,
            checkpoint_sha256=policy.checkpoint_sha256,
            reward=reward,
            folder=folder,
        )

    def _origin(self, policy: exporter_pb2.Policy, wanted: Format) -> tuple[str, exchange.RewardFiles | None]:
        """Returns the files that the policy was made from; none where an import left them behind.

        A controller with smaller weights needs them only to be measured by; without them it is measured against the
        published one.
        """
        here = self._artifacts.exists
        if wanted in _NEEDS_CHECKPOINT:
            if not here(policy.checkpoint_sha256):
                raise TabrlError(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    "CHECKPOINT_NOT_HERE",
                    "This form is made from the checkpoint, which is not here: the policy was imported without it. "
                    "Take the controller; only who trained it can make this form.",
                    metadata={"policy_id": policy.policy_id, "sha256": policy.checkpoint_sha256},
                )
            return str(self._artifacts.local_path(policy.checkpoint_sha256)), None
        reward = policy.reward if policy.HasField("reward") else None
        needed = [policy.checkpoint_sha256, *([reward.program_sha256, reward.onnx_sha256] if reward else [])]
        if not all(here(sha256) for sha256 in needed):
            return "", None
        files = reward_files(reward, self._artifacts) if reward else None
        return str(self._artifacts.local_path(policy.checkpoint_sha256)), files

    def _stored(self, wanted: Format, folder: Path, reply: exchange.Reformatted) -> exporter_pb2.PolicyExport:
        media_type = ZIP_TYPE if wanted == exporter_pb2.EXPORT_FORMAT_WEIGHTS else ONNX_TYPE
        file = self._artifacts.put_file(folder / "file", media_type)
        made = exporter_pb2.PolicyExport(format=wanted, file=file, parity=parity_message(reply.parity))
        if reply.has_manifest:
            made.manifest.CopyFrom(self._artifacts.put_file(folder / "manifest.json", JSON_TYPE))
        return made

    def _require(self, *digests: str) -> None:
        for sha256 in digests:
            self._artifacts.local_path(sha256)

    def _is_stored(self, made: exporter_pb2.PolicyExport) -> bool:
        try:
            self._require(made.file.sha256, *([made.manifest.sha256] if made.HasField("manifest") else []))
        except TabrlError as error:
            if error.reason not in ("ARTIFACT_NOT_FOUND", "ARTIFACT_DAMAGED"):
                raise
            return False
        return True
