"""The gateway: a real Envoy with the shipped configuration, in front of servers that speak the real contracts."""

from __future__ import annotations

import asyncio
import base64
import gzip
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import MappingProxyType

import aiohttp
import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_local.health import HealthReporter
from tabrl_local.topology import HOST, SERVICE_NAMES

from tests.gateway.gateway_under_test import ARTIFACT, EVENTS, INDEX, SCRIPT, GatewayUnderTest, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRPC_WEB = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
LIST = "/tabrl.scene.v1.SceneService/ListEnvironments"
LIMIT = 4 << 20
# One unary call of each service, for what the gateway does with all of them alike.
CALLS = {
    "scene": LIST,
    "rewardgen": "/tabrl.rewardgen.v1.RewardService/ListModels",
    "trainer": "/tabrl.trainer.v1.TrainerService/GetRun",
    "exporter": "/tabrl.exporter.v1.ExporterService/ListPolicies",
    "inference": "/tabrl.inference.v1.InferenceService/Act",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayUnderTest]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def crippled(tmp_path: Path) -> AsyncIterator[GatewayUnderTest]:
    """A gateway of one test alone, whose services it may take away."""
    async with running_gateway(tmp_path) as running:
        yield running


def frame(payload: bytes) -> bytes:
    """A gRPC message on the wire."""
    return b"\0" + struct.pack(">I", len(payload)) + payload


def frames(body: bytes) -> list[tuple[int, bytes]]:
    """The frames of a grpc-web body: flag (0 message, 128 trailers) and payload."""
    found = []
    while body:
        length = struct.unpack(">I", body[1:5])[0]
        found.append((body[0], body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def details(header: str) -> tuple[status_pb2.Status, error_details_pb2.ErrorInfo]:
    """What a `grpc-status-details-bin` header says."""
    status = status_pb2.Status.FromString(base64.b64decode(header + "=" * (-len(header) % 4)))
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return status, info


class TestFrontEnd:
    async def test_serves_the_page_uncached_and_guarded(self, gateway: GatewayUnderTest) -> None:
        async with gateway.http.get(gateway.url + "/") as answer:
            assert answer.status == 200
            assert await answer.text() == INDEX
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cache-control"] == "no-cache"
            assert "script-src 'self' 'wasm-unsafe-eval'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize("path", ["/?policy=abc", "/runs/abc", "/runs/abc/"])
    async def test_a_view_of_the_page_is_the_page(self, gateway: GatewayUnderTest, path: str) -> None:
        async with gateway.http.get(gateway.url + path, headers={"accept": "text/html,*/*"}) as answer:
            assert (answer.status, await answer.text()) == (200, INDEX)

    async def test_hashed_files_may_be_kept_forever(self, gateway: GatewayUnderTest) -> None:
        async with gateway.http.get(gateway.url + "/assets/index-a1b2c3.js") as answer:
            assert await answer.text() == SCRIPT
            assert answer.headers["content-type"] == "text/javascript"
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"

    async def test_a_missing_file_is_missing_and_not_remembered(self, gateway: GatewayUnderTest) -> None:
        async with gateway.http.get(gateway.url + "/assets/gone.js") as answer:
            assert answer.status == 404
            assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        ("path", "media_type"),
        [("/assets/mujoco-d4e5f6.wasm", "application/wasm"), ("/favicon.svg", "image/svg+xml")],
    )
    async def test_media_types(self, gateway: GatewayUnderTest, path: str, media_type: str) -> None:
        async with gateway.http.get(gateway.url + path) as answer:
            assert answer.headers["content-type"] == media_type

    async def test_compresses(self, gateway: GatewayUnderTest) -> None:
        for encoding in ("gzip", "br"):
            async with gateway.http.get(
                gateway.url + "/assets/index-a1b2c3.js", headers={"accept-encoding": encoding}
            ) as answer:
                body = await answer.read()
                assert answer.headers["content-encoding"] == encoding
                assert len(body) < len(SCRIPT) / 10
                if encoding == "gzip":
                    assert gzip.decompress(body).decode() == SCRIPT


class TestRest:
    async def test_lists_in_the_names_of_the_contract(self, gateway: GatewayUnderTest) -> None:
        async with gateway.http.get(gateway.url + "/api/playground/environments?page_size=1") as answer:
            body = await answer.json()
        assert answer.status == 200
        assert [item["environment_id"] for item in body["environments"]] == ["CartpoleBalance"]
        assert body["next_page_token"] == ""  # what is empty is there all the same
        assert body["total_size"] == 2

    async def test_returns_the_scene_as_xml(self, gateway: GatewayUnderTest) -> None:
        url = gateway.url + "/api/playground/dm_control_suite/CartpoleBalance/xml"
        async with gateway.http.get(url) as answer:
            assert answer.headers["content-type"] == "application/xml"
            assert await answer.read() == ARTIFACT

    async def test_starts_a_training(self, gateway: GatewayUnderTest) -> None:
        spec = {"environment_id": "CartpoleBalance", "settings": {"env_steps": 5000}}
        async with gateway.http.post(gateway.url + "/api/training/start", json=spec) as answer:
            run = (await answer.json())["run"]
        assert run["state"] == "RUN_STATE_QUEUED"
        assert run["spec"]["environment_id"] == "CartpoleBalance"
        assert run["spec"]["settings"]["env_steps"] == "5000"  # 64-bit numbers are strings in protobuf's JSON

    async def test_tells_a_runs_events_as_they_come(self, gateway: GatewayUnderTest) -> None:
        url = gateway.url + "/api/training/run-1/events"
        async with gateway.http.get(url, headers={"last-event-id": "7"}) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            assert await answer.content.readline() == b"data: after 7\n"
            gateway.events_seen.set()
            assert (await answer.content.read()).strip() == b"data: end"

    @pytest.mark.parametrize(
        ("method", "path", "body", "answered"),
        [
            ("POST", "/pause", {}, {"run_id": "run-1", "state": "RUN_STATE_PAUSED"}),
            (
                "PATCH",
                "",
                {"tags": {"values": ["demo"]}, "notes": "x"},
                {"run_id": "run-1", "tags": ["demo"], "notes": "x"},
            ),
            ("DELETE", "", None, {}),
        ],
    )
    async def test_keeps_house_among_runs(
        self, gateway: GatewayUnderTest, method: str, path: str, body: object, answered: dict[str, object]
    ) -> None:
        url = gateway.url + "/api/training/run-1" + path
        async with gateway.http.request(method, url, json=body) as answer:
            run = (await answer.json()).get("run", {})
        assert answer.status == 200
        assert answered.items() <= run.items()

    @pytest.mark.parametrize("path", ["/export/onnx", "/export"])
    async def test_exports_a_policy_whose_file_comes_in_ranges_and_may_be_kept(self, tmp_path: Path, path: str) -> None:
        # given a gateway that waits for no other call as long as an export takes, in front of services with their store
        store = ArtifactStore(tmp_path / "store")
        store.put(ARTIFACT)
        impatience = {"timeout: 30s": "timeout: 0.3s"}
        async with running_gateway(tmp_path, substitutions=impatience, artifacts=store) as gateway:
            gateway.exporter.slow_secs = 1.0

            # when a policy is asked for in another form
            body = {"format": "EXPORT_FORMAT_WEIGHTS"}
            async with gateway.http.post(gateway.url + "/api/models/p1" + path, json=body) as answer:
                export = await answer.json()
                assert (answer.status, export["export"]["format"]) == (200, "EXPORT_FORMAT_WEIGHTS")

            # then what it says is where the file is, in pieces for who asks for some
            url = gateway.url + export["download_path"]
            async with gateway.http.get(url, headers={"range": "bytes=8-13"}) as answer:
                assert (answer.status, await answer.read()) == (206, ARTIFACT[8:14])
                assert answer.headers["content-range"] == f"bytes 8-13/{len(ARTIFACT)}"
                assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            async with gateway.http.get(url) as answer:
                assert (answer.status, await answer.read()) == (200, ARTIFACT)

    @pytest.mark.parametrize(
        ("method", "path", "body", "field", "answered"),
        [
            ("GET", "/api/registry/go1/versions/stable", None, "version", {"notes": "go1 stable"}),
            (
                "POST",
                "/api/registry/go1/versions",
                {"policy_id": "p1", "notes": "x"},
                "version",
                {"notes": "go1 p1 x"},
            ),
            ("PATCH", "/api/registry/go1/versions/3", {"notes": "x"}, "version", {"number": 3, "notes": "x"}),
            ("DELETE", "/api/registry/go1/versions/3", None, "", {}),
            ("PUT", "/api/registry/go1/tags/stable", {"number": 3}, "tag", {"tag": "stable", "number": 3}),
            ("POST", "/api/registry/go1/tags/stable/rollback", {"from_number": 3}, "tag", {"earlier": [3]}),
            ("POST", "/api/models/p1/measure", {"episodes": 7}, "measurement", {"check": "p1", "episodes": 7}),
            ("GET", "/api/models/p1/compare/p2", None, "right", {"policy_id": "p2"}),
            ("POST", "/api/artifacts/collect", {"dry_run": True}, "", {"files": 1}),
        ],
    )
    async def test_keeps_the_registry(
        self, gateway: GatewayUnderTest, method: str, path: str, body: object, field: str, answered: dict[str, object]
    ) -> None:
        async with gateway.http.request(method, gateway.url + path, json=body) as answer:
            told = await answer.json()
        assert answer.status == 200
        assert answered.items() <= (told[field] if field else told).items()

    async def test_errors_are_a_status_with_details(self, gateway: GatewayUnderTest) -> None:
        async with gateway.http.get(gateway.url + "/api/playground/environments/Foo") as answer:
            body = await answer.json()
        assert answer.status == 404
        assert body["code"] == 5
        assert body["details"][0]["reason"] == "ENVIRONMENT_NOT_FOUND"
        assert body["details"][0]["metadata"] == {"nearest": "CartpoleBalance"}

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "code", "reason"),
        [
            ("GET", "/api/nonsense", None, 404, 5, "ROUTE_NOT_FOUND"),
            ("GET", "/api/training/start", None, 404, 5, "ROUTE_NOT_FOUND"),
            ("GET", "/api/playground/environments?page_sise=1", None, 400, 3, "INVALID_FIELD"),
            ("GET", "/api/playground/environments?page_size=many", None, 400, 3, "INVALID_FIELD"),
            ("POST", "/api/training/start", b"{not json", 400, 3, "INVALID_JSON"),
            ("POST", "/api/training/start", b'{"environment_id": 7}', 400, 3, "INVALID_JSON"),
            (
                "POST",
                "/api/training/start",
                b'{"environment_id": "' + b"x" * LIMIT + b'"}',
                413,
                8,
                "REQUEST_TOO_LARGE",
            ),
        ],
    )
    async def test_bad_calls_are_json_too(
        self,
        gateway: GatewayUnderTest,
        method: str,
        path: str,
        body: bytes | None,
        status: int,
        code: int,
        reason: str,
    ) -> None:
        headers = {"content-type": "application/json", "accept": "text/html"}
        async with gateway.http.request(method, gateway.url + path, data=body, headers=headers) as answer:
            said = await answer.json()
        assert (answer.status, said["code"], said["details"][0]["reason"]) == (status, code, reason)
        assert said["message"]


class TestGrpc:
    async def test_native_clients_use_the_same_port(self, gateway: GatewayUnderTest) -> None:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stub = scene_pb2_grpc.SceneServiceStub(channel)
            answer = await stub.ListEnvironments(scene_pb2.ListEnvironmentsRequest(), timeout=10)
            assert answer.total_size == 2
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await stub.GetEnvironment(scene_pb2.GetEnvironmentRequest(environment_id="x"), timeout=10)
            assert raised.value.code() == grpc.StatusCode.NOT_FOUND
            assert rpc_status.from_call(raised.value) is not None

    async def test_native_streams(self, gateway: GatewayUnderTest) -> None:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stub = trainer_pb2_grpc.TrainerServiceStub(channel)
            revisions = [
                update.event.revision async for update in stub.WatchRuns(trainer_pb2.WatchRunsRequest(), timeout=10)
            ]
        assert revisions == list(range(1, EVENTS + 1))

    async def test_grpc_web_messages_and_trailers(self, gateway: GatewayUnderTest) -> None:
        path = "/tabrl.trainer.v1.TrainerService/WatchRuns"
        async with gateway.http.post(gateway.url + path, data=frame(b""), headers=GRPC_WEB) as answer:
            *messages, (flag, trailers) = frames(await answer.read())
        assert len(messages) == EVENTS
        assert (flag, b"grpc-status:0" in trailers) == (128, True)

    async def test_grpc_web_errors_keep_their_details_and_pages_may_read_them(self, gateway: GatewayUnderTest) -> None:
        payload = frame(scene_pb2.GetEnvironmentRequest(environment_id="x").SerializeToString())
        headers = {**GRPC_WEB, "origin": "http://localhost:5173"}
        path = "/tabrl.scene.v1.SceneService/GetEnvironment"
        async with gateway.http.post(gateway.url + path, data=payload, headers=headers) as answer:
            _, info = details(answer.headers["grpc-status-details-bin"])
        assert info.reason == "ENVIRONMENT_NOT_FOUND"
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "grpc-status-details-bin" in answer.headers["access-control-expose-headers"]

    # The second is there, but for services alone.
    @pytest.mark.parametrize(
        "path", ["/tabrl.none.v1.None/None", "/tabrl.artifacts.v1.ReferenceService/ListReferences"]
    )
    async def test_an_unknown_method_is_unimplemented(self, gateway: GatewayUnderTest, path: str) -> None:
        async with gateway.http.post(gateway.url + path, headers=GRPC_WEB) as answer:
            assert answer.headers["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])
            _, info = details(answer.headers["grpc-status-details-bin"])
        assert info.reason == "ROUTE_NOT_FOUND"

    async def test_a_request_that_is_too_long_is_told_as_such(self, gateway: GatewayUnderTest) -> None:
        payload = b"x" * LIMIT
        async with gateway.http.post(gateway.url + LIST, data=frame(payload), headers=GRPC_WEB) as answer:
            assert (answer.status, answer.headers["grpc-status"]) == (200, "8")
            status, info = details(answer.headers["grpc-status-details-bin"])
        assert (info.reason, info.metadata["limit_bytes"]) == ("REQUEST_TOO_LARGE", str(LIMIT))
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary(LIST)(payload, timeout=10)
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert rpc_status.from_call(raised.value) == status

    async def test_a_request_below_the_limit_reaches_its_service(self, gateway: GatewayUnderTest) -> None:
        async with grpc.aio.insecure_channel(gateway.address) as channel:
            stub = scene_pb2_grpc.SceneServiceStub(channel)
            request = scene_pb2.ListEnvironmentsRequest(query="x" * (LIMIT - 100))
            assert (await stub.ListEnvironments(request, timeout=10)).total_size == 2


class TestWhoMayCall:
    # What a page may send without a preflight that would ask first.
    FORM = MappingProxyType({"content-type": "text/plain"})

    async def post(self, gateway: GatewayUnderTest, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """Posts a JSON body; returns the status and the reason of the error, if it is one."""
        body = b'{"environment_id": "CartpoleBalance"}'
        async with gateway.http.post(gateway.url + path, data=body, headers=headers) as answer:
            said = await answer.json()
            assert "access-control-allow-origin" not in answer.headers or answer.status == 200
        return answer.status, said["details"][0]["reason"] if answer.status != 200 else ""

    @pytest.mark.parametrize(
        "origin",
        [
            "http://example.org",
            "https://localhost.example.org",
            "http://localhost:5173.example.org",
            "http://127.0.0.1@example.org",
            "http://192.168.1.2:8080",
            "null",  # a sandboxed frame, a file
        ],
    )
    async def test_a_page_of_another_origin_starts_nothing(self, gateway: GatewayUnderTest, origin: str) -> None:
        for path in ("/api/training/start", "/api/policy/generate"):
            assert await self.post(gateway, path, {**self.FORM, "origin": origin}) == (403, "ORIGIN_NOT_ALLOWED")

    async def test_its_preflights_are_refused_too(self, gateway: GatewayUnderTest) -> None:
        headers = {"origin": "http://example.org", "access-control-request-method": "POST"}
        async with gateway.http.options(gateway.url + LIST, headers=headers) as answer:
            assert answer.headers["grpc-status"] == "7"
            assert "access-control-allow-origin" not in answer.headers

    @pytest.mark.parametrize("host", ["example.org", "rebound.example.org:8080", "localhost.example.org", "0.0.0.0"])
    async def test_a_name_that_was_pointed_here_leads_nowhere(self, gateway: GatewayUnderTest, host: str) -> None:
        headers = {"host": host, "origin": f"http://{host}"}
        assert await self.post(gateway, "/api/training/start", headers) == (403, "HOST_NOT_ALLOWED")
        for path in (
            "/",
            "/api/playground/environments",
            "/healthz",
            "/artifacts/" + "0" * 64,
            "/assets/index-a1b2c3.js",
        ):
            async with gateway.http.get(gateway.url + path, headers={"host": host, "accept": "text/html"}) as answer:
                assert answer.status == 403
                assert (await answer.json())["details"][0]["reason"] == "HOST_NOT_ALLOWED"

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
    async def test_the_page_calls_by_every_name_of_this_machine(self, gateway: GatewayUnderTest, host: str) -> None:
        host = f"{host}:{gateway.topology.port}"
        assert await self.post(
            gateway, "/api/training/start", {"host": host, "origin": f"http://{host.lower()}", **self.FORM}
        ) == (200, "")
        async with gateway.http.get(gateway.url + "/", headers={"host": host}) as answer:
            assert await answer.text() == INDEX

    async def test_a_development_server_and_curl_may_call(self, gateway: GatewayUnderTest) -> None:
        assert (await self.post(gateway, "/api/training/start", {"origin": "http://localhost:5173"}))[0] == 200
        assert (await self.post(gateway, "/api/training/start", self.FORM))[0] == 200
        headers = {"origin": "http://localhost:5173", "access-control-request-method": "POST"}
        async with gateway.http.options(gateway.url + LIST, headers=headers) as answer:
            assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"

    @pytest.mark.parametrize(
        ("headers", "reason"),
        [
            ({"origin": "http://example.org"}, "ORIGIN_NOT_ALLOWED"),
            ({"host": "example.org"}, "HOST_NOT_ALLOWED"),
        ],
    )
    async def test_grpc_web_says_it_in_its_own_way(
        self, gateway: GatewayUnderTest, headers: dict[str, str], reason: str
    ) -> None:
        async with gateway.http.post(gateway.url + LIST, data=frame(b""), headers={**GRPC_WEB, **headers}) as answer:
            assert (answer.status, answer.headers["grpc-status"]) == (200, "7")
            assert await answer.read() == b""
            status, info = details(answer.headers["grpc-status-details-bin"])
        assert (info.reason, info.domain) == (reason, "tabrl.dev")
        assert answer.headers["grpc-message"] == status.message

    async def test_native_grpc_says_it_in_its_own_way(self, gateway: GatewayUnderTest) -> None:
        options = (("grpc.default_authority", "example.org"),)
        async with grpc.aio.insecure_channel(gateway.address, options=options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await channel.unary_unary(LIST)(b"", timeout=10)
        assert raised.value.code() == grpc.StatusCode.PERMISSION_DENIED
        status = rpc_status.from_call(raised.value)
        assert status is not None
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.reason == "HOST_NOT_ALLOWED"

    async def test_envoys_own_page_has_no_port(self, gateway: GatewayUnderTest) -> None:
        # it can end the gateway; 20 after the gateway's port is where it used to be
        with pytest.raises(aiohttp.ClientConnectionError):
            await gateway.http.post(f"http://{HOST}:{gateway.topology.port + 20}/quitquitquit")
        async with gateway.admin.get("http://gateway/ready") as answer:
            assert answer.status == 200


class TestRepliesOfTheGatewayItself:
    async def test_a_service_that_is_gone_is_unavailable_by_name(self, crippled: GatewayUnderTest) -> None:
        for service in SERVICE_NAMES:
            await crippled.stop(service)
            path = CALLS[service]
            # straight after the crash, and once the health check has seen it
            for wait in (False, True):
                if wait:
                    await crippled.eventually_unhealthy(service)
                async with crippled.http.post(crippled.url + path, data=frame(b""), headers=GRPC_WEB) as answer:
                    assert (answer.status, answer.headers["grpc-status"]) == (200, "14")
                    status, info = details(answer.headers["grpc-status-details-bin"])
                    assert answer.headers["grpc-message"] == status.message
                    assert (info.reason, info.domain) == ("SERVICE_UNAVAILABLE", "tabrl.dev")
                    assert info.metadata["service"] == service
                    retry = error_details_pb2.RetryInfo()
                    assert status.details[1].Unpack(retry)
                async with grpc.aio.insecure_channel(crippled.address) as channel:
                    with pytest.raises(grpc.aio.AioRpcError) as raised:
                        await channel.unary_unary(path)(b"", timeout=10)
                    assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
                    native = rpc_status.from_call(raised.value)
                    assert native == status

    async def test_rest_says_the_same(self, crippled: GatewayUnderTest) -> None:
        await crippled.stop("scene")
        async with crippled.http.get(crippled.url + "/api/playground/environments") as answer:
            body = await answer.json()
        assert (answer.status, body["code"]) == (503, 14)
        assert body["details"][0]["reason"] == "SERVICE_UNAVAILABLE"
        assert body["details"][0]["metadata"] == {"service": "scene"}

    async def test_the_others_go_on(self, crippled: GatewayUnderTest) -> None:
        await crippled.stop("trainer")
        async with crippled.http.get(crippled.url + "/api/playground/environments") as answer:
            assert answer.status == 200
        for _ in range(10):
            async with crippled.http.get(crippled.url + "/artifacts/" + "0" * 64) as answer:
                assert (answer.status, await answer.read()) == (200, ARTIFACT)

    async def test_files_that_no_service_is_left_to_serve(self, crippled: GatewayUnderTest) -> None:
        for service in SERVICE_NAMES:
            await crippled.stop(service)
        async with crippled.http.get(crippled.url + "/artifacts/" + "0" * 64) as answer:
            said = await answer.json()
        assert (answer.status, said["code"], said["details"][0]["reason"]) == (503, 14, "SERVICE_UNAVAILABLE")

    async def test_a_draining_service_gets_no_more_calls(self, crippled: GatewayUnderTest) -> None:
        await crippled.health["scene"].enter_graceful_shutdown()
        await crippled.eventually_unhealthy("scene")
        async with crippled.http.post(crippled.url + LIST, data=frame(b""), headers=GRPC_WEB) as answer:
            assert answer.headers["grpc-status"] == "14"

    async def test_the_launcher_knows_whom_the_gateway_sends_no_calls(self, crippled: GatewayUnderTest) -> None:
        reporter = HealthReporter(crippled.topology, {})
        assert (await reporter.ask()).serving

        # given a service that serves again before the gateway has asked it again
        await crippled.health["scene"].set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        await crippled.eventually_unhealthy("scene")
        assert await reporter.avoided() == {"scene"}
        await crippled.health["scene"].set("", health_pb2.HealthCheckResponse.SERVING)

        # then it serves for whoever asks once the gateway sends it calls, not before
        await crippled.eventually_healthy("scene")
        assert (await reporter.ask()).services["scene"] == "serving"
        await reporter.close()

    async def test_a_late_service_is_deadline_exceeded(self, tmp_path: Path) -> None:
        # given a gateway that is less patient than the shipped one
        async with running_gateway(tmp_path, substitutions={"timeout: 30s": "timeout: 0.3s"}) as impatient:
            impatient.scene.slow_secs = 5.0
            path = "/tabrl.scene.v1.SceneService/GetEnvironment"
            async with impatient.http.post(impatient.url + path, data=frame(b""), headers=GRPC_WEB) as answer:
                assert answer.headers["grpc-status"] == "4"
                _, info = details(answer.headers["grpc-status-details-bin"])
                assert info.reason == "DEADLINE_EXCEEDED"
            async with grpc.aio.insecure_channel(impatient.address) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as raised:
                    await channel.unary_unary(path)(b"", timeout=10)
                assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            async with impatient.http.get(impatient.url + "/api/playground/environments/x") as answer:
                assert (answer.status, (await answer.json())["code"]) == (504, 4)

    async def test_too_many_calls_are_resource_exhausted(self, tmp_path: Path) -> None:
        # given a gateway that lets one call through at a time
        async with running_gateway(tmp_path, substitutions={"max_requests: 512": "max_requests: 1"}) as narrow:
            narrow.scene.slow_secs = 1.0
            path = "/tabrl.scene.v1.SceneService/GetEnvironment"

            async def call() -> str:
                async with narrow.http.post(narrow.url + path, data=frame(b""), headers=GRPC_WEB) as answer:
                    return answer.headers["grpc-status"]

            codes = await asyncio.gather(*(call() for _ in range(6)))
            async with narrow.http.get(narrow.url + "/healthz") as answer:
                assert answer.status == 200
        assert "8" in codes


class TestHealth:
    @pytest.mark.parametrize("status", [200, 503])
    async def test_healthz_is_the_launchers(self, gateway: GatewayUnderTest, status: int) -> None:
        gateway.healthz_status = status
        async with gateway.http.get(gateway.url + "/healthz") as answer:
            assert (answer.status, await answer.json()) == (status, {"status": "from the launcher"})
