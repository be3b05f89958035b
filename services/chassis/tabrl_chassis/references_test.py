"""Digests are found wherever a message has them, and told in pieces."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2

from tabrl_chassis.client import open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.references import ReferenceServicer, digests_in
from tabrl_chassis.service import Service, started


def test_digests_are_found_however_deep() -> None:
    policy = exporter_pb2.Policy(policy_id="p", title="no digest", checkpoint_sha256="a")
    policy.controller.sha256 = "b"
    policy.reward.program_sha256, policy.reward.weights["up"] = "c", 2.0
    policy.exports.add().file.sha256 = "d"
    policy.exports.add().manifest.sha256 = "e"
    policy.measurements.add().term_returns["up"] = 1.0
    policy.imported.bundle_sha256 = "f"
    assert sorted(digests_in(policy)) == list("abcdef")


def test_digests_are_found_beside_maps_of_messages() -> None:
    manifest = manifest_pb2.ControllerManifest(controller_sha256="a")
    manifest.scene_xml.sha256 = "b"
    manifest.scene_assets.add(path="mesh.stl").artifact.sha256 = "c"
    manifest.resets.add().data["qpos"].values.extend([1.0, 2.0])
    assert sorted(digests_in(manifest)) == list("abc")


async def test_digests_are_told_once_each_and_a_thousand_at_most_in_a_message(tmp_path: Path) -> None:
    wanted = {hashlib.sha256(bytes([number % 256, number // 256])).hexdigest() for number in range(2500)}

    async def named() -> list[str]:
        return [*wanted, *wanted, ""]

    @contextlib.asynccontextmanager
    async def serve(server: Any, _context: Any) -> AsyncIterator[None]:
        artifacts_pb2_grpc.add_ReferenceServiceServicer_to_server(ReferenceServicer(named), server)
        yield

    service = Service("any", ServiceConfig, ("tabrl.artifacts.v1.ReferenceService",), serve)
    async with started(service, ServiceConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        stub = artifacts_pb2_grpc.ReferenceServiceStub(channel)
        told = [list(part.sha256) async for part in stub.ListReferences(artifacts_pb2.ListReferencesRequest())]
    assert [len(part) for part in told] == [1000, 1000, 500]
    assert {digest for part in told for digest in part} == wanted
