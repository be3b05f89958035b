"""A PostgreSQL of the tests' own: a server in a temporary folder, with an empty database for each test.

It needs PostgreSQL's programs (Debian: `apt-get install postgresql`), and listens on a socket in its folder alone.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = ["Server", "server"]

_DEBIAN = Path("/usr/lib/postgresql")
_SUPERUSER = "tabrl"
_START_TIMEOUT_SECS = 60


class Server:
    """A server that runs."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Take the folder that its socket and its data are in, and variables to run with."""
        self._folder = folder
        self._environment = environment

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database."""
        return f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(self._folder), safe='')}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database that is gone afterwards."""
        name = f"test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def pause(self) -> None:
        """Stop the server as a machine does that loses power; `start` brings it back."""
        self._control("stop", "--mode=immediate")

    def freeze(self) -> None:
        """Have the server hang: what it is asked is not answered until `thaw`."""
        for process in self._processes():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a server go on that hangs."""
        for process in self._processes():
            os.kill(process, signal.SIGCONT)

    def activity(self) -> list[str]:
        """Return what each of its processes is at, by the kernel and, if it answers, by itself; for messages."""
        import psycopg

        lines = [f"{process} {_state(process)}" for process in self._processes()]
        columns = "pid, state, wait_event_type, wait_event, backend_start, query_start, query"
        try:
            lines += [str(row) for row in self._execute(f"SELECT {columns} FROM pg_stat_activity")]
        except psycopg.Error as error:
            lines.append(f"{type(error).__name__}: {error}")
        return lines

    def _processes(self) -> list[int]:
        """Return the server's process, and those that it has started."""
        main = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        return [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]

    def start(self) -> None:
        """Start the server."""
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_connections=200"
        self._control("start", f"--options={options}", f"--log={self._folder / 'log'}")

    def _control(self, action: str, *options: str) -> None:
        data = str(self._folder / "data")
        arguments = [action, f"--pgdata={data}", "--wait", f"--timeout={_START_TIMEOUT_SECS}", "--silent", *options]
        _run("pg_ctl", arguments, self._environment)

    def _execute(self, statement: str) -> Sequence[tuple[Any, ...]]:
        import psycopg

        options: dict[str, Any] = {"user": _SUPERUSER, "dbname": "postgres", "connect_timeout": _START_TIMEOUT_SECS}
        with psycopg.connect(host=str(self._folder), autocommit=True, **options) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def server(environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server, with variables beside its account's own where some are given.

    Raises:
        FileNotFoundError: PostgreSQL's programs are not there.
    """
    _program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="tabrl-postgresql-"))
    try:
        if account := _account():
            shutil.chown(folder, account)
        options = [f"--username={_SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        _run("initdb", [f"--pgdata={folder / 'data'}", *options])
        running = Server(folder, environment or {})
        running.start()
        try:
            yield running
        finally:
            running.pause()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str:
    newest = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"PostgreSQL's {name} is not there; install PostgreSQL (Debian: postgresql)")
    return found


def _state(process: int) -> str:
    """Return the letter that the kernel has for what a process is at, such as T for stopped."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def _account() -> str:
    """Return the account that the server runs as: it refuses to be root."""
    if os.getuid() != 0:
        return ""
    return pwd.getpwnam("postgres").pw_name


def _run(program: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    account = _account()
    ahead = ["runuser", "-u", account, "--"] if account else []
    # Not in the environment of `runuser`: what is preloaded must start as the account that goes on with it.
    ahead += ["env", *(f"{name}={value}" for name, value in (environment or {}).items())]
    # Its words go to a file: the server that pg_ctl leaves behind would hold a pipe open.
    with tempfile.TemporaryFile() as words:
        done = subprocess.run([*ahead, _program(program), *arguments], stdout=words, stderr=words, cwd="/", check=False)
        words.seek(0)
        if done.returncode:
            raise RuntimeError(f"{program} failed: {words.read().decode(errors='replace')}")
