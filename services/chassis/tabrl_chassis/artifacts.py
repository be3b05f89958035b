"""The content-addressed store that services hand files to each other through, over fsspec."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import fsspec.implementations.local
import grpc
from tabrl.type.v1 import artifact_pb2

from tabrl_chassis.errors import TabrlError

DEFAULT_MEDIA_TYPE = "application/octet-stream"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


class ArtifactStore:
    """Immutable files by the SHA-256 of their bytes, at `<root>/<2 hex>/<sha256>`, media type beside them.

    `url` is a folder or any fsspec URL (`s3://…`, `gs://…`). Methods block; from a handler, call them with
    `asyncio.to_thread` when the file is large. Every method raises `TabrlError`: ARTIFACT_NOT_FOUND for an unknown
    digest, ARTIFACT_DAMAGED for a file that no longer has its digest, STORAGE_FULL when the disk is full,
    STORAGE_UNAVAILABLE when the store cannot be used.
    """

    def __init__(self, url: str | Path) -> None:
        """Open the store; a local folder is made when it is missing."""
        filesystem, root = fsspec.core.url_to_fs(str(url))
        self._filesystem: Any = filesystem
        self._root: str = root
        self._local = isinstance(filesystem, fsspec.implementations.local.LocalFileSystem)
        self._cache: Path | None = None
        if self._local:
            with _storage_errors():
                Path(root).mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, media_type: str = DEFAULT_MEDIA_TYPE) -> artifact_pb2.Artifact:
        """Store bytes and return their artifact; storing the same bytes again mends what was damaged meanwhile."""
        sha256 = hashlib.sha256(data).hexdigest()
        with _storage_errors():
            if self._holds(sha256, len(data)):
                self._touch(sha256)
            else:
                # The media type goes first, so that no reader finds the file without it.
                self._write(self._type_key(sha256), media_type.encode())
                self._write(self._key(sha256), data)
        return artifact_pb2.Artifact(sha256=sha256, size_bytes=len(data), media_type=media_type)

    def put_file(self, path: str | Path, media_type: str = DEFAULT_MEDIA_TYPE) -> artifact_pb2.Artifact:
        """Store a file's bytes and return their artifact."""
        with _storage_errors():
            data = Path(path).read_bytes()
        return self.put(data, media_type)

    def read(self, sha256: str) -> bytes:
        """Return the bytes of an artifact, checked against their digest."""
        self._require(sha256)
        with _storage_errors():
            data: bytes = self._filesystem.cat_file(self._key(sha256))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _damaged(sha256)
        return data

    def local_path(self, sha256: str) -> Path:
        """Return a readable local file with the artifact's bytes, checked against their digest; never write to it."""
        size = self._require(sha256)
        if self._local:
            with _storage_errors():
                whole = self._holds(sha256, size)
            if not whole:
                raise _damaged(sha256)
            return Path(self._key(sha256))
        if self._cache is None:
            self._cache = Path(tempfile.mkdtemp(prefix="tabrl-artifacts-"))
        path = self._cache / sha256
        if not path.exists():
            _write_atomically(path, self.read(sha256))
        return path

    def exists(self, sha256: str) -> bool:
        """Whether the store holds an artifact; False for text that is no digest."""
        if not _SHA256.fullmatch(sha256):
            return False
        with _storage_errors():
            return self._size(sha256) is not None

    def describe(self, sha256: str) -> artifact_pb2.Artifact:
        """Return the artifact of a digest: its size and the media type it was stored with."""
        size = self._require(sha256)
        media_type = DEFAULT_MEDIA_TYPE
        with contextlib.suppress(FileNotFoundError), _storage_errors(FileNotFoundError):
            media_type = self._filesystem.cat_file(self._type_key(sha256)).decode()
        return artifact_pb2.Artifact(sha256=sha256, size_bytes=size, media_type=media_type)

    def chunks(self, sha256: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield bytes `start` to `stop` (exclusive) of an artifact, a mebibyte at a time."""
        self._require(sha256)
        with _storage_errors(), self._filesystem.open(self._key(sha256), "rb") as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(_CHUNK_BYTES, stop - start))):
                start += len(chunk)
                yield chunk

    def remove(self, sha256: str, *, unused_for_secs: float) -> bool:
        """Delete an artifact, unless it was stored, or stored again, within the last seconds; return if it is gone.

        An object store does not know when the same bytes were stored again, only when they were first.
        """
        try:
            with _storage_errors(FileNotFoundError):
                age = datetime.datetime.now(datetime.UTC) - self._modified(sha256)
                if age.total_seconds() < unused_for_secs:
                    return False
                self._filesystem.rm_file(self._key(sha256))
        except FileNotFoundError:
            pass
        with contextlib.suppress(FileNotFoundError), _storage_errors(FileNotFoundError):
            self._filesystem.rm_file(self._type_key(sha256))
        return True

    def check(self) -> None:
        """Raise `TabrlError` when the store cannot be reached or, for a folder, is not writable."""
        with _storage_errors():
            if not self._local:
                self._filesystem.exists(self._root)
            elif not os.access(self._root, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "the folder is not writable", self._root)

    def _key(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _type_key(self, sha256: str) -> str:
        return self._key(sha256) + ".type"

    def _touch(self, sha256: str) -> None:
        if self._local:
            os.utime(self._key(sha256))

    def _modified(self, sha256: str) -> datetime.datetime:
        if self._local:
            return datetime.datetime.fromtimestamp(os.stat(self._key(sha256)).st_mtime, datetime.UTC)
        modified: datetime.datetime = self._filesystem.modified(self._key(sha256))
        return modified

    def _size(self, sha256: str) -> int | None:
        try:
            if self._local:
                return os.stat(self._key(sha256)).st_size
            return int(self._filesystem.size(self._key(sha256)))
        except FileNotFoundError:
            return None

    def _holds(self, sha256: str, size: int) -> bool:
        """Whether the store has an artifact's bytes; an object store checks its own, so that only the size is asked."""
        if self._size(sha256) != size:
            return False
        if not self._local:
            return True
        with Path(self._key(sha256)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256

    def _require(self, sha256: str) -> int:
        """Return the artifact's size, or raise ARTIFACT_NOT_FOUND."""
        with _storage_errors():
            size = self._size(sha256) if _SHA256.fullmatch(sha256) else None
        if size is None:
            raise TabrlError(
                grpc.StatusCode.NOT_FOUND,
                "ARTIFACT_NOT_FOUND",
                f"The store holds no artifact with the digest {sha256[:64]!r}.",
                metadata={"sha256": sha256[:64]},
            )
        return size

    def _write(self, key: str, data: bytes) -> None:
        if self._local:
            _write_atomically(Path(key), data)
        else:
            self._filesystem.pipe_file(key, data)  # object stores put whole objects or nothing


def _write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a machine that loses power, sees all of it or none."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        _sync_folder(path.parent.parent)  # a new folder is an entry too
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o444)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _storage_errors(*allowed: type[Exception]) -> Iterator[None]:
    try:
        yield
    except allowed:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TabrlError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "STORAGE_FULL",
                "The disk that holds the artifacts is full; free some space and try again.",
            ) from error
        raise TabrlError(
            grpc.StatusCode.UNAVAILABLE,
            "STORAGE_UNAVAILABLE",
            f"The artifact store cannot be used: {error.strerror or error}.",
            retry_after_secs=1.0,
        ) from error


def _damaged(sha256: str) -> TabrlError:
    return TabrlError(
        grpc.StatusCode.FAILED_PRECONDITION,
        "ARTIFACT_DAMAGED",
        f"The file {sha256} in the artifact store is damaged: its bytes no longer have this digest. "
        "Making what it belongs to again replaces it.",
        metadata={"sha256": sha256},
    )
