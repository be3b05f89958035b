"""The guided run: a newcomer who does only what its marks say has a trained robot in the tab."""

from __future__ import annotations

from playwright.sync_api import FloatRect, Locator, expect

from tests.e2e.balance import Balance
from tests.e2e.browser_tab import Tab
from tests.e2e.hands import pull_with_mouse

# A deadline against hanging, not the minute that is promised.
TRAINING_SECS = 300.0


def test_a_newcomer_who_does_what_the_marks_say_trains_a_robot(newcomer: Tab) -> None:
    # given the first visit, which offers the guided run
    person = newcomer
    person.open()
    offer = person.page.get_by_role("region", name="Guided run")
    offer.get_by_role("heading", name="First time here?").wait_for()
    person.screenshot("guided-1-offer")
    offer.get_by_role("button", name="Show me").click()

    # when the newcomer chooses the robot at the mark, then it is alive, and nobody steers it
    at_step(person, "choose")
    cartpole = person.page.get_by_test_id("env-card-CartpoleBalance")
    points_at(person, cartpole)
    person.screenshot("guided-2-choose")
    cartpole.click()
    person.until_alive()
    assert person.tick()["driven"] is False  # type: ignore[index]

    # and takes one of the examples
    at_step(person, "describe")
    points_at(person, person.page.get_by_test_id("examples"))
    person.screenshot("guided-3-describe")
    person.page.get_by_test_id("examples").get_by_role("button").first.click()

    # and has the reward written
    at_step(person, "write")
    points_at(person, person.page.get_by_test_id("generate"))
    person.screenshot("guided-4-write")
    person.page.get_by_test_id("generate").click()

    # and chooses Short, then trains
    at_step(person, "train")
    short = person.page.get_by_role("radio", name="Short")
    person.until(short.is_enabled, what="the choice of a short training")
    short.check()
    points_at(person, person.page.get_by_role("button", name="Train", exact=True))
    person.screenshot("guided-5-train")
    person.page.get_by_role("button", name="Train", exact=True).click()

    # and watches until a policy drives the robot
    at_step(person, "watch")
    person.until(lambda: mark(person).bounding_box(), what="a mark")
    person.screenshot("guided-6-watch")
    at_step(person, "pull", within_secs=TRAINING_SECS)
    points_at(person, person.page.get_by_test_id("stage"), beside=False)
    person.until_driven()
    person.screenshot("guided-7-pull")

    # and pulls the robot, then the run is over and says so
    pull_with_mouse(person)
    expect(person.part("tour-done")).to_contain_text("That was all of it")
    person.screenshot("guided-8-done")
    person.page.get_by_role("button", name="Go on by yourself").click()
    expect(person.page.get_by_role("region", name="Guided run")).to_have_count(0)

    # and the robot does what it was trained for, and earns for it
    balanced = Balance()
    person.until(lambda: balanced.of(person.tick()), what="a balanced pole")
    terms = person.tick()["terms"]  # type: ignore[index]
    assert terms
    assert all(isinstance(value, float | int) for value in terms.values())

    # and who comes again is not asked again
    person.open()
    person.see("env-card-CartpoleBalance")
    expect(person.page.get_by_test_id("tour-offer")).to_have_count(0)
    assert person.player_errors() == []
    assert person.problems == []


def test_the_guided_run_can_be_left_and_started_again(person: Tab) -> None:
    # given somebody on the way
    person.open()
    person.click("tour-start")
    at_step(person, "choose")
    person.page.get_by_test_id("env-card-CartpoleBalance").click()
    at_step(person, "describe")

    # who goes to look at something else: the mark stays, points at nothing, and knows the way back
    for elsewhere in ("Policies", "Robots"):
        person.page.get_by_role("navigation", name="TabRL").get_by_role("link", name=elsewhere).click()
        back = mark(person).get_by_role("button", name="Go on with the guided run")
        back.wait_for()
        expect(ring(person)).to_have_count(0)
        person.screenshot(f"guided-strayed-{elsewhere.lower()}")
        back.click()
        points_at(person, person.page.get_by_test_id("examples"))

    # when they leave it, then nothing of it stays, and the next visit offers nothing
    mark(person).get_by_role("button", name="Leave the guided run").click()
    expect(person.page.get_by_role("region", name="Guided run")).to_have_count(0)
    person.open()
    person.see("env-card-CartpoleBalance")
    expect(person.page.get_by_role("region", name="Guided run")).to_have_count(0)

    # and it begins anew when it is looked for by its name, wherever one is
    person.open("/?view=policies")
    person.page.get_by_role("heading", name="Policies").first.wait_for()
    person.page.keyboard.press("Control+K")
    person.page.get_by_role("dialog").get_by_role("combobox").fill("guided")
    person.page.get_by_role("option", name="Guided run").click()
    at_step(person, "choose")
    points_at(person, person.page.get_by_test_id("env-card-CartpoleBalance"))
    assert person.problems == []


def test_who_declines_is_not_asked_again(person: Tab) -> None:
    # given the offer
    person.open()
    person.page.get_by_role("button", name="No, thank you").click()

    # then it is gone, and stays away
    expect(person.page.get_by_test_id("tour-offer")).to_have_count(0)
    person.page.reload()
    person.see("env-card-CartpoleBalance")
    expect(person.page.get_by_test_id("tour-offer")).to_have_count(0)
    assert person.problems == []


def at_step(person: Tab, name: str, *, within_secs: float = 90.0) -> None:
    """Waits for a step of the guided run."""
    step = mark(person)
    person.until(
        lambda: step.count() and step.get_attribute("data-step") == name, within_secs, what=f"the step “{name}”"
    )


def mark(person: Tab) -> Locator:
    """What says what to do now."""
    return person.page.get_by_test_id("tour-step")


def ring(person: Tab) -> Locator:
    """What the mark draws around the part of the page that it speaks of."""
    return mark(person).locator("xpath=preceding-sibling::*[@aria-hidden]")


def points_at(person: Tab, part: Locator, *, beside: bool = True) -> None:
    """Waits until the ring stands around a part that is on the screen, and the words beside it, on the screen too."""
    before: list[FloatRect | None] = []

    def stands() -> bool:
        boxes = [part.bounding_box(), ring(person).bounding_box(), mark(person).bounding_box()]
        still = boxes == before
        before[:] = boxes
        inner, outer, words = boxes
        if not (still and inner and outer and words):
            return False
        return (
            _within(inner, outer, slack=1)
            and 0 <= inner["y"] < person.screen.height
            and words["x"] >= 0
            and words["x"] + words["width"] <= person.screen.width
            and words["y"] + words["height"] <= person.screen.height
            and (not beside or not _overlap(inner, words))
        )

    person.until(lambda: ring(person).count() and stands(), what="a mark at the right place")


def _within(inner: FloatRect, outer: FloatRect, *, slack: float) -> bool:
    return bool(
        outer["x"] - slack <= inner["x"]
        and outer["y"] - slack <= inner["y"]
        and inner["x"] + inner["width"] <= outer["x"] + outer["width"] + slack
        and inner["y"] + inner["height"] <= outer["y"] + outer["height"] + slack
    )


def _overlap(one: FloatRect, other: FloatRect) -> bool:
    return bool(
        one["x"] < other["x"] + other["width"]
        and other["x"] < one["x"] + one["width"]
        and one["y"] < other["y"] + other["height"]
        and other["y"] < one["y"] + one["height"]
    )
