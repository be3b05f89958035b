"""Runs the benchmarks: `python -m tabrl_simulation.benchmarks [NAME [ARGUMENT...]]`; all of them without a name.

Each writes a table and a plot to `tests/benchmarks/results`. `--help` after a name lists its arguments. `peers` needs
packages that nothing else does: `make bench-peers` installs them beside.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Final

_ALONE: Final = ("learning", "stepping", "startup", "resume")
_NAMES: Final = (
    *_ALONE,
    "joystick",
    "any_robot",
    "peers",
    "backends",
    "environments",
    "controllers",
    "formats",
    "sealing",
)


def main() -> None:
    """Runs the benchmark that is named, or one after the other, each in a process of its own."""
    arguments = sys.argv[1:]
    if not arguments:
        for name in _ALONE:
            subprocess.run([sys.executable, "-m", f"{__package__}.{name}"], check=True)
    elif arguments[0] in _NAMES:
        sys.argv = arguments
        importlib.import_module(f"{__package__}.{arguments[0]}").main()
    else:
        sys.exit(f"{__doc__}\nNAME is one of {', '.join(_NAMES)}.")


if __name__ == "__main__":
    main()
