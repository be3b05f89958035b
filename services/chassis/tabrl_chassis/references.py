"""Which files of the artifact store a service names: what `ReferenceService` answers, and how digests are found."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc

__all__ = ["ReferenceServicer", "digests_in"]

_MOST_IN_A_MESSAGE = 1000


class ReferenceServicer(artifacts_pb2_grpc.ReferenceServiceServicer):
    """Tells the digests that a service names, in pieces."""

    def __init__(self, named: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """Ask `named`, at each call, for every digest that the service's records name at that moment.

        It raises `TabrlError` UNAVAILABLE rather than leave one out: what is not named is deleted.
        """
        self._named = named

    async def ListReferences(  # noqa: D102
        self, _request: artifacts_pb2.ListReferencesRequest, _context: Any
    ) -> AsyncIterator[artifacts_pb2.ListReferencesResponse]:
        digests = sorted({digest for digest in await self._named() if digest})
        for start in range(0, len(digests), _MOST_IN_A_MESSAGE):
            yield artifacts_pb2.ListReferencesResponse(sha256=digests[start : start + _MOST_IN_A_MESSAGE])


def digests_in(message: Message) -> Iterator[str]:
    """Yield every digest in a message, however deep: each non-empty field whose name ends in `sha256`.

    So a field that is added to a contract is found without a word here.
    """
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING and field.name.endswith("sha256"):
            yield from [value] if isinstance(value, str) else value
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for each in _messages(field, value):
                yield from digests_in(each)


def _messages(field: FieldDescriptor, value: Any) -> Iterable[Message]:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        in_value = entry.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE
        return list(value.values()) if in_value else []
    return [value] if isinstance(value, Message) else value
