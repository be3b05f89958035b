"""Fetching a page, from a server that packs as the contract says."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from tabrl.exporter.v1 import registry_pb2_grpc, sharing_pb2, sharing_pb2_grpc
from tabrl.type.v1 import artifact_pb2

from tabrl_cli.conftest import Registry, abort, tabrl
from tabrl_cli.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_NOT_POSSIBLE


class Sharing(sharing_pb2_grpc.SharingServiceServicer):
    """Packs one policy; its files are fetched from a web server of its own, by a full address."""

    def __init__(self, files: Path, url: str) -> None:
        self.files = files
        self._url = url
        self.built = True

    def CreateSharePage(
        self, request: sharing_pb2.CreateSharePageRequest, context: grpc.ServicerContext
    ) -> sharing_pb2.CreateSharePageResponse:
        if request.policy_id != "p1":
            abort(context, grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND", "There is no such policy.")
        if not self.built:
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, "PAGE_NOT_BUILT", "There is no built page.")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("CartpoleBalance-p1/index.html", "<title>Sway</title>")
            archive.writestr("CartpoleBalance-p1/files/00ff", "graph")
        content = buffer.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        (self.files / sha256).write_bytes(content)
        return sharing_pb2.CreateSharePageResponse(
            page=artifact_pb2.Artifact(sha256=sha256, size_bytes=len(content), media_type="application/zip"),
            download_path=f"{self._url}/{sha256}",
            file_name="CartpoleBalance-p1-page.zip",
        )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[tuple[Sharing, str]]:
    """A service and the URL to name it by."""
    files = tmp_path / "files"
    files.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(files))) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        servicer = Sharing(files, f"http://127.0.0.1:{web.server_address[1]}")
        running = grpc.server(futures.ThreadPoolExecutor(2))
        sharing_pb2_grpc.add_SharingServiceServicer_to_server(servicer, running)
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(Registry("p1"), running)
        port = running.add_insecure_port("127.0.0.1:0")
        running.start()
        yield servicer, f"http://127.0.0.1:{port}"
        running.stop(None)
        web.shutdown()


def test_a_page_is_written_as_a_zip(sharing: tuple[Sharing, str], tmp_path: Path) -> None:
    result = tabrl(sharing[1], "share-page", "p1", "-o", str(tmp_path / "out" / "page.zip"))

    assert result.exit_code == 0, result.output
    with zipfile.ZipFile(tmp_path / "out" / "page.zip") as archive:
        assert "CartpoleBalance-p1/index.html" in archive.namelist()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["page.zip"]


def test_a_page_of_a_registered_version(sharing: tuple[Sharing, str], tmp_path: Path) -> None:
    result = tabrl(sharing[1], "share-page", "go1-dance@latest", "-o", str(tmp_path / "site"))

    assert result.exit_code == 0, result.output
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_page_is_unpacked_into_the_folder_that_is_named(sharing: tuple[Sharing, str], tmp_path: Path) -> None:
    result = tabrl(sharing[1], "share-page", "p1", "-o", str(tmp_path / "site"))

    assert result.exit_code == 0, result.output
    assert (tmp_path / "site" / "index.html").read_text() == "<title>Sway</title>"
    assert (tmp_path / "site" / "files" / "00ff").is_file()


def test_without_a_name_it_has_the_services(
    sharing: tuple[Sharing, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = tabrl(sharing[1], "share-page", "p1")

    assert result.exit_code == 0, result.output
    assert zipfile.is_zipfile("CartpoleBalance-p1-page.zip")


def test_what_is_there_already_stays(sharing: tuple[Sharing, str], tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "diary.txt").write_text("mine")

    result = tabrl(sharing[1], "share-page", "p1", "-o", str(tmp_path / "site"))

    assert result.exit_code == EXIT_BAD_INPUT
    assert "exists already" in result.output
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["diary.txt"]


@pytest.mark.parametrize("name", ["page.zip", "site"])
def test_a_file_that_is_not_the_one_that_was_made_is_not_written(
    sharing: tuple[Sharing, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: path.write_text("damaged"))
    (tmp_path / "out").mkdir()

    result = tabrl(sharing[1], "share-page", "p1", "-o", str(tmp_path / "out" / name))

    assert result.exit_code == EXIT_FAILED
    assert "DOWNLOAD_DAMAGED" in result.output
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["page.zip", "site"])
def test_a_page_that_cannot_be_written_is_told_as_that(sharing: tuple[Sharing, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "taken").write_text("a file, no folder")

    result = tabrl(sharing[1], "share-page", "p1", "-o", str(tmp_path / "taken" / name))

    assert result.exit_code == EXIT_BAD_INPUT
    assert "cannot be written" in result.output


def test_what_cannot_be_made_is_said(sharing: tuple[Sharing, str], tmp_path: Path) -> None:
    target = str(tmp_path / "page.zip")

    unknown = tabrl(sharing[1], "share-page", "p2", "-o", target)
    sharing[0].built = False
    unbuilt = tabrl(sharing[1], "share-page", "p1", "-o", target)

    assert unknown.exit_code == EXIT_NOT_FOUND
    assert unbuilt.exit_code == EXIT_NOT_POSSIBLE
    assert "make install" in unbuilt.output
