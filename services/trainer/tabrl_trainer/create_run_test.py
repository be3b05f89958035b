"""CreateRun and GetRun: what is taken, what is refused, and what a run tells of itself."""

import asyncio
import dataclasses
import uuid

import grpc
import pytest
import sqlalchemy as sa
from onnx import TensorProto, helper
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.database import Database, schema_differences
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.backends import has_gpu
from tabrl_simulation.rewards.container import ProgramHeader, pack

from tabrl_trainer.conftest import (
    FINGERPRINT,
    QUEUED,
    RUNNING,
    STARTING,
    SUCCEEDED,
    is_state,
    states,
    trainer,
)
from tabrl_trainer.models import Base, CheckpointRow
from tabrl_trainer.submission import check_backend


async def test_a_run_is_told_from_submission_to_its_final_policy(rig):
    run_id = await rig.create("print run metrics:1000@2 checkpoint:1000 metrics:2000@3 final:2000")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert [event.revision for event in events] == list(range(1, len(events) + 1))
    assert {event.run_id for event in events} == {run_id}
    run = await rig.get(run_id)
    assert (run.state, run.revision, run.metrics.env_steps) == (SUCCEEDED, len(events), 2000)
    assert run.create_time.ToNanoseconds() <= run.start_time.ToNanoseconds() <= run.end_time.ToNanoseconds()
    final = run.checkpoints[-1]
    assert (final.env_steps, final.final) == (2000, True)
    assert rig.store.read(final.artifact.sha256) == b"2000"
    published = [event.policy_published for event in events if event.HasField("policy_published")][-1]
    assert (published.final, published.policy_id, published.checkpoint_sha256) == (
        True,
        final.policy_id,
        final.artifact.sha256,
    )


async def test_settings_are_filled_in(rig):
    run_id = await rig.create("final:1", settings=trainer_pb2.TrainingSettings(env_steps=12345))
    settings = (await rig.get(run_id)).spec.settings
    assert settings.env_steps == 12345
    absent = {
        field.name for field in settings.DESCRIPTOR.fields if field.has_presence and not settings.HasField(field.name)
    }
    assert not absent
    assert list(settings.hidden_layer_sizes)


async def test_the_same_request_makes_one_run(rig):
    request_id = str(uuid.uuid4())
    runs = await asyncio.gather(*[rig.create("final:1", request_id=request_id) for _ in range(4)])
    assert len(set(runs)) == 1
    with pytest.raises(TabrlError) as caught:
        await rig.create("final:2", request_id=request_id)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def refused(rig, **spec) -> TabrlError:
    errors = []
    spec = trainer_pb2.RunSpec(**{"environment_id": "CartpoleBalance", **spec})
    for method, request in (
        (rig.stub.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)),
        (rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec)),
    ):
        with pytest.raises(TabrlError) as caught:
            await call(method, request, service="trainer")
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    return errors[0]


async def test_an_unknown_environment_is_refused(rig):
    error = await refused(rig, environment_id="CartpoleBalanse")
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ENVIRONMENT_NOT_FOUND")


async def test_settings_that_do_not_fit_together_are_refused(rig):
    error = await refused(rig, settings=trainer_pb2.TrainingSettings(num_envs=4, num_minibatches=8))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "spec.settings.num_minibatches")
    error = await refused(rig, settings=trainer_pb2.TrainingSettings(domain_randomization=True))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "spec.settings.domain_randomization")


def test_robots_that_differ_want_mujoco_c():
    settings = trainer_pb2.TrainingSettings(domain_randomization=True)
    spec = trainer_pb2.RunSpec(
        environment_id="Go1JoystickFlatTerrain", settings=settings, backend=trainer_pb2.PHYSICS_BACKEND_MJX
    )
    with pytest.raises(TabrlError) as caught:
        check_backend(spec)
    assert (caught.value.reason, caught.value.fields[0][0]) == ("INVALID_FIELD", "spec.settings.domain_randomization")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"num_envs": 16_384, "unroll_length": 61, "num_minibatches": 1_024}, "num_envs"),
        ({"num_envs": 16_384, "unroll_length": 61, "num_minibatches": 1}, "num_minibatches"),
        ({"hidden_layer_sizes": [1_500, 1_500]}, "hidden_layer_sizes"),
    ],
)
async def test_what_does_not_fit_the_memory_is_refused_before_it_is_tried(rig, monkeypatch, settings, field):
    monkeypatch.setattr("tabrl_trainer.fitting.memory_bytes", lambda: 850 << 20)
    error = await refused(rig, settings=trainer_pb2.TrainingSettings(**settings))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", f"spec.settings.{field}")
    assert "this machine has 1 GiB" in error.fields[0][1]
    monkeypatch.setattr("tabrl_trainer.fitting.memory_bytes", lambda: 64 << 30)
    await rig.create("final:1", settings=trainer_pb2.TrainingSettings(**settings))


async def test_without_scene_no_run_is_taken(config, worker, exporter):
    async with trainer(dataclasses.replace(config, scene_address="127.0.0.1:1"), worker, exporter) as rig:
        error = await refused(rig)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert error.metadata["service"] == "scene"


def reward_for(rig, environment_id="CartpoleBalance", fingerprint=FINGERPRINT, **weights) -> trainer_pb2.RewardRef:
    header = ProgramHeader(environment_id, fingerprint, {"qpos": (2,)}, 1, False, ("upright",))
    program = rig.store.put(pack(header, b"program"))
    graph = rig.store.put(onnx_of("upright"))
    return trainer_pb2.RewardRef(program_sha256=program.sha256, onnx_sha256=graph.sha256, weights=weights)


def onnx_of(term: str) -> bytes:
    """The graph of a reward with one term, which is constant."""
    output = helper.make_tensor_value_info(term, TensorProto.FLOAT, ())
    node = helper.make_node("Constant", [], [term], value_float=1.0)
    return helper.make_model(helper.make_graph([node], "reward", [], [output])).SerializeToString()


async def test_a_reward_is_handed_to_the_exporter(rig):
    reward = reward_for(rig, upright=2.0)
    await rig.watch(await rig.create("final:1", reward=reward))
    sent = rig.exporter.requests[-1].reward
    assert (sent.program_sha256, sent.onnx_sha256, dict(sent.weights)) == (
        reward.program_sha256,
        reward.onnx_sha256,
        {"upright": 2.0},
    )


@pytest.mark.parametrize(
    ("made_for", "reason"),
    [
        ({"environment_id": "WalkerStand"}, "REWARD_MISMATCH"),
        ({"fingerprint": "0" * 64}, "REWARD_MISMATCH"),
        ({"sideways": 1.0}, "INVALID_FIELD"),
        ({"upright": 2e6}, "INVALID_FIELD"),
    ],
)
async def test_a_reward_that_does_not_fit_is_refused(rig, made_for, reason):
    error = await refused(rig, reward=reward_for(rig, **made_for))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert error.fields[0][0].startswith("spec.reward.")


async def test_a_reward_that_is_none_is_refused(rig):
    stored = rig.store.put(b"something else").sha256
    error = await refused(rig, reward=trainer_pb2.RewardRef(program_sha256=stored, onnx_sha256=stored))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "spec.reward.program_sha256")
    for graph in (b"no graph", onnx_of("sideways")):
        reward = reward_for(rig)
        reward.onnx_sha256 = rig.store.put(graph).sha256
        error = await refused(rig, reward=reward)
        assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "spec.reward.onnx_sha256")
    missing = trainer_pb2.RewardRef(program_sha256="0" * 64, onnx_sha256="0" * 64)
    assert (await refused(rig, reward=missing)).reason == "ARTIFACT_NOT_FOUND"


@pytest.mark.skipif(has_gpu(), reason="this machine has a GPU")
async def test_physics_that_this_machine_lacks_is_refused(rig):
    error = await refused(rig, backend=trainer_pb2.PHYSICS_BACKEND_WARP)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BACKEND_UNAVAILABLE")
    assert error.metadata["backend"] == "warp"
    assert "mujoco-c" in error.metadata["remedy"]
    run = await rig.get(await rig.create("final:1", backend=trainer_pb2.PHYSICS_BACKEND_MUJOCO_C))
    assert run.spec.backend == trainer_pb2.PHYSICS_BACKEND_MUJOCO_C


async def test_a_full_queue_refuses(config, worker, exporter):
    async with trainer(dataclasses.replace(config, max_queued=1), worker, exporter) as rig:
        first = await rig.create("run wait")
        await rig.until(first, is_state(RUNNING))
        await rig.create("final:1")
        with pytest.raises(TabrlError) as caught:
            await rig.create("final:1")
    assert caught.value.reason == "TOO_MANY_REQUESTS"


async def test_the_migrated_schema_is_that_of_the_models(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        database = Database(rig.config.database_url)
        assert schema_differences(database, Base.metadata) == []
        assert await database.read(lambda session: session.scalars(sa.select(CheckpointRow)).all()) == []
        database.close()
