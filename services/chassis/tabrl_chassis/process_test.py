"""A service as a process of its own: signals, exit statuses, what it imports, and children that die with it."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tabrl_chassis.processes import start_python, stop

CHILD = """
import sys, time
from tabrl_chassis.processes import die_with_parent
die_with_parent()
print("ready", flush=True)
time.sleep(600)
"""

PARENT = f"""
import asyncio, os, subprocess
from tabrl_chassis.processes import start_python
async def main():
    child = await start_python(["-c", {CHILD!r}], stdout=subprocess.PIPE, niceness=5)
    await child.stdout.readline()
    print(child.pid, os.getpriority(os.PRIO_PROCESS, child.pid), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def start_tiny(tmp_path: Path, *flags: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tabrl_chassis.service_test",
        "--data",
        str(tmp_path),
        "--port=0",
        "--http-port=0",
        "--log-format=json",
    ]
    return subprocess.Popen([*command, *flags], stderr=subprocess.PIPE, text=True)


def wait_for_line(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f"{text!r} was never logged")


def test_sigterm_drains_and_exits_with_0(tmp_path):
    process = start_tiny(tmp_path)
    line = wait_for_line(process, '"event": "serving"')
    http_port = int(line.split('"http_port": ')[1].split(",")[0].rstrip("}\n"))
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{http_port}/metrics").read().decode()
    assert "# TYPE grpc_server_handled_total counter" in metrics
    loaded = {
        Path(row.split()[-1]).parts[-2]
        for row in Path(f"/proc/{process.pid}/maps").read_text().splitlines()
        if ".so" in row
    }
    assert not loaded & {"jaxlib", "mujoco", "capi"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_a_taken_port_exits_with_1(tmp_path):
    first = start_tiny(tmp_path)
    line = wait_for_line(first, '"event": "serving"')
    port = line.split('"address": "127.0.0.1:')[1].split('"')[0]
    second = start_tiny(tmp_path, f"--port={port}")
    assert "is another process using the port" in wait_for_line(second, "cannot start")
    assert second.wait(30) == 1
    first.kill()
    first.wait()


def test_bad_flags_exit_with_2(tmp_path):
    process = start_tiny(tmp_path, "--drain-secs=soon")
    assert "--drain-secs" in wait_for_line(process, "invalid float value")
    assert process.wait(30) == 2


def test_a_child_dies_with_its_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, niceness = map(int, parent.stdout.readline().split())
    assert niceness >= 5
    parent.kill()
    parent.wait()
    descriptor = _pidfd(pid)
    if descriptor is not None:
        import select

        assert select.select([descriptor], [], [], 30)[0], "the child outlived its parent"


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


@pytest.mark.parametrize(("program", "status"), [("pass", 0), ("import signal; signal.pause()", -signal.SIGTERM)])
async def test_stop_returns_the_exit_status(program, status):
    process = await start_python(["-c", f"print(1, flush=True); {program}"], stdout=asyncio.subprocess.PIPE)
    await process.stdout.readline()
    if status == 0:
        await process.wait()
    assert await stop(process, grace_secs=30) == status


async def test_stop_kills_a_child_that_does_not_listen():
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    process = await start_python(["-c", deaf], stdout=asyncio.subprocess.PIPE)
    await process.stdout.readline()
    assert await stop(process, grace_secs=0.1) == -signal.SIGKILL
