"""Names, versions and tags over a real socket, on each kind of database where two may come at once."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl.type.v1 import artifact_pb2
from tabrl_chassis.database import Database, schema_differences
from tabrl_chassis.pagination import page_of

from tabrl_exporter import policies
from tabrl_exporter.conftest import Rig, exporter, refused
from tabrl_exporter.registry_rows import RegisteredRow

pytestmark = pytest.mark.asyncio

MIGRATIONS = "tabrl_exporter.migrations"


async def register(rig: Rig, policy_id: str, name: str = "go1-dance", notes: str = "") -> registry_pb2.PolicyVersion:
    request = registry_pb2.RegisterVersionRequest(name=name, policy_id=policy_id, notes=notes)
    return (await rig.registry.RegisterVersion(request)).version


async def three_versions(rig: Rig) -> None:
    for number in (1, 2, 3):
        await rig.publish(f"p{number}")
        assert (await register(rig, f"p{number}")).number == number


async def tag(rig: Rig, number: int, name: str = "stable") -> registry_pb2.VersionTag:
    request = registry_pb2.SetTagRequest(name="go1-dance", tag=name, number=number)
    return (await rig.registry.SetTag(request)).tag


async def roll_back(rig: Rig, from_number: int = 0) -> registry_pb2.VersionTag:
    request = registry_pb2.RollBackTagRequest(name="go1-dance", tag="stable", from_number=from_number)
    return (await rig.registry.RollBackTag(request)).tag


async def delete(rig: Rig, number: int) -> None:
    await rig.registry.DeleteVersion(registry_pb2.DeleteVersionRequest(name="go1-dance", number=number))


async def registered(rig: Rig, name: str = "go1-dance") -> registry_pb2.RegisteredPolicy:
    return (await rig.registry.GetRegisteredPolicy(registry_pb2.GetRegisteredPolicyRequest(name=name))).registered


async def resolved(rig: Rig, reference: str) -> str:
    request = registry_pb2.GetVersionRequest(name="go1-dance", reference=reference)
    return (await rig.registry.GetVersion(request)).version.policy.policy_id


def points(tags: Sequence[registry_pb2.VersionTag]) -> dict[str, tuple[int, list[int]]]:
    return {each.tag: (each.number, list(each.earlier)) for each in tags}


async def test_versions_are_found_by_number_and_tag(shared_rig: Rig) -> None:
    rig = shared_rig
    await three_versions(rig)
    await tag(rig, 2)

    found = await registered(rig)

    assert (found.name, found.environment_id) == ("go1-dance", "CartpoleBalance")
    assert [(version.number, version.policy.policy_id) for version in found.versions] == [
        (3, "p3"),
        (2, "p2"),
        (1, "p1"),
    ]
    assert points(found.tags) == {"latest": (3, []), "stable": (2, [])}
    assert [await resolved(rig, each) for each in ("latest", "stable", "1", "02")] == ["p3", "p2", "p1", "p2"]
    for reference in ("4", "none", "0", "99999999999999999999", "-1"):
        request = registry_pb2.GetVersionRequest(name="go1-dance", reference=reference)
        error = await refused(rig.registry.GetVersion, request)
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "VERSION_NOT_FOUND")


async def test_a_policy_that_is_a_version_already_stays_that_version(rig: Rig) -> None:
    await rig.publish("p1")
    first = await register(rig, "p1", notes="sways")
    again = await register(rig, "p1", notes="something else")
    assert again == first
    assert (await register(rig, "p1", name="another-name")).number == 1


async def test_versions_that_come_at_once_have_different_numbers(shared_rig: Rig) -> None:
    # Given a name that is not there yet, when eight policies and one of them twice are registered at once
    rig = shared_rig
    for number in range(8):
        await rig.publish(f"p{number}")
    given = await asyncio.gather(*(register(rig, f"p{number % 8}") for number in range(9)))

    # then each has a number of its own, none is left out, and the one that came twice has one
    assert sorted({version.number for version in given}) == list(range(1, 9))
    assert given[0].number == given[8].number
    assert len((await registered(rig)).versions) == 8


async def test_two_exporters_that_share_a_database_number_versions_one_after_the_other(
    shared_rig: Rig, tmp_path: Path
) -> None:
    rig = shared_rig
    url = rig.database.url.render_as_string(hide_password=False)
    for number in range(6):
        await rig.publish(f"p{number}")
    async with exporter(tmp_path / "other", url) as other:
        await asyncio.gather(*(register((rig, other)[number % 2], f"p{number}") for number in range(6)))
        assert [version.number for version in (await registered(other)).versions] == [6, 5, 4, 3, 2, 1]


async def test_a_number_is_not_given_again(rig: Rig) -> None:
    await three_versions(rig)
    await delete(rig, 3)
    await rig.publish("p4")
    assert (await register(rig, "p4")).number == 4
    assert (await register(rig, "p3")).number == 5
    # also where nothing was left
    for number in (1, 2, 4, 5):
        await delete(rig, number)
    error = await refused(rig.registry.GetRegisteredPolicy, registry_pb2.GetRegisteredPolicyRequest(name="go1-dance"))
    assert error.reason == "VERSION_NOT_FOUND"
    assert not (await rig.registry.ListRegisteredPolicies(registry_pb2.ListRegisteredPoliciesRequest())).registered
    assert (await register(rig, "p1")).number == 6


async def test_the_versions_of_a_name_drive_one_environment(rig: Rig) -> None:
    await rig.publish("p1")
    await rig.publish("walker", environment_id="WalkerWalk")
    await register(rig, "p1")

    request = registry_pb2.RegisterVersionRequest(name="go1-dance", policy_id="walker")
    error = await refused(rig.registry.RegisterVersion, request)

    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ENVIRONMENT_MISMATCH")
    assert error.metadata["environment_id"] == "CartpoleBalance"
    # a name of which no version is left is free for another
    await delete(rig, 1)
    assert (await register(rig, "walker")).number == 2
    assert (await registered(rig)).environment_id == "WalkerWalk"


@pytest.mark.parametrize("name", ["", "-a", "a-", "Go1", "a b", "ä", "a" * 61, "a/b"])
async def test_what_is_no_name_is_refused(rig: Rig, name: str) -> None:
    request = registry_pb2.RegisterVersionRequest(name=name, policy_id="p1")
    error = await refused(rig.registry.RegisterVersion, request)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [field for field, _ in error.fields] == ["name"]


async def test_a_policy_that_is_not_there_cannot_be_registered(rig: Rig) -> None:
    request = registry_pb2.RegisterVersionRequest(name="a", policy_id="none")
    assert (await refused(rig.registry.RegisterVersion, request)).reason == "POLICY_NOT_FOUND"


async def test_notes_are_written_anew(rig: Rig) -> None:
    await rig.publish("p1")
    assert (await register(rig, "p1", notes="sways")).notes == "sways"
    request = registry_pb2.UpdateVersionRequest(name="go1-dance", number=1, notes="stands still")
    assert (await rig.registry.UpdateVersion(request)).version.notes == "stands still"
    assert (await registered(rig)).versions[0].notes == "stands still"
    request.number = 2
    assert (await refused(rig.registry.UpdateVersion, request)).reason == "VERSION_NOT_FOUND"


async def test_a_tag_moves_and_goes_back_where_it_was(shared_rig: Rig) -> None:
    rig = shared_rig
    await three_versions(rig)
    for number in (1, 2, 2, 3):
        moved = await tag(rig, number)
    assert (moved.number, list(moved.earlier)) == (3, [2, 1])

    assert (await roll_back(rig, 3)).number == 2
    # a call that is repeated does not go back twice
    request = registry_pb2.RollBackTagRequest(name="go1-dance", tag="stable", from_number=3)
    error = await refused(rig.registry.RollBackTag, request)
    assert (error.code, error.reason, error.metadata["number"]) == (grpc.StatusCode.ABORTED, "TAG_MOVED", "2")
    assert (await roll_back(rig)).number == 1
    error = await refused(rig.registry.RollBackTag, registry_pb2.RollBackTagRequest(name="go1-dance", tag="stable"))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOTHING_TO_ROLL_BACK")


async def test_of_rollbacks_at_once_from_one_version_one_goes_back(shared_rig: Rig) -> None:
    rig = shared_rig
    await three_versions(rig)
    for number in (1, 2, 3):
        await tag(rig, number)

    answers = await asyncio.gather(*(roll_back(rig, 3) for _ in range(4)), return_exceptions=True)

    assert sum(isinstance(answer, registry_pb2.VersionTag) for answer in answers) == 1
    assert points((await registered(rig)).tags)["stable"] == (2, [1])


async def test_a_tagged_version_stays_and_a_deleted_one_is_not_gone_back_to(rig: Rig) -> None:
    await three_versions(rig)
    for number in (1, 2, 1, 3):
        await tag(rig, number)
    await tag(rig, 3, name="demo")
    request = registry_pb2.DeleteVersionRequest(name="go1-dance", number=3)
    error = await refused(rig.registry.DeleteVersion, request)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "VERSION_TAGGED")
    assert error.metadata["tags"] == "demo, stable"

    await delete(rig, 2)
    assert points((await registered(rig)).tags)["stable"] == (3, [1])
    await delete(rig, 1)
    error = await refused(rig.registry.RollBackTag, registry_pb2.RollBackTagRequest(name="go1-dance", tag="stable"))
    assert error.reason == "NOTHING_TO_ROLL_BACK"


async def test_a_tag_remembers_twenty_versions(rig: Rig) -> None:
    await three_versions(rig)
    for number in (1, 2, 3) * 9:
        moved = await tag(rig, number)
    assert list(moved.earlier) == [2, 1, 3] * 6 + [2, 1]


async def test_a_tag_is_deleted_and_the_version_stays(rig: Rig) -> None:
    await three_versions(rig)
    await tag(rig, 2)
    request = registry_pb2.DeleteTagRequest(name="go1-dance", tag="stable")
    await rig.registry.DeleteTag(request)
    assert points((await registered(rig)).tags) == {"latest": (3, [])}
    assert (await refused(rig.registry.DeleteTag, request)).reason == "VERSION_NOT_FOUND"
    await delete(rig, 2)


async def test_latest_moves_by_itself_alone(rig: Rig) -> None:
    await three_versions(rig)
    for method, request in (
        (rig.registry.SetTag, registry_pb2.SetTagRequest(name="go1-dance", tag="latest", number=1)),
        (rig.registry.RollBackTag, registry_pb2.RollBackTagRequest(name="go1-dance", tag="latest")),
        (rig.registry.DeleteTag, registry_pb2.DeleteTagRequest(name="go1-dance", tag="latest")),
    ):
        error = await refused(method, request)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    request = registry_pb2.SetTagRequest(name="go1-dance", tag="7", number=1)
    assert (await refused(rig.registry.SetTag, request)).reason == "INVALID_FIELD"
    await delete(rig, 3)
    assert await resolved(rig, "latest") == "p2"


async def test_names_are_listed_the_one_changed_last_first(shared_rig: Rig) -> None:
    rig = shared_rig
    await rig.publish("p1")
    await rig.publish("p2")
    await rig.publish("walker", environment_id="WalkerWalk")
    for name in ("a", "b", "c"):
        await register(rig, "p1", name=name)
    await register(rig, "walker", name="d")
    await register(rig, "p2", name="a")
    await rig.registry.SetTag(registry_pb2.SetTagRequest(name="b", tag="stable", number=1))

    async def listed(**query: object) -> registry_pb2.ListRegisteredPoliciesResponse:
        request = registry_pb2.ListRegisteredPoliciesRequest(**query)  # type: ignore[arg-type]
        answer: registry_pb2.ListRegisteredPoliciesResponse = await rig.registry.ListRegisteredPolicies(request)
        return answer

    first = await listed(page_size=3)
    rest = await listed(page_size=3, page_token=first.next_page_token)
    assert [each.name for each in (*first.registered, *rest.registered)] == ["b", "a", "d", "c"]
    assert rest.next_page_token == ""
    a = first.registered[1]
    assert [(version.number, version.policy.policy_id) for version in a.versions] == [(2, "p2")]
    assert points(first.registered[0].tags) == {"latest": (1, []), "stable": (1, [])}
    assert [each.name for each in (await listed(environment_id="WalkerWalk")).registered] == ["d"]
    request = registry_pb2.ListRegisteredPoliciesRequest(page_token=first.next_page_token, environment_id="WalkerWalk")
    assert (await refused(rig.registry.ListRegisteredPolicies, request)).reason == "INVALID_PAGE_TOKEN"


async def test_names_changed_in_the_same_moment_are_each_on_one_page(rig: Rig) -> None:
    await rig.publish("p1")
    for name in "dbca":
        await register(rig, "p1", name=name)
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    await rig.database.write(lambda session: session.execute(sa.update(RegisteredRow).values(update_time=moment)))
    seen, token = [], ""
    for _ in range(4):
        request = registry_pb2.ListRegisteredPoliciesRequest(page_size=1, page_token=token)
        answer = await rig.registry.ListRegisteredPolicies(request)
        seen += [each.name for each in answer.registered]
        token = answer.next_page_token
    assert (seen, token) == (list("abcd"), "")


async def test_a_page_of_large_policies_ends_where_one_message_ends(rig: Rig) -> None:
    # given more policies, each with a name, than one message can hold
    ids = [f"p{number:02}" for number in range(60)]
    for policy_id in ids:
        await rig.publish(policy_id, title="x" * 79_000)
        await register(rig, policy_id, name=policy_id)

    # when all are asked for at once, then each list comes in two pages, with nothing left out
    listing, newest_first = exporter_pb2.ListPoliciesRequest(page_size=500), list(reversed(ids))
    listed = await rig.exporter.ListPolicies(listing)
    listing.page_token = listed.next_page_token
    rest = await rig.exporter.ListPolicies(listing)
    assert [policy.policy_id for policy in (*listed.policies, *rest.policies)] == newest_first
    assert (bool(listed.next_page_token), rest.next_page_token) == (True, "")

    naming = registry_pb2.ListRegisteredPoliciesRequest(page_size=200)
    named = await rig.registry.ListRegisteredPolicies(naming)
    naming.page_token = named.next_page_token
    others = await rig.registry.ListRegisteredPolicies(naming)
    assert [each.name for each in (*named.registered, *others.registered)] == newest_first
    assert (bool(named.next_page_token), others.next_page_token) == (True, "")


async def test_a_policy_larger_than_a_page_is_on_one_by_itself(rig: Rig) -> None:
    for policy_id in ("p1", "p2"):
        await rig.publish(policy_id, title="x" * (3 << 20))
    first = await rig.exporter.ListPolicies(exporter_pb2.ListPoliciesRequest())
    request = exporter_pb2.ListPoliciesRequest(page_token=first.next_page_token)
    second = await rig.exporter.ListPolicies(request)
    assert [[policy.policy_id for policy in answer.policies] for answer in (first, second)] == [["p2"], ["p1"]]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    "place",
    [
        "",
        "yesterday a",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00 a",
        "2026-01-01T00:00:00+00:00 \0",
        "2026-01-01T00:00:00+00:00 \ud800",
        "0001-01-01T00:00:00+14:00 a",
        "9999-12-31T23:59:59-14:00 a",
    ],
)
async def test_a_page_token_that_was_never_issued_is_refused(place: str, rig: Rig) -> None:
    request = registry_pb2.ListRegisteredPoliciesRequest()
    request.page_token = page_of(request).token(place)
    error = await refused(rig.registry.ListRegisteredPolicies, request)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


async def test_a_registered_policy_cannot_be_deleted(shared_rig: Rig) -> None:
    rig = shared_rig
    await three_versions(rig)
    await register(rig, "p3", name="another")

    error = await refused(rig.exporter.DeletePolicy, exporter_pb2.DeletePolicyRequest(policy_id="p3"))

    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POLICY_IN_USE")
    assert error.metadata["references"] == "another@1, go1-dance@3"
    await delete(rig, 3)
    await rig.registry.DeleteVersion(registry_pb2.DeleteVersionRequest(name="another", number=1))
    await rig.exporter.DeletePolicy(exporter_pb2.DeletePolicyRequest(policy_id="p3"))
    for method, request in (
        (rig.exporter.GetPolicy, exporter_pb2.GetPolicyRequest(policy_id="p3")),
        (rig.exporter.DeletePolicy, exporter_pb2.DeletePolicyRequest(policy_id="p3")),
    ):
        assert (await refused(method, request)).reason == "POLICY_NOT_FOUND"


async def test_a_policy_is_registered_or_deleted_never_both(shared_rig: Rig) -> None:
    rig = shared_rig
    for number in range(12):
        policy_id = f"p{number}"
        await rig.publish(policy_id)
        answers = await asyncio.gather(
            register(rig, policy_id, name=policy_id),
            rig.exporter.DeletePolicy(exporter_pb2.DeletePolicyRequest(policy_id=policy_id)),
            return_exceptions=True,
        )
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        assert len(failed) == 1, answers


async def test_what_belongs_to_a_policy_survives_that_it_is_exported_again(rig: Rig) -> None:
    # Given a policy that was measured, made in another form, and registered
    policy = exporter_pb2.Policy(policy_id="p1", environment_id="CartpoleBalance", run_id="r1")
    policy.lineage.prompt = "sway"
    policy.exports.add(format=exporter_pb2.EXPORT_FORMAT_WEIGHTS).file.sha256 = "a" * 64
    await rig.database.write(lambda session: policies.publish(session, policy))
    await register(rig, "p1")
    await rig.registry.MeasurePolicy(registry_pb2.MeasurePolicyRequest(policy_id="p1"))

    # when it is published again, for another run
    again = await rig.publish("p1", run_id="r2", title="again")

    # then all of that is there, and what is new as well
    assert (await rig.exporter.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id="p1"))).policy == again
    assert (again.run_id, again.title, again.lineage.prompt) == ("r2", "again", "sway")
    assert (len(again.measurements), again.exports[0].file.sha256) == (1, "a" * 64)
    assert await resolved(rig, "1") == "p1"


async def test_what_was_made_and_measured_of_another_controller_does_not_stay(rig: Rig) -> None:
    # Given a policy that was measured and made in another form
    policy = exporter_pb2.Policy(policy_id="p1", environment_id="CartpoleBalance")
    policy.controller.sha256 = "a" * 64
    policy.lineage.prompt = "sway"
    policy.exports.add(format=exporter_pb2.EXPORT_FORMAT_WEIGHTS).file.sha256 = "b" * 64
    policy.measurements.add(episodes=1, mean_return=5.0)
    await rig.database.write(lambda session: policies.publish(session, policy))

    # when its export comes to another controller, then neither is of that one
    again = await rig.publish("p1", controller=artifact_pb2.Artifact(sha256="c" * 64))
    assert (list(again.exports), list(again.measurements)) == ([], [])
    assert again.lineage.prompt == "sway"
    assert (await rig.exporter.GetPolicy(exporter_pb2.GetPolicyRequest(policy_id="p1"))).policy == again


async def test_no_report_of_a_refused_export_outlives_its_policy(rig: Rig) -> None:
    # Given a policy whose export was refused when it was asked for again
    await rig.publish("p1")
    report = exporter_pb2.ParityReport(states=7)
    await rig.database.write(lambda session: policies.refuse(session, "p1", report))
    request = exporter_pb2.GetParityReportRequest(policy_id="p1")
    assert (await rig.exporter.GetParityReport(request)).report == report
    # when it is deleted, then there is no report either
    await rig.exporter.DeletePolicy(exporter_pb2.DeletePolicyRequest(policy_id="p1"))
    assert (await refused(rig.exporter.GetParityReport, request)).reason == "POLICY_NOT_FOUND"


async def test_policies_of_before_there_was_a_registry_are_found_by_what_they_are_of(
    database_url: str,
) -> None:
    database = Database(database_url)
    database.migrate(MIGRATIONS, "0001")
    policy = exporter_pb2.Policy(policy_id="old", environment_id="CartpoleBalance", checkpoint_sha256="a" * 64)
    policy.controller.sha256 = "b" * 64
    with database.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO policies (policy_id, environment_id, run_id, policy) VALUES ('old', 'C', '', :policy)"
            ),
            {"policy": policy.SerializeToString()},
        )
    database.migrate(MIGRATIONS)
    assert schema_differences(database, policies.Base.metadata) == []
    row = await database.read(lambda session: policies.row(session, "old"))
    assert (row.checkpoint_sha256, row.parent_checkpoint_sha256) == ("a" * 64, "")
    assert row.controller_sha256 == "b" * 64
    assert row.message() == policy
    database.close()
