"""Policies as files: packed by one installation, imported by another."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from rich.markup import escape
from tabrl.exporter.v1 import exporter_pb2, sharing_pb2

from tabrl_cli.connection import Connection, UsageError
from tabrl_cli.console import Output, count
from tabrl_cli.downloads import download
from tabrl_cli.errors import CallError

__all__ = ["import_bundle", "share"]

PIECE_BYTES = 1 << 20
LONGEST_BYTES = 256 << 20
# Packing films the robot, which takes a minute on a machine without a graphics card.
PACKING_SECS = 180.0
# Trying a bundle takes seconds, and minutes at most.
_MOST_TURNS_WAITED = 100


def share(connection: Connection, output: Output, policy_id: str, path: Path | None) -> None:
    """Has a policy packed, and writes the file here."""
    output.note("packing the policy and filming what it does")
    request = sharing_pb2.CreateBundleRequest(policy_id=policy_id)
    answer = connection.call(connection.sharing.CreateBundle, request, timeout=PACKING_SECS)
    # The name is the service's word: only its last part may say where to write.
    target = path or Path(Path(answer.file_name).name or "policy.tabrl")
    if target.is_dir():
        target = target / Path(answer.file_name).name
    download(connection.url, answer.download_path, answer.bundle, target)
    if output.as_json:
        output.event("shared", file=str(target), bundle=answer.bundle, left_out=list(answer.left_out))
        return
    for reason in answer.left_out:
        output.note(f"left out: {escape(reason)}")
    output.line(f"{escape(str(target))}: {answer.bundle.size_bytes / 1e6:,.1f} MB")
    output.line(escape(f"`tabrl play {target}` plays it, `tabrl import {target}` brings it to another TabRL."))


def import_bundle(connection: Connection, output: Output, path: Path) -> None:
    """Sends a bundle in pieces and says which policy it became."""
    try:
        size = path.stat().st_size
        if size > LONGEST_BYTES:
            raise UsageError(f"{path} has {count(size)} bytes; {count(LONGEST_BYTES)} can be imported")
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if not content:
        raise UsageError(f"{path} is empty")
    policy = _sent(connection, output, content)
    if output.as_json:
        output.event("imported", policy=policy)
        return
    output.line(f"policy {escape(policy.policy_id)}: {escape(policy.title or policy.environment_id)}")
    output.line(connection.page(policy=policy.policy_id))


def _sent(connection: Connection, output: Output, content: bytes) -> exporter_pb2.Policy:
    upload_id, received, waits = str(uuid.uuid4()), 0, _MOST_TURNS_WAITED
    while True:
        request = sharing_pb2.ImportBundleRequest(
            upload_id=upload_id,
            size_bytes=len(content),
            offset_bytes=received,
            data=content[received : received + PIECE_BYTES],
        )
        try:
            answer = connection.call(connection.sharing.ImportBundle, request)
        except CallError as error:
            if error.reason == "UPLOAD_OUT_OF_STEP" and waits:  # the service started anew, or had an answer got lost
                waits -= 1
                received = int(error.metadata.get("received_bytes", 0))
                continue
            if error.reason != "TOO_MANY_REQUESTS" or not waits:
                raise
            waits -= 1
            output.note("others' files are being read; waiting")
            time.sleep(error.retry_after_secs or 2.0)
            continue
        if answer.HasField("policy"):
            return answer.policy
        if answer.received_bytes != received:
            received = answer.received_bytes
            output.note(f"sent {received / 1e6:,.1f} of {len(content) / 1e6:,.1f} MB")
            output.event("uploading", received_bytes=received, size_bytes=len(content))
        else:
            output.note("verifying and trying it")
