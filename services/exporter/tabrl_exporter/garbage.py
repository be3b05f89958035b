"""Deletes the files of the artifact store that nobody names: mark, by asking everyone who keeps digests, then sweep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import grpc
from prometheus_client import Counter
from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore, StoredFile
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.logs import get_logger

from tabrl_exporter.references import References

__all__ = ["PEERS", "Collected", "Garbage"]

PEERS = ("scene", "rewardgen", "trainer")
"""The other services that keep digests, in the order in which they hand them on: what moves is named by the one or the
other at any moment, so whoever hands it on is asked first."""

_ANSWER_WITHIN_SECS = 120.0
_FIRST_AFTER_SECS = 300.0

_FILES = Counter(
    "tabrl_exporter_garbage_files", "Files of the artifact store that nothing named and that were deleted."
)
_BYTES = Counter("tabrl_exporter_garbage_bytes", "Their length.")
_COLLECTIONS = Counter("tabrl_exporter_garbage_collections", "Collections of garbage.", ["outcome"])

_log = get_logger("tabrl_exporter.garbage")


@dataclass
class Collected:
    """What was deleted, or would be, and what was found besides."""

    files: int = 0
    size_bytes: int = 0
    named_files: int = 0
    young_files: int = 0


class Garbage:
    """Collects garbage, one collection at a time.

    What is being made is named by nobody yet, so only what was not stored for a day is deleted, and whoever is about to
    name a file that may be of nobody renews it first (`ArtifactStore.renew`).
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        references: References,
        peers: Mapping[str, grpc.aio.Channel],
        *,
        unused_for_secs: float,
    ) -> None:
        """Asks `references` and the ReferenceService of every one of `peers`, which are by name and in order."""
        self._artifacts = artifacts
        self._references = references
        self._peers = {name: artifacts_pb2_grpc.ReferenceServiceStub(channel) for name, channel in peers.items()}
        self._unused_for_secs = unused_for_secs
        self._one_at_a_time = asyncio.Lock()

    async def collect_every(self, secs: float) -> None:
        """Collects now and then until it is cancelled; what keeps it from collecting is logged, and tried again."""
        await asyncio.sleep(min(_FIRST_AFTER_SECS, secs))
        while True:
            try:
                collected = await self.collect()
            except Exception as error:
                # A service or a store is away, and nothing was deleted; a defect is logged with its traceback.
                _log.warning("garbage not collected", cause=str(as_tabrl_error(error, "collecting garbage")))
            else:
                if collected.files:
                    _log.info("garbage collected", files=collected.files, size_bytes=collected.size_bytes)
            await asyncio.sleep(secs)

    async def collect(self, *, dry_run: bool = False) -> Collected:
        """Deletes what nobody names and what was not stored of late, or only says what that would be.

        Raises:
            TabrlError: somebody does not say what is named (SERVICE_UNAVAILABLE), or a store cannot be used
                (STORAGE_UNAVAILABLE); nothing was deleted then.
        """
        async with self._one_at_a_time:
            outcome = "failed"
            try:
                # The files first: whatever is stored from here on is young, and whatever is named is asked for after.
                stored = await asyncio.to_thread(lambda: list(self._artifacts.stored()))
                named = await self._named({file.sha256 for file in stored})
                collected = await asyncio.to_thread(self._sweep, stored, named, dry_run)
                outcome = "dry run" if dry_run else "done"
            finally:
                _COLLECTIONS.labels(outcome).inc()
        return collected

    async def _named(self, stored: set[str]) -> set[str]:
        named: set[str] = set()
        for service, stub in self._peers.items():
            told = {digest async for digests in _told(service, stub) for digest in digests}
            if told and told.isdisjoint(stored):
                # An address that leads to another TabRL: what is ours is named by somebody who was not asked.
                raise _silent(service, "names files of another store; its address or its store is not this one's")
            named |= told
        return named | await self._references.named()

    def _sweep(self, stored: list[StoredFile], named: set[str], dry_run: bool) -> Collected:
        collected = Collected(named_files=sum(file.sha256 in named for file in stored))
        for file in _unnamed(stored, named):
            old = file.age_secs >= self._unused_for_secs
            if not old or not (dry_run or self._artifacts.remove(file.sha256, unused_for_secs=self._unused_for_secs)):
                collected.young_files += 1
                continue
            collected.files += 1
            collected.size_bytes += file.size_bytes
            if not dry_run:
                _FILES.inc()
                _BYTES.inc(file.size_bytes)
        return collected


def _unnamed(stored: list[StoredFile], named: set[str]) -> Iterator[StoredFile]:
    return (file for file in stored if file.sha256 not in named)


async def _told(service: str, stub: artifacts_pb2_grpc.ReferenceServiceAsyncStub) -> AsyncIterator[list[str]]:
    """Yields what a service names.

    Raises:
        TabrlError: it does not say, all of it and within the time (SERVICE_UNAVAILABLE, or STORAGE_UNAVAILABLE).
    """
    try:
        async for part in stub.ListReferences(artifacts_pb2.ListReferencesRequest(), timeout=_ANSWER_WITHIN_SECS):
            yield list(part.sha256)
    except grpc.aio.AioRpcError as error:
        told = error_from(error, service=service)
        if told.reason == "STORAGE_UNAVAILABLE":
            raise told from error
        raise _silent(service, f"does not say which files it names: {told.message}") from error


def _silent(service: str, why: str) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.UNAVAILABLE,
        "SERVICE_UNAVAILABLE",
        f"Nothing was deleted, for the {service} service {why}",
        metadata={"service": service},
        retry_after_secs=1.0,
    )
