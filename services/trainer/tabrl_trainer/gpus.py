"""The GPUs of this machine, and which run has which."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import Gauge
from tabrl_chassis.logs import get_logger
from tabrl_chassis.processes import stop

__all__ = ["Gpu", "Gpus", "GpusUnknown", "find_gpus", "told_gpus"]

_ASK = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
_ANSWERS_WITHIN_SECS = 30.0  # a driver that nobody used yet may take seconds for each GPU
_STOP_GRACE_SECS = 1.0
_MEBIBYTE = 1 << 20

RUNS_ON_GPU = Gauge("tabrl_trainer_gpu_runs", "Runs that train on a GPU of this machine.", ["gpu"])

_log = get_logger("tabrl_trainer.gpus")
_told: list[Gpu] = []  # what the driver said when it answered last


@dataclass(frozen=True)
class Gpu:
    """One GPU: the driver's number and id of it, its name, and its memory in bytes."""

    index: int
    uuid: str
    name: str
    memory_bytes: int


class GpusUnknown(RuntimeError):
    """The driver of the GPUs is there, and does not answer in time."""


async def find_gpus() -> list[Gpu]:
    """Return the NVIDIA GPUs that this process may use; none where there is no driver, or it fails.

    `CUDA_VISIBLE_DEVICES`, by number or id, hides the others, as it does from CUDA.

    Raises:
        GpusUnknown: the driver does not answer. By then nobody asks it any more.
    """
    try:
        answer = await _ask_driver()
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            _log.warning("GPUs unknown", cause=str(error))
        answer = ""
    rows = [
        [cell.strip() for cell in row] for row in csv.reader(answer.splitlines()) if len(row) == len(Gpu.__match_args__)
    ]
    found = [
        Gpu(int(index), uuid, name, int(memory) * _MEBIBYTE)
        for index, uuid, name, memory in rows
        if index.isdecimal() and memory.isdecimal()
    ]
    _told[:] = _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))
    return told_gpus()


def told_gpus() -> list[Gpu]:
    """Return the GPUs that the driver told of when it answered last; none before that."""
    return list(_told)


async def _ask_driver() -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*_ASK, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_SECS):
            answer, complaint = await process.communicate()
    except TimeoutError:
        raise GpusUnknown(f"the driver has not answered within {_ANSWERS_WITHIN_SECS:g} s") from None
    finally:
        await stop(process, grace_secs=_STOP_GRACE_SECS)
    if process.returncode:
        words = (complaint + answer).decode(errors="replace").strip()
        _log.warning("GPUs unknown", cause=f"nvidia-smi ended with status {process.returncode}: {words[:500]}")
        return ""
    return answer.decode(errors="replace")


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
