"""The artifact store, and its HTTP face."""

import datetime
import errno
import hashlib
import os
import time

import aiohttp
import fsspec
import grpc
import pytest
from aiohttp.test_utils import TestClient, TestServer
from fsspec.implementations.memory import MemoryFileSystem

from tabrl_chassis import artifacts
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.http import http_application

XML = b"<mujoco/>"
XML_SHA256 = hashlib.sha256(XML).hexdigest()


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return ArtifactStore(tmp_path / "artifacts" if request.param == "folder" else f"memory://{tmp_path.name}")


def test_what_is_put_is_found_by_its_digest(store, tmp_path):
    artifact = store.put(XML, "application/xml")
    assert (artifact.sha256, artifact.size_bytes, artifact.media_type) == (XML_SHA256, 9, "application/xml")
    assert store.put(XML, "application/xml") == artifact
    assert store.describe(XML_SHA256) == artifact
    assert store.read(XML_SHA256) == XML
    assert store.local_path(XML_SHA256).read_bytes() == XML
    assert b"".join(store.chunks(XML_SHA256, 1, 7)) == b"mujoco"
    assert store.exists(XML_SHA256)
    file = tmp_path / "file"
    file.write_bytes(b"")
    assert store.put_file(file).size_bytes == 0
    store.check()


def test_what_is_removed_is_gone_and_what_was_stored_a_moment_ago_stays(store):
    sha256 = store.put(XML, "application/xml").sha256
    assert not store.remove(sha256, unused_for_secs=600.0)
    assert store.read(sha256) == XML
    assert store.remove(sha256, unused_for_secs=0.0)
    assert not store.exists(sha256)
    assert store.remove(sha256, unused_for_secs=0.0)  # it is gone already
    assert store.put(XML).media_type == "application/octet-stream"
    assert store.describe(sha256).media_type == "application/octet-stream"


def test_storing_the_same_bytes_again_keeps_them_from_being_removed(tmp_path):
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML).sha256)
    os.utime(path, (0, 0))
    store.put(XML)
    assert not store.remove(XML_SHA256, unused_for_secs=600.0)


def test_everything_stored_is_listed_and_nothing_that_is_being_written(store, tmp_path):
    assert list(store.stored()) == []
    digests = {store.put(XML, "application/xml").sha256: len(XML), store.put(b"12").sha256: 2}
    (tmp_path / "artifacts" / XML_SHA256[:2]).mkdir(parents=True, exist_ok=True)
    (tmp_path / "artifacts" / XML_SHA256[:2] / ".writing-x").write_bytes(b"half")

    found = list(store.stored())

    assert {each.sha256: each.size_bytes for each in found} == digests
    assert all(-60 < each.age_secs < 60 for each in found)


def test_an_old_file_is_listed_with_its_age(tmp_path):
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML).sha256)
    os.utime(path, (0, time.time() - 7200))
    (found,) = store.stored()
    assert found.age_secs == pytest.approx(7200, abs=60)


def test_what_is_renewed_is_not_removed(store):
    sha256 = store.put(XML).sha256
    _age(store, sha256, days=2)
    assert store.renew(sha256)
    assert not store.remove(sha256, unused_for_secs=24 * 3600.0)
    assert store.describe(sha256).size_bytes == len(XML)
    _age(store, sha256, days=2)
    assert store.remove(sha256, unused_for_secs=24 * 3600.0)
    assert not store.renew(sha256)
    assert not store.renew("no digest")


def test_storing_again_renews_what_an_object_store_has_held_for_long(store):
    sha256 = store.put(XML).sha256
    _age(store, sha256, days=2)
    store.put(XML)
    assert not store.remove(sha256, unused_for_secs=24 * 3600.0)


def test_what_is_stored_again_while_it_is_removed_stays(tmp_path, monkeypatch):
    # given a file that is stored again between the look at its age and its removal
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML).sha256)
    os.utime(path, (0, 0))
    rename = os.rename

    def stored_meanwhile(source, target):
        monkeypatch.setattr(os, "rename", rename)
        store.put(XML)
        rename(source, target)

    monkeypatch.setattr(os, "rename", stored_meanwhile)
    assert not store.remove(XML_SHA256, unused_for_secs=600.0)
    assert store.read(XML_SHA256) == XML


def test_what_is_taken_aside_while_it_is_stored_again_is_written_anew(tmp_path, monkeypatch):
    # given a file that goes between the look at its bytes and the touch of it
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML).sha256)
    touch = os.utime

    def gone(*arguments):
        monkeypatch.setattr(os, "utime", touch)
        path.unlink()
        touch(*arguments)

    monkeypatch.setattr(os, "utime", gone)
    store.put(XML)
    assert store.read(XML_SHA256) == XML


class ListingFileSystem(MemoryFileSystem):
    """An object store whose client remembers what it listed, as those of S3 and Google do."""

    protocol = "listing"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("listing://"))

    def ls(self, path, detail=True, **kwargs):
        path = self._strip_protocol(path)
        if path not in self.dircache:
            self.dircache[path] = super().ls(path, detail=True, **kwargs)
        listed = self.dircache[path] if path in self.dircache else super().ls(path, detail=True, **kwargs)
        return listed if detail else [entry["name"] for entry in listed]

    def info(self, path, **kwargs):
        path = self._strip_protocol(path)
        folder = self._parent(path)
        if folder not in self.dircache:
            return super().info(path, **kwargs)
        for entry in self.dircache[folder]:
            if entry["name"] == path:
                return entry
        raise FileNotFoundError(path)

    def find(self, path, **kwargs):
        return fsspec.AbstractFileSystem.find(self, path, **kwargs)

    def modified(self, path):
        return self.info(path)["created"]


fsspec.register_implementation("listing", ListingFileSystem, clobber=True)


def test_what_another_process_stores_after_a_listing_is_there(tmp_path):
    here, other = ArtifactStore(f"listing://{tmp_path.name}"), ArtifactStore(f"memory://{tmp_path.name}")
    # Given a file in the same folder of the store, so that the folder has been listed
    folder = XML_SHA256[:2]
    other._filesystem.pipe_file(f"{other._root}/{folder}/{folder}{'0' * 62}", b"beside")
    assert len(list(here.stored())) == 1
    other.put(XML)
    assert here.exists(XML_SHA256)
    assert here.read(XML_SHA256) == XML
    assert len(list(here.stored())) == 2


def test_what_another_process_renews_after_a_listing_is_not_removed(tmp_path):
    here, other = ArtifactStore(f"listing://{tmp_path.name}"), ArtifactStore(f"memory://{tmp_path.name}")
    other.put(XML)
    file = other._filesystem.store[other._filesystem._strip_protocol(other._key(XML_SHA256))]
    file.created = file.modified = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
    (found,) = here.stored()
    assert found.age_secs > 24 * 3600.0
    assert other.renew(XML_SHA256)
    assert not here.remove(XML_SHA256, unused_for_secs=24 * 3600.0)
    assert here.exists(XML_SHA256)


def test_the_media_type_of_what_is_stored_again_while_it_is_removed_stays(store, monkeypatch):
    # Given a file that is removed between the writing of its media type and of its bytes
    sha256 = store.put(XML, "text/plain").sha256
    _age(store, sha256, days=2)
    write = store._write

    def removed_in_between(key, data):
        write(key, data)
        if key.endswith(".type"):
            assert store.remove(sha256, unused_for_secs=24 * 3600.0)

    monkeypatch.setattr(store, "_write", removed_in_between)
    monkeypatch.setattr(store, "_touch", lambda _sha256: False)
    store.put(XML, "application/xml")
    assert store.describe(sha256).media_type == "application/xml"


def test_opening_puts_back_what_a_killed_process_had_taken_aside(tmp_path):
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML, "application/xml").sha256)
    path.rename(path.with_name(f".removing-{path.name}"))
    other = store.local_path(store.put(b"12").sha256)
    other.with_name(f".removing-{other.name}").write_bytes(b"12")
    reopened = ArtifactStore(tmp_path)
    assert reopened.read(XML_SHA256) == XML
    assert other.read_bytes() == b"12"
    assert not list(tmp_path.glob("*/.*"))


def test_opening_deletes_what_was_half_written_long_ago_and_nothing_that_is_being_written(tmp_path):
    folder = ArtifactStore(tmp_path).local_path(ArtifactStore(tmp_path).put(XML).sha256).parent
    old, new = folder / ".writing-old", folder / ".writing-new"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - 2 * 24 * 3600))
    ArtifactStore(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def _age(store, sha256, *, days):
    """Have a file look as if it had been stored days ago."""
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
    if store._local:
        os.utime(store.local_path(sha256), (0, then.timestamp()))
    else:
        store._filesystem.store[store._filesystem._strip_protocol(store._key(sha256))].modified = then


@pytest.mark.parametrize("digest", ["0" * 64, "", "../../etc/passwd", "A" * 64, "0" * 10_000])
def test_an_unknown_digest_is_artifact_not_found(store, digest):
    assert not store.exists(digest)
    for read in (store.read, store.local_path, store.describe):
        with pytest.raises(TabrlError) as caught:
            read(digest)
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.NOT_FOUND, "ARTIFACT_NOT_FOUND")


def test_a_damaged_file_is_never_handed_out_and_mended_by_storing_it_again(tmp_path):
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML).sha256)
    path.chmod(0o644)
    path.write_bytes(b"<mujocO/>")
    for read in (store.read, store.local_path):
        with pytest.raises(TabrlError, match="damaged") as caught:
            read(XML_SHA256)
        # Not a code that callers try again at.
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ARTIFACT_DAMAGED")
    store.put(XML)
    assert store.local_path(XML_SHA256).read_bytes() == XML


def test_a_file_cut_short_is_written_again(tmp_path):
    store = ArtifactStore(tmp_path)
    path = store.local_path(store.put(XML).sha256)
    path.chmod(0o644)
    path.write_bytes(XML[:4])
    store.put(XML)
    assert store.read(XML_SHA256) == XML


def test_a_full_disk_is_storage_full_and_leaves_nothing_behind(tmp_path, monkeypatch):
    store = ArtifactStore(tmp_path)

    def fsync(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(artifacts.os, "fsync", fsync)
    with pytest.raises(TabrlError) as caught:
        store.put(XML)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_disk_without_room_for_a_copy_from_an_object_store_is_storage_full(tmp_path, monkeypatch):
    store = ArtifactStore(f"memory://{tmp_path.name}")
    store.put(XML)

    def fsync(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(artifacts.os, "fsync", fsync)
        with pytest.raises(TabrlError) as caught:
            store.local_path(XML_SHA256)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
    assert store.local_path(XML_SHA256).read_bytes() == XML


@pytest.fixture
async def http(tmp_path):
    store = ArtifactStore(tmp_path)
    store.put(XML, "application/xml")
    async with TestClient(TestServer(http_application(store))) as client:
        yield client


async def test_get_serves_the_bytes_for_ever(http):
    response = await http.get(f"/artifacts/{XML_SHA256}")
    assert (response.status, await response.read()) == (200, XML)
    assert response.headers["Content-Type"] == "application/xml"
    assert response.headers["ETag"] == f'"{XML_SHA256}"'
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_head_sends_no_bytes(http):
    response = await http.head(f"/artifacts/{XML_SHA256}")
    assert (response.status, response.headers["Content-Length"], await response.read()) == (200, "9", b"")


async def test_a_known_etag_is_not_sent_again(http):
    response = await http.get(f"/artifacts/{XML_SHA256}", headers={"If-None-Match": f'W/"{XML_SHA256}"'})
    assert (response.status, await response.read()) == (304, b"")


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"<muj", "bytes 0-3/9"),
        ("bytes=7-", 206, b"/>", "bytes 7-8/9"),
        ("bytes=-2", 206, b"/>", "bytes 7-8/9"),
        ("bytes=0-999", 206, XML, "bytes 0-8/9"),
        ("bytes=-999", 206, XML, "bytes 0-8/9"),
        ("bytes=9-", 416, b"", "bytes */9"),
        ("bytes=5-2", 416, b"", "bytes */9"),
        ("bytes=0-1,3-4", 200, XML, None),
        ("lines=1", 200, XML, None),
        (f"bytes={'9' * 5000}-", 200, XML, None),
    ],
)
async def test_ranges(http, header, status, body, content_range):
    response = await http.get(f"/artifacts/{XML_SHA256}", headers={"Range": header})
    assert (response.status, await response.read()) == (status, body)
    assert response.headers.get("Content-Range") == content_range


async def test_a_range_of_another_version_gets_everything(http):
    response = await http.get(f"/artifacts/{XML_SHA256}", headers={"Range": "bytes=0-3", "If-Range": '"old"'})
    assert response.status == 200


@pytest.mark.parametrize("path", ["/artifacts/" + "0" * 64, "/artifacts/..%2f..%2fetc%2fpasswd", "/artifacts/x"])
async def test_an_unknown_artifact_is_404_and_not_cached(http, path):
    response = await http.get(path)
    assert response.status == 404
    assert "Cache-Control" not in response.headers
    status = await response.json()
    (info,) = status["details"]
    assert (status["code"], info["reason"], info["domain"]) == (5, "ARTIFACT_NOT_FOUND", "tabrl.dev")
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"


async def test_an_address_that_is_none_is_told_in_the_same_way(http):
    response = await http.get("/artifacts/a/b")
    assert (response.status, (await response.json())["details"][0]["reason"]) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("path", ["/metrics", f"/artifacts/{XML_SHA256}"])
async def test_a_name_that_was_pointed_here_reads_nothing(http, path):
    response = await http.get(path, headers={"Host": "rebound.example.org:8091"})
    assert (response.status, (await response.json())["details"][0]["reason"]) == (403, "HOST_NOT_ALLOWED")
    for host in ("localhost:8091", "127.0.0.1", "[::1]:8091"):
        assert (await http.get(path, headers={"Host": host})).status == 200


async def test_nothing_can_be_written(http):
    response: aiohttp.ClientResponse = await http.put(f"/artifacts/{XML_SHA256}", data=b"x")
    assert response.status == 405
