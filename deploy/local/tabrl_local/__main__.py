"""Starts TabRL on this machine: `python -m tabrl_local --port 8080 --data .data`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
import webbrowser
from pathlib import Path

import aiohttp

from tabrl_local import preflight
from tabrl_local.gateway import FRONT_END, gateway_command
from tabrl_local.health import HealthReporter
from tabrl_local.logs import ProcessLog, Terminal
from tabrl_local.supervisor import SupervisedProcess
from tabrl_local.topology import GATEWAY, SERVICE_NAMES, Topology, service_commands

# Later than this something is wrong, and the person is told what.
SLOW_START_SECS = 30.0
POLL_SECS = 0.1


def main() -> None:
    """Runs until Ctrl-C; exits with status 2 when TabRL cannot start."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_local", description="Runs all of TabRL on this machine.")
    preflight.add_arguments(parser)
    parser.add_argument("--front-end", type=Path, default=FRONT_END, help="folder of the built front end")
    parser.add_argument("--no-open", dest="open", action="store_false", help="open no browser")
    arguments = parser.parse_args()
    with preflight.told_plainly(), preflight.ready_to_start(arguments.port, arguments.data) as (topology, data):
        asyncio.run(Launcher(topology, data, arguments.front_end.resolve()).run(open_browser=arguments.open))


class Launcher:
    """All processes of one running TabRL."""

    def __init__(self, topology: Topology, data: Path, front_end: Path) -> None:
        """Starts nothing yet."""
        self._topology = topology
        self._data = data
        self._terminal = Terminal()
        commands = (*service_commands(topology, data), gateway_command(topology, data, front_end))
        self._logs = {command.name: ProcessLog(command.name, data / "logs", self._terminal) for command in commands}
        self._processes = {
            # Envoy writes one line per request to standard output, which is for the file
            command.name: SupervisedProcess(command, self._logs[command.name], quiet_stdout=command.name == GATEWAY)
            for command in commands
        }

    async def run(self, *, open_browser: bool) -> None:
        """Starts everything, tells when it serves, waits for a signal, stops everything."""
        stop = asyncio.Event()
        signals = 0

        def on_signal() -> None:
            nonlocal signals
            signals += 1
            stop.set()
            if signals > 1:
                for process in self._processes.values():
                    process.kill()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, on_signal)

        health = HealthReporter(self._topology, self._processes)
        server = await health.serve()
        running = [asyncio.create_task(process.keep_running()) for process in self._processes.values()]
        welcome = asyncio.create_task(self._welcome(health, open_browser=open_browser))
        await stop.wait()
        welcome.cancel()
        await self._stop()
        await asyncio.gather(*running, welcome, return_exceptions=True)
        await server.cleanup()
        await health.close()
        for log in self._logs.values():
            log.close()

    async def _welcome(self, health: HealthReporter, *, open_browser: bool) -> None:
        """Waits until every service serves through the gateway, then tells the person."""
        started = time.monotonic()
        self._terminal.say("tabrl", f"starts {len(SERVICE_NAMES)} services and the gateway; data in {self._data}")
        told_slow = False
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not await self._is_up(session):
                if not told_slow and time.monotonic() - started > SLOW_START_SECS:
                    told_slow = True
                    for name, state in (await health.ask()).services.items():
                        if state != "serving":
                            last = self._logs[name].last_line
                            self._terminal.say("tabrl", f"still waiting for {name}: {state}; its last line: {last}")
                    self._terminal.say("tabrl", f"all lines are in {self._data / 'logs'}")
                await asyncio.sleep(POLL_SECS)
        self._terminal.say("tabrl", f"is up after {time.monotonic() - started:.1f} s: {self._topology.url}")
        if not os.environ.get("TABRL_LLM_MODEL"):
            self._terminal.say("tabrl", "no LLM is configured; rewards come from the built-in library (see README.md)")
        self._terminal.say("tabrl", "Ctrl-C stops everything; runs and policies stay in the data folder")
        if open_browser:
            await self._open_browser()

    async def _is_up(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self._topology.url}/healthz") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _open_browser(self) -> None:
        """Opens the page where there is a screen; elsewhere the URL on the terminal must do."""
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return
        with contextlib.suppress(webbrowser.Error, OSError):
            await asyncio.to_thread(webbrowser.open, self._topology.url)

    async def _stop(self) -> None:
        started = time.monotonic()
        self._terminal.say("tabrl", "stops")
        # Services first: they end their streams themselves, and the gateway passes the last words on.
        await asyncio.gather(*(self._processes[name].stop() for name in SERVICE_NAMES))
        await self._processes[GATEWAY].stop(patience_secs=3)
        self._terminal.say("tabrl", f"stopped after {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
