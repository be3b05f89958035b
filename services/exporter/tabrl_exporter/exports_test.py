"""Other forms of a policy over a real socket, made by the real export process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import onnxruntime
import pytest
import pytest_asyncio
from google.protobuf import json_format
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, manifest_pb2
from tabrl.play import manifest_json, player
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import Running, started
from tabrl_simulation import arrays, bundle, environments
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.controllers import build, formats, network_zip
from tabrl_simulation.controllers.lowering import UnsupportedStepError
from tabrl_simulation.controllers.untrained import untrained_checkpoint
from tabrl_simulation.rewards.compile import compile_reward
from tabrl_simulation.rewards.robot import Robot
from tabrl_simulation.split import SplitError

from tabrl_exporter import exchange, policies, reformatting
from tabrl_exporter.service import SERVICE, ExporterConfig, exporter_service

in_one_loop = pytest.mark.asyncio(loop_scope="module")

CARTPOLE = "CartpoleBalance"
FP32 = exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP32
FP16 = exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16
INT8 = exporter_pb2.EXPORT_FORMAT_CONTROLLER_INT8
POLICY_ONNX = exporter_pb2.EXPORT_FORMAT_POLICY_ONNX
WEIGHTS = exporter_pb2.EXPORT_FORMAT_WEIGHTS
Stub = exporter_pb2_grpc.ExporterServiceStub

# An export process that writes into each file how many it has written.
_COUNTING_WORKER = """
import pathlib, sys
from tabrl_exporter import exchange
parity = exchange.Parity(200, 1e-5, {"action": (0.001, 0.01)}, "1", "")
for count, line in enumerate(sys.stdin.buffer):
    order = exchange.parse_order(line)
    pathlib.Path(order.folder, "file").write_text(str(count))
    pathlib.Path(order.folder, "manifest.json").write_text("{}")
    sys.stdout.buffer.write(exchange.to_line(exchange.Reformatted(parity, True)))
    sys.stdout.buffer.flush()
"""

# An export process in which no other form is near enough.
_STRICT_WORKER = """
from tabrl_simulation.controllers import formats
from tabrl_exporter import worker
formats.ACTION_BOUNDS = dict.fromkeys(formats.ACTION_BOUNDS, 1e-12)
worker.main()
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running[ExporterConfig]]:
    async with started(SERVICE, ExporterConfig(data=tmp_path_factory.mktemp("data"))) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="module")
async def stub(running: Running[ExporterConfig]) -> AsyncIterator[Stub]:
    async with open_channel(running.address) as channel:
        yield Stub(channel)


async def published(
    stub: Stub,
    store: ArtifactStore,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    reward: exporter_pb2.PolicyReward | None = None,
) -> exporter_pb2.Policy:
    checkpoint = checkpoint or untrained_checkpoint(environments.load(CARTPOLE), seed=seed)
    sha256 = store.put(checkpoint.to_bytes()).sha256
    request = exporter_pb2.CreatePolicyRequest(environment_id=CARTPOLE, checkpoint_sha256=sha256, reward=reward)
    policy: exporter_pb2.Policy = (await stub.CreatePolicy(request)).policy
    return policy


async def exported(
    stub: Stub, policy: exporter_pb2.Policy, wanted: exporter_pb2.ExportFormat.ValueType
) -> exporter_pb2.ExportPolicyResponse:
    request = exporter_pb2.ExportPolicyRequest(policy_id=policy.policy_id, format=wanted)
    answer: exporter_pb2.ExportPolicyResponse = await stub.ExportPolicy(request)
    return answer


async def refused(stub: Stub, policy: exporter_pb2.Policy, wanted: exporter_pb2.ExportFormat.ValueType) -> TabrlError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await exported(stub, policy, wanted)
    return error_from(caught.value)


async def known_exports(stub: Stub, policy: exporter_pb2.Policy) -> list[exporter_pb2.PolicyExport]:
    answer = await stub.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id=policy.policy_id))
    return list(answer.policy.exports)


@in_one_loop
@pytest.mark.parametrize("wanted", [exporter_pb2.EXPORT_FORMAT_UNSPECIFIED, FP32])
async def test_the_controller_itself_is_what_was_published(
    stub: Stub, running: Running[ExporterConfig], wanted: exporter_pb2.ExportFormat.ValueType
) -> None:
    policy = await published(stub, running.context.artifacts)

    answer = await exported(stub, policy, wanted)

    assert answer.download_path == f"/artifacts/{policy.controller.sha256}"
    assert answer.export == exporter_pb2.PolicyExport(
        format=FP32, file=policy.controller, manifest=policy.manifest, parity=policy.parity
    )


@in_one_loop
@pytest.mark.parametrize("wanted", [FP16, INT8])
async def test_a_smaller_controller_plays_by_a_manifest_of_its_own(
    stub: Stub, running: Running[ExporterConfig], wanted: exporter_pb2.ExportFormat.ValueType
) -> None:
    store = running.context.artifacts
    policy = await published(stub, store)

    # When a policy is asked for with smaller weights
    answer = await exported(stub, policy, wanted)

    # then there is a smaller file, with a report over a rollout that the jax source judged
    made = answer.export
    assert answer.download_path == f"/artifacts/{made.file.sha256}"
    assert made.file.size_bytes < policy.controller.size_bytes
    assert made.parity.passed
    assert made.parity.states >= 200
    assert made.parity.jax_version
    differences = {output.name: output.max_difference for output in made.parity.outputs}
    assert 0 < differences["action"] < 0.01
    assert differences["reward"] <= 1e-5

    # the policy remembers it
    assert made in await known_exports(stub, policy)

    # and it plays
    manifest = manifest_json.loads(store.read(made.manifest.sha256))
    scene = bundle.SceneFiles(store.read(manifest.scene_xml.sha256).decode(), {})
    controller = player.Controller(store.read(made.file.sha256), manifest)
    tick = next(player.Player(controller, bundle.load_scene(scene)).episode())
    assert np.isfinite(tick.decision.action).all()
    message = json_format.Parse(store.read(made.manifest.sha256), manifest_pb2.ControllerManifest())
    assert message.controller_sha256 == made.file.sha256
    assert message.checkpoint_sha256 == policy.checkpoint_sha256


@in_one_loop
async def test_the_network_alone_says_the_same_in_onnx_and_in_numpy(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    store = running.context.artifacts
    policy = await published(stub, store)

    onnx = (await exported(stub, policy, POLICY_ONNX)).export
    weights = (await exported(stub, policy, WEIGHTS)).export

    assert weights.file.media_type == "application/zip"
    assert not onnx.HasField("manifest")
    assert not weights.HasField("manifest")
    for made in (onnx, weights):
        assert made.parity.passed
        assert [each.name for each in made.parity.outputs] == ["action", "action of the published controller"]
        assert all(each.max_difference <= 1e-5 for each in made.parity.outputs)
    observation = np.linspace(-1, 1, 5, dtype=np.float32)
    session = onnxruntime.InferenceSession(store.read(onnx.file.sha256))
    (action,) = session.run(["action"], {"obs": observation})
    np.testing.assert_allclose(
        network_zip.action_of(store.read(weights.file.sha256), observation), action, rtol=0, atol=1e-5
    )


@in_one_loop
async def test_without_the_checkpoint_the_published_controller_is_the_measure(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    # Given a policy as an import leaves it
    store = running.context.artifacts
    policy = await published(stub, store, seed=1)
    store.local_path(policy.checkpoint_sha256).unlink()

    # then what is made of the controller can be had, measured without jax
    made = (await exported(stub, policy, INT8)).export
    assert made.parity.passed
    assert made.parity.jax_version == ""
    assert 0 < max(output.max_difference for output in made.parity.outputs) < 0.1

    # and what is made of the checkpoint cannot
    for wanted in (POLICY_ONNX, WEIGHTS):
        error = await refused(stub, policy, wanted)
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHECKPOINT_NOT_HERE")
        assert error.metadata["sha256"] == policy.checkpoint_sha256


@in_one_loop
async def test_a_policy_of_a_sealed_reward_is_measured_with_it_while_it_is_here(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    # Given a policy that was trained for a reward
    store, environment = running.context.artifacts, environments.load(CARTPOLE)
    robot = Robot(
        environment_id=environment.id,
        environment_fingerprint=environment.fingerprint,
        **dict.fromkeys(("bodies", "joints", "actuators", "sensors", "sites", "geoms"), ()),  # type: ignore[arg-type]
        arrays=arrays.shapes(environment.model),
        action_size=environment.action_size,
        control_period_secs=environment.control_period_secs,
    )
    source = "def reward(state, action):\n    return {'upright': jnp.cos(state.qpos[1])}\n"
    sealed = await asyncio.to_thread(compile_reward, source, robot)
    program, onnx = store.put(sealed.program).sha256, store.put(sealed.onnx).sha256
    trained = untrained_checkpoint(environment, reward_program_sha256=program, weights={"upright": 2.0})
    reward = exporter_pb2.PolicyReward(program_sha256=program, onnx_sha256=onnx, weights={"upright": 2.0})
    policy = await published(stub, store, checkpoint=trained, reward=reward)

    # when it is exported, then the reward's terms are compared with their source as well
    made = (await exported(stub, policy, INT8)).export
    assert made.parity.jax_version
    assert {"action", "reward", "term.upright"} <= {output.name for output in made.parity.outputs}

    # when the reward is gone, then the published controller is the measure, and the network needs no reward
    store.local_path(program).unlink()
    made = (await exported(stub, policy, FP16)).export
    assert made.parity.jax_version == ""
    assert "term.upright" in {output.name for output in made.parity.outputs}
    assert (await exported(stub, policy, WEIGHTS)).export.parity.passed


@in_one_loop
async def test_an_environment_that_has_changed_since_leaves_the_controller(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    # Given a policy whose environment was another when it was trained
    store = running.context.artifacts
    policy = await published(stub, store, seed=3)
    stale = replace(untrained_checkpoint(environments.load(CARTPOLE)), environment_fingerprint="0" * 64)
    policy.checkpoint_sha256 = store.put(stale.to_bytes()).sha256
    await running.context.database.write(lambda session: policies.publish(session, policy))

    assert (await exported(stub, policy, FP16)).export.parity.jax_version == ""
    error = await refused(stub, policy, WEIGHTS)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHECKPOINT_INCOMPATIBLE")


@in_one_loop
async def test_a_controller_that_cannot_be_played_here_is_told(stub: Stub, running: Running[ExporterConfig]) -> None:
    # Given a policy that was made for another MuJoCo
    store = running.context.artifacts
    policy = await published(stub, store, seed=4)
    manifest = json_format.Parse(store.read(policy.manifest.sha256), manifest_pb2.ControllerManifest())
    manifest.mujoco_versions.CopyFrom(manifest_pb2.VersionRange(minimum="1.0", below="1.1"))
    policy.manifest.CopyFrom(store.put(json_format.MessageToJson(manifest).encode()))
    await running.context.database.write(lambda session: policies.publish(session, policy))
    for wanted in (FP16, WEIGHTS):
        error = await refused(stub, policy, wanted)
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONTROLLER_INCOMPATIBLE")
        assert error.metadata["field"] == "mujoco_versions"


@in_one_loop
async def test_the_network_of_a_checkpoint_of_somebody_else_is_refused(
    stub: Stub, running: Running[ExporterConfig]
) -> None:
    # Given a policy on record with a checkpoint that it was not made from, as a bundle may claim
    policy = await published(stub, running.context.artifacts, seed=5)
    other = await published(stub, running.context.artifacts, seed=6)
    policy.checkpoint_sha256 = other.checkpoint_sha256
    await running.context.database.write(lambda session: policies.publish(session, policy))
    error = await refused(stub, policy, WEIGHTS)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PARITY_FAILED")
    assert [name for name, _ in error.fields] == ["action of the published controller"]


@pytest.mark.parametrize("cause", [UnsupportedStepError("no such primitive"), SplitError("no pipeline")])
def test_what_has_no_graph_any_more_is_refused_and_leaves_the_controller(
    cause: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an environment, or a policy, that this TabRL cannot write as a graph
    def fail(*_arguments: object, **_options: object) -> None:
        raise cause

    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_bytes(untrained_checkpoint(environments.load(CARTPOLE)).to_bytes())
    order = exchange.Reformat("fp16", CARTPOLE, "", "", "", {}, str(checkpoint), "c" * 64, None, str(tmp_path))
    monkeypatch.setattr(build, "build_controller", fail)
    monkeypatch.setattr(formats, "make_network", fail)
    monkeypatch.setattr(reformatting, "bench_of", lambda *_arguments: SimpleNamespace(environment=None))
    # then its network cannot be had, and the published controller is the measure of what can
    assert reformatting._origin(order, {}) is None
    refusal = reformatting._network(order, formats.Form.POLICY, None, {})  # type: ignore[arg-type]
    assert isinstance(refusal, exchange.Refusal)
    assert (refusal.reason, refusal.message) == ("CHECKPOINT_INCOMPATIBLE", str(cause))


@in_one_loop
async def test_a_policy_that_is_not_there_or_not_whole_is_told(stub: Stub, running: Running[ExporterConfig]) -> None:
    error = await refused(stub, exporter_pb2.Policy(policy_id="none"), WEIGHTS)
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")

    store = running.context.artifacts
    policy = await published(stub, store, seed=2)
    store.local_path(policy.controller.sha256).unlink()
    for wanted in (FP32, FP16, WEIGHTS):
        error = await refused(stub, policy, wanted)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ARTIFACT_NOT_FOUND")


@in_one_loop
async def test_a_form_that_does_something_else_is_refused_and_not_kept(tmp_path: Path) -> None:
    service = exporter_service(worker=("-c", _STRICT_WORKER))
    async with started(service, ExporterConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        policy = await published(Stub(channel), running.context.artifacts)

        error = await refused(Stub(channel), policy, INT8)

        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PARITY_FAILED")
        assert "action" in dict(error.fields)
        assert error.metadata["form"] == "int8"
        assert not await known_exports(Stub(channel), policy)


@in_one_loop
async def test_the_same_call_gives_the_same_file_made_once(tmp_path: Path) -> None:
    # Given a policy on record, and an export process that counts
    service = exporter_service(worker=("-c", _COUNTING_WORKER))
    async with started(service, ExporterConfig(data=tmp_path)) as running, open_channel(running.address) as channel:
        store, stub = running.context.artifacts, Stub(channel)
        scene = store.put(b"<mujoco/>")
        manifest = manifest_pb2.ControllerManifest(scene_xml=scene)
        policy = exporter_pb2.Policy(
            policy_id="p",
            environment_id=CARTPOLE,
            controller=store.put(b"graph"),
            manifest=store.put(json_format.MessageToJson(manifest).encode()),
        )
        await running.context.database.write(lambda session: policies.publish(session, policy))

        # when it is asked for at once and again, then there is one file; another form is another
        answers = await asyncio.gather(*(exported(stub, policy, FP16) for _ in range(4)))
        answers.append(await exported(stub, policy, FP16))
        other = await exported(stub, policy, INT8)
        assert {store.read(answer.export.file.sha256) for answer in answers} == {b"0"}
        assert store.read(other.export.file.sha256) == b"1"
        assert await known_exports(stub, policy) == [answers[0].export, other.export]

        # when its file is gone, then it is made again and the policy names the new one
        store.local_path(answers[0].export.file.sha256).unlink()
        again = await exported(stub, policy, FP16)
        assert store.read(again.export.file.sha256) == b"2"
        assert await known_exports(stub, policy) == [again.export, other.export]

        # when the policy has been exported anew meanwhile, then a form of the old controller is not remembered
        anew = exporter_pb2.Policy(policy_id="p", controller=store.put(b"another graph"))
        assert not await running.context.database.write(
            lambda session: policies.remember_export(session, "p", anew.controller.sha256, again.export)
        )


def test_an_order_and_its_answer_are_read_as_they_were_written() -> None:
    reward = exchange.RewardFiles("program", "onnx", "a" * 64, {"upright": 2.0})
    order = exchange.Reformat("fp16", CARTPOLE, "c", "m", "s", {"mesh.obj": "f"}, "k", "b" * 64, reward, "folder")
    assert exchange.parse_order(exchange.to_line(order)) == order
    export = exchange.Export(CARTPOLE, "checkpoint", "b" * 64, None, "folder")
    assert exchange.parse_order(exchange.to_line(export)) == export
