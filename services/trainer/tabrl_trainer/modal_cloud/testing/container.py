"""A container of the control plane: runs one input of the deployed function through `.local()`, in this process.

    python -m tabrl_trainer.modal_cloud.testing.container APP CALL FOLDER MOUNT WORKER

APP is the file of the deployed app. FOLDER holds `input`, the arguments as Modal's client serialized them, and gets
`output`: what the function returned or raised, as (whether it returned, value). MOUNT is where the volume is mounted,
and WORKER the script of the worker, or empty for the real one.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn


def main() -> None:
    """Run the input."""
    import modal
    from modal._runtime.execution_context import _set_current_context_ids

    from tabrl_trainer.modal_cloud import relay

    app, call_id, folder, mount, worker = sys.argv[1:]
    sys.path.insert(0, str(Path(app).parent))
    relay.VOLUME_FOLDER = Path(mount)
    if worker:
        relay.WORKER = (worker,)
    import app as deployed  # type: ignore[import-not-found]

    def cancel(_number: int, _frame: Any) -> NoReturn:
        raise modal.exception.InputCancellation("Input was cancelled by user")

    signal.signal(signal.SIGUSR1, cancel)
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
