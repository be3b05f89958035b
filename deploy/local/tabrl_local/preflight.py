"""Checks made before anything starts, so that what is wrong is said once and in plain words.

`python -m tabrl_local.preflight --port 8080 --data .data` makes them with a bare Python, before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tabrl_local.errors import LaunchError
from tabrl_local.topology import HOST, Topology

EXIT_CANNOT_START = 2
LOCK_NAME = "launcher.lock"
HIGHEST_PORT = 65535


def main() -> None:
    """Checks; exits with status 2 when TabRL could not start here."""
    parser = argparse.ArgumentParser(prog="python -m tabrl_local.preflight", description=__doc__)
    add_arguments(parser)
    arguments = parser.parse_args()
    with told_plainly(), ready_to_start(arguments.port, arguments.data):
        pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the two flags that decide where TabRL runs; `ready_to_start` judges what they say."""
    parser.add_argument("--port", default="8080", help="gateway's port; it takes the next 21 too (default 8080)")
    parser.add_argument("--data", default=".data", help="databases, artifacts, logs (default .data)")


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Tells what stops TabRL from starting, and exits with status 2."""
    try:
        yield
    except LaunchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CANNOT_START)


@contextlib.contextmanager
def ready_to_start(port: str, folder: str) -> Iterator[tuple[Topology, Path]]:
    """Makes every check and holds the data folder; gives the ports and the folder to use.

    Raises:
      LaunchError: as the checks below.
    """
    check_system()
    topology = Topology(parse_port(port))
    data = parse_folder(folder)
    prepare_data_folder(data)
    with data_folder_lock(data, topology):
        check_ports(topology)
        yield topology, data


def parse_port(text: str) -> int:
    """Reads a port.

    Raises:
      LaunchError: PORT_INVALID, when it is no number.
    """
    try:
        return int(text)
    except ValueError:
        raise LaunchError(
            "PORT_INVALID", f"{text!r} is no port.", "Choose a number between 1024 and 65000: make up PORT=<port>"
        ) from None


def parse_folder(text: str) -> Path:
    """Reads the name of the data folder; an empty one would mean the folder that this runs in.

    Raises:
      LaunchError: DATA_NOT_WRITABLE, when there is no name.
    """
    if not text.strip():
        raise LaunchError(
            "DATA_NOT_WRITABLE", "DATA names no folder.", "Name one, or leave it out: make up DATA=<folder>"
        )
    return Path(text).expanduser().resolve()


def check_system(platform: str = sys.platform) -> None:
    """Makes sure that this is Linux, which alone has the jail that rewards are compiled in.

    Raises:
      LaunchError: SYSTEM_NOT_SUPPORTED, naming the system.
    """
    if platform != "linux":
        raise LaunchError(
            "SYSTEM_NOT_SUPPORTED",
            "TabRL runs on Linux 5.13 or newer, which has the jail (Landlock) that rewards are compiled in; "
            f"this system is {platform}.",
            "Run it on a Linux machine, virtual or not, forward its port (ssh -L 8080:127.0.0.1:8080 <machine>), "
            "and open the page here.",
        )


def prepare_data_folder(data: Path) -> None:
    """Creates the data folder if need be and makes sure that files can be written in it.

    Raises:
      LaunchError: DATA_NOT_WRITABLE or STORAGE_FULL.
    """
    try:
        (data / "logs").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data) as probe:
            probe.write(b"TabRL")
            probe.flush()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise LaunchError("STORAGE_FULL", f"The disk that holds {data} is full.", "Free some space.") from error
        raise LaunchError(
            "DATA_NOT_WRITABLE",
            f"The data folder {data} cannot be written: {error.strerror or error}.",
            "Choose another: make up DATA=<folder>",
        ) from error


@contextlib.contextmanager
def data_folder_lock(data: Path, topology: Topology) -> Iterator[None]:
    """Holds the data folder for this launcher alone; the lock goes with the process, however it ends.

    Raises:
      LaunchError: DATA_IN_USE, naming the other instance.
    """
    with (data / LOCK_NAME).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise LaunchError(
                "DATA_IN_USE",
                f"The data folder {data} is in use by {_describe(lock.read())}.",
                "Use that one, stop it (Ctrl-C in its terminal), or choose another: make up DATA=<folder> PORT=<port>",
            ) from error
        lock.truncate(0)
        json.dump({"pid": os.getpid(), "url": topology.url}, lock)
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def _describe(record: str) -> str:
    """Names the instance that holds the lock, from what it wrote there."""
    try:
        other = json.loads(record)
        return f"another TabRL at {other['url']} (process {other['pid']})"
    except (ValueError, KeyError, TypeError):
        return "another TabRL"


def check_ports(topology: Topology) -> None:
    """Makes sure that every port is free.

    Raises:
      LaunchError: PORT_INVALID or PORT_IN_USE, naming the port.
    """
    count = topology.status_port - topology.port
    if topology.port < 1 or topology.status_port > HIGHEST_PORT:
        raise LaunchError(
            "PORT_INVALID",
            f"TabRL uses the ports from PORT to PORT+{count}; {topology.port} leaves no room for them.",
            "Choose one between 1024 and 65000: make up PORT=<port>",
        )
    for port, user in topology.ports():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # Connections that a stopped TabRL left in TIME_WAIT do no harm.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise LaunchError(
                    "PORT_IN_USE" if error.errno == errno.EADDRINUSE else "PORT_NOT_ALLOWED",
                    f"Port {port}, which the {user} needs, cannot be used: {error.strerror}.",
                    f"Choose others: make up PORT=<port> (it takes PORT to PORT+{count})",
                ) from error


if __name__ == "__main__":
    main()
