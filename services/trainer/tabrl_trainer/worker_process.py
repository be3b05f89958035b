"""One worker process: starts it, puts what it says on record, and finds out how it ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from tabrl_chassis.failpoints import reach
from tabrl_chassis.logs import get_logger
from tabrl_chassis.processes import start_python, stop

from tabrl_trainer.protocol import Job, MalformedLine, parse_event
from tabrl_trainer.worker_events import Ending, WorkerEvents

# CancelRun promises to stop a run within 5 s.
_CANCEL_GRACE_SECS = 3.0
_DRAIN_GRACE_SECS = 2.0
_LAST_WORDS_SECS = 1.0
_LONGEST_LINE_BYTES = 1 << 20
_STDERR_LINES_KEPT = 20

_log = get_logger("tabrl_trainer.worker")


@dataclass
class WorkerProcess:
    """The process of one attempt."""

    run_id: str
    events: WorkerEvents
    _stderr: deque[str] = field(default_factory=lambda: deque(maxlen=_STDERR_LINES_KEPT))

    async def run(
        self,
        worker: Sequence[str],
        job: Job,
        *,
        environment: Mapping[str, str],
        niceness: int,
        cancelled: asyncio.Event,
    ) -> Ending:
        """Run the worker to its end and return how it ended.

        When `cancelled` is set, or this coroutine is cancelled, the worker is told to stop, then killed.
        """
        pipe = asyncio.subprocess.PIPE
        process = await start_python(
            worker,
            niceness=niceness,
            environment=environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=_LONGEST_LINE_BYTES,
        )
        said = asyncio.create_task(self._read_events(process))
        complained = asyncio.create_task(self._read_complaints(process))
        told_to_stop = asyncio.create_task(_stop_when(cancelled, process))
        try:
            reach("trainer.worker_started")
            await _send(process, job)
            reach("trainer.job_sent")
            # Not gather, which would stop listening when this is cancelled: the last words come after that.
            done, _ = await asyncio.wait({said, complained}, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()  # raises: a worker whose words cannot be put on record must not train on unheard
            status = await process.wait()
        finally:
            told_to_stop.cancel()
            if process.returncode is None:
                await stop(process, grace_secs=_DRAIN_GRACE_SECS)
                # What it said last, its checkpoint above all, is still in the pipe.
                await asyncio.wait({said}, timeout=_LAST_WORDS_SECS)
            if said.done() and not said.cancelled():
                said.exception()  # seen, also where the wait above was cancelled
            said.cancel()
            complained.cancel()
            self.events.close()
        if cancelled.is_set():
            return Ending("interrupted", "stopped on request")
        return self.events.ending(status, self._stderr[-1] if self._stderr else "")

    async def _read_events(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in _lines(process.stdout):
            try:
                event = parse_event(line)
            except MalformedLine as error:
                _log.warning("worker wrote no event", run=self.run_id, error=str(error))
                continue
            await self.events.put(event)

    async def _read_complaints(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in _lines(process.stderr):
            text = line.decode(errors="replace").rstrip()
            if text:
                self._stderr.append(text)
                _log.info("worker", run=self.run_id, line=text[:2000])


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the lines of a stream, without those beyond the limit."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue  # the reader has dropped what was too long; not to read on would block the worker
        if not line:
            return
        yield line


async def _send(process: asyncio.subprocess.Process, job: Job) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(job.to_json().encode())
        await process.stdin.drain()
        process.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return  # it is gone already; its exit status tells


async def _stop_when(cancelled: asyncio.Event, process: asyncio.subprocess.Process) -> None:
    await cancelled.wait()
    await stop(process, grace_secs=_CANCEL_GRACE_SECS)
