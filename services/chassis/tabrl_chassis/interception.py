"""Wraps the behaviour of a gRPC handler, unary or server-streaming, in one place for every interceptor."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import grpc

# Calls of the machinery around a service, which carry no TabRL messages.
_INFRASTRUCTURE = ("grpc.health.", "grpc.reflection.")


@dataclass(frozen=True)
class Method:
    """A called method: `service` with its package, `name`, and `type` as in `grpc_type` (`unary`, `server_stream`)."""

    service: str
    name: str
    type: str

    @property
    def infrastructure(self) -> bool:
        """Whether the method belongs to health or reflection."""
        return self.service.startswith(_INFRASTRUCTURE)


Unary = Callable[[Any, Any], Awaitable[Any]]
Stream = Callable[[Any, Any], AsyncIterator[Any]]
Deserializer = Callable[[bytes], Any]
WrapUnary = Callable[[Method, Unary], Unary]
WrapStream = Callable[[Method, Stream], Stream]


class WrappingInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """Applies one wrapper to unary handlers and one to server-streaming handlers; client streams pass untouched."""

    def __init__(self, unary: WrapUnary, stream: WrapStream) -> None:
        """Keep the wrappers. Each gets the method and the inner behaviour, and returns the outer one."""
        self._unary = unary
        self._stream = stream

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """Return the handler with its behaviour wrapped."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.request_streaming:
            return handler
        service, _, name = handler_call_details.method.lstrip("/").partition("/")
        method = Method(service, name, "server_stream" if handler.response_streaming else "unary")
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, _as_iterator(handler.unary_stream)),
                self._deserializer(method, handler.request_deserializer),
                handler.response_serializer,
            )
        if not inspect.iscoroutinefunction(handler.unary_unary):
            raise TypeError(f"{handler_call_details.method} has a blocking handler; write it with async def")
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary),
            self._deserializer(method, handler.request_deserializer),
            handler.response_serializer,
        )

    def _deserializer(self, _method: Method, inner: Deserializer) -> Deserializer:
        """Return what makes a request of its bytes."""
        return inner


def _as_iterator(behaviour: Any) -> Stream:
    if inspect.isasyncgenfunction(behaviour):
        return cast(Stream, behaviour)

    async def written(request: Any, context: Any) -> AsyncIterator[Any]:
        # A handler that calls context.write itself yields nothing here (the health service's Watch is one).
        await behaviour(request, context)
        return
        yield

    return written
