"""Compiles every module in a folder to bytecode, saying how far it is: python compile_bytecode.py FOLDER."""

from __future__ import annotations

import compileall
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

_FILES_AT_ONCE = 50
_TERMINAL_SECS = 0.2
_PIPE_SECS = 10.0


def main() -> None:
    """Compile; what is no Python of this version, such as templates, is left as it is."""
    files = sorted(Path(sys.argv[1]).rglob("*.py"))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        told = time.monotonic()
        for done, _ in enumerate(pool.map(_compile, files, chunksize=_FILES_AT_ONCE), 1):
            pause = _TERMINAL_SECS if sys.stdout.isatty() else _PIPE_SECS
            if time.monotonic() - told >= pause or done == len(files):
                told = time.monotonic()
                _tell(f"compiled {done:,} of {len(files):,} modules", last=done == len(files))


def _compile(file: Path) -> bool:
    return bool(compileall.compile_file(file, quiet=2))


def _tell(text: str, *, last: bool) -> None:
    """Say it in the same place on a terminal, on a line of its own elsewhere."""
    if sys.stdout.isatty():
        print(f"\r  {text}", end="\n" if last else "", flush=True)
    else:
        print(f"  {text}", flush=True)


if __name__ == "__main__":
    main()
