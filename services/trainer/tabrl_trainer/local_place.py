"""This machine: each attempt is a worker process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from tabrl_chassis.service import Context
from tabrl_simulation.backends import has_gpu

from tabrl_trainer.compute import LOCAL
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.gpus import Gpus, find_gpus
from tabrl_trainer.protocol import Job
from tabrl_trainer.record import Record
from tabrl_trainer.worker_environment import trains_on_gpu, worker_environment
from tabrl_trainer.worker_events import Ending, WorkerEvents
from tabrl_trainer.worker_process import WorkerProcess


class LocalPlace:
    """Trains in processes that end with the Trainer."""

    name = LOCAL
    unattended = Ending("interrupted")

    def __init__(self, context: Context[TrainerConfig], record: Record, worker: Sequence[str]) -> None:
        """`worker` are the arguments of Python that start a worker."""
        self._gpus = Gpus(find_gpus() if has_gpu() else [])
        self.slots = context.config.slots or max(len(self._gpus), 1)
        self._niceness = context.config.niceness
        self._record = record
        self._worker = worker

    async def attempt(self, run_id: str, number: int, job: Job, cancelled: asyncio.Event) -> Ending:
        """Run a worker process to its end."""
        process = WorkerProcess(run_id, WorkerEvents(self._record, run_id, number, job.spec.environment_id))
        with self._gpus.one() if trains_on_gpu(job.spec) else contextlib.nullcontext() as gpu:
            environment = worker_environment(job.spec, gpu, gpu_is_shared=self.slots > len(self._gpus))
            return await process.run(
                self._worker, job, environment=environment, niceness=self._niceness, cancelled=cancelled
            )

    async def tidy(self, run_id: str) -> None:
        """Leave everything: what a run made is in the artifact store."""
