"""`tabrl share-page`: a policy as a page that any web host can serve."""

from __future__ import annotations

import hashlib
import io
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin

import typer
from rich.markup import escape
from tabrl.exporter.v1 import sharing_pb2

from tabrl_cli.connection import DEFAULT_GATEWAY, Connection, UsageError
from tabrl_cli.errors import CallError
from tabrl_cli.session import AsJson, Gateway, open_session

__all__ = ["share_page"]

# Packing compresses two WebAssembly modules.
_PACKING_SECS = 120.0
_DOWNLOAD_SECS = 60.0


def share_page(
    policy_id: Annotated[str, typer.Argument(help="Id of the policy.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to: a .zip, or a folder that does not exist yet.")
    ] = None,
    gateway: Gateway = DEFAULT_GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Make a page that plays a policy in anybody's browser, with no server behind it."""
    with open_session(gateway, as_json) as session:
        if output is not None and output.suffix != ".zip":
            _require_free(output)
        request = sharing_pb2.CreateSharePageRequest(policy_id=policy_id)
        answer = session.connection.call(session.connection.sharing.CreateSharePage, request, _PACKING_SECS)
        content = _downloaded(session.connection, answer)
        # What a service calls a file is no path.
        target = output or Path(Path(answer.file_name).name)
        try:
            _write(content, target)
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror or error}") from error
        session.output.event("page", page=answer.page, path=str(target))
        session.output.line(f"[bold]{escape(str(target))}[/bold]  {len(content) / 1e6:.1f} MB")
        if target.suffix == ".zip":
            session.output.note("Unpack it and put the folder on any web host.")
        else:
            session.output.note(f"Put it on any web host. Here: python3 -m http.server --directory {target}")


def _require_free(folder: Path) -> None:
    if folder.exists():
        raise UsageError(f"{folder} exists already; name another folder, or delete it")


def _downloaded(connection: Connection, answer: sharing_pb2.CreateSharePageResponse) -> bytes:
    url = urljoin(f"{connection.url}/", answer.download_path)
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECS) as response:
            content: bytes = response.read()
    except urllib.error.HTTPError as error:
        code, reason = ("NOT_FOUND", "ARTIFACT_NOT_FOUND") if error.code == 404 else ("UNAVAILABLE", "HTTP_ERROR")
        raise CallError(code, reason, f"{url} answered {error.code}.") from error
    except OSError as error:
        raise CallError("UNAVAILABLE", "GATEWAY_UNREACHABLE", f"{url} did not come: {error}") from error
    if hashlib.sha256(content).hexdigest() != answer.page.sha256:
        raise CallError("FAILED_PRECONDITION", "ARTIFACT_DAMAGED", f"{url} is not the file that was made.")
    return content


def _write(content: bytes, target: Path) -> None:
    """Writes the zip, or the one folder in it as `target`; either is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tabrl-") as beside:
        if target.suffix == ".zip":
            packed = Path(beside, "page.zip")
            packed.write_bytes(content)
            packed.replace(target)
            return
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(beside)
        (folder,) = Path(beside).iterdir()
        folder.rename(target)
