"""The launcher's parts with real processes, sockets and files."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import grpc
import pytest
from aiohttp import web
from grpc_health.v1 import health, health_pb2_grpc

from tabrl_local import preflight
from tabrl_local.errors import LaunchError
from tabrl_local.gateway import render
from tabrl_local.health import NOT_ROUTED, Health, HealthReporter
from tabrl_local.logs import ProcessLog, Terminal
from tabrl_local.supervisor import SupervisedProcess
from tabrl_local.topology import HOST, SERVICE_NAMES, STATUS_PORT_OFFSET, Command, Topology, service_commands


def python(name: str, code: str) -> Command:
    return Command(name, (sys.executable, "-u", "-c", textwrap.dedent(code)), dict(os.environ))


@contextlib.asynccontextmanager
async def running(command: Command, folder: Path) -> AsyncIterator[tuple[SupervisedProcess, Path]]:
    """A supervised process and its log file."""
    log = ProcessLog(command.name, folder, Terminal(open(os.devnull, "w")))  # noqa: SIM115
    process = SupervisedProcess(command, log)
    task = asyncio.create_task(process.keep_running())
    try:
        yield process, folder / f"{command.name}.log"
    finally:
        await process.stop(patience_secs=5)
        await task
        log.close()


async def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("did not come about")


class TestTopology:
    def test_every_port_has_one_user(self) -> None:
        ports = [port for port, _ in Topology(8080).ports()]
        assert len(set(ports)) == len(ports) == 12
        assert (min(ports), max(ports)) == (8080, 8101)

    def test_services_know_each_other_and_keep_their_bytecode(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        commands = service_commands(Topology(9000), tmp_path)
        assert [command.name for command in commands] == list(SERVICE_NAMES)
        for command in commands:
            assert command.environment["TABRL_EXPORTER_ADDRESS"] == "127.0.0.1:9004"
            assert "PYTHONDONTWRITEBYTECODE" not in command.environment


class TestPreflight:
    def test_a_system_that_is_not_linux(self) -> None:
        preflight.check_system("linux")
        with pytest.raises(LaunchError, match="this system is darwin") as raised:
            preflight.check_system("darwin")
        assert raised.value.reason == "SYSTEM_NOT_SUPPORTED"

    def test_creates_the_data_folder(self, tmp_path: Path) -> None:
        preflight.prepare_data_folder(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b" / "logs").is_dir()

    def test_a_data_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(LaunchError, match="cannot be written") as raised:
            preflight.prepare_data_folder(tmp_path / "file" / "data")
        assert raised.value.reason == "DATA_NOT_WRITABLE"
        assert "make up DATA=<folder>" in str(raised.value)

    def test_a_data_folder_has_one_launcher(self, tmp_path: Path) -> None:
        with preflight.data_folder_lock(tmp_path, Topology(8080)):
            with (
                pytest.raises(LaunchError, match=r"another TabRL at http://127\.0\.0\.1:8080") as raised,
                preflight.data_folder_lock(tmp_path, Topology(9080)),
            ):
                pass
            assert raised.value.reason == "DATA_IN_USE"
            assert f"process {os.getpid()}" in raised.value.message
        # released: the next one may have it
        with preflight.data_folder_lock(tmp_path, Topology(9080)):
            pass

    def test_a_port_that_is_taken_is_named(self) -> None:
        with socket.socket() as other:
            other.bind((HOST, 0))
            other.listen()
            port = other.getsockname()[1]
            with pytest.raises(LaunchError, match=f"Port {port}, which the scene") as raised:
                preflight.check_ports(Topology(port - 1))
        assert raised.value.reason == "PORT_IN_USE"

    @pytest.mark.parametrize("port", [0, -1, 65530])
    def test_a_port_that_leaves_no_room(self, port: int) -> None:
        with pytest.raises(LaunchError) as raised:
            preflight.check_ports(Topology(port))
        assert raised.value.reason == "PORT_INVALID"

    @pytest.mark.parametrize(
        ("flags", "reason"),
        [
            (("--port", "abc"), "PORT_INVALID"),
            (("--port", ""), "PORT_INVALID"),
            (("--data", ""), "DATA_NOT_WRITABLE"),
            (("--data", "/dev/null/data"), "DATA_NOT_WRITABLE"),
        ],
    )
    def test_a_bare_python_says_what_is_wrong_before_anything_is_installed(
        self, tmp_path: Path, flags: tuple[str, ...], reason: str
    ) -> None:
        command = (sys.executable, "-S", "-m", "tabrl_local.preflight", *flags)
        environment = {"PYTHONPATH": str(Path(preflight.__file__).parents[1])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (preflight.EXIT_CANNOT_START, "")
        assert f"reason: {reason}" in done.stderr
        assert "remedy: " in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_front_end_that_was_not_built(self, tmp_path: Path) -> None:
        with pytest.raises(LaunchError, match=r"index\.html is missing") as raised:
            render(Topology(8080), tmp_path)
        assert raised.value.reason == "NOT_INSTALLED"


class TestSupervisor:
    async def test_starts_again_what_was_killed(self, tmp_path: Path) -> None:
        async with running(python("sleeper", "import time; print('up'); time.sleep(60)"), tmp_path) as (process, log):
            await eventually(lambda: log.read_text().count("up") == 1)
            first = process.pid
            assert first
            os.kill(first, signal.SIGKILL)
            await eventually(lambda: log.read_text().count("up") == 2)
            assert process.pid not in (None, first)
            assert process.restarts == 1
            assert "was ended by SIGKILL; starts again in 0.25 s" in log.read_text()

    async def test_waits_longer_each_time(self, tmp_path: Path) -> None:
        async with running(python("fails", "raise SystemExit(3)"), tmp_path) as (process, log):
            await eventually(lambda: process.restarts >= 3)
            text = log.read_text()
        pauses = [text.index(f"exit status 3; starts again in {pause} s") for pause in ("0.25", "0.5", "1")]
        assert pauses == sorted(pauses)

    async def test_stops_a_process_that_does_not_listen(self, tmp_path: Path) -> None:
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf'); time.sleep(60)"
        async with running(python("deaf", code), tmp_path) as (process, log):
            await eventually(lambda: "deaf" in log.read_text())
            await process.stop(patience_secs=0.2)
            assert process.pid is None
            assert "did not stop within 0.2 s" in log.read_text()

    async def test_takes_the_workers_of_a_process_along(self, tmp_path: Path) -> None:
        code = """
            import subprocess, sys, time
            print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)
            time.sleep(60)
        """
        async with running(python("parent", code), tmp_path) as (process, log):
            await eventually(lambda: log.read_text().strip().isdigit())
            worker = int(log.read_text())
            await process.stop(patience_secs=5)
            await eventually(lambda: not alive(worker))

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
    async def test_children_end_with_a_launcher_that_is_killed(self, tmp_path: Path) -> None:
        code = f"""
            import asyncio, pathlib, sys
            from tabrl_local.logs import ProcessLog, Terminal
            from tabrl_local.supervisor import SupervisedProcess
            from tabrl_local.topology import Command
            command = Command('child', (sys.executable, '-c', 'import time; time.sleep(60)'), {{}})
            child = SupervisedProcess(command, ProcessLog('child', pathlib.Path({str(tmp_path)!r}), Terminal()))
            async def main():
                running = asyncio.create_task(child.keep_running())
                while child.pid is None:
                    await asyncio.sleep(0.01)
                print(child.pid, flush=True)
                await running
            asyncio.run(main())
        """
        launcher = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
        assert launcher.stdout
        child = int(launcher.stdout.readline())
        launcher.kill()
        launcher.wait()
        await eventually(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_very_long_lines_are_broken(tmp_path: Path) -> None:
    async def follow() -> None:
        log = ProcessLog("wordy", tmp_path, Terminal(open(os.devnull, "w")))  # noqa: SIM115
        stream = asyncio.StreamReader()
        stream.feed_data(b"x" * 200_000 + b"\nnext\nlast")
        stream.feed_eof()
        await log.follow(stream)
        log.close()

    asyncio.run(follow())
    *broken, following, last = (tmp_path / "wordy.log").read_text().splitlines()
    assert sum(map(len, broken)) == 200_000
    assert (following, last) == ("next", "last")


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    log = ProcessLog("wordy", tmp_path, Terminal(said))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(log._file, "shouldRollover", full)
    for line in ("one", "two", "three"):
        log.write(line, quiet=True)
    log.close()

    (told,) = said.getvalue().splitlines()
    assert "No space left on device" in told


def test_health_is_degraded_while_one_service_is() -> None:
    health = Health({"scene": "serving", "trainer": "starting"}, {"scene": 0, "trainer": 1})
    assert health.to_json() == {
        "status": "degraded",
        "services": {"scene": "serving", "trainer": "starting"},
        "restarts": {"scene": 0, "trainer": 1},
    }


@pytest.mark.parametrize(
    ("envoy_says", "told"),
    [
        ({"eds_health_status": "HEALTHY"}, "serving"),
        ({"eds_health_status": "HEALTHY", "failed_active_health_check": True}, NOT_ROUTED),
        ({"eds_health_status": "HEALTHY", "pending_active_hc": True}, NOT_ROUTED),
        (None, "serving"),
    ],
)
async def test_who_gets_no_calls_does_not_serve(envoy_says: dict[str, object] | None, told: str) -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        topology = Topology(probe.getsockname()[1])
    # given a service that serves
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    assert server.add_insecure_port(topology.address("scene"))
    await server.start()
    # and a gateway that says this of it, or nothing
    clusters = {"cluster_statuses": [{"name": "scene", "host_statuses": [{"health_status": envoy_says}]}]}

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(clusters)

    application = web.Application()
    application.router.add_get("/clusters", answer)
    gateway = web.AppRunner(application)
    await gateway.setup()
    if envoy_says is not None:
        await web.UnixSite(gateway, topology.gateway_socket).start()

    reporter = HealthReporter(topology, {})
    services = (await reporter.ask()).services

    assert services["scene"] == told
    assert services["trainer"] == "starting"
    await reporter.close()
    await gateway.cleanup()
    await server.stop(None)


async def test_the_status_port_answers_to_this_machines_names_alone() -> None:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        topology = Topology(probe.getsockname()[1] - STATUS_PORT_OFFSET)
    reporter = HealthReporter(topology, {})
    server = await reporter.serve()
    async with aiohttp.ClientSession() as session:
        for host, status in (("localhost:8080", 503), ("[::1]", 503), ("rebound.example.org", 403)):
            url = f"http://{HOST}:{topology.status_port}/healthz"
            async with session.get(url, headers={"Host": host}) as answer:
                assert answer.status == status
                if status == 403:
                    assert (await answer.json())["details"][0]["reason"] == "HOST_NOT_ALLOWED"
    await server.cleanup()
    await reporter.close()
