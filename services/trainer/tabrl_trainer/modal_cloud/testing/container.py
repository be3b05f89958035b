"""Containers of the control plane: each runs one input of the deployed function through `.local()`, in a process.

    python -m tabrl_trainer.modal_cloud.testing.container APP

APP is the file of the deployed app. Imports are done once, and each line on stdin, a JSON object, has a process forked:
`call_id`, the `task_id` it goes by, the script of its `worker`, or empty for the real one, the `folder` that holds
`input`, the arguments as Modal's client serialized them, and gets `output`, pickled: whether the function returned, and
what it returned or raised; the `mount` of the volume; and `tell_rest_secs`, for `relay.TELL_REST_SECS`. Lines on stdout
tell of each process: `["started", task_id, pid]` and `["ended", task_id, status]`.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

import modal
from modal._runtime.execution_context import _set_current_context_ids
from tabrl_chassis.processes import die_with_parent

from tabrl_trainer.modal_cloud import relay


def main() -> None:
    """Fork containers as long as stdin is open."""
    die_with_parent()
    (app,) = sys.argv[1:]
    sys.path.insert(0, str(Path(app).parent))
    import app as deployed  # type: ignore[import-not-found]

    for line in sys.stdin:
        container = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run(deployed, **container)
        _say("started", container["task_id"], pid)
        threading.Thread(target=_wait, args=(container["task_id"], pid), daemon=True).start()


def _say(*words: Any) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def _wait(task_id: str, pid: int) -> None:
    _say("ended", task_id, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _run(
    deployed: Any, *, call_id: str, task_id: str, worker: str, folder: str, mount: str, tell_rest_secs: float
) -> NoReturn:
    """Run an input in this process, and end it."""

    def cancel(_number: int, _frame: Any) -> NoReturn:
        raise modal.exception.InputCancellation("Input was cancelled by user")

    log = os.open(Path(folder, "log"), os.O_WRONLY | os.O_CREAT)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGUSR1, cancel)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have had it ignored
    # A container's calls are told from the Trainer's by their token: commits are of what it has mounted.
    os.environ["MODAL_TOKEN_ID"] = task_id
    relay.VOLUME_FOLDER = Path(mount)
    relay.TELL_REST_SECS = tell_rest_secs
    if worker:
        relay.WORKER = (worker,)
    arguments, named = pickle.loads(Path(folder, "input").read_bytes())
    _set_current_context_ids([f"in-{call_id}"], [call_id], [""])
    try:
        result: tuple[bool, Any] = (True, deployed.train_v1.local(*arguments, **named))
    except KeyboardInterrupt:
        os._exit(130)  # preempted: the input starts again elsewhere
    except BaseException as error:
        result = (False, error)
    written = Path(folder, "output.writing")
    written.write_bytes(pickle.dumps(result))
    written.rename(Path(folder, "output"))
    os._exit(0)


if __name__ == "__main__":
    main()
