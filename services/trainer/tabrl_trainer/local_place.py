"""This machine: each attempt is a worker process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from tabrl_chassis.service import Context
from tabrl_simulation.backends import has_gpu

from tabrl_trainer.compute import LOCAL
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.gpus import Gpus, GpusUnknown, find_gpus
from tabrl_trainer.protocol import Job
from tabrl_trainer.record import Record
from tabrl_trainer.retries import pauses
from tabrl_trainer.worker_environment import trains_on_gpu, worker_environment
from tabrl_trainer.worker_events import Ending, WorkerEvents
from tabrl_trainer.worker_process import WorkerProcess

_WAITED_FOR_SECS = 10.0
"""So long the start waits for the driver of the GPUs."""


class LocalPlace:
    """Trains in processes that end with the Trainer."""

    name = LOCAL
    unattended = Ending("interrupted")

    def __init__(self, context: Context[TrainerConfig], record: Record, worker: Sequence[str]) -> None:
        """`worker` are the arguments of Python that start a worker."""
        self.slots = context.config.slots or 1
        self._context = context
        self._gpus: Gpus | None = None
        self._niceness = context.config.niceness
        self._record = record
        self._worker = worker

    async def learn_of_gpus(self) -> None:
        """Ask for the GPUs of this machine; while the driver does not answer, go on asking in the background."""
        if not has_gpu():
            self._gpus = Gpus([])
            return
        asking = self._context.background(self._ask_for_gpus(), "gpus")
        await asyncio.wait({asking}, timeout=_WAITED_FOR_SECS)
        if not asking.done():
            self._context.log.warning("the GPUs' driver does not answer yet; what trains on a GPU waits for it")

    async def attempt(self, run_id: str, number: int, job: Job, cancelled: asyncio.Event) -> Ending:
        """Run a worker process to its end."""
        on_gpu = trains_on_gpu(job.spec)
        if on_gpu and self._gpus is None:
            return Ending("deferred", "the driver of this machine's GPUs does not answer")
        gpus = self._gpus or Gpus([])
        process = WorkerProcess(run_id, WorkerEvents(self._record, run_id, number, job.spec.environment_id))
        with gpus.one() if on_gpu else contextlib.nullcontext() as gpu:
            environment = worker_environment(job.spec, gpu, gpu_is_shared=self.slots > len(gpus))
            return await process.run(
                self._worker, job, environment=environment, niceness=self._niceness, cancelled=cancelled
            )

    async def _ask_for_gpus(self) -> None:
        for pause in pauses():
            try:
                gpus = await find_gpus()
            except GpusUnknown as error:
                self._context.log.warning("GPUs unknown", cause=str(error), again_secs=pause)
            else:
                self._gpus = Gpus(gpus)
                self.slots = self._context.config.slots or max(len(gpus), 1)
                self._context.log.info("GPUs found", names=[gpu.name for gpu in gpus])
                return
            await asyncio.sleep(pause)

    async def tidy(self, run_id: str) -> None:
        """Leave everything: what a run made is in the artifact store."""
