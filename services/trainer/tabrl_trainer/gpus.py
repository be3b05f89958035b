"""The GPUs of this machine, and which run has which."""

from __future__ import annotations

import contextlib
import csv
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Gauge
from tabrl_chassis.logs import get_logger

__all__ = ["Gpu", "Gpus", "find_gpus"]

_ASK = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
_ANSWERS_WITHIN_SECS = 10.0
_MEBIBYTE = 1 << 20

RUNS_ON_GPU = Gauge("tabrl_trainer_gpu_runs", "Runs that train on a GPU of this machine.", ["gpu"])

_log = get_logger("tabrl_trainer.gpus")


@dataclass(frozen=True)
class Gpu:
    """One GPU: the driver's number and id of it, its name, and its memory in bytes."""

    index: int
    uuid: str
    name: str
    memory_bytes: int


def find_gpus() -> list[Gpu]:
    """Return the NVIDIA GPUs that this process may use; none where there is no driver, or it does not answer.

    `CUDA_VISIBLE_DEVICES`, by number or id, hides the others, as it does from CUDA.
    """
    try:
        answer = subprocess.run(_ASK, capture_output=True, text=True, check=True, timeout=_ANSWERS_WITHIN_SECS).stdout
    except (OSError, subprocess.SubprocessError) as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("GPUs unknown", cause=str(error))
        return []
    rows = [
        [cell.strip() for cell in row] for row in csv.reader(answer.splitlines()) if len(row) == len(Gpu.__match_args__)
    ]
    found = [
        Gpu(int(index), uuid, name, int(memory) * _MEBIBYTE)
        for index, uuid, name, memory in rows
        if index.isdecimal() and memory.isdecimal()
    ]
    return _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _visible(found: Sequence[Gpu], names: str | None) -> list[Gpu]:
    if names is None:
        return list(found)
    visible = []
    for name in (part.strip() for part in names.split(",")):
        gpu = next((gpu for gpu in found if name == str(gpu.index) or (name and gpu.uuid.startswith(name))), None)
        if gpu is None:
            break  # CUDA takes no notice of what comes after one that is not there
        visible.append(gpu)
    return visible


class Gpus:
    """Which run has which GPU: each new one gets the one with the fewest."""

    def __init__(self, gpus: Sequence[Gpu]) -> None:
        """Keep the GPUs; without any, runs get none."""
        self._runs = dict.fromkeys(gpus, 0)
        for gpu in gpus:
            RUNS_ON_GPU.labels(str(gpu.index)).set(0)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._runs)

    @contextlib.contextmanager
    def one(self) -> Iterator[Gpu | None]:
        """Give a run a GPU for as long as it trains; None where there is none."""
        gpu = min(self._runs, key=lambda gpu: self._runs[gpu], default=None)
        if gpu is None:
            yield None
            return
        self._count(gpu, 1)
        try:
            yield gpu
        finally:
            self._count(gpu, -1)

    def _count(self, gpu: Gpu, change: int) -> None:
        self._runs[gpu] += change
        RUNS_ON_GPU.labels(str(gpu.index)).set(self._runs[gpu])
