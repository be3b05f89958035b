"""The calls of the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2, registry_pb2, registry_pb2_grpc
from tabrl_chassis.database import Database
from tabrl_chassis.errors import naming
from tabrl_chassis.pagination import page_of

from tabrl_exporter import policies, registry
from tabrl_exporter.comparing import differences
from tabrl_exporter.garbage import Garbage
from tabrl_exporter.lineage import lineage_of
from tabrl_exporter.measuring import measure

__all__ = ["RegistryServicer"]

T = TypeVar("T")


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Names for policies, what is known of them, and the removal of files that nothing names."""

    def __init__(self, database: Database, inference: grpc.aio.Channel, garbage: Garbage) -> None:
        """Serves from the database; `inference` plays what is to be measured."""
        self._database = database
        self._inference = inference
        self._garbage = garbage

    async def RegisterVersion(  # noqa: D102
        self, request: registry_pb2.RegisterVersionRequest, _context: Any
    ) -> registry_pb2.RegisterVersionResponse:
        version = await self._write(
            lambda session: registry.register(session, request.name, request.policy_id, request.notes)
        )
        return registry_pb2.RegisterVersionResponse(version=version)

    async def GetRegisteredPolicy(  # noqa: D102
        self, request: registry_pb2.GetRegisteredPolicyRequest, _context: Any
    ) -> registry_pb2.GetRegisteredPolicyResponse:
        registered = await self._read(lambda session: registry.registered(session, request.name))
        return registry_pb2.GetRegisteredPolicyResponse(registered=registered)

    async def ListRegisteredPolicies(  # noqa: D102
        self, request: registry_pb2.ListRegisteredPoliciesRequest, _context: Any
    ) -> registry_pb2.ListRegisteredPoliciesResponse:
        asked = page_of(request, default_size=50, maximum_size=200)
        return await self._read(lambda session: registry.page(session, request, asked))

    async def GetVersion(  # noqa: D102
        self, request: registry_pb2.GetVersionRequest, _context: Any
    ) -> registry_pb2.GetVersionResponse:
        version = await self._read(lambda session: registry.version(session, request.name, request.reference))
        return registry_pb2.GetVersionResponse(version=version)

    async def UpdateVersion(  # noqa: D102
        self, request: registry_pb2.UpdateVersionRequest, _context: Any
    ) -> registry_pb2.UpdateVersionResponse:
        version = await self._write(
            lambda session: registry.update_notes(session, request.name, request.number, request.notes)
        )
        return registry_pb2.UpdateVersionResponse(version=version)

    async def DeleteVersion(  # noqa: D102
        self, request: registry_pb2.DeleteVersionRequest, _context: Any
    ) -> registry_pb2.DeleteVersionResponse:
        await self._write(lambda session: registry.delete_version(session, request.name, request.number))
        return registry_pb2.DeleteVersionResponse()

    async def SetTag(  # noqa: D102
        self, request: registry_pb2.SetTagRequest, _context: Any
    ) -> registry_pb2.SetTagResponse:
        tag = await self._write(lambda session: registry.set_tag(session, request.name, request.tag, request.number))
        return registry_pb2.SetTagResponse(tag=tag)

    async def RollBackTag(  # noqa: D102
        self, request: registry_pb2.RollBackTagRequest, _context: Any
    ) -> registry_pb2.RollBackTagResponse:
        tag = await self._write(
            lambda session: registry.roll_back_tag(session, request.name, request.tag, request.from_number)
        )
        return registry_pb2.RollBackTagResponse(tag=tag)

    async def DeleteTag(  # noqa: D102
        self, request: registry_pb2.DeleteTagRequest, _context: Any
    ) -> registry_pb2.DeleteTagResponse:
        await self._write(lambda session: registry.delete_tag(session, request.name, request.tag))
        return registry_pb2.DeleteTagResponse()

    async def MeasurePolicy(  # noqa: D102
        self, request: registry_pb2.MeasurePolicyRequest, _context: Any
    ) -> registry_pb2.MeasurePolicyResponse:
        await self._read(lambda session: policies.get(session, request.policy_id))
        measurement = await measure(self._inference, request)
        await self._write(lambda session: policies.add_measurement(session, request.policy_id, measurement))
        return registry_pb2.MeasurePolicyResponse(measurement=measurement)

    async def ComparePolicies(  # noqa: D102
        self, request: registry_pb2.ComparePoliciesRequest, _context: Any
    ) -> registry_pb2.ComparePoliciesResponse:
        left, right = await self._read(lambda session: _both(session, request))
        return registry_pb2.ComparePoliciesResponse(left=left, right=right, differences=differences(left, right))

    async def GetLineage(  # noqa: D102
        self, request: registry_pb2.GetLineageRequest, _context: Any
    ) -> registry_pb2.GetLineageResponse:
        return await self._read(lambda session: lineage_of(session, request.policy_id))

    async def CollectGarbage(  # noqa: D102
        self, request: registry_pb2.CollectGarbageRequest, _context: Any
    ) -> registry_pb2.CollectGarbageResponse:
        collected = await self._garbage.collect(dry_run=request.dry_run)
        return registry_pb2.CollectGarbageResponse(
            files=collected.files,
            size_bytes=collected.size_bytes,
            named_files=collected.named_files,
            young_files=collected.young_files,
        )

    async def _read(self, work: Callable[[Session], T]) -> T:
        return await self._database.read(work)

    async def _write(self, work: Callable[[Session], T]) -> T:
        return await self._database.write(work)


def _both(
    session: Session, request: registry_pb2.ComparePoliciesRequest
) -> tuple[exporter_pb2.Policy, exporter_pb2.Policy]:
    with naming("left_policy_id", "POLICY_NOT_FOUND"):
        left = policies.get(session, request.left_policy_id)
    with naming("right_policy_id", "POLICY_NOT_FOUND"):
        right = policies.get(session, request.right_policy_id)
    return left, right
