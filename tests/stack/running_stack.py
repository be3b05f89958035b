"""All of TabRL as `make up` runs it, on free ports with a data folder of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from tabrl_local.topology import SERVICE_NAMES, Topology

from tests.gateway.gateway_under_test import free_topology, write_front_end

# A deadline against hanging, not a promise: a busy machine compiles and starts slowly.
START_SECS = 180.0
T = TypeVar("T")


@dataclass
class RunningStack:
    """A launcher and what it runs."""

    topology: Topology
    data: Path
    launcher: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return self.topology.url

    def healthz(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `GET /healthz`; status 0 while nothing answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else {}
        except OSError:
            return 0, {}

    def until_serving(self, within_secs: float = START_SECS) -> None:
        """Waits until every service serves."""
        eventually(lambda: self.healthz()[0] == 200, within_secs, self.tail)

    def process(self, name: str) -> psutil.Process:
        """The process of a service, or of the gateway."""
        for child in psutil.Process(self.launcher.pid).children():
            with contextlib.suppress(psutil.Error):
                command = child.cmdline()
                if f"tabrl_{name}" in command or (name == "gateway" and "envoy" in Path(command[0]).name):
                    return child
        raise AssertionError(f"no process of {name}")

    def kill(self, name: str) -> None:
        """Ends a process as the kernel does when memory runs out."""
        self.process(name).send_signal(signal.SIGKILL)

    def tail(self) -> str:
        """The last lines of every log, for a failure's report."""
        logs = [self.data / "logs" / f"{name}.log" for name in (*SERVICE_NAMES, "gateway")]
        return "\n".join(f"--- {log.name}\n" + "\n".join(lines(log)[-8:]) for log in logs if log.exists())


def lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines()


def eventually(question: Callable[[], T], within_secs: float = START_SECS, report: Callable[[], str] = lambda: "") -> T:
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + within_secs
    while not (answer := question()):
        if time.monotonic() > deadline:
            raise AssertionError(f"did not come about within {within_secs:g} s\n{report()}")
        time.sleep(0.05)
    return answer


@contextlib.contextmanager
def running_stack(folder: Path, *, arguments: Sequence[str] = ()) -> Iterator[RunningStack]:
    """Starts all of TabRL and waits until it serves; stops it as Ctrl-C does."""
    topology = free_topology()
    data = folder / "data"
    front_end = folder / "dist"
    if not front_end.exists():
        write_front_end(front_end)
    command = [
        *(sys.executable, "-m", "tabrl_local", "--no-open"),
        *("--port", str(topology.port), "--data", str(data), "--front-end", str(front_end)),
        *arguments,
    ]
    with (folder / "launcher.log").open("ab") as log:
        launcher = subprocess.Popen(command, stdout=log, stderr=log)
    stack = RunningStack(topology, data, launcher)
    try:
        stack.until_serving()
        yield stack
    finally:
        launcher.send_signal(signal.SIGINT)
        try:
            launcher.wait(30)
        except subprocess.TimeoutExpired:
            launcher.kill()
            raise
