"""How the services are: asked over gRPC, told over HTTP as `GET /healthz`.

A service that answers is of no use to a caller before the gateway has noticed it, so the gateway is asked too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2

from tabrl_local.supervisor import SupervisedProcess
from tabrl_local.topology import HOST, SERVICE_NAMES, Topology

SERVING = "serving"
NOT_ROUTED = "serving, not noticed by the gateway yet"
ANSWER_SECS = 1.0
_THIS_MACHINE = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?", re.IGNORECASE)
_REFUSAL = "TabRL answers to localhost, 127.0.0.1 and [::1] only, whatever name led here."
# What Envoy says of a host that it sends no calls to.
_AVOIDING = frozenset({"failed_active_health_check", "pending_active_hc"})
# After a restart the next question must reach the new process at once; gRPC's own pause grows to two minutes.
_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
)


@web.middleware
async def _this_machine(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuses a page whose owner points a name here (DNS rebinding)."""
    if _THIS_MACHINE.fullmatch(request.host):
        return await handler(request)
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "HOST_NOT_ALLOWED",
        "domain": "tabrl.dev",
    }
    return web.json_response({"code": 7, "message": _REFUSAL, "details": [info]}, status=403)


@dataclass(frozen=True)
class Health:
    """State of every service: `serving`, or what it does instead."""

    services: Mapping[str, str]
    restarts: Mapping[str, int]

    @property
    def serving(self) -> bool:
        """Whether every service serves."""
        return all(state == SERVING for state in self.services.values())

    def to_json(self) -> dict[str, object]:
        """The body of `/healthz`."""
        return {
            "status": SERVING if self.serving else "degraded",
            "services": dict(self.services),
            "restarts": dict(self.restarts),
        }


class HealthReporter:
    """Asks the services how they are."""

    def __init__(self, topology: Topology, processes: Mapping[str, SupervisedProcess]) -> None:
        """Takes the processes to tell a service that starts from one that has ended."""
        self._topology = topology
        self._processes = processes
        self._avoided: frozenset[str] = frozenset()
        self._channels = {
            name: grpc.aio.insecure_channel(topology.address(name), options=_CHANNEL_OPTIONS) for name in SERVICE_NAMES
        }

    async def ask(self) -> Health:
        """Asks all services and the gateway at once; takes a second at most."""
        asked = asyncio.gather(*(self._ask(name) for name in SERVICE_NAMES))
        avoided, states = await asyncio.gather(self.avoided(), asked)
        services = dict(zip(SERVICE_NAMES, states, strict=True))
        return Health(
            services={
                name: NOT_ROUTED if state == SERVING and name in avoided else state for name, state in services.items()
            },
            restarts={name: process.restarts for name, process in self._processes.items()},
        )

    async def _ask(self, name: str) -> str:
        process = self._processes.get(name)
        if process is not None and process.pid is None:
            return process.state
        check = self._channels[name].unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECS)
        except grpc.aio.AioRpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                return "starting"
            return f"does not answer ({error.code().name})"
        return SERVING if answer.status == health_pb2.HealthCheckResponse.SERVING else "not serving"

    async def avoided(self) -> frozenset[str]:
        """Returns the services that the gateway sends no calls to; while it does not say, what it said last."""
        connector = aiohttp.UnixConnector(path=self._topology.gateway_socket)
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECS)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get("http://gateway/clusters?format=json") as answer,
            ):
                clusters = json.loads(await answer.read())["cluster_statuses"]
                self._avoided = frozenset(
                    cluster["name"]
                    for cluster in clusters
                    if cluster["name"] in SERVICE_NAMES
                    and any(
                        host["health_status"].get(flag)
                        for host in cluster.get("host_statuses", ())
                        for flag in _AVOIDING
                    )
                )
        except aiohttp.ClientConnectorError:
            # While the gateway is down nobody is told anything through it, and its state is not a service's.
            self._avoided = frozenset()
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError, AttributeError):
            # It is busy, and soon says more.
            pass
        return self._avoided

    async def serve(self) -> web.AppRunner:
        """Serves `GET /healthz`: 200 when all services serve, else 503, with the same JSON body."""

        async def healthz(_: web.Request) -> web.Response:
            health = await self.ask()
            return web.json_response(
                health.to_json(), status=200 if health.serving else 503, headers={"cache-control": "no-store"}
            )

        application = web.Application(middlewares=[_this_machine])
        application.router.add_get("/healthz", healthz)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, self._topology.status_port).start()
        return runner

    async def close(self) -> None:
        """Closes the channels."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))
