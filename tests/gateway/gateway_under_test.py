"""A real Envoy on free ports, in front of small servers that speak the real contracts from inside the test."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import aiohttp
import grpc
from aiohttp import web
from google.api import httpbody_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, registry_pb2, registry_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.http import http_application
from tabrl_local import gateway
from tabrl_local.topology import HOST, SERVICE_NAMES, Topology

INDEX = "<!doctype html><title>TabRL</title>"
SCRIPT = "console.log('TabRL');\n" * 200
ARTIFACT = b"<mujoco model='cartpole'/>"
EVENTS = 3


class SceneServer(scene_pb2_grpc.SceneServiceServicer):
    """Two environments, one error with details, one slow answer."""

    def __init__(self) -> None:
        self.slow_secs = 0.0

    async def ListEnvironments(self, request, context):  # type: ignore[no-untyped-def, override]
        return scene_pb2.ListEnvironmentsResponse(
            environments=[
                scene_pb2.EnvironmentSummary(environment_id=name, category="dm_control_suite")
                for name in ("CartpoleBalance", "WalkerStand")
            ][: request.page_size or None],
            total_size=2,
        )

    async def GetEnvironment(self, request, context):  # type: ignore[no-untyped-def, override]
        await asyncio.sleep(self.slow_secs)
        if request.environment_id == "CartpoleBalance":
            summary = scene_pb2.EnvironmentSummary(environment_id=request.environment_id)
            return scene_pb2.GetEnvironmentResponse(environment=scene_pb2.Environment(summary=summary))
        detail = any_pb2.Any()
        detail.Pack(
            error_details_pb2.ErrorInfo(
                reason="ENVIRONMENT_NOT_FOUND", domain="tabrl.dev", metadata={"nearest": "CartpoleBalance"}
            )
        )
        status = status_pb2.Status(code=5, message="no environment has this id", details=[detail])
        await context.abort_with_status(rpc_status.to_status(status))
        raise AssertionError("abort raises")

    async def GetEnvironmentXml(self, request, context):  # type: ignore[no-untyped-def, override]
        return httpbody_pb2.HttpBody(content_type="application/xml", data=ARTIFACT)


class RegistryServer(registry_pb2_grpc.RegistryServiceServicer):
    """Says with each answer what it was asked."""

    async def GetVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        notes = f"{request.name} {request.reference}"
        return registry_pb2.GetVersionResponse(version=registry_pb2.PolicyVersion(notes=notes))

    async def RegisterVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        notes = f"{request.name} {request.policy_id} {request.notes}"
        return registry_pb2.RegisterVersionResponse(version=registry_pb2.PolicyVersion(notes=notes))

    async def UpdateVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        version = registry_pb2.PolicyVersion(number=request.number, notes=request.notes)
        return registry_pb2.UpdateVersionResponse(version=version)

    async def DeleteVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        return registry_pb2.DeleteVersionResponse()

    async def SetTag(self, request, context):  # type: ignore[no-untyped-def, override]
        return registry_pb2.SetTagResponse(tag=registry_pb2.VersionTag(tag=request.tag, number=request.number))

    async def RollBackTag(self, request, context):  # type: ignore[no-untyped-def, override]
        tag = registry_pb2.VersionTag(tag=request.tag, earlier=[request.from_number])
        return registry_pb2.RollBackTagResponse(tag=tag)

    async def MeasurePolicy(self, request, context):  # type: ignore[no-untyped-def, override]
        measurement = exporter_pb2.PolicyMeasurement(check=request.policy_id, episodes=request.episodes)
        return registry_pb2.MeasurePolicyResponse(measurement=measurement)

    async def ComparePolicies(self, request, context):  # type: ignore[no-untyped-def, override]
        left, right = (
            exporter_pb2.Policy(policy_id=each) for each in (request.left_policy_id, request.right_policy_id)
        )
        return registry_pb2.ComparePoliciesResponse(left=left, right=right)

    async def CollectGarbage(self, request, context):  # type: ignore[no-untyped-def, override]
        return registry_pb2.CollectGarbageResponse(files=int(request.dry_run))


class TrainerServer(trainer_pb2_grpc.TrainerServiceServicer):
    """Echoes what it is asked for."""

    async def CreateRun(self, request, context):  # type: ignore[no-untyped-def, override]
        run = trainer_pb2.Run(run_id="run-1", spec=request.spec, state=trainer_pb2.RUN_STATE_QUEUED)
        return trainer_pb2.CreateRunResponse(run=run)

    async def CancelRun(self, request, context):  # type: ignore[no-untyped-def, override]
        return trainer_pb2.CancelRunResponse(run=trainer_pb2.Run(run_id=request.run_id))

    async def PauseRun(self, request, context):  # type: ignore[no-untyped-def, override]
        return trainer_pb2.PauseRunResponse(
            run=trainer_pb2.Run(run_id=request.run_id, state=trainer_pb2.RUN_STATE_PAUSED)
        )

    async def UpdateRun(self, request, context):  # type: ignore[no-untyped-def, override]
        run = trainer_pb2.Run(run_id=request.run_id, tags=request.tags.values, notes=request.notes)
        return trainer_pb2.UpdateRunResponse(run=run)

    async def DeleteRun(self, request, context):  # type: ignore[no-untyped-def, override]
        return trainer_pb2.DeleteRunResponse()

    async def WatchRuns(self, request, context):  # type: ignore[no-untyped-def, override]
        for revision in range(EVENTS):
            yield trainer_pb2.WatchRunsResponse(event=trainer_pb2.RunEvent(run_id="run-1", revision=revision + 1))
            await asyncio.sleep(0.05)


class ExporterServer(exporter_pb2_grpc.ExporterServiceServicer):
    """Answers that the artifact is the policy in the form that is asked for, after a while."""

    def __init__(self) -> None:
        self.slow_secs = 0.0

    async def ExportPolicy(self, request, context):  # type: ignore[no-untyped-def, override]
        await asyncio.sleep(self.slow_secs)
        export = exporter_pb2.PolicyExport(format=request.format)
        export.file.sha256 = hashlib.sha256(ARTIFACT).hexdigest()
        return exporter_pb2.ExportPolicyResponse(export=export, download_path=f"/artifacts/{export.file.sha256}")


@dataclass
class GatewayUnderTest:
    """The gateway's address, and the servers behind it."""

    topology: Topology
    http: aiohttp.ClientSession
    admin: aiohttp.ClientSession
    servers: dict[str, grpc.aio.Server]
    health: dict[str, health.aio.HealthServicer]
    scene: SceneServer
    exporter: ExporterServer
    healthz_status: int = 200
    events_seen: asyncio.Event = field(default_factory=asyncio.Event)
    http_servers: dict[str, web.AppRunner] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.topology.url

    @property
    def address(self) -> str:
        return f"{HOST}:{self.topology.port}"

    async def stop(self, service: str) -> None:
        """Takes a service away, as a crash would."""
        await self.servers[service].stop(None)
        await self.http_servers[service].cleanup()

    async def eventually_unhealthy(self, service: str) -> None:
        """Waits until Envoy has seen that a service is gone."""
        await self._until(service, healthy=False)

    async def eventually_healthy(self, service: str) -> None:
        """Waits until Envoy sends calls to a service."""
        await self._until(service, healthy=True)

    async def _until(self, service: str, *, healthy: bool) -> None:
        deadline = asyncio.get_running_loop().time() + 15
        while asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(aiohttp.ClientError):
                async with self.admin.get("http://gateway/clusters") as answer:
                    flags = [line for line in (await answer.text()).splitlines() if line.startswith(f"{service}::")]
                    states = [line.endswith("::healthy") for line in flags if "health_flags::" in line]
                    if states and all(state == healthy for state in states):
                        return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{service} did not become {'healthy' if healthy else 'unhealthy'}")


def free_topology() -> Topology:
    """Finds a block of free ports."""
    for _ in range(100):
        topology = Topology(random.randrange(20000, 40000, 25))
        with contextlib.ExitStack() as stack:
            try:
                for number, _ in topology.ports():
                    probe = stack.enter_context(socket.socket())
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((HOST, number))
            except OSError:
                continue
            return topology
    raise AssertionError("no free ports")


def write_front_end(folder: Path) -> Path:
    """A built front end as Vite leaves it."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "index-a1b2c3.js").write_text(SCRIPT)
    (folder / "assets" / "mujoco-d4e5f6.wasm").write_bytes(b"\0asm" + bytes(4096))
    (folder / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return folder


async def _start_http(port: int, handler) -> web.AppRunner:  # type: ignore[no-untyped-def]
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    return await _serve(port, application)


async def _serve(port: int, application: web.Application) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


@contextlib.asynccontextmanager
async def running_gateway(
    folder: Path,
    substitutions: Mapping[str, str] = MappingProxyType({}),
    artifacts: ArtifactStore | None = None,
) -> AsyncIterator[GatewayUnderTest]:
    """Starts the servers and Envoy, and waits until Envoy sees them all. `substitutions` change the configuration.

    With `artifacts` every service serves that store, as the chassis has it, and nothing else over HTTP.
    """
    topology = free_topology()
    servers: dict[str, grpc.aio.Server] = {}
    healths: dict[str, health.aio.HealthServicer] = {}
    scene, exporter = SceneServer(), ExporterServer()
    for name in SERVICE_NAMES:
        server = grpc.aio.server()
        healths[name] = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(healths[name], server)
        if name == "scene":
            scene_pb2_grpc.add_SceneServiceServicer_to_server(scene, server)
        if name == "exporter":
            exporter_pb2_grpc.add_ExporterServiceServicer_to_server(exporter, server)
        if name == "trainer":
            trainer_pb2_grpc.add_TrainerServiceServicer_to_server(TrainerServer(), server)
        if name == "exporter":
            registry_pb2_grpc.add_RegistryServiceServicer_to_server(RegistryServer(), server)
        server.add_insecure_port(topology.address(name))
        await healths[name].set("", health_pb2.HealthCheckResponse.SERVING)
        await server.start()
        servers[name] = server

    configuration = folder / "envoy.yaml"
    text = gateway.render(topology, write_front_end(folder / "dist"))
    for old, new in substitutions.items():
        assert old in text
        text = text.replace(old, new)
    configuration.write_text(text)
    command = gateway.envoy_arguments(configuration)
    with (folder / "envoy.log").open("w") as log:
        envoy = subprocess.Popen(command, stdout=log, stderr=log)
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=20), auto_decompress=False, headers={"accept-encoding": "identity"}
        ) as http,
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(f"\0tabrl-gateway-{topology.port}")) as admin,
    ):
        under_test = GatewayUnderTest(topology, http, admin, servers, healths, scene, exporter)

        async def artifact(request: web.Request) -> web.Response:
            return web.Response(
                body=ARTIFACT,
                content_type="application/xml",
                headers={"cache-control": "public, max-age=31536000, immutable", "x-path": request.path},
            )

        async def run_events(request: web.Request) -> web.StreamResponse:
            """Says which event it goes on after, and waits before it ends, so that what is held back is seen."""
            if not request.path.endswith("/events"):
                return await artifact(request)
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            await response.write(f"data: after {request.headers.get('last-event-id')}\n\n".encode())
            await under_test.events_seen.wait()
            await response.write(b"data: end\n\n")
            return response

        async def healthz(_: web.Request) -> web.Response:
            return web.json_response({"status": "from the launcher"}, status=under_test.healthz_status)

        for name in SERVICE_NAMES:
            handler, port = run_events if name == "trainer" else artifact, topology.http_port(name)
            under_test.http_servers[name] = await (
                _start_http(port, handler) if artifacts is None else _serve(port, http_application(artifacts))
            )
        under_test.http_servers["launcher"] = await _start_http(topology.status_port, healthz)
        try:
            for name in SERVICE_NAMES:
                await under_test.eventually_healthy(name)
            yield under_test
        finally:
            envoy.terminate()
            envoy.wait(10)
            for runner in under_test.http_servers.values():
                await runner.cleanup()
            for server in servers.values():
                await server.stop(None)
