"""Checks every request against the rules in its contract before a handler sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import protovalidate
from google.protobuf.message import DecodeError, Message

from tabrl_chassis.errors import TabrlError, invalid_field
from tabrl_chassis.interception import Deserializer, Method, Stream, Unary, WrappingInterceptor

_MOST_VIOLATIONS_TOLD = 20
_SHA256 = "must be a SHA-256 of 64 characters, each a digit or a lower-case letter from a to f"
# What the patterns in the contracts ask for, for those who read no patterns.
PATTERNS_IN_WORDS = {
    "^[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?$": "must be 1 to 60 lower-case letters, digits and dashes, with a letter or "
    "digit first and last, such as go1-dance",
    "^[a-z][a-z0-9-]{0,39}$": "must be 1 to 40 lower-case letters, digits and dashes, with a letter first, such as "
    "stable",
    "^[0-9a-f]{64}$": _SHA256,
    "^([0-9a-f]{64})?$": f"{_SHA256}, or empty",
    "^([A-Za-z0-9][A-Za-z0-9._-]*)?$": "must be letters, digits, dots, dashes and underscores, with a letter or digit "
    "first, or empty",
}


def validation_interceptor() -> grpc.aio.ServerInterceptor:
    """Return the interceptor that refuses invalid requests with INVALID_FIELD; it belongs innermost."""
    return _Validating(_unary, _stream)


def validate(message: Any) -> None:
    """Check a message against the `buf.validate` rules of its type, and that no text in it holds a NUL.

    Raises `TabrlError` INVALID_ARGUMENT / INVALID_FIELD that names each field at fault.
    """
    if isinstance(message, _Unreadable):
        raise invalid_field("request", message.why)
    violations = protovalidate.collect_violations(message)
    fields = [(_path(item.proto), _description(item)) for item in violations]
    # PostgreSQL keeps none, and half of what shows a text ends there.
    fields += [(path, "holds the control character U+0000; take it out") for path in _with_nul(message, "")]
    if not fields:
        return
    summary = "; ".join(f"{path or 'request'}: {description}" for path, description in fields[:3])
    more = f" (and {len(fields) - 3} more)" if len(fields) > 3 else ""
    fields = fields[:_MOST_VIOLATIONS_TOLD]
    raise TabrlError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", summary + more, fields=fields)


@dataclass(frozen=True)
class _Unreadable:
    """Bytes that are no message of the type that was asked for."""

    why: str


class _Validating(WrappingInterceptor):
    """Has bytes that cannot be read come to `validate`, which refuses them as it does other requests."""

    def _deserializer(self, method: Method, inner: Deserializer) -> Deserializer:
        if method.infrastructure:
            return inner

        def read(data: bytes) -> Any:
            try:
                return inner(data)
            except DecodeError as error:
                return _Unreadable(f"cannot be read, texts must be UTF-8: {error}")

        return read


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


def _with_nul(message: Message, before: str) -> Iterator[str]:
    """Yield the paths of the texts in a message that hold a NUL."""
    for field, value in message.ListFields():
        path = f"{before}.{field.name}" if before else field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            inside = [(f'{path}["{key}"]', item) for key, item in value.items()]
            inside += [(path, key) for key in value if isinstance(key, str)]
        elif field.is_repeated:
            inside = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        else:
            inside = [(path, value)]
        for place, item in inside:
            if isinstance(item, Message):
                yield from _with_nul(item, place)
            elif isinstance(item, str) and "\0" in item:
                yield place.replace("\0", "")


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
    said = violation.proto
    words = PATTERNS_IN_WORDS.get(violation.rule_value) if said.rule_id == "string.pattern" else None
    return words or str(said.message or said.rule_id or "is invalid")
