"""Turns what a handler raises into the status that goes out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
from grpc_status import rpc_status

from tabrl_chassis.errors import TabrlError, error_from, to_status
from tabrl_chassis.interception import Method, Stream, Unary, WrappingInterceptor
from tabrl_chassis.logs import get_logger

_log = get_logger("tabrl_chassis.errors")


def error_interceptor() -> grpc.aio.ServerInterceptor:
    """Return the interceptor that answers `TabrlError` as it is, anything else as INTERNAL with an incident id."""
    return WrappingInterceptor(_unary, _stream)


def as_tabrl_error(error: Exception, method: str) -> TabrlError:
    """Return the error that a caller is told; an unknown one is logged with its traceback under an incident id."""
    if isinstance(error, TabrlError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):
        return error_from(error)
    storage = _storage_error(error)
    if storage is not None:
        _log.error("storage failed", method=method, exc_info=error)
        return storage
    incident = uuid.uuid4().hex[:12]
    _log.error("unhandled error", method=method, incident=incident, exc_info=error)
    return TabrlError(
        grpc.StatusCode.INTERNAL,
        "INTERNAL",
        f"The service failed; incident {incident} in its log says why.",
        metadata={"incident": incident},
    )


def _storage_error(error: Exception) -> TabrlError | None:
    # Imported here: a service without a database need not load SQLAlchemy.
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    if not isinstance(error, DBAPIError):
        return None
    if not isinstance(error, OperationalError | InterfaceError) and not error.connection_invalidated:
        return None
    if "full" in str(error.orig):
        return TabrlError(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "STORAGE_FULL",
            "The disk that holds the data folder is full; free some space and try again.",
        )
    return TabrlError(
        grpc.StatusCode.UNAVAILABLE,
        "STORAGE_UNAVAILABLE",
        "The service's database cannot be used; its log says why. Try again in a moment.",
        retry_after_secs=1.0,
    )


def _unary(method: Method, inner: Unary) -> Unary:
    async def outer(request: Any, context: Any) -> Any:
        try:
            return await inner(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _abort(context, error, method)

    return outer


def _stream(method: Method, inner: Stream) -> Stream:
    async def outer(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in inner(request, context):
                yield response
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            await _abort(context, error, method)

    return outer


async def _abort(context: Any, error: Exception, method: Method) -> NoReturn:
    typed = as_tabrl_error(error, f"{method.service}/{method.name}")
    _log.debug("call refused", method=method.name, code=typed.code.name, reason=typed.reason, message=typed.message)
    await context.abort_with_status(rpc_status.to_status(to_status(typed)))
    raise AssertionError("abort_with_status returned")
