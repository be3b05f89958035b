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
from buf.validate import validate_pb2
from google.protobuf import symbol_database
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from tabrl_chassis.validation import PATTERNS_IN_WORDS

from tests.contracts.contracts import REPOSITORY, Rpc, files, reasons, rpcs, services

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
# What is said of each reason; it begins with the status code that the reason comes with.
REASONS = reasons()
# Fields that every call refuses in the same way.
REFUSED_FIELDS = {
    "environment_id": "ENVIRONMENT_NOT_FOUND",
    "policy_id": "POLICY_NOT_FOUND",
    "reward_id": "REWARD_NOT_FOUND",
    "run_id": "RUN_NOT_FOUND",
    "batch_id": "BATCH_NOT_FOUND",
    "request_id": "REQUEST_ID_REUSED",
    "page_token": "INVALID_PAGE_TOKEN",
}
# Cannot fail but for what any call can meet: a service that is down, a defect.
CANNOT_FAIL = {"tabrl.rewardgen.v1.RewardService.ListModels"}
# Services that call one another; the gateway leads nobody there.
INTERNAL = {"tabrl.artifacts.v1.ReferenceService"}
EXAMPLES = json.loads((Path(__file__).parent / "requests.json").read_text())

for file in files():
    importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")


def documented(rpc: Rpc) -> set[tuple[str, str]]:
    """The errors in a method's comment, as (status code, reason)."""
    found = re.findall(rf"\b({'|'.join(CODES)}) \(([A-Z_, ]+)\)", rpc.comment)
    return {(code, reason) for code, listed in found for reason in listed.split(", ")}


def message(type_name: str, content: dict[str, Any]) -> Message:
    """A message of a type by its full name."""
    return ParseDict(content, symbol_database.Default().GetSymbol(type_name.removeprefix("."))())


@pytest.mark.parametrize("rpc", list(rpcs()), ids=lambda rpc: rpc.name)
class TestEveryRpc:
    def test_documents_its_errors(self, rpc: Rpc) -> None:
        if rpc.name in CANNOT_FAIL:
            return
        borrowed = re.search(r"Errors are those of (\w+)", rpc.comment)
        if borrowed:
            (lender,) = [other for other in rpcs() if other.descriptor.name == borrowed[1]]
            assert documented(lender), f"{rpc.name} borrows the errors of {lender.name}, which has none"
            return
        assert documented(rpc), f"{rpc.name} documents no error"

    def test_says_with_every_code_which_reasons_it_has(self, rpc: Rpc) -> None:
        bare = re.findall(rf"\b({'|'.join(CODES)})\b(?! \()", rpc.comment)
        assert not bare, f"{rpc.name} names {bare} without a reason"

    def test_names_reasons_in_the_code_that_they_come_with(self, rpc: Rpc) -> None:
        for code, reason in documented(rpc):
            assert reason in REASONS, f"{rpc.name} names {reason}, which is not in ErrorReason"
            assert code in REASONS[reason].split(":")[0], f"{rpc.name} says {code} with {reason}: {REASONS[reason]}"

    def test_documents_what_its_fields_can_be_refused_for(self, rpc: Rpc) -> None:
        if "Errors are those of" in rpc.comment:
            return
        reasons = {reason for _, reason in documented(rpc)}
        request = symbol_database.Default().GetSymbol(rpc.descriptor.input_type.removeprefix("."))
        for field in request.DESCRIPTOR.fields:
            needed = REFUSED_FIELDS.get(field.name, "")
            optional = field.GetOptions().Extensions[validate_pb2.field].string.min_len == 0
            # An optional id is a filter, or a label.
            if needed and not (needed.endswith("_NOT_FOUND") and optional):
                assert needed in reasons, f"{rpc.name} takes {field.name} and does not document {needed}"

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


def test_every_pattern_is_said_in_words() -> None:
    patterns = {
        field.options.Extensions[validate_pb2.field].string.pattern
        for file in files()
        for declared in file.message_type
        for field in declared.field
    } - {""}
    assert patterns == set(PATTERNS_IN_WORDS)


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
    public = set(services()) - INTERNAL
    assert sorted(filters["envoy.filters.http.grpc_json_transcoder"]["services"]) == sorted(public)
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    prefixes = [route["match"]["prefix"] for route in routes if "prefix" in route["match"]]
    for service in public:
        assert f"/{service.rsplit('.', 1)[0]}." in prefixes
    for service in INTERNAL:
        assert f"/{service.rsplit('.', 1)[0]}." not in prefixes
    known = {f"/{rpc.service}/{rpc.descriptor.name}" for rpc in rpcs()}
    for route in routes:
        path = route["match"].get("path", "")
        assert not path.startswith("/tabrl.") or path in known, f"{path} is no method any more"


def test_a_stream_has_a_route_without_a_time_limit() -> None:
    text = (REPOSITORY / "gateway" / "envoy.yaml").read_text()
    for rpc in rpcs():
        if rpc.descriptor.server_streaming and rpc.service not in INTERNAL:
            route = re.search(rf"path: /{re.escape(rpc.service)}/{rpc.descriptor.name} }}\n\s+route: {{(.*)}}", text)
            assert route, f"{rpc.name} would end after the time limit of unary calls"
            assert " timeout: 0s" in route[1]
