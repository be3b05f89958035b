"""The calls by which policies are handed on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
from tabrl.exporter.v1 import sharing_pb2, sharing_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.limits import ConcurrencyLimit

from tabrl_exporter import policies, share_page

__all__ = ["SharingServicer", "create_share_page"]

_PACKED_AT_ONCE = 2


class SharingServicer(sharing_pb2_grpc.SharingServiceServicer):
    """Packs policies."""

    def __init__(self, database: Database, artifacts: ArtifactStore, page: Path | None) -> None:
        """Serves from these stores; `page` is the folder of the built share page, None where there is none."""
        self._database = database
        self._artifacts = artifacts
        self._page = page
        self._limit = ConcurrencyLimit("share pages", _PACKED_AT_ONCE)

    async def CreateSharePage(  # noqa: D102
        self, request: sharing_pb2.CreateSharePageRequest, _context: Any
    ) -> sharing_pb2.CreateSharePageResponse:
        async with self._limit:
            return await create_share_page(request.policy_id, self._database, self._artifacts, self._page)


async def create_share_page(
    policy_id: str, database: Database, artifacts: ArtifactStore, page: Path | None
) -> sharing_pb2.CreateSharePageResponse:
    """Packs a policy with the page that plays it, and stores the zip.

    Raises:
        TabrlError: as CreateSharePage says.
    """
    policy = await database.read(lambda session: policies.find(session, policy_id))
    if policy is None:
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "POLICY_NOT_FOUND",
            f"There is no policy {policy_id!r}.",
            metadata={"policy_id": policy_id},
        )
    packed = await asyncio.to_thread(share_page.pack_share_page, policy, page, artifacts)
    stored = await asyncio.to_thread(artifacts.put, packed.content, share_page.MEDIA_TYPE)
    return sharing_pb2.CreateSharePageResponse(
        page=stored, download_path=f"/artifacts/{stored.sha256}", file_name=packed.file_name
    )
