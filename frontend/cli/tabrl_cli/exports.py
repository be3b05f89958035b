"""A policy as a file: exported in one of its forms, downloaded, checked, and told how exact it is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from rich.markup import escape
from tabrl.exporter.v1 import exporter_pb2

from tabrl_cli.connection import Connection
from tabrl_cli.console import Output, count
from tabrl_cli.downloads import download

__all__ = ["Format", "export"]

# As long as the gateway waits: the export process may have to start, and others' exports go first.
EXPORT_SECS = 300.0
ROWS = 8


class Format(StrEnum):
    """Form in which a policy can be had."""

    CONTROLLER = "controller"
    FP16 = "fp16"
    INT8 = "int8"
    POLICY = "policy"
    WEIGHTS = "weights"


_CONTRACT = {
    Format.CONTROLLER: exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP32,
    Format.FP16: exporter_pb2.EXPORT_FORMAT_CONTROLLER_FP16,
    Format.INT8: exporter_pb2.EXPORT_FORMAT_CONTROLLER_INT8,
    Format.POLICY: exporter_pb2.EXPORT_FORMAT_POLICY_ONNX,
    Format.WEIGHTS: exporter_pb2.EXPORT_FORMAT_WEIGHTS,
}


def export(connection: Connection, output: Output, *, policy_id: str, form: Format, path: Path | None) -> None:
    """Writes a policy to a file, and the manifest beside it where it is a controller. Raises CallError.

    Args:
        connection: the gateway.
        output: where to tell of it.
        policy_id: id of the policy.
        form: form to have it in.
        path: the file, or a folder for it; None for a name of its own in the working folder.
    """
    request = exporter_pb2.ExportPolicyRequest(policy_id=policy_id, format=_CONTRACT[form])
    answer = connection.call(connection.exporter.ExportPolicy, request, timeout=EXPORT_SECS)
    made = answer.export
    target = _target(path, policy_id, form)
    download(connection.url, answer.download_path, made.file, target)
    written = [(target, made.file.size_bytes)]
    if made.HasField("manifest"):
        beside = target.with_suffix(".manifest.json")
        download(connection.url, f"artifacts/{made.manifest.sha256}", made.manifest, beside)
        written.append((beside, made.manifest.size_bytes))
    if output.as_json:
        output.document(answer)
        return
    for file, size in written:
        output.line(f"[bold]{escape(str(file))}[/bold]  {count(size)} bytes")
    _show_parity(output, made.parity)


def _show_parity(output: Output, parity: exporter_pb2.ParityReport) -> None:
    furthest = sorted(parity.outputs, key=lambda item: -item.max_difference)
    output.table(
        ("output", "largest difference", "allowed"),
        ((item.name, f"{item.max_difference:.2g}", f"{item.tolerance:.2g}") for item in furthest[:ROWS]),
        empty="It says nothing of how exact it is.",
    )
    if len(furthest) > ROWS:
        output.note(f"and {len(furthest) - ROWS} outputs that differ less")
    if furthest:
        output.note(f"from the float32 source, over {count(parity.states)} states of a rollout")


def _target(path: Path | None, policy_id: str, form: Format) -> Path:
    ending = ".zip" if form is Format.WEIGHTS else ".onnx"
    name = f"{policy_id}{'' if form is Format.CONTROLLER else f'-{form.value}'}{ending}"
    if path is None:
        return Path(name)
    return path / name if path.is_dir() else path
