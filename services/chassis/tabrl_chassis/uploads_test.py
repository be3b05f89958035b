"""Pieces of an upload: in order, repeated, out of step, refused for good, and failed for now."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path

import grpc
import pytest
from tabrl.exporter.v1 import sharing_pb2

from tabrl_chassis import uploads as uploads_module
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


async def test_more_than_may_be_read_at_once_are_told_to_come_again(tmp_path: Path) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(content: bytes, _piece: Piece) -> int:
        begun.set()
        await may_end.wait()
        return len(content)

    # Given an upload that is being read, where one may be
    uploads, first, second = Uploads(tmp_path, wait, most_read=1), str(uuid.uuid4()), str(uuid.uuid4())
    reading = asyncio.create_task(uploads.receive(piece(first, 0, 10)))
    await begun.wait()
    # when another one is complete, then it has to come again
    with pytest.raises(TabrlError) as caught:
        await uploads.receive(piece(second, 0, 10))
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS")
    # and once the first is read, it is taken
    may_end.set()
    assert await reading == (10, 10)
    assert await uploads.receive(piece(second, 10, 10)) == (10, 10)


async def test_the_oldest_unfinished_upload_makes_room_and_is_forgotten(tmp_path: Path) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def wait(content: bytes, _piece: Piece) -> int:
        begun.set()
        await may_end.wait()
        return len(content)

    # Given one upload that is being read, and more unfinished ones than are kept
    uploads, read = Uploads(tmp_path, wait), str(uuid.uuid4())
    reading = asyncio.create_task(uploads.receive(piece(read, 0, 10)))
    await begun.wait()
    unfinished = [str(uuid.uuid4()) for _ in range(uploads_module._MOST_UNFINISHED)]
    os.utime(tmp_path / f"{read}.part", (0, 0))
    for age, upload_id in enumerate(reversed(unfinished[:-1]), 1):
        await uploads.receive(piece(upload_id, 0, 4))
        os.utime(tmp_path / f"{upload_id}.part", (1000 - age, 1000 - age))
    oldest, second_oldest = unfinished[0], unfinished[1]
    assert (tmp_path / f"{oldest}.part").exists()

    # when another one begins, then the oldest is gone, and what is being read stays
    await uploads.receive(piece(unfinished[-1], 0, 4))
    assert not (tmp_path / f"{oldest}.part").exists()
    assert (tmp_path / f"{read}.part").exists()
    assert await uploads.receive(piece(second_oldest, 4, 6)) == (6, None)

    # and the one that is gone begins anew, as whatever it likes
    with pytest.raises(TabrlError) as caught:
        await uploads.receive(piece(oldest, 4, 6, size=9))
    assert (caught.value.reason, caught.value.metadata["received_bytes"]) == ("UPLOAD_OUT_OF_STEP", "0")
    may_end.set()
    assert await reading == (10, 10)


async def test_many_that_come_and_end_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    async def count(content: bytes, _piece: Piece) -> int:
        return len(content)

    uploads = Uploads(tmp_path, count, most_read=100)
    for _ in range(20):
        answers = await asyncio.gather(*(uploads.receive(piece(str(uuid.uuid4()), 0, 10)) for _ in range(50)))
        assert set(answers) == {(10, 10)}


async def test_uploads_that_never_come_are_forgotten(tmp_path: Path) -> None:
    async def never(_content: bytes, _piece: Piece) -> None:
        raise AssertionError

    uploads = Uploads(tmp_path, never)
    for _ in range(uploads_module._MOST_KNOWN + 20):
        await uploads.receive(piece(str(uuid.uuid4()), 0, 0))
    assert len(uploads._known) == uploads_module._MOST_KNOWN


async def test_what_is_being_read_at_the_end_is_read_anew_later(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def wait(_content: bytes, _piece: Piece) -> int:
        begun.set()
        await asyncio.Event().wait()
        return 0

    async def count(content: bytes, _piece: Piece) -> int:
        return len(content)

    # Given a service that ends while it reads
    uploads, upload_id = Uploads(tmp_path, wait), str(uuid.uuid4())
    receiving = asyncio.create_task(uploads.receive(piece(upload_id, 0, 10)))
    await begun.wait()
    await uploads.stop()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    # when the last piece is sent again to the next one, then it is read
    assert await Uploads(tmp_path, count).receive(piece(upload_id, 10, 10)) == (10, 10)
