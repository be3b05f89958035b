"""Policies as files, through a gateway that has calls and files at one port, as the real one."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, registry_pb2_grpc

from tabrl_cli.conftest import Registry, abort, tabrl

FILES = {
    exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP32: b"controller",
    exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16: b"half the controller",
    exporter_pb2.EXPORT_FORMAT_CONTROLLER_INT8: b"a quarter of it",
    exporter_pb2.EXPORT_FORMAT_POLICY_ONNX: b"network" * 300_000,
    exporter_pb2.EXPORT_FORMAT_WEIGHTS: b"arrays",
}
MANIFEST = b'{"specification": 1}'


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Gateway(ThreadingHTTPServer):
    """Hands connections that speak HTTP/2 on to a gRPC server, and answers the others with files."""

    def __init__(self, services_port: int) -> None:
        self.services_port = services_port
        self.files = {f"/artifacts/{sha256(content)}": content for content in [*FILES.values(), MANIFEST]}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def handle(self) -> None:
        if self.connection.recv(3, socket.MSG_PEEK) != b"PRI":
            super().handle()
            return
        upstream = socket.create_connection(("127.0.0.1", self.server.services_port))
        back = threading.Thread(target=_pour, args=(upstream, self.connection))
        back.start()
        _pour(self.connection, upstream)
        back.join()

    def do_GET(self) -> None:
        content = self.server.files.get(self.path)
        if content is None:
            content = json.dumps(
                {"code": 5, "message": "The store holds no such file.", "details": [{"reason": "ARTIFACT_NOT_FOUND"}]}
            ).encode()
        self.send_response(200 if self.path in self.server.files else 404)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _pour(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # either side has gone


class Exporter(exporter_pb2_grpc.ExporterServiceServicer):
    """Exports one policy in every form."""

    def ExportPolicy(self, request, context):  # type: ignore[no-untyped-def]
        if request.policy_id != "p1":
            abort(context, grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND", f"There is no policy {request.policy_id!r}.")
        if request.format == exporter_pb2.EXPORT_FORMAT_CONTROLLER_INT8:
            abort(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "PARITY_FAILED",
                "As int8 the policy does something else.",
                fields={"action": "differs by 0.5, allowed 0.1"},
                metadata={"form": "int8"},
            )
        made = exporter_pb2.PolicyExport(format=request.format)
        content = FILES[request.format]
        made.file.sha256, made.file.size_bytes = sha256(content), len(content)
        if request.format <= exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16:
            made.manifest.sha256, made.manifest.size_bytes = sha256(MANIFEST), len(MANIFEST)
        made.parity.states = 200
        made.parity.outputs.add(name="reward", max_difference=1e-7, tolerance=1e-5)
        made.parity.outputs.add(name="action", max_difference=0.00123, tolerance=0.01)
        return exporter_pb2.ExportPolicyResponse(export=made, download_path=f"/artifacts/{made.file.sha256}")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway in front of an Exporter; files go to `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    services = grpc.server(futures.ThreadPoolExecutor(2))
    exporter_pb2_grpc.add_ExporterServiceServicer_to_server(Exporter(), services)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Registry("p1"), services)
    running = Gateway(services.add_insecure_port("127.0.0.1:0"))
    services.start()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    services.stop(None)
    running.shutdown()
    thread.join()
    running.server_close()


def test_the_controller_comes_with_its_manifest(gateway: Gateway, tmp_path: Path) -> None:
    result = tabrl(gateway.url, "export", "p1")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "p1.onnx").read_bytes() == b"controller"
    assert (tmp_path / "p1.manifest.json").read_bytes() == MANIFEST
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p1.manifest.json", "p1.onnx"]
    assert "p1.onnx  10 bytes" in result.output
    # the output that differs most comes first, with what is allowed
    action, reward = result.output.index("action"), result.output.index("reward")
    assert action < reward
    assert result.output[action:reward].split() == ["action", "0.0012", "0.01"]
    assert "200 states" in result.output


@pytest.mark.parametrize(
    ("form", "name", "content"),
    [
        ("fp16", "p1-fp16.onnx", FILES[exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16]),
        ("policy", "p1-policy.onnx", FILES[exporter_pb2.EXPORT_FORMAT_POLICY_ONNX]),
        ("weights", "p1-weights.zip", FILES[exporter_pb2.EXPORT_FORMAT_WEIGHTS]),
    ],
)
def test_every_form_has_a_name_of_its_own(
    gateway: Gateway, tmp_path: Path, form: str, name: str, content: bytes
) -> None:
    result = tabrl(gateway.url, "export", "p1", "--format", form)
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_bytes() == content
    assert len(list(tmp_path.iterdir())) == (2 if form == "fp16" else 1)


def test_a_file_or_a_folder_can_be_named(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    assert tabrl(gateway.url, "export", "p1", "-o", "policies").exit_code == 0
    assert tabrl(gateway.url, "export", "p1", "--format", "weights", "-o", "walker.zip").exit_code == 0
    assert {path.name for path in (tmp_path / "policies").iterdir()} == {"p1.onnx", "p1.manifest.json"}
    assert (tmp_path / "walker.zip").read_bytes() == b"arrays"

    result = tabrl(gateway.url, "export", "p1", "-o", "nowhere/walker.onnx")
    assert result.exit_code == 2
    assert "cannot be written" in result.output


def test_a_version_is_exported_under_the_id_of_its_policy(gateway: Gateway, tmp_path: Path) -> None:
    assert tabrl(gateway.url, "export", "go1-dance@latest").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"p1.onnx", "p1.manifest.json"}
    assert tabrl(gateway.url, "export", "go1-dance@stable").exit_code == 3


def test_for_programs_there_is_the_answer_itself(gateway: Gateway) -> None:
    result = tabrl(gateway.url, "export", "p1", "--format", "weights", "--json")
    answer = json.loads(result.output)
    assert answer["export"]["file"]["sha256"] == sha256(b"arrays")
    assert answer["download_path"] == f"/artifacts/{sha256(b'arrays')}"


def test_a_damaged_download_is_not_kept(gateway: Gateway, tmp_path: Path) -> None:
    # Given a file that is there from before
    (tmp_path / "p1.onnx").write_bytes(b"before")
    gateway.files[f"/artifacts/{sha256(b'controller')}"] = b"contr"

    result = tabrl(gateway.url, "export", "p1")

    assert result.exit_code == 1
    assert "DOWNLOAD_DAMAGED" in result.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"p1.onnx": b"before"}


def test_a_file_that_is_gone_is_told_as_the_service_tells_it(gateway: Gateway, tmp_path: Path) -> None:
    gateway.files.clear()
    result = tabrl(gateway.url, "export", "p1", "--json")
    assert result.exit_code == 3
    error = json.loads(result.output)["error"]
    assert (error["reason"], error["message"]) == ("ARTIFACT_NOT_FOUND", "The store holds no such file.")
    assert not list(tmp_path.iterdir())


def test_a_form_that_is_too_far_off_is_refused_with_what_to_take_instead(gateway: Gateway, tmp_path: Path) -> None:
    result = tabrl(gateway.url, "export", "p1", "--format", "int8")
    assert result.exit_code == 5
    assert "differs by 0.5, allowed 0.1" in result.output
    assert "the controller itself" in result.output
    assert not list(tmp_path.iterdir())


def test_a_policy_that_is_not_there_is_told(gateway: Gateway) -> None:
    result = tabrl(gateway.url, "export", "p2")
    assert result.exit_code == 3
    assert "tabrl policies" in result.output
