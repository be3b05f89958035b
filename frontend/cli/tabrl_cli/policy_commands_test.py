"""Policies and their names against a real gRPC server that speaks the real contracts from inside the test."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from google.protobuf import timestamp_pb2
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc, registry_pb2, registry_pb2_grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc

from tabrl_cli.conftest import abort, tabrl
from tabrl_cli.policy_records import date

CHECK = "mean(up('pole')) > 0.9"
_KINDS = {"policy": 1, "checkpoint": 2, "run": 3, "reward": 4, "prompt": 5, "environment": 6, "bundle": 7}


def policy(policy_id: str) -> exporter_pb2.Policy:
    made = exporter_pb2.Policy(
        policy_id=policy_id, environment_id="CartpoleBalance", title="sway", run_id="run-1", env_steps=250_000
    )
    made.controller.size_bytes = 31_234
    made.parity.states, made.parity.tolerance = 200, 1e-5
    made.parity.outputs.add(name="ctrl", max_difference=2e-6, tolerance=1e-5)
    made.parity.outputs.add(name="reward", max_difference=1e-6, tolerance=1e-3)
    made.lineage.prompt = "sway [bold]gently"
    made.measurements.add(episodes=5, mean_return=950.5, std_return=2.0, mean_survived=1.0, check=CHECK, check_held=4)
    return made


def lineage(*edges: tuple[str, str]) -> registry_pb2.GetLineageResponse:
    """A lineage of nodes that are written `kind:id`, the policy first."""
    names = list(dict.fromkeys(["policy:p1", *(name for edge in edges for name in edge)]))
    answer = registry_pb2.GetLineageResponse()
    for name in names:
        kind, _, identity = name.partition(":")
        answer.nodes.add(kind=registry_pb2.LineageKind.ValueType(_KINDS[kind]), id=identity)
    for source, target in edges:
        answer.edges.add(source=names.index(source), target=names.index(target))
    return answer


class Registry(
    registry_pb2_grpc.RegistryServiceServicer,
    exporter_pb2_grpc.ExporterServiceServicer,
    inference_pb2_grpc.InferenceServiceServicer,
    trainer_pb2_grpc.TrainerServiceServicer,
):
    """Two policies, of which `go1-dance` has the one as its versions 1 and the other as 2; `stable` points to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Any] = []
        self.lineage = lineage()
        self.names = ["go1-dance"]
        self.also_an_id = ""
        self.versions = 2
        self.policies = 1
        self.most_on_a_page = 500

    def GetVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        numbers = {"1": 1, "2": 2, "latest": 2, "stable": 1}
        if request.name not in self.names or request.reference not in numbers:
            abort(context, grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND", f"{request.name} has no such version.")
        number = numbers[request.reference]
        return registry_pb2.GetVersionResponse(
            version=registry_pb2.PolicyVersion(number=number, policy=policy(f"p{number}"))
        )

    def GetPolicy(self, request, context):  # type: ignore[no-untyped-def, override]
        if request.policy_id in self.names and request.policy_id != self.also_an_id:
            abort(context, grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND", f"There is no policy {request.policy_id}.")
        self.asked.append(request)
        return exporter_pb2.GetPolicyResponse(policy=policy(request.policy_id))

    def ListPolicies(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        first = int(request.page_token or 1)
        last = min(first + request.page_size, first + self.most_on_a_page, self.policies + 1) - 1
        listed = [policy(f"p{number}") for number in range(first, last + 1)]
        more = str(last + 1) if last < self.policies else ""
        return exporter_pb2.ListPoliciesResponse(policies=listed, next_page_token=more)

    def GetLineage(self, request, context):  # type: ignore[no-untyped-def, override]
        return self.lineage

    def MeasurePolicy(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.MeasurePolicyResponse(measurement=policy("p1").measurements[0])

    def ComparePolicies(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        answer = registry_pb2.ComparePoliciesResponse(left=policy("p1"), right=exporter_pb2.Policy(policy_id="p2"))
        answer.differences.add(name="mean_return", left="950.5", change=-3.25)
        answer.differences.add(name="title", left="sway", right="stand")
        return answer

    def DeletePolicy(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        if request.policy_id == "p1":
            message = "p1 is registered as go1-dance@1; delete that first."
            abort(context, grpc.StatusCode.FAILED_PRECONDITION, "POLICY_IN_USE", message)
        return exporter_pb2.DeletePolicyResponse()

    def CollectGarbage(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.CollectGarbageResponse(files=3, size_bytes=12_345, named_files=1_000, young_files=4)

    def RegisterVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.RegisterVersionResponse(version=registry_pb2.PolicyVersion(number=3))

    def GetRegisteredPolicy(self, request, context):  # type: ignore[no-untyped-def, override]
        registered = self._registered()
        for number in range(3, self.versions + 1):
            registered.versions.add(number=number, policy=policy(f"p{number}"), notes="x" * 4000)
        return registry_pb2.GetRegisteredPolicyResponse(registered=registered)

    def ListRegisteredPolicies(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.ListRegisteredPoliciesResponse(registered=[self._registered() for _ in self.names])

    def SetTag(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.SetTagResponse(
            tag=registry_pb2.VersionTag(tag=request.tag, number=request.number, earlier=[1])
        )

    def RollBackTag(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.RollBackTagResponse(tag=registry_pb2.VersionTag(tag=request.tag, number=1))

    def DeleteTag(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.DeleteTagResponse()

    def DeleteVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.DeleteVersionResponse()

    def UpdateVersion(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        return registry_pb2.UpdateVersionResponse(version=registry_pb2.PolicyVersion(number=2, notes=request.notes))

    def EstimateRun(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request.spec.start_from)
        abort(context, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", "No run is to begin here.")

    def Evaluate(self, request, context):  # type: ignore[no-untyped-def, override]
        self.asked.append(request)
        yield inference_pb2.EvaluateResponse(summary=inference_pb2.EvaluationSummary(episodes=request.episodes))

    def _registered(self) -> registry_pb2.RegisteredPolicy:
        versions = [
            registry_pb2.PolicyVersion(number=number, policy=policy(f"p{number}"), notes="leans [red]forward")
            for number in (2, 1)
        ]
        tags = [registry_pb2.VersionTag(tag="latest", number=2)]
        tags.append(registry_pb2.VersionTag(tag="stable", number=1, earlier=[2]))
        return registry_pb2.RegisteredPolicy(
            name="go1-dance", environment_id="CartpoleBalance", versions=versions, tags=tags
        )


@pytest.fixture
def registry() -> Iterator[tuple[Registry, str]]:
    """A server and the URL to name it by."""
    servicer = Registry()
    running = grpc.server(futures.ThreadPoolExecutor(2))
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, running)
    exporter_pb2_grpc.add_ExporterServiceServicer_to_server(servicer, running)
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, running)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(servicer, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield servicer, f"http://127.0.0.1:{port}"
    running.stop(None)


@pytest.mark.parametrize(
    ("name", "policy_id"),
    [
        ("p7", "p7"),
        ("No name", "No name"),
        ("go1-dance", "p2"),
        ("go1-dance@stable", "p1"),
        ("go1-dance@2", "p2"),
        ("go1-dance@latest", "p2"),
    ],
)
def test_a_policy_is_named_by_its_id_a_name_or_as_a_version(
    registry: tuple[Registry, str], name: str, policy_id: str
) -> None:
    servicer, url = registry
    for command in (("measure", name), ("evaluate", name), ("policy", name)):
        result = tabrl(url, *command)
        assert result.exit_code == 0, result.output
    assert [request.policy_id for request in servicer.asked] == [policy_id] * 3


def test_an_id_that_is_spelled_like_a_name_stays_the_id(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    servicer.also_an_id = "go1-dance"
    assert tabrl(url, "delete-policy", "go1-dance").exit_code == 0
    assert servicer.asked[-1] == exporter_pb2.DeletePolicyRequest(policy_id="go1-dance")


@pytest.mark.parametrize(("name", "policy_id"), [("go1-dance", "p2"), ("go1-dance@stable", "p1")])
def test_a_run_can_start_from_a_version(registry: tuple[Registry, str], name: str, policy_id: str) -> None:
    servicer, url = registry
    tabrl(url, "try", "--env", "CartpoleBalance", "--from", name)
    assert servicer.asked == [trainer_pb2.StartingPoint(policy_id=policy_id)]


def test_a_version_that_is_not_there_says_where_to_look(registry: tuple[Registry, str]) -> None:
    result = tabrl(registry[1], "policy", "go1-dance@none")
    assert result.exit_code == 3
    assert "go1-dance has no such version." in result.output
    assert "`tabrl registry` lists the names" in result.output


@pytest.mark.parametrize("name", ["go1-dance@", "@stable"])
def test_half_a_version_is_refused(registry: tuple[Registry, str], name: str) -> None:
    result = tabrl(registry[1], "policy", name)
    assert result.exit_code == 2
    assert "NAME@TAG" in result.output


def test_a_policy_is_told_with_its_parity_measurements_and_lineage(registry: tuple[Registry, str]) -> None:
    # Given a policy that was trained on from another one, and was trained on itself
    servicer, url = registry
    digest = "c" * 64
    servicer.lineage = lineage(
        (f"checkpoint:{digest}", "policy:p1"),
        ("run:run-1", f"checkpoint:{digest}"),
        ("environment:CartpoleBalance", "run:run-1"),
        ("reward:r0", "run:run-1"),
        ("prompt:sway [bold]gently", "reward:r0"),
        ("checkpoint:before", "run:run-1"),
        ("checkpoint:before", "policy:p0"),
        ("run:run-0", "checkpoint:before"),
        (f"checkpoint:{digest}", "run:run-2"),
        ("run:run-2", "checkpoint:after"),
        ("checkpoint:after", "policy:p2"),
    )
    result = tabrl(url, "policy", "p1")
    assert result.exit_code == 0, result.output
    in_order = [
        "policy p1 drives CartpoleBalance",
        "sway [bold]gently",
        "250,000 steps",
        "controller of 31,234 bytes",
        "parity 2.0e-06 of 1e-05 allowed (ctrl), over 200 states",
        "950.5",
        f"4 of 5: {CHECK}",
        "came from",
        f"checkpoint {digest[:12]}\n",
        "run run-1",
        "environment CartpoleBalance",
        "reward r0",
        "prompt sway [bold]gently",
        "checkpoint before (policy p0)",
        "run run-0",
        "went on to",
        "run run-2",
        "checkpoint after",
        "policy p2",
    ]
    position = 0
    for text in in_order:
        assert text in result.output[position:], f"{text!r} is missing or too early in:\n{result.output}"
        position = result.output.index(text, position)


def test_as_json_a_policy_and_its_lineage_are_a_line_each(registry: tuple[Registry, str]) -> None:
    result = tabrl(registry[1], "policy", "p1", "--json")
    told, lines = zip(*((line["event"], line) for line in map(json.loads, result.output.splitlines())), strict=True)
    assert told == ("policy", "lineage")
    assert (lines[0]["policy"]["policy_id"], lines[1]["lineage"]["nodes"][0]["id"]) == ("p1", "p1")


def test_policies_are_listed_with_what_was_measured(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    result = tabrl(url, "policies", "--env", "CartpoleBalance", "--limit", "3")
    assert "950.5" in result.output
    assert "250,000" in result.output
    assert servicer.asked == [exporter_pb2.ListPoliciesRequest(environment_id="CartpoleBalance", page_size=3)]


def test_a_policy_is_measured(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    result = tabrl(url, "measure", "p1", "--episodes", "7", "--seed", "3", "--check", CHECK)
    asked = registry_pb2.MeasurePolicyRequest(policy_id="p1", episodes=7, seed=3, check=CHECK)
    assert servicer.asked == [asked]
    assert "return 950.5 ± 2.0 over 5 episodes, 100 % of their length" in result.output
    assert f"the check held in 4 of 5 episodes: {CHECK}" in result.output


def test_two_policies_are_compared(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    result = tabrl(url, "compare", "go1-dance@stable", "p2")
    assert servicer.asked == [registry_pb2.ComparePoliciesRequest(left_policy_id="p1", right_policy_id="p2")]
    rows = [line.split() for line in result.output.splitlines()]
    assert rows[:3] == [["p1", "p2", "change"], ["mean_return", "950.5", "none", "-3.25"], ["title", "sway", "stand"]]
    assert "p2 is not measured yet: tabrl measure p2" in result.output


def test_a_policy_in_use_is_not_deleted_and_says_what_to_do(registry: tuple[Registry, str]) -> None:
    _, url = registry
    result = tabrl(url, "delete-policy", "p1")
    assert result.exit_code == 5
    assert "registered as go1-dance@1" in result.output
    assert "tabrl unregister" in result.output
    assert "policy p2 is deleted" in tabrl(url, "delete-policy", "go1-dance@2").output


def test_garbage_is_collected_or_only_told(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    assert "3 files of 12,345 bytes would be deleted" in tabrl(url, "collect-garbage", "--dry-run").output
    assert "3 files of 12,345 bytes deleted" in tabrl(url, "collect-garbage").output
    assert [request.dry_run for request in servicer.asked] == [True, False]


@pytest.mark.parametrize(("limit", "shown"), [(5, 5), (7, 7), (9, 7), (2, 2)])
def test_a_list_whose_pages_end_early_is_read_on(registry: tuple[Registry, str], limit: int, shown: int) -> None:
    # given seven policies, of which two go into a message
    servicer, url = registry
    servicer.policies, servicer.most_on_a_page = 7, 2

    listed = json.loads(tabrl(url, "policies", "--limit", str(limit), "--json").output)

    assert [each["policy_id"] for each in listed["policies"]] == [f"p{number}" for number in range(1, shown + 1)]
    assert listed.get("next_page_token", "") == (str(shown + 1) if shown < 7 else "")


def test_a_policy_is_registered(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    result = tabrl(url, "register", "p7", "go1-dance", "--notes", "sways")
    assert "p7 is go1-dance@3" in result.output
    assert servicer.asked == [registry_pb2.RegisterVersionRequest(name="go1-dance", policy_id="p7", notes="sways")]


def test_names_and_their_versions_are_listed(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    rows = [line.split() for line in tabrl(url, "registry", "--env", "CartpoleBalance").output.splitlines()]
    assert rows[1][:7] == ["go1-dance", "CartpoleBalance", "2", "950.5", "stable", "→", "1"]
    assert servicer.asked == [
        registry_pb2.ListRegisteredPoliciesRequest(environment_id="CartpoleBalance", page_size=20)
    ]
    output = tabrl(url, "registry", "go1-dance").output
    rows = [line.split() for line in output.splitlines()]
    assert rows[2][:5] == ["2", "p2", "latest", "250,000", "950.5"]
    assert rows[3][:3] == ["1", "p1", "stable"]
    assert "leans [red]forward" in output
    assert "stable pointed to 2 before; tabrl rollback go1-dance stable goes back" in output
    servicer.names = []
    assert "Nothing is registered yet" in tabrl(url, "registry").output


def test_a_name_may_have_a_thousand_versions(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    servicer.versions = 1_500
    told = json.loads(tabrl(url, "registry", "go1-dance", "--json").output)
    assert len(told["registered"]["versions"]) == 1_500


def test_tags_are_moved_back_and_away(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    output = tabrl(url, "tag", "go1-dance", "stable", "2").output
    assert "go1-dance@stable points to version 2, before that to 1" in output
    assert "points to version 1" in tabrl(url, "rollback", "go1-dance", "stable", "--from", "2").output
    assert "go1-dance@stable is deleted" in tabrl(url, "untag", "go1-dance", "stable").output
    assert servicer.asked == [
        registry_pb2.SetTagRequest(name="go1-dance", tag="stable", number=2),
        registry_pb2.RollBackTagRequest(name="go1-dance", tag="stable", from_number=2),
        registry_pb2.DeleteTagRequest(name="go1-dance", tag="stable"),
    ]


def test_versions_are_noted_and_taken_out(registry: tuple[Registry, str]) -> None:
    servicer, url = registry
    assert "go1-dance@2: calmer" in tabrl(url, "notes", "go1-dance", "2", "calmer").output
    assert "go1-dance@2: no notes" in tabrl(url, "notes", "go1-dance", "2", "").output
    assert "go1-dance@2 is deleted; its policy stays" in tabrl(url, "unregister", "go1-dance", "2").output
    assert servicer.asked[-1] == registry_pb2.DeleteVersionRequest(name="go1-dance", number=2)


def test_times_are_those_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert date(timestamp_pb2.Timestamp(seconds=1_795_824_000)) == "2026-11-28 09:00"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert date(timestamp_pb2.Timestamp()) == "at an unknown time"


@pytest.mark.parametrize(
    "command",
    [
        ("policies",),
        ("measure", "p1"),
        ("compare", "p1", "p2"),
        ("delete-policy", "p2"),
        ("collect-garbage",),
        ("register", "p1", "a"),
        ("registry",),
        ("registry", "go1-dance"),
        ("tag", "go1-dance", "stable", "1"),
        ("rollback", "go1-dance", "stable"),
        ("untag", "go1-dance", "stable"),
        ("unregister", "go1-dance", "1"),
        ("notes", "go1-dance", "1", "x"),
    ],
    ids=" ".join,
)
def test_every_command_speaks_json(registry: tuple[Registry, str], command: tuple[str, ...]) -> None:
    result = tabrl(registry[1], *command, "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.output.splitlines()
    assert isinstance(json.loads(line), dict)
