"""Typed errors at the boundary: `TabrlError` on both sides of a call, carried as a rich `google.rpc.Status`."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from tabrl.type.v1 import error_pb2

DOMAIN = "tabrl.dev"
REASONS = frozenset(name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys())  # noqa: SIM118
# gRPC carries the message and the details in headers; most peers refuse headers above 8 KiB in all.
_HEADERS_BUDGET_BYTES = 8192 - 512
# Texts are cut to the first of these lengths with which everything fits.
_LONGEST_TEXT_CHARS = (1000, 700, 500, 350, 250, 175, 120, 80, 50, 30)
# Field paths and metadata name things, and a name cut short names nothing.
_NAME_CHARS = 100

_STATUS_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


@dataclass
class TabrlError(Exception):
    """An error that a caller can act on.

    `code` is the gRPC status, `reason` a name of `tabrl.type.v1.ErrorReason` without its prefix, `message` says what
    was wrong, where, and what to do. `fields` are `(field path, description)` pairs and become
    `BadRequest.field_violations`; `metadata` goes into `ErrorInfo`; `retry_after_secs` becomes `RetryInfo`.

    Raises `ValueError` when `reason` is not in the contract.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    fields: Sequence[tuple[str, str]] = field(default=(), kw_only=True)
    metadata: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    retry_after_secs: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the reason."""
        if self.reason not in REASONS:
            raise ValueError(f"{self.reason!r} is no reason of tabrl.type.v1.ErrorReason; add it to the contract first")
        super().__init__(self.message)

    def __str__(self) -> str:
        """Return `CODE REASON: message`, with the fields behind it."""
        fields = "".join(f"; {name}: {description}" for name, description in self.fields)
        return f"{self.code.name} {self.reason}: {self.message}{fields}"


def invalid_field(field_path: str, description: str) -> TabrlError:
    """Return the INVALID_ARGUMENT / INVALID_FIELD error of one field."""
    return TabrlError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        f"{field_path}: {description}",
        fields=[(field_path, description)],
    )


def storage_error(error: OSError, message: str, *, retry_after_secs: float | None = None) -> TabrlError:
    """Return the error of files that could not be written: STORAGE_FULL, or else STORAGE_UNAVAILABLE."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return TabrlError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", message)
    return TabrlError(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", message, retry_after_secs=retry_after_secs)


def to_status(error: TabrlError) -> status_pb2.Status:
    """Return the rich status of an error, cut to what fits in the response headers.

    Long texts are cut first; if that does not do, the last fields go, and then the metadata.
    """
    for longest in _LONGEST_TEXT_CHARS:
        status = _status(error, longest, error.fields, error.metadata)
        if _fits(status):
            return status
    fields = list(error.fields)
    while fields:
        fields.pop()
        status = _status(error, longest, fields, error.metadata)
        if _fits(status):
            return status
    return _status(error, longest, (), {})


def _status(
    error: TabrlError, longest: int, fields: Sequence[tuple[str, str]], metadata: Mapping[str, str]
) -> status_pb2.Status:
    names = max(longest, _NAME_CHARS)
    details: list[Any] = [
        error_details_pb2.ErrorInfo(
            reason=error.reason,
            domain=DOMAIN,
            metadata={key: _shortened(value, names) for key, value in metadata.items()},
        )
    ]
    if error.retry_after_secs is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after_secs * 1e9))
        details.append(retry)
    if fields:
        violation = error_details_pb2.BadRequest.FieldViolation
        violations = [
            violation(field=_shortened(path, names), description=_shortened(description, longest))
            for path, description in fields
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    status = status_pb2.Status(code=_number(error.code), message=_shortened(error.message, longest))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def error_from(error: grpc.RpcError, *, service: str = "") -> TabrlError:
    """Return the typed error behind a failed client call.

    A status without TabRL's details comes from the transport: UNAVAILABLE and DEADLINE_EXCEEDED become
    SERVICE_UNAVAILABLE with `metadata.service`, everything else INTERNAL.
    """
    if not isinstance(error, grpc.aio.AioRpcError | grpc.Call):
        raise TypeError(f"{type(error).__name__} carries no status") from error
    rich = _rich_status(error)
    code = error.code() or grpc.StatusCode.UNKNOWN
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after_secs: float | None = None
    for detail in rich.details if rich else ():
        if detail.Is(retry.DESCRIPTOR) and detail.Unpack(retry):
            retry_after_secs = retry.retry_delay.ToNanoseconds() / 1e9
        for message in (info, bad_request):
            if detail.Is(message.DESCRIPTOR):
                detail.Unpack(message)
    if info.domain == DOMAIN and info.reason in REASONS:
        return TabrlError(
            code,
            info.reason,
            error.details() or "",
            fields=[(violation.field, violation.description) for violation in bad_request.field_violations],
            metadata=dict(info.metadata),
            retry_after_secs=retry_after_secs,
        )
    name = service or "peer"
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return TabrlError(
            grpc.StatusCode.UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            f"The {name} service does not answer ({error.details() or code.name}); try again in a moment.",
            metadata={"service": name},
            retry_after_secs=1.0,
        )
    return TabrlError(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"The {name} service failed with {code.name}: {error.details() or 'no details'}",
        metadata={"service": name},
    )


def status_code(number: int) -> grpc.StatusCode:
    """Return the status code of a number as `google.rpc.Status.code` carries it; UNKNOWN for one without a name."""
    return _STATUS_BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN)


def _rich_status(error: Any) -> status_pb2.Status | None:
    trailing = error.trailing_metadata() or ()
    for key, value in trailing:
        if key == "grpc-status-details-bin":
            return status_pb2.Status.FromString(value)
    return None


def _fits(status: status_pb2.Status) -> bool:
    """Whether both headers of a status fit: itself in base64, and its message once more, percent-encoded."""
    details: int = (status.ByteSize() + 2) // 3 * 4
    message = sum(1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3 for byte in status.message.encode())
    return details + message <= _HEADERS_BUDGET_BYTES


def _number(code: grpc.StatusCode) -> int:
    return int(code.value[0])


def _shortened(text: str, longest: int) -> str:
    """Return a text cut to a length, with `?` for half a character, which JSON may hold and no message takes."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= longest else text[: longest - 1] + "…"


@contextlib.contextmanager
def naming(field: str, *reasons: str) -> Iterator[None]:
    """Have errors of some reasons that come up within name the field of the request that they are about."""
    try:
        yield
    except TabrlError as error:
        if error.reason not in reasons:
            raise
        raise dataclasses.replace(error, fields=[(field, error.message)]) from error


__all__ = [
    "DOMAIN",
    "REASONS",
    "TabrlError",
    "error_from",
    "invalid_field",
    "naming",
    "status_code",
    "storage_error",
    "to_status",
]
