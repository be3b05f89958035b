"""The content-addressed store that services hand files to each other through, over fsspec."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
# Renewing an object means writing it again, so those of an object store are renewed only once they are so old.
_RENEW_AFTER_SECS = 12 * 3600.0
_LEFT_AFTER_SECS = 24 * 3600.0
_WRITING = ".writing-"
_REMOVING = ".removing-"
# What filesystems call the time of the last change where a listing says it.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated")


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: its digest, its length, and how long ago it was stored, or stored again."""

    sha256: str
    size_bytes: int
    age_secs: float


class ArtifactStore:
    """Immutable files by the SHA-256 of their bytes, at `<root>/<2 hex>/<sha256>`, media type beside them.

    `url` is a folder or any fsspec URL (`s3://…`, `gs://…`). Methods block; from a handler, call them with
    `asyncio.to_thread` when the file is large. Every method raises `TabrlError`: ARTIFACT_NOT_FOUND for an unknown
    digest, ARTIFACT_DAMAGED for a file that no longer has its digest, STORAGE_FULL when the disk is full,
    STORAGE_UNAVAILABLE when the store cannot be used.
    """

    def __init__(self, url: str | Path) -> None:
        """Open the store; a local folder is made when it is missing, and rid of what killed processes left."""
        # Other processes store and remove too, so what was listed a while ago says nothing.
        filesystem, root = fsspec.core.url_to_fs(str(url), use_listings_cache=False)
        self._filesystem: Any = filesystem
        self._root: str = root
        self._local = isinstance(filesystem, fsspec.implementations.local.LocalFileSystem)
        self._cache: Path | None = None
        if self._local:
            with _storage_errors():
                Path(root).mkdir(parents=True, exist_ok=True)
                _tidy(Path(root))

    def put(self, data: bytes, media_type: str = DEFAULT_MEDIA_TYPE) -> artifact_pb2.Artifact:
        """Store bytes and return their artifact; storing the same bytes again mends what was damaged meanwhile."""
        sha256 = hashlib.sha256(data).hexdigest()
        with _storage_errors():
            if not (self._holds(sha256, len(data)) and self._touch(sha256)):
                # The media type goes first, so that no reader finds the file without it; `remove` spares a young one.
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
        with _storage_errors():
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

    def stored(self) -> Iterator[StoredFile]:
        """Yield every artifact that the store holds, in no order; one that comes or goes meanwhile may be left out."""
        with _storage_errors():
            yield from self._local_files() if self._local else self._objects()

    def renew(self, sha256: str) -> bool:
        """Have an artifact count as stored anew, so that nobody removes it for a while; return whether it is here.

        For who is about to name a file that perhaps nothing else names any more.
        """
        if not self.exists(sha256):
            return False
        with _storage_errors():
            return self._touch(sha256)

    def remove(self, sha256: str, *, unused_for_secs: float) -> bool:
        """Delete an artifact, unless it was stored, or stored again, within the last seconds; return if it is gone.

        An object store knows to half a day only when the same bytes were stored again.
        """
        try:
            with _storage_errors(FileNotFoundError):
                if not self._removed(self._key(sha256), unused_for_secs):
                    return False
        except FileNotFoundError:
            pass
        with contextlib.suppress(FileNotFoundError), _storage_errors(FileNotFoundError):
            if self._size(sha256) is None:  # else it was stored again in this moment
                # A young one is of somebody who is about to store the file again.
                self._removed(self._type_key(sha256), unused_for_secs)
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

    def _touch(self, sha256: str) -> bool:
        """Make an artifact young again; False where it is gone by now."""
        try:
            if self._local:
                os.utime(self._key(sha256))
            elif self._age_secs(self._key(sha256)) > _RENEW_AFTER_SECS:
                self._filesystem.pipe_file(self._key(sha256), self._filesystem.cat_file(self._key(sha256)))
        except FileNotFoundError:
            return False
        return True

    def _removed(self, key: str, unused_for_secs: float) -> bool:
        """Delete a file unless it is younger; return whether it is gone. FileNotFoundError where there is none."""
        if self._age_secs(key) < unused_for_secs:
            return False
        if self._local:
            return _removed(Path(key), unused_for_secs)
        self._filesystem.rm_file(key)
        return True

    def _age_secs(self, key: str) -> float:
        return _age_secs(os.stat(key).st_mtime if self._local else self._filesystem.modified(key))

    def _local_files(self) -> Iterator[StoredFile]:
        for folder in Path(self._root).iterdir():
            for entry in os.scandir(folder) if folder.is_dir() else ():
                if _SHA256.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        found = entry.stat()
                        yield StoredFile(entry.name, found.st_size, _age_secs(found.st_mtime))

    def _objects(self) -> Iterator[StoredFile]:
        for key, told in self._filesystem.find(self._root, detail=True).items():
            sha256 = key.rpartition("/")[2]
            if _SHA256.fullmatch(sha256):
                with contextlib.suppress(FileNotFoundError):
                    changed = _changed(told) or self._filesystem.modified(key)
                    yield StoredFile(sha256, int(told["size"]), _age_secs(changed))

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
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_WRITING)
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


def _removed(path: Path, unused_for_secs: float) -> bool:
    """Delete a file unless it is younger; return whether it is gone.

    It is taken aside first: whoever stores the same bytes meanwhile either finds it gone and writes it anew, or has
    made it young, so that it is put back.
    """
    aside = path.with_name(f"{_REMOVING}{path.name}")
    os.rename(path, aside)
    try:
        if _age_secs(aside.stat().st_mtime) < unused_for_secs:
            os.rename(aside, path)
            return False
        aside.unlink()
    except FileNotFoundError:  # a process that opened the store in this moment has put it back
        return False
    return True


def _tidy(root: Path) -> None:
    """Put back what was taken aside by a process that was killed then, and delete what was half written long ago."""
    for path in root.glob(f"*/{_REMOVING}*"):
        with contextlib.suppress(OSError):
            with contextlib.suppress(FileExistsError):  # it was stored again, and is younger
                os.link(path, path.with_name(path.name.removeprefix(_REMOVING)))
            path.unlink()
    for path in root.glob(f"*/{_WRITING}*"):
        with contextlib.suppress(OSError):
            if _age_secs(path.stat().st_mtime) > _LEFT_AFTER_SECS:
                path.unlink()


def _changed(told: Mapping[str, Any]) -> datetime.datetime | float | None:
    """Return when an object changed last, where the listing says it as a time."""
    return next((told[name] for name in _CHANGED if isinstance(told.get(name), (datetime.datetime, float))), None)


def _age_secs(changed: datetime.datetime | float) -> float:
    """Return how long ago a time was, given as such or in seconds since 1970."""
    if isinstance(changed, datetime.datetime):
        changed = (changed if changed.tzinfo else changed.replace(tzinfo=datetime.UTC)).timestamp()
    return time.time() - changed


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
