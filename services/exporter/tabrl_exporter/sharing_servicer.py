"""The calls that hand policies to others and take theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tabrl.exporter.v1 import exporter_pb2, sharing_pb2, sharing_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.tasks import SharedWork

from tabrl_exporter import policies, share_page
from tabrl_exporter.bundling import Bundles
from tabrl_exporter.importing import Imports
from tabrl_exporter.stored_files import ZIP_TYPE

__all__ = ["SharingServicer"]

_PAGES_AT_ONCE = 2


class SharingServicer(sharing_pb2_grpc.SharingServiceServicer):
    """Packs policies and imports packed ones."""

    def __init__(
        self,
        database: Database,
        artifacts: ArtifactStore,
        *,
        film_folder: Path,
        upload_folder: Path,
        page: Path | None,
    ) -> None:
        """Serves from these stores, with room for files in these folders.

        `page` is the folder of the built share page, None where there is none.
        """
        self._database = database
        self._artifacts = artifacts
        self._bundles = Bundles(artifacts, film_folder)
        self._imports = Imports(database, artifacts, upload_folder)
        self._page = page
        self._pages = ConcurrencyLimit("share pages", _PAGES_AT_ONCE)
        # A thread that packs goes on when its caller goes away, so it counts until it has ended.
        self._packing: SharedWork[bytes, sharing_pb2.CreateSharePageResponse] = SharedWork()

    async def CreateBundle(  # noqa: D102
        self, request: sharing_pb2.CreateBundleRequest, _context: Any
    ) -> sharing_pb2.CreateBundleResponse:
        return await self._bundles.create(await self._policy(request.policy_id))

    async def CreateSharePage(  # noqa: D102
        self, request: sharing_pb2.CreateSharePageRequest, _context: Any
    ) -> sharing_pb2.CreateSharePageResponse:
        policy = await self._policy(request.policy_id)
        record = policy.SerializeToString(deterministic=True)
        return await self._packing.of(record, lambda: self._packed(policy), name=f"page {policy.policy_id}")

    async def ImportBundle(  # noqa: D102
        self, request: sharing_pb2.ImportBundleRequest, _context: Any
    ) -> sharing_pb2.ImportBundleResponse:
        return await self._imports.receive(request)

    async def stop(self) -> None:
        """Ends the packing and the imports under way."""
        await self._packing.stop()
        await self._bundles.stop()
        await self._imports.stop()

    async def _packed(self, policy: exporter_pb2.Policy) -> sharing_pb2.CreateSharePageResponse:
        async with self._pages:
            packed = await asyncio.to_thread(share_page.pack_share_page, policy, self._page, self._artifacts)
            stored = await asyncio.to_thread(self._artifacts.put, packed.content, ZIP_TYPE)
        return sharing_pb2.CreateSharePageResponse(
            page=stored, download_path=f"/artifacts/{stored.sha256}", file_name=packed.file_name
        )

    async def _policy(self, policy_id: str) -> exporter_pb2.Policy:
        return await self._database.read(lambda session: policies.get(session, policy_id))
