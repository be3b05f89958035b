"""What the Exporter stores: the media types of its files, and the manifest among them."""

from __future__ import annotations

from typing import Final

from google.protobuf import json_format
from tabrl.exporter.v1 import manifest_pb2

__all__ = ["ASSET_TYPE", "JSON_TYPE", "ONNX_TYPE", "XML_TYPE", "ZIP_TYPE", "parse_manifest"]

ONNX_TYPE: Final = "application/octet-stream"
ASSET_TYPE: Final = "application/octet-stream"
XML_TYPE: Final = "application/xml"
JSON_TYPE: Final = "application/json"
ZIP_TYPE: Final = "application/zip"


def parse_manifest(content: bytes) -> manifest_pb2.ControllerManifest:
    """Returns the manifest in a file of the store, which a newer TabRL may have written.

    Raises:
        json_format.ParseError: it is none.
    """
    return json_format.Parse(content, manifest_pb2.ControllerManifest(), ignore_unknown_fields=True)
