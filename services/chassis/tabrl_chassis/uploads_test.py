"""Pieces of an upload: in order, repeated, out of step, refused for good, and failed for now."""

from __future__ import annotations

import uuid
from pathlib import Path

import grpc
import pytest
from tabrl.exporter.v1 import sharing_pb2

from tabrl_chassis.errors import TabrlError
from tabrl_chassis.uploads import Uploads

Piece = sharing_pb2.ImportBundleRequest
_CONTENT = b"0123456789"


def piece(upload_id: str, start: int, stop: int, *, size: int = len(_CONTENT)) -> Piece:
    return Piece(upload_id=upload_id, size_bytes=size, offset_bytes=start, data=_CONTENT[start:stop])


async def test_pieces_come_in_order_and_again_and_the_whole_is_read_once(tmp_path: Path) -> None:
    read: list[bytes] = []

    async def note(content: bytes, _piece: Piece) -> int:
        read.append(content)
        return len(content)

    uploads, upload_id = Uploads(tmp_path / "parts", note), str(uuid.uuid4())
    # Given a first piece, sent twice, and one that overlaps it
    assert await uploads.receive(piece(upload_id, 0, 4)) == (4, None)
    assert await uploads.receive(piece(upload_id, 0, 4)) == (4, None)
    assert await uploads.receive(piece(upload_id, 2, 6)) == (6, None)
    # when the rest comes, twice, and then nothing more, then all say the same and it was read once
    for rest in (piece(upload_id, 6, 10), piece(upload_id, 6, 10), piece(upload_id, 10, 10)):
        assert await uploads.receive(rest) == (10, 10)
    assert read == [_CONTENT]
    assert not list((tmp_path / "parts").iterdir())


async def test_a_piece_that_does_not_follow_says_where_to_go_on(tmp_path: Path) -> None:
    async def never(_content: bytes, _piece: Piece) -> None:
        raise AssertionError

    uploads, upload_id = Uploads(tmp_path, never), str(uuid.uuid4())
    await uploads.receive(piece(upload_id, 0, 4))
    with pytest.raises(TabrlError) as caught:
        await uploads.receive(piece(upload_id, 5, 10))
    assert (caught.value.reason, caught.value.metadata["received_bytes"]) == ("UPLOAD_OUT_OF_STEP", "4")
    for wrong, field in ((piece(upload_id, 4, 8, size=9), "size_bytes"), (piece(upload_id, 0, 9, size=8), "data")):
        with pytest.raises(TabrlError) as caught:
            await uploads.receive(wrong)
        assert caught.value.fields[0][0] == field


@pytest.mark.parametrize(
    ("code", "reason", "tries"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "BUNDLE_REFUSED", 1),
        (grpc.StatusCode.UNAVAILABLE, "JAIL_UNAVAILABLE", 2),
    ],
)
async def test_what_was_refused_stays_refused_and_what_passes_is_tried_again(
    tmp_path: Path, code: grpc.StatusCode, reason: str, tries: int
) -> None:
    read = 0

    async def refuse(_content: bytes, _piece: Piece) -> None:
        nonlocal read
        read += 1
        raise TabrlError(code, reason, "no")

    uploads, upload_id = Uploads(tmp_path, refuse), str(uuid.uuid4())
    for start in (0, 10):
        with pytest.raises(TabrlError) as caught:
            await uploads.receive(piece(upload_id, start, 10))
        assert caught.value.reason == reason
    assert read == tries
