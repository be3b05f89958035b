"""Policies as files, against a server that packs and takes them as the contract says, and the player as it is here."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from types import ModuleType

import grpc
import pytest
from tabrl.exporter.v1 import exporter_pb2, registry_pb2_grpc, sharing_pb2, sharing_pb2_grpc
from tabrl.type.v1 import artifact_pb2
from typer.testing import CliRunner, Result

from tabrl_cli import main
from tabrl_cli.conftest import Registry, abort, tabrl
from tabrl_cli.errors import CallError

_PACKED = b"a bundle"


class Sharing(sharing_pb2_grpc.SharingServiceServicer):
    """Packs one policy; takes pieces in order, and needs a call after the last one to have tried them."""

    def __init__(self) -> None:
        super().__init__()
        self.file_name = "CartpoleBalance-p7x2.tabrl"
        self.received = b""
        self.forgets_at = -1
        self.refuses = False

    def CreateBundle(
        self, request: sharing_pb2.CreateBundleRequest, context: grpc.ServicerContext
    ) -> sharing_pb2.CreateBundleResponse:
        if request.policy_id != "policy-1":
            abort(context, grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND", "There is no such policy.")
        digest = hashlib.sha256(_PACKED).hexdigest()
        return sharing_pb2.CreateBundleResponse(
            bundle=artifact_pb2.Artifact(sha256=digest, size_bytes=len(_PACKED)),
            download_path=f"/artifacts/{digest}",
            file_name=self.file_name,
            left_out=["video.webp: nothing draws here"],
        )

    def ImportBundle(
        self, request: sharing_pb2.ImportBundleRequest, context: grpc.ServicerContext
    ) -> sharing_pb2.ImportBundleResponse:
        if len(self.received) == self.forgets_at:
            self.received, self.forgets_at = b"", -1
        if request.offset_bytes != len(self.received):
            step = {"received_bytes": str(len(self.received))}
            abort(context, grpc.StatusCode.OUT_OF_RANGE, "UPLOAD_OUT_OF_STEP", "go on from there", metadata=step)
        self.received += request.data
        answer = sharing_pb2.ImportBundleResponse(received_bytes=len(self.received))
        if len(self.received) == request.size_bytes and not request.data:
            if self.refuses:
                rule = {"rule": "DIGEST", "file": "controller.onnx"}
                abort(context, grpc.StatusCode.INVALID_ARGUMENT, "BUNDLE_REFUSED", "a wrong digest", metadata=rule)
            answer.policy.CopyFrom(exporter_pb2.Policy(policy_id="ipolicy", title="dance"))
        return answer


@pytest.fixture
def sharing_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Sharing, str, list[str]]]:
    """A server, its URL, and the files that were asked of it over HTTP."""
    servicer, asked = Sharing(), []

    def download(url: str, *, timeout: float) -> io.BytesIO:
        assert timeout > 0
        asked.append(url)
        return io.BytesIO(_PACKED)

    monkeypatch.setattr("urllib.request.urlopen", download)
    running = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    sharing_pb2_grpc.add_SharingServiceServicer_to_server(servicer, running)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Registry("policy-1"), running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield servicer, f"http://127.0.0.1:{port}", asked
    running.stop(None)


def test_a_policy_is_packed_and_written_here(
    sharing_server: tuple[Sharing, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servicer, url, asked = sharing_server
    monkeypatch.chdir(tmp_path)

    result = tabrl(url, "share", "policy-1")
    named = tabrl(url, "share", "go1-dance@latest", "-o", "dance.tabrl")

    assert result.exit_code == 0, result.output
    assert "nothing draws here" in result.output
    assert asked == [f"{url}/artifacts/{hashlib.sha256(_PACKED).hexdigest()}"] * 2
    assert named.exit_code == 0, named.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "CartpoleBalance-p7x2.tabrl": _PACKED,
        "dance.tabrl": _PACKED,
    }
    # and a name that leads elsewhere leads nowhere
    servicer.file_name = "../../evil.tabrl"
    assert tabrl(url, "share", "policy-1").exit_code == 0
    assert (tmp_path / "evil.tabrl").exists()


def test_a_file_that_arrives_damaged_is_not_kept(
    sharing_server: tuple[Sharing, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda _url, timeout: io.BytesIO(_PACKED[:-1]))
    result = tabrl(sharing_server[1], "share", "policy-1", "-o", str(tmp_path / "dance.tabrl"))
    assert result.exit_code == 1
    assert "DOWNLOAD_DAMAGED" in result.output
    assert not list(tmp_path.iterdir())
    assert tabrl(sharing_server[1], "share", "none").exit_code == 3


def test_a_bundle_is_sent_in_pieces_and_taken_up_where_the_service_forgot_it(
    sharing_server: tuple[Sharing, str, list[str]], tmp_path: Path
) -> None:
    servicer, url, _ = sharing_server
    content = bytes(range(256)) * (5 << 11)  # two pieces and a half
    (tmp_path / "dance.tabrl").write_bytes(content)
    servicer.forgets_at = 2 << 20

    result = tabrl(url, "import", str(tmp_path / "dance.tabrl"))

    assert result.exit_code == 0, result.output
    assert "policy ipolicy: dance" in result.output
    assert f"{url}/?policy=ipolicy" in result.output
    assert servicer.received == content


def test_a_refused_bundle_is_named_by_its_rule(sharing_server: tuple[Sharing, str, list[str]], tmp_path: Path) -> None:
    sharing_server[0].refuses = True
    (tmp_path / "evil.tabrl").write_bytes(b"x")
    result = tabrl(sharing_server[1], "import", str(tmp_path / "evil.tabrl"), "--json")
    assert result.exit_code == 2
    error = json.loads(result.output.splitlines()[-1])["error"]
    assert (error["reason"], error["metadata"]["rule"]) == ("BUNDLE_REFUSED", "DIGEST")
    for path in ("none.tabrl", "."):
        assert tabrl(sharing_server[1], "import", str(tmp_path / path)).exit_code == 2


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("DIGEST", "made or sent again"),
        ("TRIAL_TOO_HEAVY", "smaller scene"),
        ("TRIAL_SCENE", "MuJoCo"),
        ("TRIAL_SIZES", "do not fit"),
    ],
)
def test_what_to_do_about_a_refused_bundle_follows_from_the_rule(rule: str, said: str) -> None:
    assert said in CallError("INVALID_ARGUMENT", "BUNDLE_REFUSED", "refused", metadata={"rule": rule}).remedy


def test_a_bundle_is_played_and_unpacked_without_a_server(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bundle, sample = _player("bundle"), _player("sample")
    path = tmp_path / "pole.tabrl"
    path.write_bytes(bundle.write_bundle(sample.sample_contents()))

    played = local("play", str(path), "--headless", "--secs", "1", "--json")
    assert played.exit_code == 0, capfd.readouterr().err
    assert json.loads(capfd.readouterr().out)["steps"] == 50

    assert local("unpack", str(path), str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out" / "scene" / "scene.xml").exists()

    path.write_bytes(b"no bundle")
    assert local("play", str(path), "--headless").exit_code == 2
    assert "NOT_A_ZIP" in capfd.readouterr().err


def local(*arguments: str) -> Result:
    """Runs the program for what needs no server."""
    return CliRunner().invoke(main.app, [*arguments])


def _player(name: str) -> ModuleType:
    return pytest.importorskip(f"tabrl.play.{name}", reason="the package tabrl-play is not installed")


def test_without_the_player_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    result = local("play", str(tmp_path / "pole.tabrl"))
    assert result.exit_code == 2
    assert "pip install ./players/python" in result.output
