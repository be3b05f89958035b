"""A throwaway process that serves one request from inside the jail: `python -m tabrl_simulation.rewards.child
trace|verify`.

It gives up files before anything starts a thread, imports and tries everything it will need, gives up the rest, writes
one byte to say so, reads one request from its standard input, answers on its standard output, and ends. `trace` runs
reward source; `verify` never does.
"""

from __future__ import annotations

import base64
import ctypes
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from tabrl_simulation.rewards.container import ProgramRefused
from tabrl_simulation.rewards.diagnostics import JailUnavailable, RewardRejected
from tabrl_simulation.rewards.jail import confine_calls, confine_files
from tabrl_simulation.rewards.message import LENGTH, LONGEST_JSON, pack_message, parse_head
from tabrl_simulation.rewards.robot import Body, Robot

__all__ = ["main"]

READY = b"\x01"
"""Said once the jail is entered."""
UNAVAILABLE = b"\x00"
"""Said when the jail cannot be entered; a message with the reason follows, and nothing else is done."""

_PARENT_DEATH_SIGNAL = 1

Answer = tuple[dict[str, Any], list[bytes]]
Request = tuple[dict[str, Any], list[bytes]]


def main(role: str) -> int:
    """Serve one request in this role and return the exit status."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    # What Python finds odd in a source is nothing for the log of the service that has it traced.
    warnings.simplefilter("ignore", SyntaxWarning)
    # Answers leave through a descriptor of our own: whatever is printed goes nowhere.
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        confine_files()
        serve = {"trace": _prepare_tracing, "verify": _prepare_verification}[role]()
        confine_calls()
    except JailUnavailable as e:
        _send(answers, UNAVAILABLE + pack_message({"reason": str(e)}))
        return 1
    _send(answers, READY)
    fields, blobs = serve(*_request())
    _send(answers, pack_message(fields, blobs))
    return 0


def _prepare_tracing() -> Callable[..., Answer]:
    from tabrl_simulation.rewards.tracing import trace

    trace(_WARM_SOURCE, _WARM_ROBOT)

    def serve(request: dict[str, Any], _: list[bytes]) -> Answer:
        try:
            traced = trace(str(request["source"]), Robot.from_plain(request["robot"]))
        except RewardRejected as e:
            return {"rejected": [remark.plain() for remark in e.diagnostics]}, []
        fields = {"inputs": traced.inputs, "uses_action": traced.uses_action, "terms": traced.terms}
        return fields, [traced.exported, traced.onnx]

    return serve


def _prepare_verification() -> Callable[..., Answer]:
    from tabrl_simulation.rewards.verification import verify, warm_up

    warm_up()

    def serve(request: dict[str, Any], blobs: list[bytes]) -> Answer:
        program, onnx = (base64.b64decode(request[key]) for key in ("program", "onnx"))
        places = {term: (int(place[0]), int(place[1])) for term, place in request["places"].items()}
        try:
            verified = verify(program, onnx, Robot.from_plain(request["robot"]), places, blobs[0] if blobs else None)
        except RewardRejected as e:
            return {"rejected": [remark.plain() for remark in e.diagnostics]}, []
        except ProgramRefused as e:
            return {"refused": str(e)}, []
        trial = verified.trial.plain() if verified.trial else None
        return {"remarks": [remark.plain() for remark in verified.remarks], "trial": trial}, []

    return serve


_WARM_SOURCE = """def reward(state, action):
    speed = state.body_linear_velocity("body")[0]
    x = jnp.sum(jnp.square(state.qpos[0:1])) + jnp.linalg.norm(state.qvel)
    return {"a": near(x, 0.0, 1.0), "b": -0.01 * state.effort(), "c": jnp.where(speed > 0.0, jnp.cos(x), jnp.exp(-x))}
"""
_WARM_ROBOT = Robot(
    environment_id="",
    environment_fingerprint="",
    bodies=(Body("world", 0), Body("body", 0)),
    joints=(),
    actuators=(),
    sensors=(),
    sites=(),
    geoms=(),
    arrays={"qpos": (2,), "qvel": (2,), "xpos": (2, 3), "subtree_com": (2, 3), "cvel": (2, 6)},
    action_size=1,
    control_period_secs=0.02,
)


def _request() -> Request:
    stream = sys.stdin.buffer
    (length,) = LENGTH.unpack(stream.read(LENGTH.size))
    if length > 4 * LONGEST_JSON:
        raise SystemExit(2)
    fields = parse_head(stream.read(length))
    return fields, [stream.read(size) for size in fields["blobs"]]


def _send(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
