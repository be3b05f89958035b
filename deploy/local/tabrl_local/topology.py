"""Which processes there are, and where each listens."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
SERVICE_NAMES = ("scene", "rewardgen", "trainer", "exporter", "inference")
GATEWAY = "gateway"

SHARE_PAGE = Path(__file__).resolve().parents[3] / "frontend" / "web" / "dist-share"

HTTP_PORT_OFFSET = 10
STATUS_PORT_OFFSET = 21


@dataclass(frozen=True)
class Command:
    """A process to run."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Topology:
    """Ports of one running TabRL, all on the loopback interface, counted from the gateway's."""

    port: int

    @property
    def url(self) -> str:
        """Where a person opens TabRL."""
        return f"http://{HOST}:{self.port}"

    @property
    def status_port(self) -> int:
        """The launcher's `/healthz`, which the gateway serves as its own."""
        return self.port + STATUS_PORT_OFFSET

    @property
    def gateway_socket(self) -> str:
        """Envoy's own page, on an abstract Unix socket."""
        return f"\0tabrl-gateway-{self.port}"

    def grpc_port(self, service: str) -> int:
        """Where a service answers gRPC."""
        return self.port + 1 + SERVICE_NAMES.index(service)

    def http_port(self, service: str) -> int:
        """Where a service serves `/metrics` and `/artifacts/`."""
        return self.grpc_port(service) + HTTP_PORT_OFFSET

    def address(self, service: str) -> str:
        """Host and gRPC port of a service."""
        return f"{HOST}:{self.grpc_port(service)}"

    def ports(self) -> Iterator[tuple[int, str]]:
        """Every port with its user, the gateway's first."""
        yield self.port, GATEWAY
        for name in SERVICE_NAMES:
            yield self.grpc_port(name), name
            yield self.http_port(name), f"{name} (HTTP)"
        yield self.status_port, "launcher (health)"


def service_commands(topology: Topology, data: Path) -> tuple[Command, ...]:
    """How to start each service, so that it finds the others."""
    environment = dict(os.environ)
    # Without stored bytecode the five services take three times as long to start.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment.pop("GRPC_ENABLE_FORK_SUPPORT", None)
    environment["PYTHONUNBUFFERED"] = "1"
    for name in SERVICE_NAMES:
        environment[f"TABRL_{name.upper()}_ADDRESS"] = topology.address(name)
    options = {"exporter": (f"--share-page={SHARE_PAGE}",)}
    return tuple(
        Command(
            name,
            (
                sys.executable,
                "-m",
                f"tabrl_{name}",
                f"--port={topology.grpc_port(name)}",
                f"--http-port={topology.http_port(name)}",
                f"--data={data}",
                *options.get(name, ()),
            ),
            environment,
        )
        for name in SERVICE_NAMES
    )
