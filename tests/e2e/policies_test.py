"""The registry: policies get names, versions and tags, are measured, compared, tagged and deleted."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tabrl.exporter.v1 import exporter_pb2, registry_pb2
from tabrl_cli.connection import Connection
from tabrl_cli.errors import CallError

from tests.e2e.browser_tab import PHONE, Tab, tab
from tests.e2e.registry_steps import register, version_on
from tests.e2e.trained import ENVIRONMENT, PROMPT, Trained, publish_untrained
from tests.stack.running_stack import RunningStack


@pytest.fixture
def caller(stack: RunningStack, browser: Browser) -> Iterator[Tab]:
    """A person with a phone."""
    with tab(browser, stack.url, screen=PHONE) as opened:
        yield opened


def test_a_person_keeps_a_policy_under_a_name_and_finds_it_with_its_note_and_tag(
    person: Tab, trained: Trained, stack: RunningStack, connection: Connection
) -> None:
    page = person.page
    # given a training that is over
    person.open(f"/?env={ENVIRONMENT}&run={trained.run_id}")
    keep = page.get_by_role("region", name="Keep it under a name")

    # when the person keeps what it gave under a name, typed as people type
    keep.get_by_role("button", name="Register as…").click()
    expect(keep.get_by_label("Name")).not_to_have_value("")
    keep.get_by_label("Name").fill("Upright Pole")
    expect(keep.get_by_label("Name")).to_have_value("upright-pole")
    keep.get_by_label("Notes").fill("The first that stays up")
    person.screenshot("policies-keep")
    keep.get_by_role("button", name="Register", exact=True).click()

    # then a link leads to the name, where the policy is version 1 with what was said of it
    keep.get_by_role("link", name="upright-pole, version 1").click()
    expect(page.get_by_role("heading", name="upright-pole", level=1)).to_be_visible()
    first = page.get_by_role("article", name="Version 1")
    expect(first.get_by_role("heading", name=PROMPT)).to_be_visible()
    expect(first).to_contain_text("The first that stays up")

    # when another policy that has no name yet becomes the next version
    other = publish_untrained(connection, stack.data / "artifacts", seed=51)
    page.get_by_role("link", name="All policies").click()
    row = page.get_by_test_id(f"policy-row-{other.policy_id}")
    row.get_by_role("button", name="Register as…").click()
    row.get_by_label("Name").fill("upright-pole")
    expect(row).to_contain_text("This becomes the next version after 1.")
    person.screenshot("policies-next-version")
    row.get_by_role("button", name="Register", exact=True).click()

    # then it is no longer among those without a name, and the name says that there are two
    expect(row).to_have_count(0)
    card = _card(page, "upright-pole")
    expect(card).to_contain_text("version 2")
    card.click()

    # when the person writes a note to it, and tags the first one
    page.get_by_role("button", name="Add notes to version 2").click()
    page.get_by_label("Notes on version 2").fill("Knows nothing; for comparison")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Add a tag").click()
    page.get_by_label("Tag", exact=True).fill("stable")
    page.get_by_label("for", exact=True).select_option(label="version 1")
    person.screenshot("policies-new-tag")
    page.get_by_role("button", name="Set", exact=True).click()
    tagged = page.get_by_label("Version that stable stands for")
    expect(tagged).to_have_value("1")

    # and moves the tag, then it stands for the other version, and there is a way back
    tagged.select_option(label="version 2")
    expect(version_on(page, 2)).to_contain_text("stable")
    expect(version_on(page, 1)).not_to_contain_text("stable")
    page.get_by_role("button", name="Move stable back to version 1").click()
    expect(tagged).to_have_value("1")
    expect(page.get_by_role("button", name=re.compile("^Move stable back"))).to_have_count(0)

    # then all of it is there after a reload
    page.reload()
    expect(tagged).to_have_value("1")
    expect(version_on(page, 1)).to_contain_text("stable")
    expect(version_on(page, 2)).to_contain_text("latest")
    expect(version_on(page, 2)).to_contain_text("Knows nothing; for comparison")
    person.screenshot("policies-name")
    # and it is found by its tag
    page.get_by_role("link", name="All policies").click()
    page.get_by_label("Search policies").fill("stable")
    expect(_card(page, "upright-pole")).to_contain_text("stable")
    expect(_card(page, trained.name)).to_have_count(0)
    assert person.problems == []


def test_a_version_says_where_it_comes_from_and_how_well_it_does(
    person: Tab, trained: Trained, connection: Connection
) -> None:
    page = person.page
    # given a version that was never measured
    register(connection, "pole-with-a-past", *trained.policy_ids)
    person.open("/?view=policies&name=pole-with-a-past")

    # then it says that it was checked against its training, and everything it came from is in the picture
    expect(version_on(page, 2)).to_contain_text("Exact to 1e-5")
    expect(version_on(page, 2)).to_contain_text("Not measured yet")
    picture = page.get_by_role("region", name="Lineage as a picture")
    for kind in ("Asked for", "Reward", "Robot and task", "Training", "Checkpoint", "Policy"):
        expect(picture).to_contain_text(kind)

    # when it is measured, on the server and while it is disturbed in the tab
    well = page.get_by_role("region", name="How well it does")
    well.get_by_role("button", name="Measure", exact=True).click()
    expect(well.get_by_role("table", name="Measured here").get_by_role("row")).to_have_count(2)
    well.get_by_role("button", name="Measure in this tab").click()
    disturbed = well.get_by_role("table", name=re.compile("^How much of an episode"))
    expect(disturbed.get_by_role("row", name=re.compile("Pushes"))).to_be_visible()

    # then its head tells both, and still does after a reload
    for _ in range(2):
        expect(version_on(page, 2)).to_contain_text(re.compile(r"Robust \d+\s?%"))
        expect(version_on(page, 2)).to_contain_text(re.compile(r"Return\s*\d+"))
        person.screenshot("policies-measured")
        page.reload()

    # and what is in the picture leads where it says
    picture.scroll_into_view_if_needed()
    person.screenshot("policies-lineage")
    picture.get_by_role("link", name=re.compile("^Training")).click()
    person.see("run-state")
    assert f"run={trained.run_id}" in page.url
    page.go_back()
    picture.get_by_role("link", name=re.compile("^Reward")).click()
    person.see("reward-terms")
    assert f"reward={trained.reward_id}" in page.url
    page.go_back()
    picture.get_by_role("link", name=re.compile("^Robot and task")).click()
    person.see("prompt")
    assert f"env={ENVIRONMENT}" in page.url
    assert person.problems == []


def test_on_a_phone_two_versions_are_chosen_compared_and_watched_side_by_side(
    caller: Tab, trained: Trained, connection: Connection
) -> None:
    page = caller.page
    # given two versions of a name, found on a phone
    register(connection, "two-poles", *trained.policy_ids)
    caller.open("/?view=policies")
    _card(page, "two-poles").tap()
    bar = page.get_by_role("region", name="Compare two versions")
    expect(bar.get_by_role("button", name="Compare A with B")).to_be_disabled()
    caller.screenshot("policies-name")

    # when one is chosen as A, then the bar has room for B alone
    page.get_by_role("button", name="Version 1 as A").tap()
    expect(bar.get_by_text("empty")).to_have_count(1)
    page.get_by_role("button", name="Version 2 as B").tap()
    caller.screenshot("policies-a-and-b")

    # when they are compared, then it is said in what they differ, and the missing measurements are made when asked for
    bar.get_by_role("button", name="Compare A with B").tap()
    differences = page.get_by_test_id("differences")
    practice = differences.get_by_role("row", name=re.compile("^Practice, in steps"))
    expect(practice).to_contain_text("+1M")
    verdict = differences.get_by_role("status")
    measure = verdict.get_by_role("button", name=re.compile("^Measure"))
    told = verdict.get_by_text("of an episode")
    caller.until(lambda: measure.count() or told.count(), what="a verdict")
    if not told.count():  # another test may have measured them
        measure.tap()
    expect(verdict).to_contain_text("They were trained for different rewards")
    expect(verdict).to_contain_text("of an episode")
    caller.screenshot("policies-differences")
    assert caller.too_wide() == []

    # when they are watched side by side, then two robots move, each under its own policy
    bar.get_by_role("link", name="Watch side by side").tap()
    caller.until(lambda: page.locator("main canvas").count() >= 2, what="two robots")
    caller.until_driven()
    assert f"with={','.join(trained.policy_ids)}" in page.url.replace("%2C", ",")
    caller.screenshot("policies-side-by-side")
    assert caller.too_wide() == []
    assert caller.problems == []


def test_a_deleted_version_can_be_taken_back_and_one_that_a_tag_holds_stays(
    person: Tab, trained: Trained, stack: RunningStack, connection: Connection
) -> None:
    page = person.page
    # given three versions, the first of which a tag holds
    policies = (publish_untrained(connection, stack.data / "artifacts", seed=61).policy_id, *trained.policy_ids)
    register(connection, "pole-to-delete", *policies)
    tagged = registry_pb2.SetTagRequest(name="pole-to-delete", tag="stable", number=1)
    connection.call(connection.registry.SetTag, tagged)
    person.open("/?view=policies&name=pole-to-delete")

    # when the newest is deleted, then it is off the page at once, and can be taken back
    _delete(page, 3)
    expect(version_on(page, 3)).to_have_count(0)
    toast = page.get_by_test_id("undo-toast")
    expect(toast).to_contain_text("Version 3 of pole-to-delete deleted")
    person.screenshot("policies-undo")
    toast.get_by_role("button", name="Undo").click()
    expect(version_on(page, 3)).to_be_visible()
    page.reload()
    expect(version_on(page, 3)).to_be_visible()

    # when it is deleted and the page is left, then it is gone for good, and its policy is not
    _delete(page, 3)
    expect(version_on(page, 3)).to_have_count(0)
    page.reload()
    person.until(lambda: len(_registered(connection, "pole-to-delete").versions) == 2, what="the end of version 3")
    page.reload()
    expect(version_on(page, 2)).to_contain_text("latest")
    expect(version_on(page, 3)).to_have_count(0)
    assert not _gone(connection, policies[2])
    assert person.problems == []

    # when the tagged one is deleted, then it comes back once the time to take that back is over, and says what holds it
    _delete(page, 1)
    expect(version_on(page, 1)).to_have_count(0)
    refusal = version_on(page, 1).get_by_role("alert")
    expect(refusal).to_contain_text("stable")
    expect(refusal).to_contain_text("Move the tag to another version, or delete the tag")
    person.screenshot("policies-tag-holds")

    # and once the tag is moved it goes with its policy, as soon as there is something else to take back
    page.get_by_label("Version that stable stands for").select_option(label="version 2")
    expect(version_on(page, 2)).to_contain_text("stable")
    _delete(page, 1, "Delete the policy too")
    expect(version_on(page, 1)).to_have_count(0)
    page.get_by_role("button", name="Delete the tag stable").click()
    person.until(lambda: _gone(connection, policies[0]), what="the end of the policy")
    toast.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Version that stable stands for")).to_have_value("2")


def test_a_name_that_cannot_be_or_is_another_robots_is_refused_where_it_is_typed(
    person: Tab, caller: Tab, stack: RunningStack, connection: Connection
) -> None:
    # given a name of another robot's policy, a policy without a name, and the form that gives it one
    swinger = publish_untrained(connection, stack.data / "artifacts", seed=72, environment="PendulumSwingup")
    register(connection, "taken-by-a-pendulum", swinger.policy_id)
    policy = publish_untrained(connection, stack.data / "artifacts", seed=71)
    for each in (person, caller):
        page = each.page
        each.open("/?view=policies")
        row = page.get_by_test_id(f"policy-row-{policy.policy_id}")
        row.get_by_role("button", name="Register as…").click()
        field = row.get_by_label("Name")
        confirm = row.get_by_role("button", name="Register", exact=True)
        expect(field).not_to_have_value("")

        # when the name is empty, or not spelt as names are, then the form says what a name is
        field.fill("")
        confirm.click()
        expect(row).to_contain_text("Give it a name")
        field.fill("pôle!")
        confirm.click()
        expect(row).to_contain_text("Use lower-case letters, digits and dashes")
        expect(field).to_have_attribute("aria-invalid", "true")
        each.screenshot("policies-wrong-name")
        assert each.too_wide() == []
        assert each.problems == []

    # when the name is another robot's, then the form says whose it is and what to do, and keeps what was typed
    field.fill("taken-by-a-pendulum")
    confirm.tap()
    refusal = row.get_by_role("alert")
    expect(refusal).to_contain_text("taken-by-a-pendulum drives PendulumSwingup")
    expect(refusal).to_contain_text("Choose another name")
    expect(row).not_to_contain_text("A new name")
    expect(field).to_have_value("taken-by-a-pendulum")
    refusal.scroll_into_view_if_needed()
    caller.screenshot("policies-taken-name")
    assert caller.too_wide() == []

    # and with a name of its own it is kept
    field.fill("not-a-pendulum")
    expect(refusal).to_have_count(0)
    confirm.tap()
    expect(_card(page, "not-a-pendulum")).to_be_visible()


def test_when_the_exporter_dies_the_registry_stays_on_the_page_and_works_again_when_it_is_back(
    person: Tab, trained: Trained, stack: RunningStack, connection: Connection
) -> None:
    page = person.page
    # given the list of policies
    register(connection, "pole-that-stays", trained.policy_ids[1])
    person.open("/?view=policies")
    card = _card(page, "pole-that-stays")
    expect(card).to_be_visible()

    # when what keeps them is away
    exporter = stack.process("exporter")
    exporter.suspend()
    try:
        person.until(lambda: "Exporter" in person.banner(), what="a banner that names the Exporter")
        # then what is known of them stays
        expect(card).to_be_visible()
        person.screenshot("policies-exporter-away")
    finally:
        exporter.kill()

    # and once it is back, the banner goes and the name opens
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")
    card.click()
    expect(version_on(page, 1)).to_be_visible()


def _card(page: Page, name: str) -> Locator:
    """A name in the list of them."""
    return page.get_by_test_id(f"name-card-{name}")


def _registered(connection: Connection, name: str) -> registry_pb2.RegisteredPolicy:
    asked = registry_pb2.GetRegisteredPolicyRequest(name=name)
    return connection.call(connection.registry.GetRegisteredPolicy, asked).registered


def _gone(connection: Connection, policy_id: str) -> bool:
    try:
        connection.call(connection.exporter.GetPolicy, exporter_pb2.GetPolicyRequest(policy_id=policy_id))
    except CallError as error:
        return error.reason == "POLICY_NOT_FOUND"
    return False


def _delete(page: Page, number: int, button: str = "Delete this version") -> None:
    version = version_on(page, number)
    details = version.get_by_role("button", name="Details")
    if details.get_attribute("aria-expanded") == "false":
        details.click()
    version.get_by_role("button", name=button).click()
