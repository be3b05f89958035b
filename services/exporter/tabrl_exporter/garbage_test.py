"""What nobody names goes, once it is old; what anybody needs stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl_chassis.client import open_channel
from tabrl_chassis.config import parse_config
from tabrl_chassis.errors import TabrlError

from tabrl_exporter import garbage
from tabrl_exporter.conftest import Rig, exporter, referenced, refused
from tabrl_exporter.service import ExporterConfig

pytestmark = pytest.mark.asyncio


async def collect(rig: Rig, *, dry_run: bool = False) -> tuple[int, int, int, int]:
    answer = await rig.registry.CollectGarbage(registry_pb2.CollectGarbageRequest(dry_run=dry_run))
    return answer.files, answer.size_bytes, answer.named_files, answer.young_files


def everything(rig: Rig) -> set[str]:
    return {file.sha256 for file in rig.store.stored()}


def put(rig: Rig, text: str, *, days: float = 2.0) -> str:
    """Stores a file that looks as old as is said."""
    sha256 = rig.store.put(text.encode()).sha256
    rig.age(sha256, days=days)
    return sha256


def deleted() -> tuple[float, float]:
    names = ("tabrl_exporter_garbage_files_total", "tabrl_exporter_garbage_bytes_total")
    files, size = (REGISTRY.get_sample_value(name) or 0.0 for name in names)
    return files, size


async def published_with_files(rig: Rig, policy_id: str, *, asset: str = "asset") -> set[str]:
    """Publishes a policy with a file of every kind, all of them old; returns their digests."""
    manifest, scene = rig.manifest(policy_id, scene=f"scene of {policy_id}".encode(), asset=asset.encode())
    other_manifest, other_scene = rig.manifest(f"{policy_id} fp16", scene=f"other scene of {policy_id}".encode())
    names = ("controller", "checkpoint", "program", "graph", "weights", "fp16", "bundle")
    files = {name: put(rig, f"{name} of {policy_id}") for name in names}
    policy = exporter_pb2.Policy(checkpoint_sha256=files["checkpoint"])
    policy.controller.sha256, policy.manifest.sha256 = files["controller"], manifest
    policy.reward.program_sha256, policy.reward.onnx_sha256 = files["program"], files["graph"]
    policy.exports.add().file.sha256 = files["weights"]
    halved = policy.exports.add()
    halved.file.sha256, halved.manifest.sha256 = files["fp16"], other_manifest
    policy.imported.bundle_sha256 = files["bundle"]
    named = {*files.values(), manifest, *scene, other_manifest, *other_scene}
    rig.age(*named)
    fields = {field.name: value for field, value in policy.ListFields()}
    await rig.publish(policy_id, **fields)
    return named


async def test_what_anybody_names_stays_and_what_nobody_names_goes(shared_rig: Rig) -> None:
    # Given files that each service names, and old ones that none does
    rig = shared_rig
    named = await published_with_files(rig, "p1")
    for name, peer in rig.peers.items():
        peer.names = {put(rig, f"{name} {number}") for number in range(3)}
        named |= peer.names
    unnamed = {put(rig, "of nobody"), put(rig, "of nobody either")}
    before = deleted()

    # when garbage is collected
    found = await collect(rig)

    # then these are gone, with what is told of their type, and all others are there
    assert found == (2, len("of nobody") + len("of nobody either"), len(named), 0)
    assert everything(rig) == named
    assert deleted() == (before[0] + 2, before[1] + found[1])
    assert not any(list(rig.config.data.glob(f"artifacts/*/{sha256}*")) for sha256 in unnamed)
    assert (await collect(rig))[0] == 0


async def test_the_exporter_tells_what_it_names_too(rig: Rig) -> None:
    named = await published_with_files(rig, "p1")
    put(rig, "of nobody")
    async with open_channel(rig.address) as channel:
        assert await referenced(channel) == named


async def test_what_is_young_stays(rig: Rig) -> None:
    young = put(rig, "being made", days=0.9)
    put(rig, "left behind", days=1.1)
    assert (await collect(rig)) == (1, len("left behind"), 0, 1)
    assert everything(rig) == {young}


async def test_what_is_stored_again_while_garbage_is_collected_stays(rig: Rig) -> None:
    # Given an old file that somebody stores again after the store was looked through
    sha256 = put(rig, "wanted again")

    rig.peers["trainer"].meanwhile = lambda: rig.store.put(b"wanted again")

    assert (await collect(rig)) == (0, 0, 0, 1)
    assert rig.store.exists(sha256)


@pytest.mark.parametrize("name", ["scene", "rewardgen", "trainer"])
async def test_while_a_service_does_not_answer_nothing_is_deleted(rig: Rig, name: str) -> None:
    sha256 = put(rig, "of nobody")
    away = TabrlError(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", "the database is away")
    rig.peers[name].away = away
    error = await refused(rig.registry.CollectGarbage, registry_pb2.CollectGarbageRequest())
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")

    rig.peers[name].away = TabrlError(grpc.StatusCode.INTERNAL, "INTERNAL", "a defect")
    error = await refused(rig.registry.CollectGarbage, registry_pb2.CollectGarbageRequest())
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert error.metadata["service"] == name
    assert rig.store.exists(sha256)

    rig.peers[name].away = None
    assert (await collect(rig))[0] == 1


async def test_a_service_that_is_not_there_keeps_everything(tmp_path: Path) -> None:
    async with exporter(tmp_path, trainer_address="127.0.0.1:1") as rig:
        sha256 = put(rig, "of nobody")
        error = await refused(rig.registry.CollectGarbage, registry_pb2.CollectGarbageRequest())
        assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
        assert error.metadata["service"] == "trainer"
        assert rig.store.exists(sha256)


async def test_a_service_of_another_store_keeps_everything(rig: Rig) -> None:
    sha256 = put(rig, "of nobody")
    rig.peers["scene"].names = {"a" * 64}
    error = await refused(rig.registry.CollectGarbage, registry_pb2.CollectGarbageRequest())
    assert (error.reason, error.metadata["service"]) == ("SERVICE_UNAVAILABLE", "scene")
    assert rig.store.exists(sha256)


async def test_a_dry_run_says_what_would_go_and_deletes_nothing(rig: Rig) -> None:
    put(rig, "of nobody")
    put(rig, "being made", days=0.5)
    before, counted = everything(rig), deleted()
    dry = await collect(rig, dry_run=True)
    assert dry == (1, len("of nobody"), 0, 1)
    assert (everything(rig), deleted()) == (before, counted)
    assert await collect(rig) == dry


async def test_a_deleted_policy_frees_its_files_but_for_those_that_another_has(rig: Rig) -> None:
    # Given two policies whose scenes have a file in common
    first = await published_with_files(rig, "p1", asset="shared mesh")
    second = await published_with_files(rig, "p2", asset="shared mesh")
    assert len(first & second) == 1
    assert (await collect(rig))[0] == 0

    await rig.exporter.DeletePolicy(exporter_pb2.DeletePolicyRequest(policy_id="p1"))

    assert (await collect(rig))[0] == len(first) - 1
    assert everything(rig) == second


async def test_a_damaged_manifest_keeps_nobody_from_collecting(rig: Rig) -> None:
    manifest = put(rig, "no manifest")
    await rig.publish("p1", manifest=rig.store.describe(manifest))
    await rig.publish("p2", manifest=exporter_pb2.Policy().manifest)
    put(rig, "of nobody")
    assert (await collect(rig))[0] == 1
    assert everything(rig) == {manifest}


async def test_a_database_that_is_away_keeps_everything(rig: Rig) -> None:
    sha256 = put(rig, "of nobody")
    await rig.database.write(lambda session: session.execute(sa.text("ALTER TABLE policies RENAME TO away")))
    error = await refused(rig.registry.CollectGarbage, registry_pb2.CollectGarbageRequest())
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
    assert rig.store.exists(sha256)


async def test_it_is_collected_by_itself_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an Exporter that collects often, and a service that is away at first
    monkeypatch.setattr(garbage, "_FIRST_AFTER_SECS", 0.1)
    async with exporter(tmp_path, garbage_every_secs=0.1) as rig:
        collected = garbage._COLLECTIONS
        rig.peers["scene"].away = TabrlError(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", "away")
        sha256 = put(rig, "of nobody")
        before = collected.labels("failed")._value.get()
        async with asyncio.timeout(30):
            while collected.labels("failed")._value.get() < before + 2:
                await asyncio.sleep(0.02)
            assert rig.store.exists(sha256)
            rig.peers["scene"].away = None
            while rig.store.exists(sha256):
                await asyncio.sleep(0.02)


async def test_nothing_may_be_deleted_that_is_younger_than_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    # An object store is not told of every renewal within half a day.
    with pytest.raises(SystemExit):
        parse_config(ExporterConfig, "exporter", arguments=["--garbage-unused-secs", "43200"], environment={})
    assert "43200 is less than 86400" in capsys.readouterr().err
