"""Log lines of the processes: prefixed on the terminal, whole in a file each."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import TextIO

FILE_BYTES = 10 * 1024 * 1024
OLD_FILES = 2
LONGEST_LINE = 16 * 1024
_COLOURS = {"scene": 36, "rewardgen": 35, "trainer": 33, "exporter": 34, "inference": 32, "gateway": 90, "tabrl": 1}


class Terminal:
    """Writes whole lines, each behind the name of who says it."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        """Colours the names when `stream` is a terminal."""
        self._stream = stream
        self._colour = stream.isatty()

    def say(self, name: str, line: str) -> None:
        """Writes one line."""
        prefix = f"{name:<9} |"
        if self._colour and name in _COLOURS:
            prefix = f"\033[{_COLOURS[name]}m{prefix}\033[0m"
        try:
            print(prefix, line, file=self._stream, flush=True)
        except (BrokenPipeError, ValueError):
            # The terminal is gone; the files still have every line.
            self._colour = False


class _LogFile(logging.handlers.RotatingFileHandler):
    """A rotating file whose trouble, such as a full disk, is told once and not with every line."""

    def __init__(self, path: Path, terminal: Terminal) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8", errors="replace")
        self._terminal = terminal
        self._told = False

    def handleError(self, record: logging.LogRecord) -> None:
        if not self._told:
            self._told = True
            self._terminal.say("tabrl", f"cannot write {self.baseFilename}: {sys.exc_info()[1]}; lines are lost there")


class ProcessLog:
    """Where the lines of one process go: DATA/logs/<name>.log, and the terminal."""

    def __init__(self, name: str, folder: Path, terminal: Terminal) -> None:
        """Opens the file; at 10 MiB it is set aside, and two old ones are kept."""
        self._name = name
        self._terminal = terminal
        self._file = _LogFile(folder / f"{name}.log", terminal)
        self._file.setFormatter(logging.Formatter("%(message)s"))
        self.last_line = ""

    def write(self, line: str, *, quiet: bool = False) -> None:
        """Takes one line; a `quiet` one goes to the file alone."""
        self._file.handle(logging.LogRecord(self._name, logging.INFO, "", 0, line, None, None))
        if not quiet:
            self.last_line = line
            self._terminal.say(self._name, line)

    async def follow(self, stream: asyncio.StreamReader, *, quiet: bool = False) -> None:
        """Takes every line until the process closes `stream`; lines over 16 KiB are broken."""
        rest = b""
        while chunk := await stream.read(64 * 1024):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self.write(line.decode(errors="replace").rstrip("\r"), quiet=quiet)
        if rest:
            self.write(rest.decode(errors="replace"), quiet=quiet)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
