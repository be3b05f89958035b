"""The Exporter over a real socket, with its real export process."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import fsspec
import grpc
import numpy as np
import pytest
import pytest_asyncio
from fsspec.implementations.memory import MemoryFileSystem
from google.protobuf import json_format
from prometheus_client import REGISTRY
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, manifest_pb2
from tabrl.play import manifest_json, player
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.database import Database, schema_differences
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import Running, started
from tabrl_simulation import bundle, environments
from tabrl_simulation.controllers.untrained import untrained_checkpoint

from tabrl_exporter import exchange, policies, worker
from tabrl_exporter.service import SERVICE, ExporterConfig, exporter_service

in_one_loop = pytest.mark.asyncio(loop_scope="module")

CARTPOLE = "CartpoleBalance"
Stub = exporter_pb2_grpc.ExporterServiceStub

# An export process whose controllers see only half of each observation.
_BROKEN_WORKER = """
from tabrl_simulation.controllers import build, parity
from tabrl_exporter import worker
right = build.build_controller
def halved(bench, checkpoint, reward, **options):
    made = right(bench, checkpoint, reward, **options)
    policy = checkpoint.policy(bench.environment)
    wrong = build.build(bench, lambda observation: policy(0.5 * observation), reward)
    return build.BuiltController(wrong.onnx, wrong.manifest, wrong.scene, made.source)
build.build_controller = halved
worker.main()
"""


# An export process that answers at once, with files that are no controller.
_HASTY_WORKER = """
import pathlib, sys
from tabrl_exporter import exchange
parity = exchange.Parity(200, 1e-5, {"ctrl": (0.0, 1e-5)}, "0", "0")
for line in sys.stdin.buffer:
    order = exchange.parse_export(line)
    for name in ("scene.xml", "controller.onnx", "manifest.json"):
        pathlib.Path(order.folder, name).write_text(name)
    sys.stdout.buffer.write(exchange.to_line(exchange.Exported(parity, 1000, ())))
    sys.stdout.buffer.flush()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running[ExporterConfig]]:
    async with started(SERVICE, ExporterConfig(data=tmp_path_factory.mktemp("data"))) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def stub(running: Running[ExporterConfig]) -> AsyncIterator[Stub]:
    async with open_channel(running.address) as channel:
        yield Stub(channel)


def checkpoint_in(store: ArtifactStore, *, seed: int = 0, environment_id: str = CARTPOLE) -> str:
    environment = environments.load(environment_id)
    return store.put(untrained_checkpoint(environment, seed=seed).to_bytes()).sha256


def ask(checkpoint: str, **fields: object) -> exporter_pb2.CreatePolicyRequest:
    return exporter_pb2.CreatePolicyRequest(
        **{"environment_id": CARTPOLE, "checkpoint_sha256": checkpoint, **fields}  # type: ignore[arg-type]
    )


async def refused(stub: Stub, request: exporter_pb2.CreatePolicyRequest) -> TabrlError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CreatePolicy(request)
    return error_from(caught.value)


def exports(outcome: str = "published") -> float:
    return REGISTRY.get_sample_value("tabrl_exporter_export_seconds_count", {"outcome": outcome}) or 0.0


@in_one_loop
async def test_a_checkpoint_becomes_a_policy_that_plays(stub: Stub, running: Running[ExporterConfig]) -> None:
    # Given a checkpoint, when it is exported
    store = running.context.artifacts
    checkpoint = checkpoint_in(store)
    parent = "1" * 64
    request = ask(checkpoint, run_id="run-1", title="sway", prompt="sway gently", parent_checkpoint_sha256=parent)
    policy = (await stub.CreatePolicy(request)).policy

    # then the policy says what it is and how it was measured
    assert policy.policy_id == policies.policy_id_of(ask(checkpoint))
    assert (policy.environment_id, policy.run_id, policy.title) == (CARTPOLE, "run-1", "sway")
    assert policy.checkpoint_sha256 == checkpoint
    assert not policy.HasField("reward")
    assert policy.parity.passed
    assert policy.parity.states >= 500
    assert policy.parity.closed_loop.passed
    assert [episode.reset for episode in policy.parity.closed_loop.episodes] == [0, 1, 2, 3]
    assert policy.lineage == manifest_pb2.ControllerLineage(
        run_id="run-1", prompt="sway gently", parent_checkpoint_sha256=parent
    )
    assert max(output.max_difference for output in policy.parity.outputs) <= policy.parity.tolerance == 1e-5
    assert (await stub.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id=policy.policy_id))).policy == policy

    # the manifest is the contract's, and says the same with and without protobuf
    text = store.read(policy.manifest.sha256)
    message = json_format.Parse(text, manifest_pb2.ControllerManifest())
    manifest = manifest_json.loads(text)
    assert manifest_json.dumps(manifest_json.loads(json_format.MessageToJson(message))) == manifest_json.dumps(manifest)
    assert message.controller_sha256 == policy.controller.sha256
    assert message.lineage == policy.lineage
    assert (message.model.nq, message.model.nu) == (2, 1)
    assert [licence.spdx_id for licence in message.licences] == ["Apache-2.0"]
    assert message.checkpoint_sha256 == checkpoint
    assert len(message.resets) == 16
    assert len(message.resets[0].data["qpos"].values) == 2
    assert policy.manifest.media_type == "application/json"
    assert store.describe(message.scene_xml.sha256) == message.scene_xml

    # and the stored files are enough to play it
    files = bundle.SceneFiles(store.read(message.scene_xml.sha256).decode(), {})
    controller = player.Controller(store.read(policy.controller.sha256), manifest)
    ticks = [
        tick for tick, _ in zip(player.Player(controller, bundle.load_scene(files)).episode(), range(20), strict=False)
    ]
    assert np.isfinite(ticks[-1].decision.reward)


@in_one_loop
async def test_the_same_call_gives_the_same_policy_by_one_export(stub: Stub, running: Running[ExporterConfig]) -> None:
    request = ask(checkpoint_in(running.context.artifacts, seed=1))
    before = exports()

    answers = await asyncio.gather(*(stub.CreatePolicy(request) for _ in range(4)))
    request.title = "another title decides nothing"
    answers.append(await stub.CreatePolicy(request))

    assert len({answer.policy.SerializeToString() for answer in answers}) == 1
    assert exports() - before == 1


@in_one_loop
async def test_an_export_outlives_the_caller_that_asked_first(stub: Stub, running: Running[ExporterConfig]) -> None:
    request = ask(checkpoint_in(running.context.artifacts, seed=2))
    before = exports()
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.CreatePolicy(request, timeout=0.05)
    assert (await stub.CreatePolicy(request)).policy.parity.passed
    assert exports() - before == 1


@in_one_loop
async def test_policies_are_listed_newest_first_by_run_and_environment(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    def publish(session: object) -> None:
        for number in range(5):
            policy = exporter_pb2.Policy(
                policy_id=f"listed-{number}", environment_id="WalkerRun", run_id=f"r{number % 2}"
            )
            policies.publish(session, policy)  # type: ignore[arg-type]

    await running.context.database.write(publish)

    async def listed(**query: object) -> exporter_pb2.ListPoliciesResponse:
        request = exporter_pb2.ListPoliciesRequest(environment_id="WalkerRun", **query)  # type: ignore[arg-type]
        answer: exporter_pb2.ListPoliciesResponse = await stub.ListPolicies(request)
        return answer

    first = await listed(page_size=3)
    rest = await listed(page_size=3, page_token=first.next_page_token)
    of_run = await listed(run_id="r1")

    assert [policy.policy_id for policy in first.policies] == ["listed-4", "listed-3", "listed-2"]
    assert [policy.policy_id for policy in rest.policies] == ["listed-1", "listed-0"]
    assert rest.next_page_token == ""
    assert [policy.policy_id for policy in of_run.policies] == ["listed-3", "listed-1"]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await listed(run_id="r1", page_token=first.next_page_token)
    assert error_from(caught.value).reason == "INVALID_PAGE_TOKEN"
    query, _ = json.loads(base64.urlsafe_b64decode(first.next_page_token + "=="))
    for forged in ("newest", "9" * 30):
        token = base64.urlsafe_b64encode(json.dumps([query, forged]).encode()).decode().rstrip("=")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await listed(page_token=token)
        assert error_from(caught.value).reason == "INVALID_PAGE_TOKEN"


@in_one_loop
async def test_a_policy_whose_scene_is_gone_is_exported_again_for_the_run_that_asks(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    # Given a policy of one run, of which the scene was deleted
    store = running.context.artifacts
    checkpoint = checkpoint_in(store, seed=5)
    first = (await stub.CreatePolicy(ask(checkpoint, run_id="run-before"))).policy
    manifest = json_format.Parse(store.read(first.manifest.sha256), manifest_pb2.ControllerManifest())
    store.local_path(manifest.scene_xml.sha256).unlink()

    # when another run asks for it, then the scene is back and lists name the run that the policy names
    again = (await stub.CreatePolicy(ask(checkpoint, run_id="run-after"))).policy
    assert (again.policy_id, again.run_id) == (first.policy_id, "run-after")
    assert store.exists(manifest.scene_xml.sha256)
    listed = {
        run_id: [
            policy.policy_id
            for policy in (await stub.ListPolicies(exporter_pb2.ListPoliciesRequest(run_id=run_id))).policies
        ]
        for run_id in ("run-before", "run-after")
    }
    assert listed == {"run-before": [], "run-after": [first.policy_id]}


@in_one_loop
async def test_bad_orders_are_refused_by_name(stub: Stub, running: Running[ExporterConfig]) -> None:
    store = running.context.artifacts
    checkpoint = checkpoint_in(store)

    error = await refused(stub, ask(checkpoint, environment_id="CartpoleBalanc"))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ENVIRONMENT_NOT_FOUND")
    assert error.metadata["nearest"] == CARTPOLE

    error = await refused(stub, ask("0" * 64))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ARTIFACT_NOT_FOUND")
    assert error.metadata["sha256"] == "0" * 64

    damaged = checkpoint_in(store, seed=6)
    path = store.local_path(damaged)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1])
    error = await refused(stub, ask(damaged))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ARTIFACT_DAMAGED")

    error = await refused(stub, ask(store.put(b"no checkpoint").sha256))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHECKPOINT_INCOMPATIBLE")

    error = await refused(stub, ask(checkpoint, environment_id="PendulumSwingup"))
    assert error.reason == "CHECKPOINT_INCOMPATIBLE"
    assert CARTPOLE in error.message

    garbage = store.put(b"no program").sha256
    reward = exporter_pb2.PolicyReward(program_sha256=garbage, onnx_sha256=garbage)
    error = await refused(stub, ask(checkpoint, reward=reward))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REWARD_MISMATCH")

    error = await refused(stub, ask("not a digest"))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id="none"))
    assert error_from(caught.value).reason == "POLICY_NOT_FOUND"


@in_one_loop
async def test_a_robot_that_is_missing_is_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TABRL_ROBOTS", str(tmp_path / "none"))
    service = exporter_service()
    async with started(service, ExporterConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        request = ask(checkpoint_in(running.context.artifacts), environment_id="Go1JoystickFlatTerrain")
        error = await refused(Stub(channel), request)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ROBOT_NOT_INSTALLED")
    assert error.metadata["remedy"] == "make up ROBOTS=1"


@in_one_loop
async def test_a_killed_export_process_is_replaced(stub: Stub, running: Running[ExporterConfig]) -> None:
    request = ask(checkpoint_in(running.context.artifacts, seed=3))
    export = asyncio.ensure_future(stub.CreatePolicy(request))
    victim = await _worker_of(os.getpid())
    os.kill(victim, signal.SIGKILL)
    assert (await export).policy.parity.passed
    assert await _worker_of(os.getpid()) != victim


@in_one_loop
async def test_a_controller_that_differs_from_its_source_is_not_published(tmp_path: Path) -> None:
    service = exporter_service(worker=("-c", _BROKEN_WORKER))
    async with started(service, ExporterConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        request = ask(checkpoint_in(running.context.artifacts))
        error = await refused(Stub(channel), request)
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PARITY_FAILED")
        assert {name for name, _ in error.fields} >= {"action", "ctrl"}

        # the report is kept though the policy is not
        asked = exporter_pb2.GetParityReportRequest(policy_id=policies.policy_id_of(request))
        report = (await Stub(channel).GetParityReport(asked)).report
        assert not report.passed
        assert not report.closed_loop.passed
        assert "leaves its source's way" in report.closed_loop.reason
        assert not (await Stub(channel).ListPolicies(exporter_pb2.ListPoliciesRequest())).policies


@pytest.mark.parametrize(
    ("worker", "timeout_secs", "told"),
    [("raise SystemExit(3)", 60.0, "exit status 3"), ("import time; time.sleep(60)", 0.5, "no answer within 0.5 s")],
)
@in_one_loop
async def test_an_export_process_that_fails_again_is_an_error_and_no_hang(
    tmp_path: Path, worker: str, timeout_secs: float, told: str
) -> None:
    service = exporter_service(worker=("-c", worker))
    config = ExporterConfig(data=tmp_path, export_timeout_secs=timeout_secs)
    async with started(service, config) as running, open_channel(running.address) as channel:
        error = await refused(Stub(channel), ask(checkpoint_in(running.context.artifacts)))
    assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "WORKER_CRASHED")
    assert told in error.metadata["exit"]


@in_one_loop
async def test_an_idle_export_process_ends(tmp_path: Path) -> None:
    # Given a service whose export process answers every order with a defect
    reply = exchange.to_line(exchange.Refusal("INTERNAL", "", {})).decode()
    worker = f"import sys\nfor _ in sys.stdin:\n    print({reply!r}, end='', flush=True)"
    config = ExporterConfig(data=tmp_path, worker_idle_secs=0.2)
    service = exporter_service(worker=("-c", worker))
    async with started(service, config) as running, open_channel(running.address) as channel:
        error = await refused(Stub(channel), ask(checkpoint_in(running.context.artifacts)))
        assert (error.code, error.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        # when nothing more is asked, then it goes
        async with asyncio.timeout(30):
            while REGISTRY.get_sample_value("tabrl_exporter_worker_running"):
                await asyncio.sleep(0.05)


class _FullStore(MemoryFileSystem):
    """A store in memory that `full` makes a full disk of."""

    protocol = "full"
    full = False

    def pipe_file(self, path: str, value: bytes, **options: object) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().pipe_file(path, value, **options)


@in_one_loop
async def test_a_store_that_is_full_is_told_as_such_and_nothing_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an export process whose exports succeed, and a store that is full once the checkpoint is in it
    fsspec.register_implementation("full", _FullStore, clobber=True)
    config = ExporterConfig(data=tmp_path, artifacts_url="full://artifacts")
    service = exporter_service(worker=("-c", _HASTY_WORKER))
    async with started(service, config) as running, open_channel(running.address) as channel:
        request = ask(running.context.artifacts.put(b"a checkpoint").sha256)
        monkeypatch.setattr(_FullStore, "full", True)
        error = await refused(Stub(channel), request)
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
        assert not (await Stub(channel).ListPolicies(exporter_pb2.ListPoliciesRequest())).policies
        # when there is room again, then the same call publishes
        monkeypatch.setattr(_FullStore, "full", False)
        assert (await Stub(channel).CreatePolicy(request)).policy.env_steps == 1000


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (errno.ENOSPC, grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL"),
        (errno.EROFS, grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE"),
    ],
)
@in_one_loop
async def test_a_disk_without_room_for_an_export_is_told_as_such(
    number: int, code: grpc.StatusCode, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an export process whose exports succeed, and a disk that takes no more folders
    service = exporter_service(worker=("-c", _HASTY_WORKER))
    async with started(service, ExporterConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        request = ask(running.context.artifacts.put(b"a checkpoint").sha256)
        with monkeypatch.context() as patched:

            def no_room(*_arguments: object, **_options: object) -> object:
                raise OSError(number, os.strerror(number))

            patched.setattr(tempfile, "mkdtemp", no_room)
            error = await refused(Stub(channel), request)
        # then that is what is wrong, and the same call publishes once there is room
        assert (error.code, error.reason) == (code, reason)
        assert os.strerror(number) in error.message
        assert (await Stub(channel).CreatePolicy(request)).policy.env_steps == 1000
    assert list((tmp_path / "exporter" / "work").iterdir()) == []


def test_a_disk_that_is_full_for_the_export_process_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_carry_out", lambda *_: Path("/dev/full").write_bytes(b"a graph"))
    order = exchange.Export(CARTPOLE, "checkpoint", "0" * 64, None, "folder")
    refusal = worker._answer(exchange.to_line(order), {})
    assert isinstance(refusal, exchange.Refusal)
    assert refusal.reason == "STORAGE_FULL"


def test_what_decides_a_controller_decides_its_id() -> None:
    digest = "a" * 64
    reward = exporter_pb2.PolicyReward(program_sha256=digest, onnx_sha256=digest, weights={"upright": 1.0})
    unweighted = exporter_pb2.PolicyReward(reward_id="r", program_sha256=digest, onnx_sha256=digest)
    heavier = exporter_pb2.PolicyReward(program_sha256=digest, onnx_sha256=digest, weights={"upright": 2.0})
    ids = [policies.policy_id_of(ask(digest, **given)) for given in ({}, {"reward": reward}, {"reward": heavier})]
    assert len(set(ids)) == 3
    assert policies.policy_id_of(ask(digest, reward=unweighted, title="t", run_id="r")) == ids[1]
    assert policies.policy_id_of(ask(digest)) == ids[0]
    assert all(len(each) <= 20 for each in ids)


def test_the_migrations_make_the_models(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/exporter.db")
    database.migrate("tabrl_exporter.migrations")
    assert schema_differences(database, policies.Base.metadata) == []
    database.close()


def test_the_service_itself_imports_neither_jax_nor_onnx() -> None:
    code = "import sys, tabrl_exporter.__main__; print({'jax', 'onnx', 'mujoco', 'onnxruntime'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "set()"


async def _worker_of(parent: int) -> int:
    """Returns the process id of the export process, waiting until there is one."""
    async with asyncio.timeout(60):
        while True:
            for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
                if b"tabrl_exporter.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
            await asyncio.sleep(0.01)
