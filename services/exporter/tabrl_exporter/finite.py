"""Whether the numbers of a message are numbers: what is shared must be, so that everybody can read it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from google.protobuf.message import Message

__all__ = ["is_finite"]


def is_finite(message: Message) -> bool:
    """Returns whether no number in a message is NaN or infinite."""
    return all(map(math.isfinite, _numbers(message)))


def _numbers(message: Message) -> Iterator[float]:
    """Yields every floating-point number in a message."""
    for field, value in message.ListFields():
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        for each in value.values() if is_map else value if field.is_repeated else (value,):
            if isinstance(each, Message):
                yield from _numbers(each)
            elif isinstance(each, float):
                yield each
