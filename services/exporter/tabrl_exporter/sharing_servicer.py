"""The calls that hand policies to others and take theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from tabrl.exporter.v1 import exporter_pb2, sharing_pb2, sharing_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError

from tabrl_exporter import policies
from tabrl_exporter.bundling import Bundles
from tabrl_exporter.importing import Imports

__all__ = ["SharingServicer"]


class SharingServicer(sharing_pb2_grpc.SharingServiceServicer):
    """Packs policies and imports packed ones."""

    def __init__(self, database: Database, artifacts: ArtifactStore, *, film_folder: Path, upload_folder: Path) -> None:
        """Serves from these stores, with room for files in these folders."""
        self._database = database
        self._bundles = Bundles(artifacts, film_folder)
        self._imports = Imports(database, artifacts, upload_folder)

    async def CreateBundle(  # noqa: D102
        self, request: sharing_pb2.CreateBundleRequest, _context: Any
    ) -> sharing_pb2.CreateBundleResponse:
        return await self._bundles.create(await self._policy(request.policy_id))

    async def ImportBundle(  # noqa: D102
        self, request: sharing_pb2.ImportBundleRequest, _context: Any
    ) -> sharing_pb2.ImportBundleResponse:
        return await self._imports.receive(request)

    async def _policy(self, policy_id: str) -> exporter_pb2.Policy:
        policy = await self._database.read(lambda session: policies.find(session, policy_id))
        if policy is None:
            raise TabrlError(
                grpc.StatusCode.NOT_FOUND,
                "POLICY_NOT_FOUND",
                f"There is no policy {policy_id!r}.",
                metadata={"policy_id": policy_id},
            )
        return policy
