"""A robot of MuJoCo Menagerie that came with Playground's environments, chosen by itself."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tabrl_simulation import robots

from tests.e2e.browser_tab import Tab
from tests.stack.running_stack import RunningStack

ROBOT = "Tetheria Aero Hand Open · right"


@pytest.mark.skipif(
    not (robots.folder() / "tetheria_aero_hand_open").is_dir(), reason="this machine has not the robot; `make robots`"
)
def test_a_person_chooses_a_robot_by_itself(stack: RunningStack, person: Tab) -> None:
    # given the gallery, at its end
    person.open()
    person.see("env-card-CartpoleBalance")
    person.page.get_by_test_id("upload-card").wait_for()
    person.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    robot = person.page.get_by_test_id("menagerie").get_by_role("button", name=ROBOT)
    robot.scroll_into_view_if_needed()
    person.until(
        lambda: robot.locator("img").evaluate("image => image.complete && image.naturalWidth"), what="a picture"
    )
    expect(robot).to_contain_text("Apache-2.0")
    person.screenshot("menagerie")

    # when the person chooses a robot, then it is there, alive, and can be told what to do
    robot.click()
    person.until_alive()
    assert "env=custom-tetheria" in person.page.url
    person.page.get_by_test_id("prompt").fill("Close the hand")
    person.screenshot("menagerie-robot")

    # and it stands with its picture among the person's robots, no longer among those to choose
    person.open("/?category=custom")
    card = person.page.get_by_role("link", name=ROBOT)
    card.locator("img").wait_for()
    expect(person.page.get_by_test_id("menagerie").get_by_role("button", name=ROBOT)).to_have_count(0)
    assert person.problems == []
