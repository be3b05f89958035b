"""From a prompt to a policy in the tab: the path of a person's first visit."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.e2e.browser_tab import Tab, tab
from tests.e2e.trained import PROMPT, Trained
from tests.stack.running_stack import RunningStack

TRAINING_SECS = 300.0
# Steps of one episode in which the pole stays within this angle of upright, in radians. Left alone it falls past that
# in under 100 steps.
BALANCED_STEPS, UPRIGHT = 400, 0.35


def test_a_person_trains_a_cartpole_to_balance(newcomer: Tab) -> None:
    # given the gallery
    person = newcomer
    person.open()
    person.see("env-card-CartpoleBalance")
    person.screenshot("first-visit-1-gallery")

    # when the person picks a robot, the robot is alive and nobody steers it
    person.click("env-card-CartpoleBalance")
    person.until_alive()
    assert person.tick()["driven"] is False  # type: ignore[index]
    person.screenshot("first-visit-2-robot")

    # and describes a behaviour, a reward comes back with its terms and its source
    person.page.get_by_test_id("prompt").fill(PROMPT)
    person.click("generate")
    person.see("reward-terms")
    expect(person.part("reward-source")).to_contain_text("def reward")
    person.screenshot("first-visit-3-reward")

    # and presses Train, checkpoints arrive while it trains, and the newest drives the robot in the tab
    person.click("train")
    person.see("checkpoint-item", within_secs=TRAINING_SECS)
    person.until(lambda: (person.tick() or {}).get("driven"), what="a policy that drives")
    person.screenshot("first-visit-4-checkpoint")

    # then the pole is soon balanced: read from the physics engine in the tab
    balanced = Balance()
    person.until(lambda: balanced.of(person.tick()), within_secs=TRAINING_SECS, what="a balanced pole")
    person.screenshot("first-visit-5-balanced")
    terms = person.tick()["terms"]  # type: ignore[index]
    assert terms
    assert all(isinstance(value, float | int) for value in terms.values())

    # and nothing went wrong on the way
    assert person.player_errors() == []
    assert person.problems == []


def test_what_was_trained_is_found_again_and_can_be_shown_in_the_dark(
    stack: RunningStack, browser: Browser, trained: Trained
) -> None:
    with tab(browser, stack.url, scheme="dark") as second:
        # given a robot with which something was trained before, among whatever else
        second.open("/?env=CartpoleBalance")
        second.see("earlier-run")

        # when a person looks for it and opens it
        earlier = second.page.locator(f'[data-testid="earlier-run"][href*="{trained.run_id}"]')
        while not earlier.count():
            second.click("show-more")
            second.page.wait_for_timeout(200)
        earlier.click()

        # then its policy drives the robot, and drives it well
        second.until(lambda: (second.tick() or {}).get("driven"), what="a policy that drives")
        balanced = Balance()
        second.until(lambda: balanced.of(second.tick()), what="a balanced pole")
        second.screenshot("earlier-run")
        print(f"real-time factor {second.tick()['realTimeFactor']:.2f}")  # type: ignore[index]
        assert second.problems == []


class Balance:
    """Watches the ticks of one episode after another for a pole that stays up."""

    def __init__(self) -> None:
        self._episode: tuple[int, str] | None = None
        self._since = 0

    def of(self, tick: dict | None) -> bool:
        """Whether the pole has by now been up for BALANCED_STEPS of one episode under one policy or its successors."""
        if not tick or not tick["driven"]:
            return False
        _, hinge = tick["qpos"]
        if tick["episode"] != self._episode or abs(hinge) > UPRIGHT:
            self._episode = tick["episode"]
            self._since = tick["step"]
        return bool(tick["step"] - self._since >= BALANCED_STEPS)
