"""The Trainer as a process of its own, with a worker that follows a script, for tests that kill it.

`python -m tabrl_trainer.scripted_trainer WORKER [flags of the Trainer]`; see `conftest.WORKER`.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tabrl_trainer.config import TrainerConfig

__all__ = ["NotServing", "start"]

_STARTS_WITHIN_SECS = 60.0


class NotServing(RuntimeError):
    """The process ended, or took too long, before it served."""


def start(
    config: TrainerConfig, worker: Path, log: Path, environment: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the process and return it with its address once it serves; what it says is appended to `log`.

    Raises:
        NotServing: it ended or took too long before it served.
    """
    flags = [f"--{item.name.replace('_', '-')}={getattr(config, item.name)}" for item in dataclasses.fields(config)]
    flags = [flag for flag in flags if not flag.startswith("--log-format") and not flag.endswith("=")]
    command = [sys.executable, "-m", "tabrl_trainer.scripted_trainer", str(worker), *flags, "--log-format=json"]
    with log.open("a+") as words:
        place = words.seek(0, os.SEEK_END)
        process = subprocess.Popen(command, stderr=words, env={**os.environ, **(environment or {})})
        deadline = time.monotonic() + _STARTS_WITHIN_SECS
        while process.poll() is None and time.monotonic() < deadline:
            words.seek(place)
            for line in words:
                if '"event": "serving"' in line:
                    return process, line.split('"address": "')[1].split('"')[0]
            time.sleep(0.02)
    process.kill()
    raise NotServing(f"the Trainer did not start; see {log}")


if __name__ == "__main__":
    # A test that finds the process hanging asks what its threads are at, into its log.
    faulthandler.register(signal.SIGUSR1)

    from tabrl_chassis.service import main

    from tabrl_trainer.service import trainer_service

    main(trainer_service((sys.argv[1],)), sys.argv[2:])
