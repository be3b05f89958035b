"""`tabrl share-page`: a policy as a page that any web host can serve."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from tabrl.exporter.v1 import sharing_pb2

from tabrl_cli.connection import DEFAULT_GATEWAY, Connection, UsageError
from tabrl_cli.downloads import cannot_write, download, receive
from tabrl_cli.policy_names import PolicyName, policy_id_of
from tabrl_cli.session import AsJson, Gateway, open_session

__all__ = ["share_page"]

# Packing compresses two WebAssembly modules.
_PACKING_SECS = 120.0


def share_page(
    policy: PolicyName,
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
        request = sharing_pb2.CreateSharePageRequest(policy_id=policy_id_of(session.connection, policy))
        answer = session.connection.call(session.connection.sharing.CreateSharePage, request, _PACKING_SECS)
        # What a service calls a file is no path.
        target = output or Path(Path(answer.file_name).name)
        try:
            _write(session.connection, answer, target)
        except OSError as error:
            raise cannot_write(target, error) from error
        session.output.event("page", page=answer.page, path=str(target))
        session.output.line(f"[bold]{escape(str(target))}[/bold]  {answer.page.size_bytes / 1e6:.1f} MB")
        if target.suffix == ".zip":
            session.output.note("Unpack it and put the folder on any web host.")
        else:
            session.output.note(f"Put it on any web host. Here: python3 -m http.server --directory {target}")


def _require_free(folder: Path) -> None:
    if folder.exists():
        raise UsageError(f"{folder} exists already; name another folder, or delete it")


def _write(connection: Connection, answer: sharing_pb2.CreateSharePageResponse, target: Path) -> None:
    """Writes the zip, or the one folder in it as `target`; either is there whole or not at all."""
    if target.suffix == ".zip":
        target.parent.mkdir(parents=True, exist_ok=True)
        download(connection.url, answer.download_path, answer.page, target)
        return
    with tempfile.TemporaryFile() as packed:
        receive(connection.url, answer.download_path, answer.page, packed)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tabrl-") as beside:
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(beside)
            (folder,) = Path(beside).iterdir()
            folder.rename(target)
