"""The gallery: a person finds a robot, brings those that are missing, and is told when there is nothing to find."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser_tab import Tab
from tests.e2e.package_registry import PackageRegistry
from tests.e2e.trained import ENVIRONMENT, Trained
from tests.stack.running_stack import RunningStack

# More than there are stops before the cards; a keyboard that gets nowhere is noticed.
MOST_STOPS = 60
PARTLY = re.compile(r"Downloading the robots: (4[5-9]|[5-9]\d) of 180 MB")


def test_a_card_says_what_a_robot_is_and_that_a_policy_drives_it(person: Tab, trained: Trained) -> None:
    # given the gallery
    person.open()
    card = card_of(person.page, ENVIRONMENT)
    card.wait_for()

    # then the card of a trained robot has a picture, words, its size, its licence, and the name of its policy
    person.until(lambda: picture_width(card) > 0, what="a picture")
    for said in (re.compile(r"\d+ motors?"), re.compile(r"\d+ ways? to move"), "Apache-2.0"):
        expect(card).to_contain_text(said)
    expect(card.get_by_test_id("trained")).to_have_attribute("title", re.compile(re.escape(trained.name)))
    card.scroll_into_view_if_needed()
    person.screenshot("gallery-cards")

    # and one that nobody has trained claims no policy
    expect(card_of(person.page, "CartpoleSwingupSparse").get_by_test_id("trained")).to_have_count(0)
    assert person.problems == []


def test_a_person_narrows_the_gallery_and_finds_it_so_again(person: Tab) -> None:
    # given the gallery
    person.open()
    card_of(person.page, ENVIRONMENT).wait_for()
    everything = len(shown(person.page))

    # when the person chooses a group of robots, then a robot, then types, there is less each time
    person.page.get_by_role("button", name="Control suite").click()
    person.until(lambda: len(shown(person.page)) < everything, what="one group alone")
    group = len(shown(person.page))
    person.page.get_by_role("button", name=re.compile("^cartpole", re.IGNORECASE)).click()
    person.until(lambda: len(shown(person.page)) < group, what="one robot alone")
    person.until(lambda: all("Cartpole" in name for name in shown(person.page)), what="cartpoles alone")
    person.page.get_by_role("searchbox", name="Search robots and tasks").fill("swing up")
    person.until(lambda: sorted(shown(person.page)) == ["CartpoleSwingup", "CartpoleSwingupSparse"], what="two")
    person.until(lambda: in_sight(card_of(person.page, "CartpoleSwingup")), what="what was found, in sight")
    person.screenshot("gallery-narrowed")

    # then the address says it, and brings the same back
    person.until(lambda: person.address().get("q") == "swing up", what="an address of what is shown")
    assert person.address()["category"] == "dm_control_suite"
    assert "robot" in person.address()
    person.page.reload()
    person.until(lambda: sorted(shown(person.page)) == ["CartpoleSwingup", "CartpoleSwingupSparse"], what="both again")
    expect(person.page.get_by_role("searchbox")).to_have_value("swing up")
    person.until(lambda: in_sight(card_of(person.page, "CartpoleSwingup")), what="what was found, in sight")
    expect(person.page.get_by_role("button", name="Control suite")).to_have_attribute("aria-pressed", "true")

    # and who opens a robot comes back to what was found, and forth again
    card_of(person.page, "CartpoleSwingup").click()
    person.see("prompt")
    person.page.go_back()
    person.until(lambda: sorted(shown(person.page)) == ["CartpoleSwingup", "CartpoleSwingupSparse"], what="what it was")
    person.until(lambda: in_sight(card_of(person.page, "CartpoleSwingup")), what="what was found, in sight")
    person.page.go_forward()
    person.see("prompt")
    assert "env=CartpoleSwingup" in person.page.url
    assert person.problems == []


def test_a_search_without_a_result_says_what_to_do(person: Tab) -> None:
    # given a person who looks for what is not there
    person.open("/?q=juggling+unicyclist&category=manipulation")
    nothing = person.page.get_by_text("Nothing matches “juggling unicyclist”")
    person.until(lambda: nothing.count() and in_sight(nothing), what="word that nothing is found, in sight")
    person.screenshot("gallery-nothing")

    # when the person takes the way on, then all robots are there, and the address is plain again
    person.page.get_by_role("button", name="Show all robots").click()
    card_of(person.page, ENVIRONMENT).wait_for()
    expect(nothing).to_have_count(0)
    expect(person.page.get_by_role("searchbox")).to_have_value("")
    person.until(lambda: urlsplit(person.page.url).query == "", what="a plain address")
    assert person.problems == []


def test_the_keyboard_alone_finds_and_opens_a_robot(person: Tab) -> None:
    # given a person without a mouse, past the head of the page by its first stop
    person.open()
    card_of(person.page, ENVIRONMENT).wait_for()
    keyboard = person.page.keyboard
    keyboard.press("Tab")
    expect(focused(person.page)).to_have_text("Skip to content")
    keyboard.press("Enter")

    # when the person goes to the search and types
    tab_to(person, lambda: focused(person.page).get_attribute("type") == "search")
    keyboard.type("pendulum weak")
    person.until(lambda: shown(person.page) == ["PendulumSwingup"], what="the pendulum alone")

    # then its card is some stops further, is seen to have the focus, and opens
    tab_to(person, lambda: focused(person.page).get_attribute("data-testid") == "env-card-PendulumSwingup")
    assert focused(person.page).evaluate("each => getComputedStyle(each).outlineStyle") != "none"
    person.screenshot("gallery-keyboard")
    keyboard.press("Enter")
    person.see("prompt")
    assert "env=PendulumSwingup" in person.page.url
    assert person.problems == []


def test_missing_robots_are_brought_by_one_click_and_a_broken_download_is_said(
    person: Tab, registry: PackageRegistry
) -> None:
    # given a machine on which the robots of many environments are missing, as their cards say
    registry.offer()
    person.open()
    missing = card_of(person.page, "G1JoystickFlatTerrain")
    missing.wait_for()
    expect(missing).to_contain_text("still to be downloaded")
    offer = person.page.get_by_test_id("robot-download")
    expect(offer).to_contain_text("All walking robots, hands and arms come together")
    offer.scroll_into_view_if_needed()
    person.screenshot("gallery-robots-missing")

    # when the person has them brought, then the page says how far it is
    person.page.get_by_role("button", name="Download robots (180 MB)").click()
    progress = person.page.get_by_role("progressbar", name="Downloading the robots")
    person.until(lambda: PARTLY.search(offer.inner_text()), what="part of the download")
    assert 0.2 < float(progress.get_attribute("value") or 0) < 1
    person.screenshot("gallery-robots-coming")

    # and who looks at such a robot's own page meanwhile sees the same
    missing.click()
    person.until(lambda: PARTLY.search(offer.inner_text()), what="the same on the robot's page")
    expect(person.page.get_by_test_id("error")).to_have_count(0)
    person.screenshot("studio-robot-coming")
    person.page.go_back()

    # and when the line breaks, then that is said, with a way to try again, and robots that are here stay usable
    registry.break_off()
    expect(person.part("error")).to_contain_text("could not be downloaded")
    person.page.get_by_test_id("error").scroll_into_view_if_needed()
    person.screenshot("failure-robots")
    registry.offer()
    person.page.get_by_role("button", name="Try again").click()
    person.until(lambda: PARTLY.search(offer.inner_text()), what="the download anew")
    expect(person.page.get_by_test_id("error")).to_have_count(0)
    registry.break_off()
    person.see("error")
    expect(card_of(person.page, "Go1JoystickFlatTerrain")).to_contain_text("12 motors")
    assert person.problems == []


def test_robots_of_menagerie_have_their_way_in_beside_the_upload(person: Tab) -> None:
    # given the gallery, when a person asks how robots of Menagerie come here
    person.open()
    card = person.page.get_by_role("region", name="Upload a robot or a policy")
    card.get_by_text("Robots from MuJoCo Menagerie").click()

    # then the card says how, command included, and nothing is hidden by it
    expect(card.get_by_text("tabrl upload anybotics_anymal_c --menagerie")).to_be_visible()
    assert person.too_wide() == []
    person.screenshot("gallery-menagerie")
    assert person.problems == []


def test_a_gallery_without_its_service_says_so_and_fills_by_itself(person: Tab, stack: RunningStack) -> None:
    # given a Scene service that hangs
    stack.process("scene").suspend()
    try:
        # when the gallery is opened, then it says which service is away, in place of robots
        person.open()
        person.until(lambda: "Scene" in person.banner(), what="a banner that names the Scene service")
        assert shown(person.page) == []
        person.page.get_by_role("heading", name="Choose a robot").scroll_into_view_if_needed()
        person.screenshot("failure-gallery")
    finally:
        # and when that process is killed, and another serves
        stack.kill("scene")
    stack.until_serving()

    # then the robots are there without anybody's doing, with their pictures
    card = card_of(person.page, ENVIRONMENT)
    card.wait_for()
    person.until(lambda: picture_width(card) > 0, what="a picture")
    person.until(lambda: not person.banner(), what="the end of the banner")
    expect(person.page.get_by_test_id("error")).to_have_count(0)


def card_of(page: Page, environment: str) -> Locator:
    """A robot's card."""
    return page.get_by_test_id(f"env-card-{environment}")


def shown(page: Page) -> list[str]:
    """Ids of the environments whose cards are shown, in order."""
    ids: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("[data-testid^=env-card-]")]
          .map((card) => card.dataset.testid.replace("env-card-", ""))"""
    )
    return ids


def picture_width(card: Locator) -> int:
    """How wide the picture on a card is, in the picture's own pixels; 0 before it has come."""
    width: int = card.locator("img").evaluate("(picture) => picture.naturalWidth")
    return width


def in_sight(part: Locator) -> bool:
    """Whether the upper edge of a part is on the screen."""
    box = part.bounding_box()
    height = part.page.viewport_size or {"height": 0}
    return box is not None and 0 <= box["y"] < height["height"] - 40


def focused(page: Page) -> Locator:
    """What the keyboard speaks to."""
    return page.locator(":focus")


def tab_to(person: Tab, arrived: Callable[[], bool]) -> None:
    """Goes from stop to stop until one is reached."""
    for _ in range(MOST_STOPS):
        person.page.keyboard.press("Tab")
        if arrived():
            return
    raise AssertionError(f"the keyboard does not get there in {MOST_STOPS} stops")
