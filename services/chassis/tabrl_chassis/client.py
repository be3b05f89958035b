"""Calls to other services: one channel per peer, a deadline on every call, retries where they are safe."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor

from tabrl_chassis.errors import error_from

DEFAULT_TIMEOUT_SECS = 10.0
_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
_SAFE_TO_REPEAT = (
    descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
    descriptor_pb2.MethodOptions.IDEMPOTENT,
)

RequestT = TypeVar("RequestT", contravariant=True)  # noqa: PLC0105
ResponseT = TypeVar("ResponseT", covariant=True)  # noqa: PLC0105
_Response = TypeVar("_Response")


class UnaryMethod(Protocol[RequestT, ResponseT]):
    """A unary method of an asyncio stub."""

    def __call__(self, request: RequestT, *, timeout: float | None = ...) -> Awaitable[ResponseT]:
        """Start the call."""


def open_channel(address: str, *services: ServiceDescriptor) -> grpc.aio.Channel:
    """Return a channel that tries the methods that `services` declare idempotent up to 4 times while UNAVAILABLE."""
    names = [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if method.GetOptions().idempotency_level in _SAFE_TO_REPEAT
    ]
    options: list[tuple[str, Any]] = [
        ("grpc.enable_retries", 1),
        # A peer that was restarted is found again soon, not after gRPC's default of up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
    ]
    if names:
        options.append(
            ("grpc.service_config", json.dumps({"methodConfig": [{"name": names, "retryPolicy": _RETRY_POLICY}]}))
        )
    return grpc.aio.insecure_channel(address, options=options)


async def call(
    method: UnaryMethod[Any, _Response], request: Any, *, service: str, timeout_secs: float = DEFAULT_TIMEOUT_SECS
) -> _Response:
    """Return a unary call's response, or raise the `TabrlError` that the peer answered.

    `service` names the peer in SERVICE_UNAVAILABLE, which stands for a peer that does not answer.
    """
    try:
        return await method(request, timeout=timeout_secs)
    except grpc.aio.AioRpcError as error:
        raise error_from(error, service=service) from error
