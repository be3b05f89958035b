"""The Exporter's calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.pagination import page_of
from tabrl_chassis.tasks import SharedWork
from tabrl_simulation import environments

from tabrl_exporter import policies, registry
from tabrl_exporter.export_process import ExportProcess
from tabrl_exporter.exporting import export_policy
from tabrl_exporter.exports import Exports
from tabrl_exporter.stored_files import parse_manifest

__all__ = ["ExporterServicer"]

_WAITING_EXPORTS = 16


class ExporterServicer(exporter_pb2_grpc.ExporterServiceServicer):
    """Exports, and what was exported."""

    def __init__(self, database: Database, artifacts: ArtifactStore, process: ExportProcess, work_folder: Path) -> None:
        """Serves from these stores, and exports in `process` with room for files in `work_folder`."""
        self._database = database
        self._artifacts = artifacts
        self._process = process
        self._work_folder = work_folder
        self._under_way: SharedWork[str, exporter_pb2.Policy] = SharedWork()
        self._limit = ConcurrencyLimit("exports", _WAITING_EXPORTS)
        self._exports = Exports(database, artifacts, process, work_folder, self._limit)

    async def CreatePolicy(  # noqa: D102
        self, request: exporter_pb2.CreatePolicyRequest, _context: Any
    ) -> exporter_pb2.CreatePolicyResponse:
        _require_environment(request.environment_id)
        policy_id = policies.policy_id_of(request)
        policy = await self._database.read(lambda session: policies.find(session, policy_id))
        if policy is None or not await asyncio.to_thread(self._is_stored, policy):
            policy = await self._under_way.of(
                policy_id, lambda: self._export(request, policy_id), name=f"export {policy_id}"
            )
        return exporter_pb2.CreatePolicyResponse(policy=policy)

    async def GetPolicy(  # noqa: D102
        self, request: exporter_pb2.GetPolicyRequest, _context: Any
    ) -> exporter_pb2.GetPolicyResponse:
        policy = await self._database.read(lambda session: policies.get(session, request.policy_id))
        return exporter_pb2.GetPolicyResponse(policy=policy)

    async def GetParityReport(  # noqa: D102
        self, request: exporter_pb2.GetParityReportRequest, _context: Any
    ) -> exporter_pb2.GetParityReportResponse:
        report = await self._database.read(lambda session: policies.parity_report(session, request.policy_id))
        return exporter_pb2.GetParityReportResponse(report=report)

    async def ListPolicies(  # noqa: D102
        self, request: exporter_pb2.ListPoliciesRequest, _context: Any
    ) -> exporter_pb2.ListPoliciesResponse:
        asked = page_of(request, default_size=50, maximum_size=500)
        return await self._database.read(lambda session: policies.page(session, request, asked))

    async def ExportPolicy(  # noqa: D102
        self, request: exporter_pb2.ExportPolicyRequest, _context: Any
    ) -> exporter_pb2.ExportPolicyResponse:
        policy = await self._database.read(lambda session: policies.get(session, request.policy_id))
        made = await self._exports.export(policy, request.format)
        return exporter_pb2.ExportPolicyResponse(export=made, download_path=f"/artifacts/{made.file.sha256}")

    async def DeletePolicy(  # noqa: D102
        self, request: exporter_pb2.DeletePolicyRequest, _context: Any
    ) -> exporter_pb2.DeletePolicyResponse:
        await self._database.write(lambda session: registry.delete_policy(session, request.policy_id))
        return exporter_pb2.DeletePolicyResponse()

    async def stop(self) -> None:
        """Ends the exports under way."""
        await self._exports.stop()
        await self._under_way.stop()

    async def _export(self, request: exporter_pb2.CreatePolicyRequest, policy_id: str) -> exporter_pb2.Policy:
        async def refused(report: exporter_pb2.ParityReport) -> None:
            await self._database.write(lambda session: policies.refuse(session, policy_id, report))

        async with self._limit:
            policy = await export_policy(
                request,
                policy_id,
                artifacts=self._artifacts,
                process=self._process,
                work_folder=self._work_folder,
                refused=refused,
            )
        return await self._database.write(lambda session: policies.publish(session, policy))

    def _is_stored(self, policy: exporter_pb2.Policy) -> bool:
        """Whether the store still has what plays the policy: graph and manifest undamaged, the scene they name."""
        try:
            self._artifacts.local_path(policy.controller.sha256)
            content = self._artifacts.read(policy.manifest.sha256)
            manifest = parse_manifest(content)
        except json_format.ParseError:
            return False
        except TabrlError as error:
            if error.reason not in ("ARTIFACT_NOT_FOUND", "ARTIFACT_DAMAGED"):
                raise
            return False
        scene = (manifest.scene_xml, *(asset.artifact for asset in manifest.scene_assets))
        return all(self._artifacts.exists(file.sha256) for file in scene)


def _require_environment(environment_id: str) -> None:
    try:
        environments.check(environment_id)
    except environments.UnknownEnvironment as error:
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "ENVIRONMENT_NOT_FOUND",
            str(error),
            metadata={"environment_id": environment_id, "nearest": error.nearest},
        ) from error
