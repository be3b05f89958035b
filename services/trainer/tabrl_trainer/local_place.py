"""This machine: each attempt is a worker process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tabrl_chassis.service import Context

from tabrl_trainer.compute import LOCAL
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.protocol import Job
from tabrl_trainer.record import Record
from tabrl_trainer.worker_events import Ending, WorkerEvents
from tabrl_trainer.worker_process import WorkerProcess


class LocalPlace:
    """Trains in processes that end with the Trainer."""

    name = LOCAL
    unattended = Ending("interrupted")

    def __init__(self, context: Context[TrainerConfig], record: Record, worker: Sequence[str]) -> None:
        """`worker` are the arguments of Python that start a worker."""
        self.slots = context.config.slots
        self._niceness = context.config.niceness
        self._record = record
        self._worker = worker

    async def attempt(self, run_id: str, number: int, job: Job, cancelled: asyncio.Event) -> Ending:
        """Run a worker process to its end."""
        process = WorkerProcess(run_id, WorkerEvents(self._record, run_id, number, job.spec.environment_id))
        return await process.run(self._worker, job, niceness=self._niceness, cancelled=cancelled)

    async def tidy(self, run_id: str) -> None:
        """Leave everything: what a run made is in the artifact store."""
