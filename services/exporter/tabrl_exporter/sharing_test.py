"""A policy goes from one installation to another as a file, and what is no such file goes nowhere."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import mujoco
import numpy as np
import pytest
import pytest_asyncio
from google.protobuf import json_format
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, manifest_pb2, sharing_pb2, sharing_pb2_grpc
from tabrl.play import forging, malicious_corpus, manifest_json, player
from tabrl.play.bundle import read_bundle, write_bundle
from tabrl.play.opengl import NoOpenGLError, off_screen
from tabrl.play.sample import sample_contents
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import Running, started
from tabrl_simulation import environments
from tabrl_simulation.controllers.untrained import untrained_checkpoint

from tabrl_exporter import films, importing, policies, trials
from tabrl_exporter.service import SERVICE, ExporterConfig

in_one_loop = pytest.mark.asyncio(loop_scope="module")
Sharing = sharing_pb2_grpc.SharingServiceStub
Exporter = exporter_pb2_grpc.ExporterServiceStub
Request = sharing_pb2.ImportBundleRequest

_PIECE_BYTES = 1 << 20


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def maker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running[ExporterConfig]]:
    async with started(SERVICE, ExporterConfig(data=tmp_path_factory.mktemp("maker"))) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def taker(tmp_path: Path) -> AsyncIterator[Running[ExporterConfig]]:
    async with started(SERVICE, ExporterConfig(data=tmp_path)) as service:
        yield service


async def import_bundle(running: Running[ExporterConfig], content: bytes) -> exporter_pb2.Policy:
    """Sends a bundle in pieces, and goes on asking until there is a policy."""
    upload_id, received = str(uuid.uuid4()), 0
    async with open_channel(running.address) as channel:
        while True:
            piece = content[received : received + _PIECE_BYTES]
            request = Request(upload_id=upload_id, size_bytes=len(content), offset_bytes=received, data=piece)
            answer = await Sharing(channel).ImportBundle(request)
            received = answer.received_bytes
            if answer.HasField("policy"):
                return answer.policy


async def refused(running: Running[ExporterConfig], content: bytes) -> TabrlError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await import_bundle(running, content)
    return error_from(caught.value)


async def listed(running: Running[ExporterConfig]) -> list[exporter_pb2.Policy]:
    async with open_channel(running.address) as channel:
        return list((await Exporter(channel).ListPolicies(exporter_pb2.ListPoliciesRequest())).policies)


def played(store: ArtifactStore, policy: exporter_pb2.Policy) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns qpos and action of each tick, from nothing but what the store has."""
    text = store.read(policy.manifest.sha256)
    message = json_format.Parse(text, manifest_pb2.ControllerManifest(), ignore_unknown_fields=True)
    assets = {asset.path: store.read(asset.artifact.sha256) for asset in message.scene_assets}
    model = mujoco.MjModel.from_xml_string(store.read(message.scene_xml.sha256).decode(), assets)
    controller = player.Controller(store.read(policy.controller.sha256), manifest_json.loads(text))
    ticks = zip(player.Player(controller, model).episode(), range(100), strict=False)
    return [(tick.qpos, tick.decision.action) for tick, _ in ticks]


def stored_files(store_folder: Path) -> list[Path]:
    return [path for path in store_folder.rglob("*") if path.is_file()]


@in_one_loop
async def test_a_policy_goes_to_another_installation_and_does_the_same_there(
    maker: Running[ExporterConfig], taker: Running[ExporterConfig]
) -> None:
    # Given a policy with a measurement, exported on one installation
    store = maker.context.artifacts
    checkpoint = store.put(untrained_checkpoint(environments.load("CartpoleBalance")).to_bytes()).sha256
    async with open_channel(maker.address) as channel:
        order = exporter_pb2.CreatePolicyRequest(
            environment_id="CartpoleBalance", checkpoint_sha256=checkpoint, title="sway <b>gently</b>", run_id="r1"
        )
        policy = (await Exporter(channel).CreatePolicy(order)).policy
        policy.measurements.add(episodes=3, mean_return=12.5, term_returns={"upright": 7.5})
        await maker.context.database.write(lambda session: policies.publish(session, policy))

        # when it is packed twice
        request = sharing_pb2.CreateBundleRequest(policy_id=policy.policy_id)
        packed = await Sharing(channel).CreateBundle(request)
        again = await Sharing(channel).CreateBundle(request)
    content = store.read(packed.bundle.sha256)
    bundle = read_bundle(content)

    # then it is the same file, which says what it is
    assert again.bundle == packed.bundle
    assert packed.download_path == f"/artifacts/{packed.bundle.sha256}"
    assert packed.file_name.startswith("CartpoleBalance-p")
    assert packed.file_name.endswith(".tabrl")
    card = bundle.files["MODEL_CARD.md"].decode()
    assert "12.50" in card
    assert checkpoint in card
    assert "<b>" not in card
    assert ("video.webp" in bundle.files) == (not packed.left_out) == _draws()

    # and when it is imported elsewhere, in pieces, then the policy is there with its record
    imported = await import_bundle(taker, content)
    assert imported.policy_id != policy.policy_id
    assert (imported.environment_id, imported.title) == (policy.environment_id, policy.title)
    assert imported.imported.bundle_sha256 == packed.bundle.sha256
    assert imported.imported.policy_id == policy.policy_id
    # what its file says of it is kept as a claim, and no checkpoint here is taken for its own
    assert imported.imported.claimed_parity == policy.parity
    assert imported.imported.claimed_measurements == policy.measurements
    assert imported.imported.claimed_checkpoint_sha256 == checkpoint
    assert (imported.HasField("parity"), len(imported.measurements), imported.checkpoint_sha256) == (False, 0, "")
    assert (imported.controller, imported.manifest) == (policy.controller, policy.manifest)
    assert await listed(taker) == [imported]

    # it does the same, to the last bit
    here, there = played(store, policy), played(taker.context.artifacts, imported)
    assert len(here) == len(there) == 100
    for (qpos, action), (other_qpos, other_action) in zip(here, there, strict=True):
        assert np.array_equal(qpos, other_qpos)
        assert np.array_equal(action, other_action)

    # the same bundle again gives the same policy, there and where it came from
    assert await import_bundle(taker, content) == imported
    assert await import_bundle(maker, content) == policy
    # and it can be shared on
    async with open_channel(taker.address) as channel:
        onward = await Sharing(channel).CreateBundle(sharing_pb2.CreateBundleRequest(policy_id=imported.policy_id))
    assert read_bundle(taker.context.artifacts.read(onward.bundle.sha256)).controller == bundle.controller


def _draws() -> bool:
    try:
        off_screen()
    except NoOpenGLError:
        return False
    return True


@in_one_loop
async def test_where_nothing_can_be_drawn_the_bundle_says_so(
    maker: Running[ExporterConfig], taker: Running[ExporterConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = await import_bundle(taker, write_bundle(sample_contents()))
    monkeypatch.setenv("MUJOCO_GL", "none-such")
    async with open_channel(taker.address) as channel:
        packed = await Sharing(channel).CreateBundle(sharing_pb2.CreateBundleRequest(policy_id=policy.policy_id))
    assert [reason.partition(":")[0] for reason in packed.left_out] == ["thumbnail.webp", "video.webp"]
    assert "libosmesa6" in packed.left_out[0]
    assert "video.webp" not in read_bundle(taker.context.artifacts.read(packed.bundle.sha256)).files


@in_one_loop
async def test_a_film_that_cannot_be_written_is_left_out(
    taker: Running[ExporterConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = await import_bundle(taker, write_bundle(sample_contents()))

    async def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(films, "_draw", full)
    async with open_channel(taker.address) as channel:
        packed = await Sharing(channel).CreateBundle(sharing_pb2.CreateBundleRequest(policy_id=policy.policy_id))
    assert [reason.partition(":")[0] for reason in packed.left_out] == ["thumbnail.webp", "video.webp"]
    assert "No space left" in packed.left_out[0]


def test_half_drawn_films_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".drawing-x").mkdir()
    (tmp_path / ".drawing-x" / "video.webp").write_bytes(b"half")
    (tmp_path / "kept").mkdir()
    films.Films(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@in_one_loop
async def test_a_bundle_whose_caller_went_away_is_packed_on_and_joined_by_the_next(
    taker: Running[ExporterConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = await import_bundle(taker, write_bundle(sample_contents()))
    request = sharing_pb2.CreateBundleRequest(policy_id=policy.policy_id)
    drawn, begun, may_end = 0, asyncio.Event(), asyncio.Event()

    async def draw(folder: Path, _bundle: bytes) -> None:
        nonlocal drawn
        drawn += 1
        begun.set()
        await may_end.wait()
        for file in films.FILES:
            (folder / file).write_bytes(b"RIFF\x04\0\0\0WEBP")

    monkeypatch.setattr(films, "_draw", draw)
    async with open_channel(taker.address) as channel:
        # Given a caller that gave up while the film was drawn
        call = Sharing(channel).CreateBundle(request)
        await begun.wait()
        call.cancel()
        # when another one asks, then the film goes on, and is drawn once
        second = asyncio.ensure_future(Sharing(channel).CreateBundle(request))
        await asyncio.sleep(0.2)
        may_end.set()
        packed = await second
    assert (drawn, list(packed.left_out)) == (1, [])


@in_one_loop
async def test_what_is_packed_or_imported_when_the_service_ends_has_ended_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = {"draw": asyncio.Event(), "try": asyncio.Event()}, []

    async def long(what: str) -> None:
        begun[what].set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(what)

    async with started(SERVICE, ExporterConfig(data=tmp_path, drain_secs=0.1)) as running:
        policy = await import_bundle(running, write_bundle(sample_contents()))
        monkeypatch.setattr(films, "_draw", lambda *_: long("draw"))
        monkeypatch.setattr(importing, "try_in_jail", lambda _: long("try"))
        async with open_channel(running.address) as channel:
            request = sharing_pb2.CreateBundleRequest(policy_id=policy.policy_id)
            packing = asyncio.ensure_future(Sharing(channel).CreateBundle(request))
            reading = asyncio.create_task(import_bundle(running, write_bundle(sample_contents())))
            await asyncio.gather(*(event.wait() for event in begun.values()))
            for task in (packing, reading):
                task.cancel()
            await asyncio.gather(packing, reading, return_exceptions=True)
            assert ended == []  # a caller that goes away ends neither
    assert sorted(ended) == ["draw", "try"]


@in_one_loop
async def test_numbers_that_are_not_finite_stay_out_of_the_bundle_so_that_it_can_be_imported(
    taker: Running[ExporterConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a policy with a measurement, and a return in its parity report, that diverged
    monkeypatch.setenv("MUJOCO_GL", "none-such")
    policy = await import_bundle(taker, write_bundle(sample_contents()))
    policy.ClearField("imported")
    policy.measurements.add(episodes=1, mean_return=float("nan"))
    policy.measurements.add(episodes=2, mean_return=2.5)
    policy.parity.closed_loop.episodes.add(source_return=float("inf"))
    await taker.context.database.write(lambda session: policies.publish(session, policy))
    # when it is packed, then these are left out
    async with open_channel(taker.address) as channel:
        packed = await Sharing(channel).CreateBundle(sharing_pb2.CreateBundleRequest(policy_id=policy.policy_id))
        await Exporter(channel).DeletePolicy(exporter_pb2.DeletePolicyRequest(policy_id=policy.policy_id))
    assert [reason.partition(":")[0] for reason in packed.left_out][:2] == [
        "measurements",
        "closed loop of the parity report",
    ]
    # and the rest can be imported
    imported = await import_bundle(taker, taker.context.artifacts.read(packed.bundle.sha256))
    assert [measured.mean_return for measured in imported.imported.claimed_measurements] == [2.5]


@in_one_loop
async def test_a_bundle_that_lies_is_refused_and_leaves_nothing(
    taker: Running[ExporterConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a bundle of each rule that the corpus knows; the jail is tried by its own tests, and takes a second each
    async def jailed(_content: bytes) -> None:
        return None

    monkeypatch.setattr(importing, "try_in_jail", jailed)
    of_each_rule = {malicious.rule: malicious for malicious in malicious_corpus.bundles() if malicious.content}
    assert len(of_each_rule) >= 30
    before = stored_files(tmp_path / "artifacts")
    for rule, malicious in of_each_rule.items():
        # when it is imported, then it is refused by its rule
        error = await refused(taker, malicious.content)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BUNDLE_REFUSED"), malicious.what
        assert error.metadata["rule"] == rule, malicious.what

    # and no artifact, no policy and no piece of it is there
    assert stored_files(tmp_path / "artifacts") == before == []
    assert await listed(taker) == []
    assert not list((tmp_path / "exporter" / "uploads").glob("*"))


@in_one_loop
async def test_a_bundle_that_cannot_be_played_is_refused_by_the_trial_before_anything_is_stored(
    taker: Running[ExporterConfig], tmp_path: Path
) -> None:
    xml = forging.sample_files()["scene/scene.xml"].replace(b'joint="hinge"', b'joint="none"')
    error = await refused(taker, forging.with_scene(xml, {}))
    assert (error.reason, error.metadata["rule"]) == ("BUNDLE_REFUSED", "TRIAL_SCENE")
    assert error.metadata["file"] == "scene/scene.xml"
    assert stored_files(tmp_path / "artifacts") == []
    assert await listed(taker) == []


@in_one_loop
async def test_records_that_are_none_are_refused(taker: Running[ExporterConfig]) -> None:
    for file, text in (
        ("parity.json", b'{"tolerance": "NaN"}'),
        ("parity.json", b'{"states": "many"}'),
        ("policy.json", b'{"measurements": [{"termReturns": {"x": "Infinity"}}]}'),
        ("policy.json", b'{"title": ["no title"]}'),
    ):
        error = await refused(taker, forging.forged({**forging.sample_files(), file: text}))
        assert (error.metadata["rule"], error.metadata["file"]) == ("RECORD", file), text
    assert await listed(taker) == []


@in_one_loop
async def test_records_that_come_to_more_than_a_list_can_hold_are_refused(taker: Running[ExporterConfig]) -> None:
    # Given records that are short as JSON, and twice as long as what is kept of them
    returns = ",".join(f'"{number:03x}":1' for number in range(3_900))
    records = {
        "policy.json": f'{{"measurements":[{{"termReturns":{{{returns}}}}}]}}'.encode(),
        "parity.json": json.dumps({"mujocoVersion": "3" * 30_000}).encode(),
    }
    # when they are imported, then they are refused
    error = await refused(taker, forging.forged({**forging.sample_files(), **records}))
    assert (error.metadata["rule"], error.metadata["file"]) == ("RECORD", "policy.json")
    assert await listed(taker) == []


@in_one_loop
async def test_a_lineage_of_the_record_is_no_longer_than_one_of_the_manifest(taker: Running[ExporterConfig]) -> None:
    files = forging.sample_files()
    manifest = json.loads(files["manifest.json"])
    del manifest["lineage"]
    said = json.dumps({"lineage": {"parentCheckpointSha256": "x" * 64}}).encode()
    changed = {**files, "manifest.json": json.dumps(manifest).encode(), "policy.json": said}
    error = await refused(taker, forging.forged(changed))
    assert (error.metadata["rule"], error.metadata["file"]) == ("MANIFEST_RANGE", "policy.json")


@in_one_loop
async def test_a_bundle_cannot_take_the_place_of_a_policy_to_come(taker: Running[ExporterConfig]) -> None:
    # Given a bundle that calls itself what the export of some checkpoint will be called
    order = exporter_pb2.CreatePolicyRequest(environment_id="SamplePole", checkpoint_sha256="0" * 64)
    wanted = policies.policy_id_of(order)
    contents = sample_contents()
    squatting = type(contents)(wanted, contents.environment_id, contents.title, contents.files)
    # when it is imported, then that id is still free
    imported = await import_bundle(taker, write_bundle(squatting))
    assert imported.imported.policy_id == wanted
    assert await taker.context.database.read(lambda session: policies.find(session, wanted)) is None


@in_one_loop
async def test_without_a_jail_nothing_is_imported(
    taker: Running[ExporterConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_content: bytes) -> None:
        raise trials.JailUnavailable("the kernel has no Landlock")

    monkeypatch.setattr(importing, "try_in_jail", unavailable)
    error = await refused(taker, write_bundle(sample_contents()))
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "JAIL_UNAVAILABLE")
    assert await listed(taker) == []


@in_one_loop
async def test_two_imports_of_one_bundle_at_once_make_one_policy(taker: Running[ExporterConfig]) -> None:
    content = write_bundle(sample_contents())
    first, second = await asyncio.gather(import_bundle(taker, content), import_bundle(taker, content))
    assert first == second
    assert await listed(taker) == [first]


@in_one_loop
async def test_who_asks_for_an_import_whose_policy_was_deleted_is_told_and_asks_no_longer(
    taker: Running[ExporterConfig],
) -> None:
    # Given a bundle that was imported, and its policy deleted before its sender had the answer
    content = write_bundle(sample_contents())
    request = Request(upload_id=str(uuid.uuid4()), size_bytes=len(content), data=content)
    async with open_channel(taker.address) as channel:
        while not (answer := await Sharing(channel).ImportBundle(request)).HasField("policy"):
            pass
        imported = answer.policy
        await Exporter(channel).DeletePolicy(exporter_pb2.DeletePolicyRequest(policy_id=imported.policy_id))
        # when the sender asks again, then the answer is no "not yet"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Sharing(channel).ImportBundle(request)
    error = error_from(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")
    assert "new upload_id" in error.message
    # and under another id it can be had again
    assert (await import_bundle(taker, content)).policy_id == imported.policy_id


@in_one_loop
async def test_an_import_looks_at_no_policy_that_has_another_controller(taker: Running[ExporterConfig]) -> None:
    # Given a policy of the same environment that nobody can read
    unreadable = policies.PolicyRow(policy_id="p", environment_id="SamplePole", run_id="", policy=b"\xff")
    await taker.context.database.write(lambda session: session.add(unreadable))
    assert (await import_bundle(taker, write_bundle(sample_contents()))).environment_id == "SamplePole"


@in_one_loop
async def test_a_policy_that_is_not_there_cannot_be_shared(taker: Running[ExporterConfig]) -> None:
    async with open_channel(taker.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await Sharing(channel).CreateBundle(sharing_pb2.CreateBundleRequest(policy_id="none"))
    assert error_from(caught.value).reason == "POLICY_NOT_FOUND"
