"""Which files of the artifact store the Exporter names: those of every policy, and those that its manifests name."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.exporter.v1 import exporter_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.logs import get_logger
from tabrl_chassis.references import digests_in

from tabrl_exporter.policies import PolicyRow

__all__ = ["References"]

_UNREADABLE = ("ARTIFACT_NOT_FOUND", "ARTIFACT_DAMAGED")

_log = get_logger("tabrl_exporter.references")


class References:
    """Finds the digests; what a manifest names is remembered, for a manifest never changes."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        """Reads from these stores."""
        self._database = database
        self._artifacts = artifacts
        self._of_manifest: dict[str, frozenset[str]] = {}
        self._one_at_a_time = threading.Lock()

    async def named(self) -> set[str]:
        """Returns the digests: controller, manifest, checkpoint, reward and other forms of each policy, and its scene.

        Raises:
            TabrlError: a manifest cannot be read for now (STORAGE_UNAVAILABLE).
        """
        named, manifests = await self._database.read(_named)
        return named | await asyncio.to_thread(self._named_by, manifests)

    def _named_by(self, manifests: set[str]) -> set[str]:
        with self._one_at_a_time:
            self._of_manifest = {sha256: self._read(sha256) for sha256 in manifests}
            return set().union(*self._of_manifest.values())

    def _read(self, sha256: str) -> frozenset[str]:
        known = self._of_manifest.get(sha256)
        if known:
            return known
        try:
            return frozenset(_digests(json.loads(self._artifacts.read(sha256))))
        except ValueError as error:
            _log.warning("a manifest cannot be read", sha256=sha256, cause=str(error))
        except TabrlError as error:
            if error.reason not in _UNREADABLE:
                raise
            # Nobody can play by it, so its scene is of no use; exporting the policy again stores both anew.
            _log.warning("a manifest cannot be read", sha256=sha256, cause=error.reason)
        return frozenset()


def _named(session: Session) -> tuple[set[str], set[str]]:
    """Returns the digests that the policies on record name, and which of them are manifests."""
    named, manifests = set[str](), set[str]()
    for body in session.scalars(sa.select(PolicyRow.policy)):
        policy = exporter_pb2.Policy.FromString(body)
        named.update(digests_in(policy))
        manifests.update(form.manifest.sha256 for form in policy.exports if form.HasField("manifest"))
        if policy.HasField("manifest"):
            manifests.add(policy.manifest.sha256)
    return named, manifests


def _digests(content: Any) -> Iterator[str]:
    """Yields the digests in protobuf JSON, in either spelling of names; to build messages takes ten times as long."""
    if isinstance(content, list):
        for each in content:
            yield from _digests(each)
    elif isinstance(content, dict):
        for name, value in content.items():
            if isinstance(value, str) and name.lower().endswith("sha256"):
                yield value
            else:
                yield from _digests(value)
