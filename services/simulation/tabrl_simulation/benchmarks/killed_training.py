"""A training in a process of its own that may be killed at any moment, and how it is killed.

`python -m tabrl_simulation.benchmarks.killed_training` trains what the JSON on its standard input says, from the newest
checkpoint in a folder if there is one. It writes every few updates' checkpoint there, and says on standard output what
it does, a JSON object a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tabrl_simulation.checkpoint import Checkpoint, CheckpointError

__all__ = ["Attempt", "Job", "Kill", "attempt", "newest"]

LOADED: Final = "loaded"
UPDATED: Final = "updated"
WRITING: Final = "writing"
WRITTEN: Final = "written"
FINISHED: Final = "finished"

_LONGEST_SECS: Final = 600.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is trained.

    Attributes:
        environment_id: in which environment.
        settings: numbers of the learner, as `Settings.to_dict` gives them; its `env_steps` do not count.
        updates: how many to make.
        folder: where checkpoints are.
        updates_per_checkpoint: a checkpoint is written after each so many updates.
    """

    environment_id: str
    settings: dict[str, Any]
    updates: int
    folder: str
    updates_per_checkpoint: int


@dataclass(frozen=True, kw_only=True)
class Kill:
    """A moment to kill a process at.

    Attributes:
        after: what it says before: `started`, or one of the words above.
        times: how often it says so before.
        delay_secs: how long after that.
    """

    after: str
    times: int
    delay_secs: float


@dataclass(kw_only=True)
class Attempt:
    """What became of one process.

    Attributes:
        resumed_from: step of the checkpoint it began from; 0 for none.
        events: what it said: seconds since it was started, word, step.
        killed_secs: when it was killed; None if it ended first.
        finished: whether it reached the end of the training.
        left_behind: for each file that it was killed in writing: whether that was whole already.
    """

    resumed_from: int
    events: list[tuple[float, str, int]] = field(default_factory=list)
    killed_secs: float | None = None
    finished: bool = False
    left_behind: list[bool] = field(default_factory=list)

    @property
    def reached(self) -> int:
        """Returns the step of the last update it told of."""
        return max((step for _, word, step in self.events if word == UPDATED), default=self.resumed_from)

    def first(self, word: str) -> float | None:
        """Returns when it first said a word."""
        return next((secs for secs, said, _ in self.events if said == word), None)


def newest(folder: Path) -> Path | None:
    """Returns the newest checkpoint in a folder; None if there is none."""
    return max(folder.glob("*.checkpoint"), default=None)


def attempt(job: Job, kill: Kill | None, *, cache: Path) -> Attempt:
    """Starts a process, kills it when its moment has come, and looks at what it left.

    Args:
        job: what to train.
        kill: when to kill it with SIGKILL; None to let it end.
        cache: folder of compiled programs.

    Raises:
        RuntimeError: it ended by itself before the training was finished.
        CheckpointError: the newest checkpoint it left is damaged.
    """
    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    last = newest(folder)
    made = Attempt(resumed_from=int(last.stem) if last else 0)
    environment = {**os.environ, "TABRL_CACHE": str(cache), "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    said: queue.Queue[tuple[float, str, int] | None] = queue.Queue()
    listener = threading.Thread(target=_listen, args=(process, said, began), daemon=True)
    listener.start()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(asdict(job)).encode())
        process.stdin.close()
    try:
        if kill is not None and _await_moment(kill, said, made):
            process.kill()
            made.killed_secs = time.monotonic() - began
        process.wait(_LONGEST_SECS)
    finally:
        process.kill()
        process.wait()
        listener.join()
    made.events += list(_drained(said))
    made.finished = any(word == FINISHED for _, word, _ in made.events)
    if made.finished or process.returncode != -signal.SIGKILL:
        made.killed_secs = None  # it was through before the signal came, which is no kill
    if made.killed_secs is None and not made.finished:
        raise RuntimeError(f"the training ended by itself with status {process.returncode}")
    made.left_behind = [_is_whole(path) for path in _unfinished(folder)]
    for path in _unfinished(folder):
        path.unlink()
    if (last := newest(folder)) is not None:
        Checkpoint.read(last)
    return made


def _listen(process: subprocess.Popen[bytes], said: queue.Queue[tuple[float, str, int] | None], began: float) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(ValueError):  # the last line may be cut off
            word, step = json.loads(line)
            said.put((time.monotonic() - began, word, step))
    said.put(None)


def _await_moment(kill: Kill, said: queue.Queue[tuple[float, str, int] | None], made: Attempt) -> bool:
    """Waits for the moment; returns False if the process ends before."""
    left = kill.times if kill.after != "started" else 0
    while left:
        event = said.get(timeout=_LONGEST_SECS)
        if event is None:
            said.put(None)
            return False
        made.events.append(event)
        left -= event[1] == kill.after
    time.sleep(kill.delay_secs)
    return True


def _drained(said: queue.Queue[tuple[float, str, int] | None]) -> Iterator[tuple[float, str, int]]:
    while (event := said.get(timeout=_LONGEST_SECS)) is not None:
        yield event


def _unfinished(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".writing-")]


def _is_whole(path: Path) -> bool:
    try:
        Checkpoint.read(path)
    except CheckpointError:
        return False
    return True


def _say(word: str, step: int) -> None:
    os.write(1, json.dumps([word, step]).encode() + b"\n")


def main() -> None:
    """Trains the job on standard input."""
    job = Job(**json.loads(sys.stdin.read()))
    from tabrl_simulation import environments, training

    environment = environments.load(job.environment_id)
    settings = training.Settings.from_dict(job.settings)
    steps_per_update = settings.batch_steps * environment.action_repeat
    settings = replace(settings, env_steps=job.updates * steps_per_update)
    folder = Path(job.folder)
    last = newest(folder)

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        _say(UPDATED, checkpoint.env_steps)
        if checkpoint.env_steps // steps_per_update % job.updates_per_checkpoint == 0 or checkpoint.final:
            _say(WRITING, checkpoint.env_steps)
            checkpoint.write(folder / f"{checkpoint.env_steps:012d}.checkpoint")
            _say(WRITTEN, checkpoint.env_steps)

    _say(LOADED, int(last.stem) if last else 0)
    training.train(
        environment,
        settings,
        resume=Checkpoint.read(last) if last else None,
        checkpoint_every_secs=0.0,
        on_checkpoint=on_checkpoint,
    )
    _say(FINISHED, settings.env_steps)
    os._exit(0)


if __name__ == "__main__":
    main()
