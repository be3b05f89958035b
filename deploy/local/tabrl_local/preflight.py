"""Checks made before anything starts, so that what is wrong is said once and in plain words."""

from __future__ import annotations

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

LOCK_NAME = "launcher.lock"
HIGHEST_PORT = 65535


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
