"""What runs on Modal: the same worker as on any machine, and a relay of what it says to the Trainer.

The worker is a process of its own with the volume as its artifact store, as `tabrl_trainer.worker_process` has it on
the own machine. A checkpoint is told of only when the volume is committed, and what comes after it not before. Metrics
are left out, oldest first, while the queue cannot be reached or the volume not be committed; nothing else ever is, and
the worker never waits. What could not be told when it has ended comes with the answer.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, Any

import modal
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.processes import PARENT_VARIABLE

from tabrl_trainer.modal_cloud import names
from tabrl_trainer.modal_cloud.failures import client_errors
from tabrl_trainer.protocol import Job, MalformedLine, event_line, parse_event
from tabrl_trainer.worker_environment import worker_environment

WORKER: Sequence[str] = ("-m", "tabrl_trainer.worker")
"""Arguments of Python that start a worker."""

VOLUME_FOLDER = Path("/checkpoints")
"""Where the volume is mounted."""

_LOOK_EVERY_SECS = 1.0
_WAIT_SECS = 0.1
_PUT_AGAIN_SECS = 2.0
_COMMIT_AGAIN_SECS = 2.0
_STOP_GRACE_SECS = 20.0  # of the 30 s that Modal leaves a container that it preempts
_MOST_WAITING_METRICS = 500
_AT_ONCE = 50

TELL_REST_SECS = 180.0
"""So long the rest is tried to be told once the worker has ended: the GPU idles meanwhile, and is paid."""

_UNREACHED: tuple[type[Exception], ...] = (queue.Full, *client_errors())
"""What a call of Modal raises where it cannot be reached, or takes no more."""


def relay(
    *, stream: str, job: str, files: Mapping[str, bytes], resume_env_steps: int, limit_secs: float
) -> dict[str, Any]:
    """Train a job and tell of it; return how that ended, how much was told, and what was not.

    `stream` names the attempt's log. `job` is a `Job` as text, with the digest of the checkpoint to go on from, which
    is of `resume_env_steps` control steps; `files` holds that checkpoint and the reward program. After `limit_secs` of
    wall-clock time since the call's first start the worker is stopped.

    Raises:
        RuntimeError: whatever it was, so that the Trainer takes no error of ours for one of its own connection.
    """
    try:
        return _relay(stream, Job.from_json(job), files, resume_env_steps, limit_secs)
    except Exception as error:
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _relay(
    stream: str, job: Job, files: Mapping[str, bytes], resume_env_steps: int, limit_secs: float
) -> dict[str, Any]:
    state = modal.Dict.from_name(names.STATE, create_if_missing=True)
    if not _told_to_go(state, stream):
        return {"stopped": names.NEVER_TOLD, "life": 0, "said": 0, "secs": 0.0}
    life, spent_secs = _begin_life(state, stream)
    return _Relay(stream, life, state).run(job, files, resume_env_steps, limit_secs - spent_secs)


class _Relay:
    """One life of a call."""

    def __init__(self, stream: str, life: int, state: modal.Dict) -> None:
        self._stream = stream
        self._life = life
        self._state = state
        self._began = time.monotonic()
        self._volume = modal.Volume.from_name(names.VOLUME, create_if_missing=True)
        self._queue = modal.Queue.from_name(names.QUEUE, create_if_missing=True)
        self._folder = VOLUME_FOLDER / stream.split("/", 1)[0]
        self._heard: queue.Queue[bytes | None] = queue.Queue()
        self._waiting: deque[trainer_pb2.RunEvent] = deque()
        self._uncommitted: list[trainer_pb2.RunEvent] = []
        self._said = 0
        self._tried = 0
        self._last: trainer_pb2.RunEvent | None = None
        self._complaint = ""
        self._stopped = ""
        self._is_preempted = False
        self._put_after = 0.0
        self._commit_after = 0.0
        self._look_after = 0.0
        self._give_up_at = math.inf
        self._has_ended = False

    def run(self, job: Job, files: Mapping[str, bytes], resume_env_steps: int, limit_secs: float) -> dict[str, Any]:
        self._volume.reload()  # a container that trained before sees the volume as it was then
        store = ArtifactStore(self._folder)
        for data in files.values():
            store.put(data)
        job = replace(job, artifacts_url=str(self._folder))
        newest = self._newest(store)
        if newest is not None and newest.checkpoint.env_steps >= resume_env_steps:
            # An earlier life may have been lost before it told of it.
            self._say(newest)
            job = replace(job, resume_sha256=newest.checkpoint.artifact.sha256)
            if newest.checkpoint.final:
                self._last = trainer_pb2.RunEvent(
                    state_changed=trainer_pb2.StateChanged(state=trainer_pb2.RUN_STATE_SUCCEEDED)
                )
                return self._answer(0)
        process = _start(job)
        readers = [
            threading.Thread(target=self._read, args=(process.stdout,), daemon=True),
            threading.Thread(target=self._read_complaints, args=(process.stderr,), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            with self._preemption_noted():
                self._relay_until(process, self._began + limit_secs)
        except (KeyboardInterrupt, modal.exception.InputCancellation):
            # Preempted, or cancelled: the worker writes one more checkpoint, and that is told of.
            process.send_signal(signal.SIGTERM)
            self._give_up_at = time.monotonic() + _STOP_GRACE_SECS
            self._relay_until(process, 0.0)
            raise
        finally:
            if process.poll() is None:
                process.kill()
        readers[1].join(timeout=1.0)
        return self._answer(process.wait())

    @contextlib.contextmanager
    def _preemption_noted(self) -> Iterator[None]:
        """Have SIGINT, by which Modal preempts, noted and not raised: within Modal's client it can be lost."""

        def note(_number: int, _frame: FrameType | None) -> None:
            self._is_preempted = True

        if threading.current_thread() is not threading.main_thread():
            yield  # it is raised in another thread than this one
            return
        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _relay_until(self, process: subprocess.Popen[bytes], stop_at: float) -> None:
        """Relay until the worker has ended and all is told, or that is given up.

        `stop_at` is when to tell the worker to stop, 0 for one that is told already.
        """
        while not (self._has_ended and not self._waiting) and time.monotonic() < self._give_up_at:
            try:
                line = self._heard.get(timeout=0.2)
                if line is None:
                    self._has_ended = True
                    self._give_up_soon()
                else:
                    self._hear(line)
            except queue.Empty:
                pass
            if self._heard.empty():
                self._put()
            if self._is_preempted and stop_at:
                raise KeyboardInterrupt
            if stop_at and not self._has_ended and not self._stopped and (why := self._why_stop(stop_at)):
                self._stopped = why
                process.send_signal(signal.SIGTERM)

    def _give_up_soon(self) -> None:
        self._give_up_at = min(self._give_up_at, time.monotonic() + TELL_REST_SECS)

    def _hear(self, line: bytes) -> None:
        try:
            event = parse_event(line)
        except MalformedLine as error:
            print(f"the worker wrote no event: {error}", file=sys.stderr, flush=True)
            return
        match event.WhichOneof("event"):
            case "checkpoint":
                self._uncommitted.append(event)
                self._commit()
                if self._uncommitted == [event]:
                    self._say(_held_up(event.checkpoint))
            case "state_changed" if event.state_changed.state != trainer_pb2.RUN_STATE_RUNNING:
                self._last = event
        self._say(event)

    def _commit(self) -> None:
        """Have the volume keep the checkpoints that were heard of, now or, where it cannot, some time later."""
        if not self._uncommitted or time.monotonic() < self._commit_after:
            return
        try:
            _write_atomically(self._folder / names.NEWEST, event_line(self._uncommitted[-1]))
            self._volume.commit()
        except Exception as error:  # whatever it is, it is no reason to end a worker that trains
            print(f"a checkpoint waits, for the volume cannot be committed: {error}", file=sys.stderr, flush=True)
            self._commit_after = time.monotonic() + _COMMIT_AGAIN_SECS
        else:
            self._uncommitted.clear()

    def _say(self, event: trainer_pb2.RunEvent) -> None:
        self._waiting.append(event)
        if len(self._waiting) > _MOST_WAITING_METRICS:
            # What may be in the log already keeps its number.
            untried = itertools.islice(enumerate(self._waiting), self._tried, None)
            oldest = next((index for index, waits in untried if waits.HasField("metrics")), None)
            if oldest is not None:
                del self._waiting[oldest]

    def _put(self) -> None:
        """Append what may be told to the log. What is put twice, for its answer was lost, has the same number twice."""
        self._commit()
        while time.monotonic() >= self._put_after:
            page = names.page_after(self._said)
            events = self._next(min((page + 1) * names.PAGE - self._said, _AT_ONCE))
            if not events:
                return
            secs = time.monotonic() - self._began
            items = [
                {"seq": self._said + 1 + index, "secs": secs, "event": event.SerializeToString()}
                for index, event in enumerate(events)
            ]
            self._tried = max(self._tried, len(events))
            try:
                self._queue.put_many(items, block=False, partition=names.partition(self._stream, self._life, page))
            except _UNREACHED as error:
                print(f"events wait, for the queue cannot be reached: {error}", file=sys.stderr, flush=True)
                self._put_after = time.monotonic() + _PUT_AGAIN_SECS
                return
            self._said += len(events)
            self._tried = max(self._tried - len(events), 0)
            for _ in events:
                self._waiting.popleft()

    def _next(self, most: int) -> list[trainer_pb2.RunEvent]:
        """Return the next events to tell, in order: none from the first checkpoint on that is not committed."""
        first = self._uncommitted[0] if self._uncommitted else None
        return list(itertools.islice(itertools.takewhile(lambda event: event is not first, self._waiting), most))

    def _why_stop(self, stop_at: float) -> str:
        now = time.monotonic()
        if now >= stop_at:
            return names.TIME_LIMIT
        if now < self._look_after:
            return ""
        self._look_after = now + _LOOK_EVERY_SECS
        try:
            return names.ASKED if self._state.contains(names.stop_key(self._stream)) else ""
        except _UNREACHED:
            return ""  # who asks cancels the call when it does not stop by itself

    def _newest(self, store: ArtifactStore) -> trainer_pb2.RunEvent | None:
        """Return the event of the run's newest checkpoint on the volume; None where there is none, or it is damaged."""
        try:
            event = parse_event((self._folder / names.NEWEST).read_bytes())
            store.read(event.checkpoint.artifact.sha256)
        except (FileNotFoundError, MalformedLine, TabrlError) as error:
            if not isinstance(error, FileNotFoundError):
                print(f"the newest checkpoint on the volume is left out: {error}", file=sys.stderr, flush=True)
            return None
        return event

    def _answer(self, status: int) -> dict[str, Any]:
        self._give_up_soon()
        while self._waiting and time.monotonic() < self._give_up_at:
            self._put()
            if self._waiting:
                time.sleep(_WAIT_SECS)
        return {
            "life": self._life,
            "said": self._said,
            "untold": [event.SerializeToString() for event in self._waiting],
            "secs": time.monotonic() - self._began,
            "stopped": self._stopped,
            "status": status,
            "complaint": self._complaint,
            "last": event_line(self._last) if self._last is not None else b"",
        }

    def _read(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            self._heard.put(line)
        self._heard.put(None)

    def _read_complaints(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            text = line.decode(errors="replace").rstrip()[:2000]
            if text:
                self._complaint = text
                print(text, file=sys.stderr, flush=True)


def _told_to_go(state: modal.Dict, stream: str) -> bool:
    """Wait until the Trainer has this call on record; False when it does not come to that."""
    mine = modal.current_function_call_id()
    deadline = time.monotonic() + names.GO_SECS
    while time.monotonic() < deadline:
        with contextlib.suppress(*_UNREACHED):
            told = state.get(names.go_key(stream))
            if told is not None:
                return bool(told == mine)
        time.sleep(0.2)
    return False


def _begin_life(state: modal.Dict, stream: str) -> tuple[int, float]:
    """Claim the next life of a call; return its number, and the seconds since the first one began."""
    now = time.time()
    life = 0
    while not state.put(names.life_key(stream, life), now, skip_if_exists=True):
        life += 1
    return life, max(now - state.get(names.life_key(stream, 0), now), 0.0)


def _held_up(checkpoint: trainer_pb2.Checkpoint) -> trainer_pb2.RunEvent:
    """Return the event that says why a run falls silent."""
    text = (
        f"The checkpoint after {checkpoint.env_steps:,} steps cannot be committed on Modal yet. Training goes on; what "
        "comes after it is told once it is."
    )
    return trainer_pb2.RunEvent(log=trainer_pb2.LogLine(level=trainer_pb2.LOG_LEVEL_WARNING, text=text))


def _start(job: Job) -> subprocess.Popen[bytes]:
    variables = os.environ | worker_environment(job.spec) | {PARENT_VARIABLE: str(os.getpid())}
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, *WORKER], stdin=pipe, stdout=pipe, stderr=pipe, env=variables, start_new_session=True
    )
    assert process.stdin is not None
    try:
        process.stdin.write(job.to_json().encode())
        process.stdin.close()
    except BrokenPipeError:
        pass  # it is gone already; its exit status tells
    return process


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".writing")
    temporary.write_bytes(data)
    os.replace(temporary, path)
