"""Downloads from a web server that serves, refuses, damages and falls silent."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tabrl.type.v1 import artifact_pb2

from tabrl_cli import downloads
from tabrl_cli.connection import UsageError
from tabrl_cli.downloads import download
from tabrl_cli.errors import CallError

CONTENT = b"controller" * 300_000
ARTIFACT = artifact_pb2.Artifact(sha256=hashlib.sha256(CONTENT).hexdigest(), size_bytes=len(CONTENT))


class Files(ThreadingHTTPServer):
    """Answers each GET with `answer`; when `silent`, with half of it and then nothing until it is closed."""

    def __init__(self) -> None:
        self.status, self.answer, self.silent = 200, CONTENT, False
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        if self.server.silent:
            self.wfile.write(self.server.answer[: len(self.server.answer) // 2])
            self.wfile.flush()
            self.server.closing.wait()
            return
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def files() -> Iterator[Files]:
    """A web server."""
    with Files() as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.closing.set()
        serving.shutdown()
        thread.join()


@pytest.mark.parametrize("path", ["/artifacts/0", "artifacts/0", "{url}/artifacts/0"])
def test_a_file_replaces_what_was_there(files: Files, tmp_path: Path, path: str) -> None:
    target = tmp_path / "dance.onnx"
    target.write_bytes(b"before")

    download(files.url, path.format(url=files.url), ARTIFACT, target)

    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"dance.onnx": CONTENT}


def test_damaged_bytes_leave_what_was_there(files: Files, tmp_path: Path) -> None:
    target = tmp_path / "dance.onnx"
    target.write_bytes(b"before")
    files.answer = CONTENT[:-1]

    with pytest.raises(CallError) as refused:
        download(files.url, "/artifacts/0", ARTIFACT, target)

    assert (refused.value.code, refused.value.reason) == ("DATA_LOSS", "DOWNLOAD_DAMAGED")
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"dance.onnx": b"before"}


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        (404, "NOT_FOUND", "ARTIFACT_NOT_FOUND", "The store holds no such file."),
        (503, "UNAVAILABLE", "SERVICE_UNAVAILABLE", "The Exporter is being started."),
    ],
)
def test_a_refusal_is_told_as_the_server_told_it(
    files: Files, tmp_path: Path, status: int, code: str, reason: str, message: str
) -> None:
    files.status = status
    files.answer = json.dumps({"code": 5, "message": message, "details": [{"reason": reason}]}).encode()

    with pytest.raises(CallError) as refused:
        download(files.url, "/artifacts/0", ARTIFACT, tmp_path / "dance.onnx")

    assert (refused.value.code, refused.value.reason, refused.value.message) == (code, reason, message)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("answer", [b"<h1>Bad gateway</h1>", b"[]", b'{"message": "no details"}'])
def test_a_refusal_of_another_server_is_told_too(files: Files, tmp_path: Path, answer: bytes) -> None:
    files.status, files.answer = 502, answer

    with pytest.raises(CallError) as refused:
        download(files.url, "/artifacts/0", ARTIFACT, tmp_path / "dance.onnx")

    assert (refused.value.code, refused.value.reason) == ("UNAVAILABLE", "DOWNLOAD_FAILED")
    assert "502" in refused.value.message or refused.value.message == "no details"


def test_a_server_that_falls_silent_is_told_as_that(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "SILENCE_SECS", 0.1)
    files.silent = True

    with pytest.raises(CallError) as refused:
        download(files.url, "/artifacts/0", ARTIFACT, tmp_path / "dance.onnx")

    assert (refused.value.code, refused.value.reason) == ("DEADLINE_EXCEEDED", "DOWNLOAD_TIMED_OUT")
    assert not list(tmp_path.iterdir())


def test_a_server_that_never_answers_is_told_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "SILENCE_SECS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(CallError) as refused:
        download(f"http://127.0.0.1:{mute.getsockname()[1]}", "/artifacts/0", ARTIFACT, tmp_path / "dance.onnx")
    assert refused.value.reason == "DOWNLOAD_TIMED_OUT"


def test_a_server_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(CallError) as refused:
        download(f"http://127.0.0.1:{port}", "/artifacts/0", ARTIFACT, tmp_path / "dance.onnx")
    assert (refused.value.code, refused.value.reason) == ("UNAVAILABLE", "GATEWAY_UNREACHABLE")


def test_a_folder_that_cannot_be_written_is_told_as_that(files: Files, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    for target in (tmp_path / "taken" / "dance.onnx", tmp_path / "nowhere" / "dance.onnx"):
        with pytest.raises(UsageError, match=r"dance\.onnx cannot be written"):
            download(files.url, "/artifacts/0", ARTIFACT, target)
