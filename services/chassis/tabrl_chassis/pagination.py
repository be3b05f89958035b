"""Pages of a list: coerced sizes, and opaque tokens that belong to one query."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import grpc

from tabrl_chassis.errors import TabrlError, invalid_field

_MOST_DIGITS: Final = 18  # every number of so many digits is an int64
# Of the items of a page: gRPC clients take messages of 4 MiB.
_LARGEST_PAGE_BYTES: Final = 3 << 20


@dataclass(frozen=True)
class Page:
    """What a list request asks for: at most `size` items, those after the key `after` (None for the first page)."""

    size: int
    after: str | None
    _query: str

    def after_number(self) -> int | None:
        """Return `after` as the row number it was issued as; raises INVALID_PAGE_TOKEN for what never was one."""
        if self.after is None:
            return None
        # Longer numbers would overflow the database's 64 bits.
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) <= _MOST_DIGITS):
            raise invalid_page_token()
        return int(self.after)

    def token(self, last_key: str) -> str:
        """Return the `next_page_token` for a page that ended with the item of this key."""
        return base64.urlsafe_b64encode(json.dumps([self._query, last_key]).encode()).decode().rstrip("=")


def page_of(request: Any, *, default_size: int = 50, maximum_size: int = 500) -> Page:
    """Return the page that a request with `page_size` and `page_token` asks for.

    Size 0 is the default, above the maximum is the maximum. The key inside a token is text of the caller's choice; ask
    the database for `size + 1` items to know whether another page follows.

    Raises `TabrlError`: INVALID_FIELD for a negative size, INVALID_PAGE_TOKEN for a token of another query.
    """
    if request.page_size < 0:
        raise invalid_field("page_size", "must not be negative; 0 takes the default")
    size = min(request.page_size or default_size, maximum_size)
    query = _query_digest(request)
    if not request.page_token:
        return Page(size, None, query)
    try:
        padded = request.page_token + "=" * (-len(request.page_token) % 4)
        issued_for, after = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, UnicodeDecodeError, ValueError, TypeError):
        issued_for, after = None, None
    if issued_for != query or not isinstance(after, str):
        raise invalid_page_token()
    return Page(size, after, query)


def how_many_fit(sizes: Iterable[int]) -> int:
    """Return how many items of these sizes in bytes go on one page: as many as a message holds, and one at least."""
    number = total = 0
    for size in sizes:
        total += size
        if number and total > _LARGEST_PAGE_BYTES:
            break
        number += 1
    return number


def invalid_page_token() -> TabrlError:
    """Return the error of a page token that was not issued for this query."""
    return TabrlError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_PAGE_TOKEN",
        "The page token belongs to another query; start again without one.",
        fields=[("page_token", "was not issued for this query")],
    )


def _query_digest(request: Any) -> str:
    """Return a digest of everything in the request but the page."""
    query = type(request)()
    query.CopyFrom(request)
    query.ClearField("page_size")
    query.ClearField("page_token")
    name = request.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + b"\0" + query.SerializeToString(deterministic=True)).hexdigest()[:16]
