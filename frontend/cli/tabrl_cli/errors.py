"""Errors that a person can act on, and the exit status each ends the program with."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import grpc
from google.rpc import error_details_pb2, status_pb2

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_NOT_FOUND = 3
EXIT_UNAVAILABLE = 4
EXIT_NOT_POSSIBLE = 5
EXIT_BUSY = 6
EXIT_INTERRUPTED = 130

_EXIT_BY_CODE = {
    "INVALID_ARGUMENT": EXIT_BAD_INPUT,
    "OUT_OF_RANGE": EXIT_BAD_INPUT,
    "NOT_FOUND": EXIT_NOT_FOUND,
    "UNAVAILABLE": EXIT_UNAVAILABLE,
    "DEADLINE_EXCEEDED": EXIT_UNAVAILABLE,
    "FAILED_PRECONDITION": EXIT_NOT_POSSIBLE,
    "ALREADY_EXISTS": EXIT_NOT_POSSIBLE,
    "ABORTED": EXIT_NOT_POSSIBLE,
    "RESOURCE_EXHAUSTED": EXIT_BUSY,
}

_STARTING_POINTS = "`tabrl runs` and `tabrl policies` list what a run can start from."
_REMEDIES = {
    "GATEWAY_UNREACHABLE": "Start TabRL with `make up`, or name its address: --gateway URL (or TABRL_GATEWAY).",
    "ENVIRONMENT_NOT_FOUND": "`tabrl envs` lists the environments.",
    "POLICY_NOT_FOUND": "`tabrl policies` lists the policies, `tabrl registry` the names of registered ones.",
    "VERSION_NOT_FOUND": "`tabrl registry` lists the names, `tabrl registry NAME` its versions and tags.",
    "POLICY_IN_USE": "`tabrl unregister NAME VERSION` takes a version out of the registry.",
    "VERSION_TAGGED": "`tabrl tag NAME TAG VERSION` moves a tag, `tabrl untag NAME TAG` deletes it.",
    "REWARD_NOT_FOUND": "`tabrl rewards` lists the rewards.",
    "RUN_NOT_FOUND": "`tabrl runs` lists the runs.",
    "RUN_ENDED": "A run that has ended stays as it is; `tabrl runs` shows how it ended.",
    "RUN_NOT_ENDED": "`tabrl cancel RUN` stops it.",
    "MODEL_NOT_CONFIGURED": "`tabrl models` lists the models that can be asked; --model library needs no key.",
    "PROVIDER_AUTHENTICATION": "Check the provider's key in the environment of `make up`, or use --model library.",
    "PROVIDER_FAILED": "Try again in a moment, or use --model library.",
    "PROVIDER_TIMEOUT": "Try again in a moment, or use --model library.",
    "PROVIDER_RATE_LIMITED": "Wait a little, or use --model library.",
    "LLM_BUDGET_SPENT": "Use --model library, wait until midnight UTC, or raise TABRL_LLM_DAILY_BUDGET_USD.",
    "PROVIDER_ANSWER_UNUSABLE": "Say it in other words, or choose another model: `tabrl models`.",
    "BEHAVIOUR_UNKNOWN": "Say it in other words, or configure an LLM (README.md).",
    "SERVICE_UNAVAILABLE": "It is started again by itself; try again in a few seconds.",
    "DRAINING": "Try again in a few seconds.",
    "TOO_MANY_REQUESTS": "Try again when the other calls are done.",
    "STORAGE_FULL": "Free some space on the disk that holds the data folder.",
    "STORAGE_UNAVAILABLE": "Check that the data folder can be written.",
    "ARTIFACT_NOT_FOUND": "A file is missing from the data folder; make the reward or the policy again.",
    "ARTIFACT_DAMAGED": "Generate the reward again, or train again: what is made anew replaces the damaged file.",
    "CHECKPOINT_INCOMPATIBLE": "Train again with this version.",
    "PARITY_FAILED": "Train again; if that does not help, it is a defect.",
    "PAGE_NOT_BUILT": "Run `make install` where TabRL runs, and start it again.",
    "BACKEND_UNAVAILABLE": "Leave --backend out: the machine then chooses the fastest it has.",
    "REWARD_MISMATCH": "Generate the reward again.",
    "WORKER_CRASHED": "Try again; the logs in DATA/logs say more.",
    "REQUEST_TOO_LARGE": "Shorten what is sent.",
    "HOST_NOT_ALLOWED": "Name this machine: --gateway http://127.0.0.1:8080; forward the port of another one (ssh -L).",
    "BUNDLE_REFUSED": "Have it made or sent again by whoever made it; a file that was changed on its way is refused.",
    "INTERNAL": "This is a defect; the log in DATA/logs has the incident.",
}

_TRIAL_REMEDY = "The file is whole and cannot be played: its scene, graph and manifest do not fit. Export it anew."
_TRIAL_REMEDIES = {
    "TRIAL_TOO_HEAVY": "The file is whole, and takes more memory or time than a trial may: export a smaller scene.",
    "TRIAL_SCENE": "The file is whole, and not for the MuJoCo here: export it anew with this release.",
}


@dataclass
class CallError(Exception):
    """A call that failed: gRPC's code, TabRL's reason, and what the service said."""

    code: str
    reason: str
    message: str
    fields: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_secs: float | None = None

    @property
    def exit_status(self) -> int:
        """Status to end the program with."""
        if self.reason == "REQUEST_TOO_LARGE":
            return EXIT_BAD_INPUT
        return _EXIT_BY_CODE.get(self.code, EXIT_FAILED)

    @property
    def remedy(self) -> str:
        """What to do about it; empty when the message says all there is."""
        if any(name.startswith("spec.start_from") for name, _ in self.fields):
            return "" if self.reason == "CHECKPOINT_INCOMPATIBLE" else _STARTING_POINTS
        if self.reason == "PARITY_FAILED" and "form" in self.metadata:
            return "`tabrl export` writes the controller itself, if no --format is named."
        if self.reason == "BUNDLE_REFUSED" and self.metadata.get("rule", "").startswith("TRIAL_"):
            return _TRIAL_REMEDIES.get(self.metadata["rule"], _TRIAL_REMEDY)
        nearest = self.metadata.get("nearest")
        if nearest and nearest not in self.message:
            return f"Did you mean {nearest}? {_REMEDIES.get(self.reason, '')}".rstrip()
        return _REMEDIES.get(self.reason, "")

    def to_json(self) -> dict[str, object]:
        """The error for programs."""
        return {
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "fields": [{"field": name, "description": text} for name, text in self.fields],
            "metadata": dict(self.metadata),
            "retry_after_secs": self.retry_after_secs,
            "remedy": self.remedy,
        }


def call_error(error: grpc.RpcError, gateway: str) -> CallError:
    """Reads a failed call; `gateway` is where it went."""
    assert isinstance(error, grpc.Call)
    code = error.code().name
    status = _rich_status(error)
    if status is None:
        if code == "UNAVAILABLE":
            return CallError(code, "GATEWAY_UNREACHABLE", f"No TabRL answers at {gateway}.")
        if code == "DEADLINE_EXCEEDED":
            return CallError(code, "DEADLINE_EXCEEDED", "The answer did not come in time.")
        return CallError(code, code, error.details() or code.lower().replace("_", " "))
    info, bad_request, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    retry_after_secs = None
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(bad_request.DESCRIPTOR):
            detail.Unpack(bad_request)
        elif detail.Is(retry.DESCRIPTOR):
            detail.Unpack(retry)
            retry_after_secs = retry.retry_delay.ToTimedelta().total_seconds()
    return CallError(
        code,
        info.reason or code,
        status.message,
        tuple((violation.field, violation.description) for violation in bad_request.field_violations),
        dict(info.metadata),
        retry_after_secs,
    )


def _rich_status(error: grpc.Call) -> status_pb2.Status | None:
    """The `google.rpc.Status` that came with an error, if one did."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            encoded = value if isinstance(value, bytes) else base64.b64decode(value)
            return status_pb2.Status.FromString(encoded)
    return None
