"""A tiny real service over a real socket: everything the chassis puts around a servicer."""

import asyncio
import base64
import contextlib
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from prometheus_client import REGISTRY
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, registry_pb2
from tabrl.trainer.v1 import batches_pb2, trainer_pb2, trainer_pb2_grpc

from tabrl_chassis.client import call, open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError, error_from, to_status
from tabrl_chassis.limits import ConcurrencyLimit
from tabrl_chassis.service import Service, main, started, until_stopping
from tabrl_chassis.validation import validate

EXPORTER = "tabrl.exporter.v1.ExporterService"
TRAINER = "tabrl.trainer.v1.TrainerService"


class Policies(exporter_pb2_grpc.ExporterServiceServicer):
    """Answers by the id asked for, so that a test chooses what happens."""

    def __init__(self):
        self.limit = ConcurrencyLimit("policies", 1)
        self.attempts: dict[str, int] = {}

    async def GetPolicy(self, request, context):
        policy_id = request.policy_id
        self.attempts[policy_id] = self.attempts.get(policy_id, 0) + 1
        if policy_id == "missing":
            raise TabrlError(grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND", "There is no such policy.")
        if policy_id == "broken":
            raise RuntimeError("a secret of ours")
        if policy_id == "flaky" and self.attempts[policy_id] < 3:
            raise TabrlError(grpc.StatusCode.UNAVAILABLE, "DRAINING", "Not now.", retry_after_secs=0.25)
        if policy_id == "wordy":
            raise TabrlError(
                grpc.StatusCode.INVALID_ARGUMENT,
                "INVALID_FIELD",
                "回転の速さが大きすぎます。" * 100,
                fields=[(f"spec.reward.weights[{number}]", "値が大きすぎます%。" * 50) for number in range(20)],
                metadata={"nearest": "CartpoleBalance"},
            )
        if policy_id == "slow":
            async with self.limit:
                await asyncio.sleep(60)
        return exporter_pb2.GetPolicyResponse(policy=exporter_pb2.Policy(policy_id=policy_id))


class Runs(trainer_pb2_grpc.TrainerServiceServicer):
    def __init__(self, context):
        self.context = context
        self.created = 0

    async def WatchRuns(self, request, context):
        yield trainer_pb2.WatchRunsResponse(heartbeat=trainer_pb2.Heartbeat())
        if request.cursors[0].run_id == "missing":
            raise TabrlError(grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", "There is no such run.")
        while await until_stopping(self.context, asyncio.sleep(60)):
            pass

    async def CreateRun(self, request, context):
        self.created += 1
        raise TabrlError(grpc.StatusCode.UNAVAILABLE, "DRAINING", "Not now.")


SERVICERS = {}


@contextlib.asynccontextmanager
async def serve(server, context):
    SERVICERS.update(policies=Policies(), runs=Runs(context))
    exporter_pb2_grpc.add_ExporterServiceServicer_to_server(SERVICERS["policies"], server)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(SERVICERS["runs"], server)
    yield


TINY = Service("tiny", ServiceConfig, (EXPORTER, TRAINER), serve)


@pytest.fixture
async def running(tmp_path: Path):
    async with started(TINY, ServiceConfig(data=tmp_path)) as service:
        yield service


@pytest.fixture
async def channel(running):
    services = [
        exporter_pb2.DESCRIPTOR.services_by_name["ExporterService"],
        trainer_pb2.DESCRIPTOR.services_by_name["TrainerService"],
    ]
    async with open_channel(running.address, *services) as opened:
        yield opened


async def get_policy(channel, policy_id: str, **options):
    stub = exporter_pb2_grpc.ExporterServiceStub(channel)
    return await call(stub.GetPolicy, exporter_pb2.GetPolicyRequest(policy_id=policy_id), service="tiny", **options)


def counted(metric: str, method: str, **labels: str) -> float:
    labels |= {"grpc_method": method}
    return sum(
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


async def health_of(channel, service: str) -> str:
    response = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


async def test_a_call_is_answered_and_counted(channel):
    before = counted("grpc_server_handled_total", "GetPolicy", grpc_code="OK", grpc_service=EXPORTER)
    response = await get_policy(channel, "p1")
    assert response.policy.policy_id == "p1"
    assert counted("grpc_server_handled_total", "GetPolicy", grpc_code="OK", grpc_service=EXPORTER) == before + 1
    assert counted("grpc_server_started_total", "GetPolicy", grpc_type="unary") >= 1
    assert counted("grpc_server_msg_received_total", "GetPolicy") >= 1
    assert counted("grpc_server_msg_sent_total", "GetPolicy") >= 1
    assert counted("grpc_server_handling_seconds_count", "GetPolicy") >= 1


async def test_a_typed_error_arrives_typed(channel):
    with pytest.raises(TabrlError) as caught:
        await get_policy(channel, "missing")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")
    assert caught.value.message == "There is no such policy."


async def test_a_wordy_error_fits_in_the_headers_with_every_field(channel):
    with pytest.raises(TabrlError) as caught:
        await get_policy(channel, "wordy")
    error = caught.value
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [path for path, _ in error.fields] == [f"spec.reward.weights[{number}]" for number in range(20)]
    assert all(description.startswith("値が大きすぎます%。") for _, description in error.fields)
    assert error.message.startswith("回転の速さが大きすぎます。")
    assert error.metadata == {"nearest": "CartpoleBalance"}


@pytest.mark.parametrize("metadata", [{}, {f"key {number}": "長" * 90 for number in range(40)}])
def test_no_error_is_too_large_for_the_headers(metadata):
    fields = [("長" * 200, "長" * 2000)] * 200
    error = TabrlError(grpc.StatusCode.INTERNAL, "INTERNAL", "長" * 5000, fields=fields, metadata=metadata)
    status = to_status(error)
    assert len(base64.b64encode(status.SerializeToString())) + len(quote(status.message)) < 8192
    assert status.message.startswith("長")


def test_an_error_that_quotes_half_a_character_is_told_all_the_same():
    half = "no \ud800 name"
    error = TabrlError(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", half, fields=[(half, half)], metadata={"file": half}
    )
    status = to_status(error)
    assert status.message == "no ? name"
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert dict(info.metadata) == {"file": "no ? name"}


async def test_an_unknown_exception_is_internal_with_an_incident_in_the_log(channel, caplog):
    with pytest.raises(TabrlError) as caught:
        await get_policy(channel, "broken")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in caught.value.message
    assert caught.value.metadata["incident"] in caught.value.message
    assert counted("grpc_server_handled_total", "GetPolicy", grpc_code="INTERNAL") >= 1


async def test_an_invalid_request_never_reaches_the_handler(channel):
    stub = exporter_pb2_grpc.ExporterServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetPolicy(exporter_pb2.GetPolicyRequest())
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(caught.value)
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad_request)
    assert (info.domain, info.reason) == ("tabrl.dev", "INVALID_FIELD")
    assert bad_request.field_violations[0].field == "policy_id"
    assert "" not in SERVICERS["policies"].attempts


@pytest.mark.parametrize("data", [b"\x0a\x02\xff\xfe", b"\xff\xff\xff"])
async def test_bytes_that_are_no_request_are_refused_as_such(channel, data):
    ask = channel.unary_unary("/tabrl.exporter.v1.ExporterService/GetPolicy")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(data)
    error = error_from(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert "UTF-8" in error.message


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (registry_pb2.RegisterVersionRequest(name="Bad Name", policy_id="p1"), "name", "60 lower-case letters, digits"),
        (registry_pb2.SetTagRequest(name="go1-dance", tag="7", number=1), "tag", "with a letter first"),
        (exporter_pb2.CreatePolicyRequest(environment_id="e", checkpoint_sha256="A"), "checkpoint_sha256", "SHA-256"),
    ],
)
def test_what_a_pattern_asks_for_is_said_in_words(request_, field, words):
    with pytest.raises(TabrlError) as caught:
        validate(request_)
    ((path, description),) = caught.value.fields
    assert path == field
    assert words in description
    assert "[" not in description
    assert caught.value.message == f"{field}: {description}"


def test_a_nul_in_any_text_is_refused_by_its_field():
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance")
    spec.reward.program_sha256 = spec.reward.onnx_sha256 = "0" * 64
    spec.reward.weights["a\0b"] = 1.0
    spec.title = "a\0b"
    batch = batches_pb2.CreateBatchRequest(
        spec=batches_pb2.BatchSpec(candidates=[batches_pb2.CandidateSpec(label="x", spec=spec)])
    )
    with pytest.raises(TabrlError) as caught:
        validate(batch)
    told = {field for field, description in caught.value.fields if "U+0000" in description}
    place = "spec.candidates[0].spec"
    assert told == {f"{place}.title", f"{place}.reward.weights"}


async def test_a_violation_names_the_nested_field(channel):
    reward = trainer_pb2.RewardRef(program_sha256="0" * 64, onnx_sha256="0" * 64, weights={"upright": float("nan")})
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", reward=reward)
    spec.settings.hidden_layer_sizes.append(0)
    stub = trainer_pb2_grpc.TrainerServiceStub(channel)
    with pytest.raises(TabrlError) as caught:
        await call(stub.CreateRun, trainer_pb2.CreateRunRequest(spec=spec), service="tiny")
    fields = [field for field, _ in caught.value.fields]
    assert fields == ['spec.reward.weights["upright"]', "spec.settings.hidden_layer_sizes[0]"]


async def test_only_idempotent_methods_are_tried_again(channel):
    assert (await get_policy(channel, "flaky")).policy.policy_id == "flaky"
    assert SERVICERS["policies"].attempts["flaky"] == 3
    stub = trainer_pb2_grpc.TrainerServiceStub(channel)
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance")
    with pytest.raises(TabrlError) as caught:
        await call(stub.CreateRun, trainer_pb2.CreateRunRequest(spec=spec), service="tiny")
    assert caught.value.reason == "DRAINING"
    assert SERVICERS["runs"].created == 1


async def test_a_peer_that_is_away_is_service_unavailable():
    async with open_channel("127.0.0.1:1") as nowhere:
        with pytest.raises(TabrlError) as caught:
            await get_policy(nowhere, "p1")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert caught.value.metadata["service"] == "tiny"


async def test_a_cancelled_call_is_counted_as_cancelled(channel):
    stub = exporter_pb2_grpc.ExporterServiceStub(channel)
    before = counted("grpc_server_handled_total", "GetPolicy", grpc_code="CANCELLED")
    pending = stub.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id="slow"))
    while "slow" not in SERVICERS["policies"].attempts:
        await asyncio.sleep(0.01)
    pending.cancel()
    while counted("grpc_server_handled_total", "GetPolicy", grpc_code="CANCELLED") == before:
        await asyncio.sleep(0.01)


async def test_a_stream_that_is_left_is_counted_as_cancelled(channel):
    stub = trainer_pb2_grpc.TrainerServiceStub(channel)
    before = counted("grpc_server_handled_total", "WatchRuns", grpc_code="CANCELLED")
    watch = stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=[trainer_pb2.RunCursor(run_id="r1")]))
    assert (await watch.read()).HasField("heartbeat")
    watch.cancel()
    while counted("grpc_server_handled_total", "WatchRuns", grpc_code="CANCELLED") == before:
        await asyncio.sleep(0.01)


async def test_as_many_calls_as_allowed(channel):
    stub = exporter_pb2_grpc.ExporterServiceStub(channel)
    first = stub.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id="slow"))
    while "slow" not in SERVICERS["policies"].attempts:
        await asyncio.sleep(0.01)
    with pytest.raises(TabrlError) as caught:
        await get_policy(channel, "slow")
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS")
    assert caught.value.retry_after_secs == 1.0
    first.cancel()


async def test_a_stream_fails_typed_after_its_first_message(channel):
    stub = trainer_pb2_grpc.TrainerServiceStub(channel)
    watch = stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=[trainer_pb2.RunCursor(run_id="missing")]))
    assert (await watch.read()).HasField("heartbeat")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch.read()
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_answers_for_every_service_and_follows_the_store(running, channel):
    for name in ("", EXPORTER, TRAINER):
        assert await health_of(channel, name) == "SERVING"
    folder = running.context.config.data / "artifacts"
    folder.rename(folder.with_name("elsewhere"))
    await running.context.health.run_checks()
    assert await health_of(channel, EXPORTER) == "NOT_SERVING"
    folder.with_name("elsewhere").rename(folder)
    await running.context.health.run_checks()
    assert await health_of(channel, EXPORTER) == "SERVING"


async def test_reflection_lists_the_services(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for response in stub.ServerReflectionInfo(iter([request])):
        names = {service.name for service in response.list_services_response.service}
        assert {EXPORTER, TRAINER, "grpc.health.v1.Health"} <= names
        break


async def test_a_drain_ends_open_watches(tmp_path):
    async with started(TINY, ServiceConfig(data=tmp_path, drain_secs=60.0)) as running:
        channel = open_channel(running.address)
        stub = trainer_pb2_grpc.TrainerServiceStub(channel)
        watch = stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=[trainer_pb2.RunCursor(run_id="r1")]))
        await watch.read()
    assert await watch.read() is grpc.aio.EOF
    assert await watch.code() is grpc.StatusCode.OK
    await channel.close()


async def test_a_failing_background_task_ends_the_service(tmp_path):
    async def fail() -> None:
        raise RuntimeError("gone")

    async with started(TINY, ServiceConfig(data=tmp_path)) as running:
        running.context.background(fail(), "failing")
        with pytest.raises(RuntimeError, match="gone"):
            await running.failed


async def test_a_taken_port_is_told_plainly(running, tmp_path):
    with pytest.raises(OSError, match="is another process using the port"):
        async with started(TINY, ServiceConfig(data=tmp_path, port=running.port)):
            pass


async def test_a_database_that_cannot_be_used_is_told_plainly(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.db").write_bytes(b"this is no database, but long enough to be looked at" * 10)
    service = Service("tiny", ServiceConfig, (EXPORTER, TRAINER), serve, migrations="tabrl_chassis")
    with pytest.raises(OSError, match=r"cannot use the database .*tiny\.db: file is not a database"):
        async with started(service, ServiceConfig(data=tmp_path)):
            pass


if __name__ == "__main__":
    main(TINY)
