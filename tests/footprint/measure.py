"""What each service costs at rest: `python -m tests.footprint.measure` prints memory and start-up time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import psutil
from grpc_health.v1 import health_pb2
from tabrl_local.topology import SERVICE_NAMES, Topology

from tests.gateway.gateway_under_test import free_topology
from tests.stack.running_stack import eventually, running_stack

# What only a request may bring in.
HEAVY = frozenset({"brax", "flax", "jax", "jax2onnx", "jaxlib", "litellm", "mujoco.mjx", "mujoco_playground", "onnx"})
_IMPORTED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", re.M)


@dataclass(frozen=True)
class Footprint:
    """One process at rest."""

    name: str
    rss_mb: float
    start_secs: float


def heavy_imports(service: str, data: Path) -> set[str]:
    """Starts a service by itself and returns the heavy packages that it had imported once it served."""
    topology = free_topology()
    environment = {**os.environ, "TABRL_DATA": str(data)}
    arguments = [f"--port={topology.grpc_port(service)}", f"--http-port={topology.http_port(service)}"]
    log = data / f"{service}.imports"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", f"tabrl_{service}", *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        eventually(lambda: answers(service, topology), report=lambda: log.read_text()[-2000:])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    imported = set(_IMPORTED.findall(log.read_text()))
    return {heavy for heavy in HEAVY if any(name == heavy or name.startswith(f"{heavy}.") for name in imported)}


def answers(service: str, topology: Topology) -> bool:
    """Whether a service answers health checks, healthy or not: its process is at rest then."""
    with grpc.insecure_channel(topology.address(service)) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            check(health_pb2.HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
        return True


def measure(folder: Path) -> list[Footprint]:
    """Starts everything twice (the second time warm) and measures the second."""
    with running_stack(folder):
        pass
    started = time.monotonic()
    with running_stack(folder) as stack:
        all_up = time.monotonic() - started
        found = []
        for name in (*SERVICE_NAMES, "gateway"):
            process = stack.process(name)
            family = [process, *process.children(recursive=True)]
            log = stack.data / "logs" / f"{name}.log"
            took = re.findall(r"start_secs=([\d.]+)", log.read_text())
            rss = sum(member.memory_info().rss for member in family) / 1e6
            found.append(Footprint(name, rss, float(took[-1]) if took else 0.0))
        launcher = psutil.Process(stack.launcher.pid).memory_info().rss / 1e6
        found.append(Footprint("launcher", launcher, all_up))
    return found


def main() -> None:
    """Prints the table of README.md."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'process':<10} {'memory':>8}  {'start':>7}")
        for one in measure(Path(folder)):
            print(f"{one.name:<10} {one.rss_mb:5.0f} MB  {one.start_secs:5.1f} s")
        print("start: from the service's own code to serving; launcher: from the command to all serving")


if __name__ == "__main__":
    main()
