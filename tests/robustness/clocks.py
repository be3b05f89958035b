"""Wall clocks of processes that a test can set, by Debian's libfaketime."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_LIBRARIES = ("*/faketime/libfaketimeMT.so.1", "faketime/libfaketimeMT.so.1")


@dataclass(frozen=True)
class Clock:
    """The clocks of the service, with its workers, and of the database.

    Only the wall clock jumps, as when somebody sets it; the one that counts from the machine's start goes on. The
    variables are for the processes whose clock it is; they are empty where libfaketime is not there, and `cannot_jump`
    says so then.
    """

    of_the_service: Mapping[str, str]
    of_the_database: Mapping[str, str]
    cannot_jump: str = ""

    @classmethod
    @contextlib.contextmanager
    def that_can_jump(cls) -> Iterator[Self]:
        """Give clocks that show the time until they are set."""
        libraries = sorted(library for pattern in _LIBRARIES for library in Path("/usr/lib").glob(pattern))
        if not libraries:
            yield cls({}, {}, "libfaketime is not there; install it (Debian: apt-get install faketime)")
            return
        with tempfile.TemporaryDirectory(prefix="tabrl-clocks-") as name:
            folder = Path(name)
            folder.chmod(0o755)  # the database may run as another account
            clock = cls(_faked(libraries[0], folder / "service"), _faked(libraries[0], folder / "database"))
            clock.set(0.0, service=True, database=True)
            yield clock

    def set(self, ahead_secs: float, *, service: bool, database: bool) -> None:
        """Set clocks, so far ahead of the time, or behind it where negative."""
        for variables, is_meant in ((self.of_the_service, service), (self.of_the_database, database)):
            if is_meant:
                file = Path(variables["FAKETIME_TIMESTAMP_FILE"])
                new = file.with_suffix(".new")
                new.write_text(f"{ahead_secs:+.0f}\n")
                new.chmod(0o644)
                new.replace(file)  # at once: it is read all the time


def _faked(library: Path, file: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
