"""TabRL in one hand: what a person can do on a phone with a thumb, in the light and in the dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.e2e.browser_tab import PHONE, Tab, tab
from tests.e2e.hands import touch_and_pull
from tests.e2e.trained import ENVIRONMENT, Trained
from tests.stack.running_stack import RunningStack

SERVICES = ("Gateway", "Scene", "RewardGen", "Trainer", "Exporter", "Inference")

# The parts of the page by what the bar calls them, each with a heading of it.
PARTS = {"Compare": "Which one does it better?", "Your work": "Your work", "Robots": "Choose a robot"}


@pytest.fixture
def phone(stack: RunningStack, browser: Browser) -> Iterator[Tab]:
    """A fresh tab on a phone."""
    with tab(browser, stack.url, screen=PHONE) as opened:
        yield opened


def test_a_person_opens_a_policy_on_a_phone_and_touches_its_robot(phone: Tab, trained: Trained) -> None:
    # given a link to the gallery, on a phone
    phone.open()
    phone.see(f"env-card-{ENVIRONMENT}")
    phone.screenshot("phone-1-gallery")
    assert phone.too_wide() == []

    # when the person goes to the policies by the bar at the bottom, and opens one
    parts = phone.page.get_by_role("navigation", name="TabRL")
    bar = parts.bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] > PHONE.height - 8
    parts.get_by_role("link", name="Policies").tap()
    phone.page.get_by_role("main").get_by_role("link", name=trained.name).first.tap()
    phone.page.get_by_role("heading", name=trained.name, exact=True).first.wait_for()
    phone.screenshot("phone-2-policy")
    assert phone.too_wide() == []
    phone.page.get_by_role("main").get_by_role("link", name="Play").first.tap()

    # then it drives the robot, which stands on the screen at once
    phone.until_driven()
    phone.until_it_plays_on()
    assert phone.page.get_by_test_id("stage").bounding_box()["y"] < PHONE.height / 2  # type: ignore[index]
    phone.screenshot("phone-3-plays")
    assert phone.too_wide() == []

    # and a finger pulls it
    touch_and_pull(phone)

    # and a tap pushes it
    phone.page.get_by_role("button", name="Push", exact=True).tap()
    phone.screenshot("phone-4-push")
    before = phone.tick()
    assert before is not None
    phone.page.get_by_role("button", name="Push it to its left").tap()
    phone.until_it_plays_on()
    assert phone.too_wide() == []

    # and every part of the page is a tap away
    for name, heading in (
        ("Compare", "Which one does it better?"),
        ("Your work", "Your work"),
        ("Robots", "Choose a robot"),
    ):
        parts.get_by_role("link", name=name).tap()
        phone.page.get_by_role("heading", name=heading).first.wait_for()
        assert phone.too_wide() == []
    assert phone.player_errors() == []
    assert phone.problems == []


def test_light_or_dark_is_chosen_by_hand_and_kept(phone: Tab) -> None:
    # given a phone that is light
    phone.open()
    phone.see(f"env-card-{ENVIRONMENT}")
    light = background(phone)

    # when the person chooses the dark
    phone.page.get_by_role("button", name="Light or dark").tap()
    phone.screenshot("phone-theme")
    phone.page.get_by_role("radio", name="Dark").check()
    phone.until(lambda: background(phone) != light, what="a dark page")
    dark = background(phone)

    # then it is dark the next time, from its first paint, and in every part
    phone.open("/?view=policies")
    assert background(phone) == dark
    phone.page.get_by_role("heading", name="Policies").first.wait_for()
    phone.screenshot("phone-dark")

    # and it follows the system again when that is chosen
    phone.page.get_by_role("button", name="Light or dark").tap()
    phone.page.get_by_role("radio", name="As the system").check()
    phone.until(lambda: background(phone) == light, what="a light page")
    assert phone.problems == []


def test_the_light_in_the_corner_names_each_service(phone: Tab, stack: RunningStack) -> None:
    # given a TabRL of which everything serves
    stack.until_serving()
    phone.open()

    # when the person touches the light in the corner
    corner = phone.page.get_by_role("button", name="Services: All services are there")
    corner.wait_for()
    corner.tap()

    # then each service is named, with what it is needed for
    for service in SERVICES:
        row_saying(phone, "There").filter(has=phone.page.get_by_text(service, exact=True)).wait_for()
    phone.screenshot("phone-services")
    assert phone.too_wide() == []

    # and one that goes away is named there too, until it is back
    stack.process("inference").suspend()
    try:
        phone.page.get_by_role("heading", name="One service is away").wait_for()
        expect(row_saying(phone, "Away")).to_contain_text("Inference")
        phone.screenshot("phone-services-one-away")
    finally:
        stack.process("inference").resume()
    phone.page.get_by_role("heading", name="All services are there").wait_for()


def row_saying(phone: Tab, state: str) -> Locator:
    """Rows of services that are there, or away."""
    return phone.page.get_by_role("listitem").filter(has=phone.page.get_by_text(state, exact=True))


def background(phone: Tab) -> str:
    """The page's colour."""
    colour: str = phone.page.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
    return colour
