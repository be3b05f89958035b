"""Pages of runs and batches: newest first, as many as fit in a message, and no more of them read than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.pagination import Page

from tabrl_trainer.models import BatchRow, RunRow

__all__ = ["read_page"]

LARGEST_PAGE_BYTES: Final = 1 << 20
_ROWS_PER_READ: Final = 20

RowT = TypeVar("RowT", RunRow, BatchRow)
MessageT = TypeVar("MessageT", trainer_pb2.Run, batches_pb2.Batch)


def read_page(
    session: Session,
    table: type[RowT],
    wanted: Sequence[sa.ColumnElement[bool]],
    page: Page,
    messages: Callable[[Session, Sequence[RowT]], Sequence[MessageT]],
) -> tuple[list[MessageT], str]:
    """Return a page of the rows of a table that are wanted, as `messages` shows them, and the token of the next page.

    Rows are read a few at a time, for some have megabytes: long runs have thousands of checkpoints. At least one is
    on the page, however large it is.
    """
    found: list[MessageT] = []
    size, last = 0, page.after_number()
    while True:
        count = min(_ROWS_PER_READ, page.size - len(found) + 1)
        before = [] if last is None else [table.number < last]
        rows = session.scalars(
            sa.select(table).where(*wanted, *before).order_by(table.number.desc()).limit(count)
        ).all()
        for row, message in zip(rows, messages(session, rows), strict=True):
            size += message.ByteSize()
            if len(found) == page.size or (found and size > LARGEST_PAGE_BYTES):
                return found, page.token(str(last))
            found.append(message)
            last = row.number
        if len(rows) < count:
            return found, ""
