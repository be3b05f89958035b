"""The contracts as data: what buf made of the `.proto` files, comments included."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto

REPOSITORY = Path(__file__).resolve().parents[2]
DESCRIPTORS = REPOSITORY / "protos" / "gen" / "tabrl.binpb"
_SERVICE_FIELD, _METHOD_FIELD = 6, 2
_ENUM_FIELD, _VALUE_FIELD = 5, 2


@dataclass(frozen=True)
class Rpc:
    """One method, its comment and its REST route, if it has one."""

    service: str
    descriptor: MethodDescriptorProto
    comment: str
    http: http_pb2.HttpRule | None

    @property
    def name(self) -> str:
        return f"{self.service}.{self.descriptor.name}"


@functools.cache
def files() -> tuple[FileDescriptorProto, ...]:
    """TabRL's own files."""
    everything = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return tuple(file for file in everything.file if file.package.startswith("tabrl."))


def rpcs() -> Iterator[Rpc]:
    """Every method of every service."""
    for file in files():
        comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for i, service in enumerate(file.service):
            for j, method in enumerate(service.method):
                rule = method.options.Extensions[annotations_pb2.http]
                yield Rpc(
                    f"{file.package}.{service.name}",
                    method,
                    " ".join(comments.get((_SERVICE_FIELD, i, _METHOD_FIELD, j), "").split()),
                    rule if rule.WhichOneof("pattern") else None,
                )


def services() -> list[str]:
    """Full names of the services."""
    return [f"{file.package}.{service.name}" for file in files() for service in file.service]


def reasons() -> dict[str, str]:
    """The comment of each `ErrorReason`, by its name without the prefix."""
    (file,) = [file for file in files() if any(enum.name == "ErrorReason" for enum in file.enum_type)]
    comments = {tuple(place.path): place.leading_comments.strip() for place in file.source_code_info.location}
    return {
        value.name.removeprefix("ERROR_REASON_"): comments[_ENUM_FIELD, 0, _VALUE_FIELD, i]
        for i, value in enumerate(file.enum_type[0].value)
        if value.number
    }
