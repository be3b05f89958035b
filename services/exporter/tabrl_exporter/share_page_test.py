"""Packing a page: what is in it, that it is the same each time, and what is said when it cannot be made."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf import json_format
from tabrl.exporter.v1 import exporter_pb2, manifest_pb2, sharing_pb2, sharing_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import Running, started

from tabrl_exporter import policies, share_page
from tabrl_exporter.service import SERVICE, ExporterConfig
from tabrl_exporter.share_page import pack_share_page

TITLE = 'Sway <gently> & "hold"'
INDEX = "<head><title>TabRL</title></head>"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A built page, as far as packing looks at it."""
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "index-1234.js").write_text("play();")
    return folder


def policy_in(store: ArtifactStore) -> exporter_pb2.Policy:
    """A policy whose files are stored; packing does not look into the graph."""
    controller = store.put(b"graph")
    manifest = manifest_pb2.ControllerManifest(
        specification=1, controller_sha256=controller.sha256, scene_xml=store.put(b"<mujoco/>", "application/xml")
    )
    manifest.scene_assets.add(path="leg.stl", artifact=store.put(b"mesh"))
    manifest.scene_assets.add(path="other_leg.stl", artifact=store.put(b"mesh"))
    policy = exporter_pb2.Policy(
        policy_id="pabcdefghijklmnop",
        environment_id="CartpoleBalance",
        title=TITLE,
        controller=controller,
        manifest=store.put(json_format.MessageToJson(manifest).encode(), "application/json"),
    )
    policy.parity.states = 200
    policy.exports.add(format=exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16)
    return policy


def test_one_folder_holds_the_page_and_all_that_it_plays(store: ArtifactStore, page: Path) -> None:
    # given a policy, when it is packed
    policy = policy_in(store)
    packed = pack_share_page(policy, page, store)

    # then there is one folder with the page
    assert packed.file_name == "CartpoleBalance-pabcdefg-page.zip"
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        files = {name.removeprefix("CartpoleBalance-pabcdefg/"): archive.read(name) for name in archive.namelist()}
    contents = {name for name in files if not name.startswith("files/")}
    assert contents == {"README.txt", "index.html", "assets/index-1234.js", "policy.json"}

    # the policy as the contract writes it, without what the page does not play
    shown = json_format.Parse(files["policy.json"], exporter_pb2.Policy())
    assert (shown.title, shown.controller, shown.parity.states, len(shown.exports)) == (
        TITLE,
        policy.controller,
        200,
        0,
    )
    # and every file under its digest, each once: graph, manifest, MJCF, mesh
    stored = {name.removeprefix("files/"): content for name, content in files.items() if name.startswith("files/")}
    assert len(stored) == 4
    assert all(hashlib.sha256(content).hexdigest() == sha256 for sha256, content in stored.items())
    assert {shown.controller.sha256, shown.manifest.sha256} < set(stored)


def test_the_name_of_an_environment_names_no_other_folder(store: ArtifactStore, page: Path) -> None:
    # given a policy of an environment that somebody else has named, when it is packed
    policy = policy_in(store)
    policy.environment_id = "../../.ssh/\r\nx"
    packed = pack_share_page(policy, page, store)

    # then folder and file are called by what is left of the name
    assert packed.file_name == "-------ssh---x-pabcdefg-page.zip"
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {"-------ssh---x-pabcdefg"}


def test_the_same_policy_gives_the_same_bytes(store: ArtifactStore, page: Path) -> None:
    policy = policy_in(store)
    first = pack_share_page(policy, page, store)
    (page / "index.html").touch()

    assert pack_share_page(policy, page, store) == first
    policy.title = "Another"
    assert pack_share_page(policy, page, store) != first


def test_a_title_is_text_wherever_it_stands(store: ArtifactStore, page: Path) -> None:
    packed = pack_share_page(policy_in(store), page, store)

    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        index = archive.read("CartpoleBalance-pabcdefg/index.html").decode()
    assert "<title>Sway &lt;gently&gt; &amp; &quot;hold&quot; · TabRL</title>" in index
    assert "<gently>" not in index


@pytest.mark.parametrize("built", [None, Path("/nowhere")])
def test_without_a_built_page_nothing_is_packed(store: ArtifactStore, built: Path | None) -> None:
    with pytest.raises(TabrlError) as caught:
        pack_share_page(policy_in(store), built, store)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PAGE_NOT_BUILT")
    assert "make install" in caught.value.message


def test_a_file_that_is_gone_is_said(store: ArtifactStore, page: Path) -> None:
    policy = policy_in(store)
    assert store.remove(hashlib.sha256(b"mesh").hexdigest(), unused_for_secs=0)

    with pytest.raises(TabrlError) as caught:
        pack_share_page(policy, page, store)
    assert caught.value.reason == "ARTIFACT_NOT_FOUND"


@pytest_asyncio.fixture
async def running(tmp_path: Path, page: Path) -> AsyncIterator[Running[ExporterConfig]]:
    async with started(SERVICE, ExporterConfig(data=tmp_path / "data", share_page=page)) as service:
        yield service


async def test_the_service_stores_the_page_once(running: Running[ExporterConfig]) -> None:
    # given a policy on record
    store = running.context.artifacts
    policy = policy_in(store)
    await running.context.database.write(lambda session: policies.publish(session, policy))

    # when its page is asked for twice
    async with open_channel(running.address) as channel:
        stub = sharing_pb2_grpc.SharingServiceStub(channel)
        request = sharing_pb2.CreateSharePageRequest(policy_id=policy.policy_id)
        first, second = await stub.CreateSharePage(request), await stub.CreateSharePage(request)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CreateSharePage(sharing_pb2.CreateSharePageRequest(policy_id="pnone"))

    # then it is one zip in the store
    assert first == second
    assert first.download_path == f"/artifacts/{first.page.sha256}"
    assert first.page.media_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(store.read(first.page.sha256))) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("CartpoleBalance-pabcdefg/policy.json"))["policyId"] == policy.policy_id
    # and what is not there is said
    assert error_from(caught.value).reason == "POLICY_NOT_FOUND"


async def test_a_page_whose_caller_went_away_counts_until_it_is_packed_and_the_next_caller_joins_it(
    running: Running[ExporterConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two policies whose pages take long to pack, and a third
    policy = policy_in(running.context.artifacts)
    for policy.policy_id in ("p1", "p2", "p3"):
        await running.context.database.write(lambda session: policies.publish(session, policy))
    packing, may_end = list[str](), threading.Event()

    def slowly(policy: exporter_pb2.Policy, *arguments: Any) -> Any:
        packing.append(policy.policy_id)
        may_end.wait(60)
        return pack_share_page(policy, *arguments)

    monkeypatch.setattr(share_page, "pack_share_page", slowly)
    async with open_channel(running.address) as channel:
        ask = sharing_pb2_grpc.SharingServiceStub(channel).CreateSharePage

        # when the callers of both go away
        try:
            for policy_id in ("p1", "p2"):
                call = ask(sharing_pb2.CreateSharePageRequest(policy_id=policy_id))
                async with asyncio.timeout(60):
                    while policy_id not in packing:
                        await asyncio.sleep(0.01)
                call.cancel()
            await asyncio.sleep(0.2)

            # then there is no room for a third, while who asks for one of the two again joins what is under way
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(sharing_pb2.CreateSharePageRequest(policy_id="p3"))
            again = asyncio.ensure_future(ask(sharing_pb2.CreateSharePageRequest(policy_id="p1")))
            await asyncio.sleep(0.2)
        finally:
            may_end.set()
        assert error_from(caught.value).reason == "TOO_MANY_REQUESTS"
        assert (await again).file_name == "CartpoleBalance-p1-page.zip"
        assert packing == ["p1", "p2"]

        # and room again once they are packed
        assert (
            await ask(sharing_pb2.CreateSharePageRequest(policy_id="p3"))
        ).file_name == "CartpoleBalance-p3-page.zip"
