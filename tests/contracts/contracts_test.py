"""What the contracts promise, beyond what buf checks."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import protovalidate
import pytest
import yaml
from google.protobuf import symbol_database
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from tabrl.type.v1 import error_pb2

from tests.contracts.contracts import REPOSITORY, Rpc, files, rpcs, services

CODES = frozenset(
    {
        "ABORTED",
        "ALREADY_EXISTS",
        "DEADLINE_EXCEEDED",
        "FAILED_PRECONDITION",
        "INTERNAL",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "OUT_OF_RANGE",
        "RESOURCE_EXHAUSTED",
        "UNAVAILABLE",
    }
)
REASONS = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()}  # noqa: SIM118
# Cannot fail but for what any call can meet: a service that is down, a defect.
CANNOT_FAIL = {"tabrl.rewardgen.v1.RewardService.ListModels"}
EXAMPLES = json.loads((Path(__file__).parent / "requests.json").read_text())

for file in files():
    importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")


def message(type_name: str, content: dict[str, Any]) -> Message:
    """A message of a type by its full name."""
    return ParseDict(content, symbol_database.Default().GetSymbol(type_name.removeprefix("."))())


@pytest.mark.parametrize("rpc", list(rpcs()), ids=lambda rpc: rpc.name)
class TestEveryRpc:
    def test_documents_a_status_code(self, rpc: Rpc) -> None:
        if rpc.name in CANNOT_FAIL:
            return
        borrowed = re.search(r"Errors are those of (\w+)", rpc.comment)
        if borrowed:
            assert any(other.descriptor.name == borrowed[1] for other in rpcs())
            return
        assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)*\b", rpc.comment)) & CODES, f"{rpc.name} documents no status code"

    def test_names_reasons_that_exist(self, rpc: Rpc) -> None:
        for listed in re.findall(rf"\b(?:{'|'.join(CODES)}) \(([A-Z_, ]+)\)", rpc.comment):
            for reason in listed.split(", "):
                assert reason in REASONS, f"{rpc.name} names {reason}, which is not in ErrorReason"

    def test_has_an_example_of_its_request(self, rpc: Rpc) -> None:
        assert rpc.descriptor.input_type.removeprefix(".") in EXAMPLES["valid"], "add one to requests.json"


@pytest.mark.parametrize(
    ("type_name", "content"),
    [(name, content) for name, contents in EXAMPLES["valid"].items() for content in contents],
)
def test_requests_that_were_valid_stay_valid(type_name: str, content: dict[str, Any]) -> None:
    protovalidate.validate(message(type_name, content))


@pytest.mark.parametrize(
    ("type_name", "field", "content"),
    [(name, case["field"], case["request"]) for name, cases in EXAMPLES["invalid"].items() for case in cases],
)
def test_rules_name_the_field_they_refuse(type_name: str, field: str, content: dict[str, Any]) -> None:
    with pytest.raises(protovalidate.ValidationError) as raised:
        protovalidate.validate(message(type_name, content))
    places = [
        ".".join(element.field_name for element in violation.proto.field.elements)
        for violation in raised.value.violations
    ]
    assert field in places


def test_every_route_is_of_one_method_alone() -> None:
    seen: dict[tuple[str, str], str] = {}
    for rpc in rpcs():
        if rpc.http is None:
            continue
        verb = rpc.http.WhichOneof("pattern")
        assert verb is not None
        path = getattr(rpc.http, verb)
        assert path.startswith("/api/"), rpc.name
        shape = re.sub(r"\{[^}]*\}", "{}", path)
        assert seen.setdefault((verb, shape), rpc.name) == rpc.name


def test_reads_are_safe_to_repeat() -> None:
    for rpc in rpcs():
        if re.match(r"(Get|List|Watch|Estimate)", rpc.descriptor.name):
            assert rpc.descriptor.options.idempotency_level == rpc.descriptor.options.NO_SIDE_EFFECTS, rpc.name


def test_the_gateway_knows_every_service() -> None:
    text = re.sub(r"\$\{\w+\}", "1", (REPOSITORY / "gateway" / "envoy.yaml").read_text())
    configuration = yaml.safe_load(text)
    manager = configuration["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    filters = {item["name"]: item["typed_config"] for item in manager["http_filters"]}
    assert sorted(filters["envoy.filters.http.grpc_json_transcoder"]["services"]) == sorted(services())
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    prefixes = [route["match"]["prefix"] for route in routes if "prefix" in route["match"]]
    for service in services():
        assert f"/{service.rsplit('.', 1)[0]}." in prefixes
    known = {f"/{rpc.service}/{rpc.descriptor.name}" for rpc in rpcs()}
    for route in routes:
        path = route["match"].get("path", "")
        assert not path.startswith("/tabrl.") or path in known, f"{path} is no method any more"


def test_a_stream_has_a_route_without_a_time_limit() -> None:
    text = (REPOSITORY / "gateway" / "envoy.yaml").read_text()
    for rpc in rpcs():
        if rpc.descriptor.server_streaming:
            route = re.search(rf"path: /{re.escape(rpc.service)}/{rpc.descriptor.name} }}\n\s+route: {{(.*)}}", text)
            assert route, f"{rpc.name} would end after the time limit of unary calls"
            assert " timeout: 0s" in route[1]
