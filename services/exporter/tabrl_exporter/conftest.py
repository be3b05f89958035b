"""An Exporter over a real socket, its peers as the contracts have them, and policies that nobody had to export."""

# ruff: noqa: D102, D107
from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, manifest_pb2, registry_pb2_grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.references import ReferenceServicer
from tabrl_chassis.service import Service, started

from tabrl_exporter import policies
from tabrl_exporter.service import SERVICE, ExporterConfig


class Peer:
    """What a Scene, a RewardGen or a Trainer names; `away` is the error that it answers with instead.

    `meanwhile` is what happens while it is asked.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.away: TabrlError | None = None
        self.meanwhile: Callable[[], object] = list

    async def named(self) -> set[str]:
        self.meanwhile()
        if self.away is not None:
            raise self.away
        return self.names


class Inference(inference_pb2_grpc.InferenceServiceServicer):
    """Plays nothing: each episode earns ten more than the one before. `refusal` is answered instead."""

    def __init__(self) -> None:
        self.asked: list[inference_pb2.EvaluateRequest] = []
        self.refusal: TabrlError | None = None
        self.says_summary = True

    async def Evaluate(  # type: ignore[override]
        self, request: inference_pb2.EvaluateRequest, _context: Any
    ) -> AsyncIterator[inference_pb2.EvaluateResponse]:
        self.asked.append(request)
        if self.refusal is not None:
            raise self.refusal
        for index in range(request.episodes):
            yield inference_pb2.EvaluateResponse(
                episode=inference_pb2.EpisodeResult(index=index, episode_return=10.0 * index)
            )
        summary = inference_pb2.EvaluationSummary(
            episodes=request.episodes,
            mean_return=5.0 * (request.episodes - 1) + request.seed,
            std_return=1.5,
            mean_survived=0.75,
            term_returns={"upright": 3.0},
        )
        if request.check:
            summary.checked.held = request.episodes - 1
        if self.says_summary:
            yield inference_pb2.EvaluateResponse(summary=summary)


@dataclasses.dataclass
class Rig:
    """A running Exporter, a client of it, and its peers by name."""

    config: ExporterConfig
    address: str
    database: Database
    store: ArtifactStore
    exporter: exporter_pb2_grpc.ExporterServiceStub
    registry: registry_pb2_grpc.RegistryServiceStub
    peers: dict[str, Peer]
    inference: Inference

    async def publish(self, policy_id: str, **fields: Any) -> exporter_pb2.Policy:
        """Puts a policy on record; it drives CartpoleBalance unless something else is said."""
        policy = exporter_pb2.Policy(policy_id=policy_id, **{"environment_id": "CartpoleBalance", **fields})
        return await self.database.write(lambda session: policies.publish(session, policy))

    def age(self, *digests: str, days: float = 2.0) -> None:
        """Has files look as if they had been stored days ago."""
        then = time.time() - days * 24 * 3600
        for sha256 in digests:
            path = self.store.local_path(sha256)
            for each in (path, path.with_name(f"{path.name}.type")):
                os.utime(each, (0, then))

    def manifest(self, name: str, *, scene: bytes, asset: bytes | None = None) -> tuple[str, set[str]]:
        """Stores a manifest, and the scene that it names; returns its digest, and those of the scene."""
        manifest = manifest_pb2.ControllerManifest(environment_id=name)
        manifest.scene_xml.CopyFrom(self.store.put(scene))
        if asset is not None:
            manifest.scene_assets.add(path="mesh.stl").artifact.CopyFrom(self.store.put(asset))
        files = {manifest.scene_xml.sha256, *(each.artifact.sha256 for each in manifest.scene_assets)}
        return self.store.put(json.dumps(json_format.MessageToDict(manifest)).encode()).sha256, files


@contextlib.asynccontextmanager
async def peer_service(add: Callable[[grpc.aio.Server], None], data: Path, contract: str) -> AsyncIterator[str]:
    """Serves one contract, and gives its address."""

    @contextlib.asynccontextmanager
    async def serve(server: grpc.aio.Server, _context: Any) -> AsyncIterator[None]:
        add(server)
        yield

    service = Service("peer", ServiceConfig, (contract,), serve)
    async with started(service, ServiceConfig(data=data, drain_secs=0.1)) as running:
        yield running.address


@contextlib.asynccontextmanager
async def exporter(data: Path, database_url: str = "", **options: Any) -> AsyncIterator[Rig]:
    """Runs an Exporter with its peers."""
    inference = Inference()
    peers = {name: Peer() for name in ("scene", "rewardgen", "trainer")}
    async with contextlib.AsyncExitStack() as stack:
        addresses = {}
        for name, peer in peers.items():
            servicer = ReferenceServicer(peer.named)
            addresses[f"{name}_address"] = await stack.enter_async_context(
                peer_service(
                    lambda server, servicer=servicer: artifacts_pb2_grpc.add_ReferenceServiceServicer_to_server(  # type: ignore[misc]
                        servicer, server
                    ),
                    data / name,
                    "tabrl.artifacts.v1.ReferenceService",
                )
            )
        addresses["inference_address"] = await stack.enter_async_context(
            peer_service(
                lambda server: inference_pb2_grpc.add_InferenceServiceServicer_to_server(inference, server),
                data / "inference",
                "tabrl.inference.v1.InferenceService",
            )
        )
        config = ExporterConfig(data=data, database_url=database_url, drain_secs=0.1, **{**addresses, **options})
        running = await stack.enter_async_context(started(SERVICE, config))
        channel = await stack.enter_async_context(open_channel(running.address))
        yield Rig(
            config,
            running.address,
            running.context.database,
            running.context.artifacts,
            exporter_pb2_grpc.ExporterServiceStub(channel),
            registry_pb2_grpc.RegistryServiceStub(channel),
            peers,
            inference,
        )


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """An Exporter of its own on an SQLite file."""
    async with exporter(tmp_path) as running:
        yield running


@pytest.fixture
async def shared_rig(tmp_path: Path, database_url: str) -> AsyncIterator[Rig]:
    """An Exporter of its own; a test that asks for it runs on each kind of database."""
    async with exporter(tmp_path, database_url) as running:
        yield running


async def refused(method: Any, request: Any) -> TabrlError:
    """Returns the error that a call is answered with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(request)
    return error_from(caught.value)


async def referenced(channel: grpc.aio.Channel) -> set[str]:
    """Returns what a service names."""
    stub = artifacts_pb2_grpc.ReferenceServiceStub(channel)
    return {
        sha256 async for part in stub.ListReferences(artifacts_pb2.ListReferencesRequest()) for sha256 in part.sha256
    }
