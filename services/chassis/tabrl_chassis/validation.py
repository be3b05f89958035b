"""Checks every request against the rules in its contract before a handler sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import protovalidate

from tabrl_chassis.errors import TabrlError
from tabrl_chassis.interception import Method, Stream, Unary, WrappingInterceptor

_MOST_VIOLATIONS_TOLD = 20


def validation_interceptor() -> grpc.aio.ServerInterceptor:
    """Return the interceptor that refuses invalid requests with INVALID_FIELD; it belongs innermost."""
    return WrappingInterceptor(_unary, _stream)


def validate(message: Any) -> None:
    """Check a message against the `buf.validate` rules of its type.

    Raises `TabrlError` INVALID_ARGUMENT / INVALID_FIELD that names each field at fault.
    """
    violations = protovalidate.collect_violations(message)
    if not violations:
        return
    fields = [(_path(item.proto), _description(item.proto)) for item in violations[:_MOST_VIOLATIONS_TOLD]]
    summary = "; ".join(f"{path or 'request'}: {description}" for path, description in fields[:3])
    more = f" (and {len(violations) - 3} more)" if len(violations) > 3 else ""
    raise TabrlError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", summary + more, fields=fields)


def _unary(method: Method, inner: Unary) -> Unary:
    if method.infrastructure:
        return inner

    async def outer(request: Any, context: Any) -> Any:
        validate(request)
        return await inner(request, context)

    return outer


def _stream(method: Method, inner: Stream) -> Stream:
    if method.infrastructure:
        return inner

    async def outer(request: Any, context: Any) -> AsyncIterator[Any]:
        validate(request)
        async for response in inner(request, context):
            yield response

    return outer


def _path(violation: Any) -> str:
    """Return the field's path as `spec.reward.weights["upright"]`."""
    text = ""
    for element in violation.field.elements if violation.field else ():
        text += ("." if text else "") + element.field_name
        subscript = element.subscript
        if subscript is not None:
            value = getattr(subscript, "value", subscript)
            text += f"[{value}]" if isinstance(value, int) else f'["{value}"]'
    return text


def _description(violation: Any) -> str:
    return str(violation.message or violation.rule_id or "is invalid")
