"""Prometheus metrics of every call, with the names of go-grpc-middleware."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from prometheus_client import Counter, Histogram, disable_created_metrics

from tabrl_chassis.interception import Method, Stream, Unary, WrappingInterceptor

disable_created_metrics()  # type: ignore[no-untyped-call]
_LABELS = ("grpc_type", "grpc_service", "grpc_method")
STARTED = Counter("grpc_server_started", "RPCs started on the server.", _LABELS)
HANDLED = Counter(
    "grpc_server_handled", "RPCs completed on the server, whatever their status.", (*_LABELS, "grpc_code")
)
RECEIVED = Counter("grpc_server_msg_received", "Messages received on the server.", _LABELS)
SENT = Counter("grpc_server_msg_sent", "Messages sent by the server.", _LABELS)
HANDLING = Histogram("grpc_server_handling_seconds", "Time until an RPC was completed.", _LABELS)


def metrics_interceptor() -> grpc.aio.ServerInterceptor:
    """Return the interceptor that counts and times every call; it belongs outermost."""
    return WrappingInterceptor(_unary, _stream)


class _Call:
    """Counts one call from its start to its status."""

    def __init__(self, method: Method) -> None:
        self._labels = (method.type, method.service, method.name)
        self._start = time.perf_counter()
        self.sent = SENT.labels(*self._labels)
        STARTED.labels(*self._labels).inc()
        RECEIVED.labels(*self._labels).inc()

    def handled(self, code: str) -> None:
        HANDLING.labels(*self._labels).observe(time.perf_counter() - self._start)
        HANDLED.labels(*self._labels, code).inc()


def _unary(method: Method, inner: Unary) -> Unary:
    async def outer(request: Any, context: Any) -> Any:
        call = _Call(method)
        try:
            response = await inner(request, context)
        except BaseException as error:
            call.handled(_failure(context, error))
            raise
        call.sent.inc()
        call.handled(_success(context))
        return response

    return outer


def _stream(method: Method, inner: Stream) -> Stream:
    async def outer(request: Any, context: Any) -> AsyncIterator[Any]:
        call = _Call(method)
        try:
            async for response in inner(request, context):
                yield response
                call.sent.inc()
        except BaseException as error:
            call.handled(_failure(context, error))
            raise
        call.handled(_success(context))

    return outer


def _code(context: Any) -> str | None:
    code = context.code()
    if not code:
        return None
    # A handler that calls set_code may leave the bare number behind.
    return str(code.name) if isinstance(code, grpc.StatusCode) else _NAMES.get(int(code), "UNKNOWN")


def _success(context: Any) -> str:
    return _code(context) or "OK"


def _failure(context: Any, error: BaseException) -> str:
    # grpc.aio sets no code when the caller goes away: the handler is cancelled, or its generator closed.
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return _code(context) or "CANCELLED"
    return _code(context) or "UNKNOWN"


_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
