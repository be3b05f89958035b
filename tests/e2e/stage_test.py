"""The robot on the studio's stage: looked at, pulled, pushed, posed, stopped and filmed, by mouse and by keys."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from playwright.sync_api import FloatRect, expect

from tests.e2e.browser_tab import Tab
from tests.e2e.downloads import save, seen
from tests.e2e.hands import point_on_robot
from tests.e2e.trained import ENVIRONMENT, Trained

# In twenty steps of a hundredth of a second the cart's own motor moves it by 0.2 m at most, in metres.
FURTHER_THAN_ITS_MOTOR = 0.3


def test_the_view_is_turned_and_zoomed_by_mouse_and_comes_back(person: Tab, trained: Trained) -> None:
    # given a robot that a policy drives
    _open_driven(person, trained)
    first = _view(person)

    # when a person drags beside the robot, the camera goes around it
    box = _canvas(person)
    x, y = box["x"] + 0.15 * box["width"], box["y"] + 0.7 * box["height"]
    person.page.mouse.move(x, y)
    person.page.mouse.down()
    person.page.mouse.move(x + 200, y - 40, steps=5)
    person.page.mouse.up()
    person.until(lambda: abs(_view(person)["azimuth"] - first["azimuth"]) > 0.3, what="a view from another side")
    assert not _tick(person)["grabbed"]
    person.screenshot("stage-turned")

    # and when the wheel is turned, it comes nearer
    distance = _view(person)["distance"]
    person.page.mouse.wheel(0, -300)
    person.until(lambda: _view(person)["distance"] < 0.9 * distance, what="a nearer view")
    person.screenshot("stage-near")

    # then the first view is one button away, and one key
    person.page.get_by_role("button", name="First view").click()
    person.until(lambda: _same_view(_view(person), first), what="the first view")
    person.page.mouse.move(x, y)
    person.page.mouse.wheel(0, 300)
    person.until(lambda: _view(person)["distance"] > 1.1 * first["distance"], what="a view from further away")
    person.page.keyboard.press("h")
    person.until(lambda: _same_view(_view(person), first), what="the first view")
    assert person.problems == []


def test_a_robot_is_pulled_by_the_mouse_and_goes_its_own_way_when_let_go(person: Tab, trained: Trained) -> None:
    # given a robot that was stopped to be seized
    _open_driven(person, trained)
    person.see("pull-hint")
    _pause(person)
    x, y = point_on_robot(person)
    person.page.mouse.down()
    seized = _tick(person)["qpos"][0]

    # when time goes on and a person drags it to either side, it follows the hand, whatever its policy wants
    person.page.keyboard.press("Space")
    person.page.mouse.move(x + 300, y, steps=5)
    person.until(lambda: _tick(person)["grabbed"], what="a robot that is held")
    person.until(lambda: _tick(person)["qpos"][0] > seized + 0.6, what="a robot pulled to the right")
    person.screenshot("stage-pulled")
    person.page.mouse.move(x - 300, y, steps=5)
    person.until(lambda: _tick(person)["qpos"][0] < seized - 0.6, what="a robot pulled to the left")

    # then it is free once the button is let go, and nobody is told again how to pull
    person.page.mouse.up()
    person.until(lambda: not _tick(person)["grabbed"], what="a robot that is free")
    expect(person.page.get_by_test_id("pull-hint")).to_have_count(0)
    assert person.problems == []


def test_a_push_and_a_key_push_the_robot(person: Tab, trained: Trained) -> None:
    # given a robot that stands still before its episode begins
    _open_driven(person, trained)
    person.page.get_by_role("button", name="Push", exact=True).click()
    panel = person.page.get_by_test_id("push-panel")
    panel.get_by_label("Strength").focus()
    person.page.keyboard.press("End")
    expect(panel).to_contain_text("3.0")
    _pause(person)

    # when it is pushed by button and by key, then each time it goes that way, further than its motor takes it
    panel.get_by_role("button", name="Push it forwards").click()
    assert _slid_in_few_steps(person) > FURTHER_THAN_ITS_MOTOR
    person.screenshot("stage-pushed")
    person.page.keyboard.press("n")
    person.until(lambda: _tick(person)["step"] == 0, what="a new episode")
    panel.get_by_role("button", name="Close").focus()
    person.page.keyboard.press("Shift+ArrowDown")
    assert _slid_in_few_steps(person) < -FURTHER_THAN_ITS_MOTOR
    assert person.problems == []


def test_joints_and_motors_go_where_their_sliders_say(person: Tab, trained: Trained) -> None:
    # given a robot that a policy drives
    _open_driven(person, trained)
    person.page.get_by_role("button", name="Joints and motors").click()
    panel = person.page.get_by_test_id("pose-panel")

    # when a person moves a joint, time stops and that joint alone goes there
    joint = panel.get_by_role("slider").first
    _pause(person)
    before = _tick(person)
    joint.focus()
    person.page.keyboard.press("Home")
    lowest = float(joint.get_attribute("min") or 0)
    person.until(lambda: math.isclose(_tick(person)["qpos"][0], lowest, abs_tol=1e-6), what="the joint at its end")
    assert _tick(person)["qpos"][1:] == before["qpos"][1:]
    assert _tick(person)["step"] == before["step"]
    person.screenshot("stage-joint")

    # and when they take the motors from the policy, the motor does what its slider says
    panel.get_by_role("button", name="Motors", exact=True).click()
    motor = panel.get_by_role("slider").first
    expect(motor).to_be_disabled()
    panel.get_by_role("button", name="Take over").click()
    person.until(lambda: not _tick(person)["driven"], what="a robot without a policy")
    motor.focus()
    person.page.keyboard.press("End")
    strongest = float(motor.get_attribute("max") or 0)
    person.until(lambda: _control(person) == [strongest], what="a motor at its limit")
    person.screenshot("stage-motor")
    person.page.get_by_role("button", name="Play", exact=True).click()
    person.until(lambda: _tick(person)["qpos"][0] > lowest + 0.1, what="a cart that its motor moves")
    assert _control(person) == [strongest]

    # then the policy drives again once they let go
    panel.get_by_role("button", name="Let go").click()
    person.until(lambda: _tick(person)["driven"], what="a policy that drives")
    assert person.problems == []


@pytest.mark.parametrize("means", ["buttons", "keys"])
def test_time_stops_goes_step_by_step_slowly_and_from_the_beginning(person: Tab, trained: Trained, means: str) -> None:
    # given a robot that a policy drives
    _open_driven(person, trained)
    by = _Buttons(person) if means == "buttons" else _Keys(person)

    # when time is stopped, a step is one control tick, neither more nor less
    by.play()
    person.until(lambda: _tick(person)["realTimeFactor"] == 0, what="a robot that stands still")
    for _ in range(3):
        before = _tick(person)
        by.step()
        person.until(lambda: _tick(person)["step"] != before["step"], what="a step")  # noqa: B023
        assert (_tick(person)["step"], _tick(person)["episode"]) == (before["step"] + 1, before["episode"])

    # and a new episode begins at its first step
    episode = _tick(person)["episode"]
    by.episode()
    person.until(lambda: _tick(person)["episode"] == episode + 1, what="a new episode")
    assert _tick(person)["step"] == 0

    # and in slow motion time passes at a part of its pace, until it is asked for again
    by.slower()
    expect(person.page.get_by_label("Speed")).to_have_value("0.5")
    by.slower()
    by.play()
    person.until(lambda: 0 < _tick(person)["realTimeFactor"] < 0.4, what="slow motion")
    person.screenshot(f"stage-slow-by-{means}")
    by.faster()
    expect(person.page.get_by_label("Speed")).to_have_value("0.5")
    assert person.problems == []


def test_contacts_are_shown_by_menu_and_by_key(person: Tab) -> None:
    # given a robot that lies on the ground, and stands still
    person.open("/?env=WalkerStand")
    person.until_alive()
    person.until(lambda: _drawn(person) > 0, what="a robot on screen")
    _pause(person)
    without = person.until(lambda: _settled(person), what="a picture that stays")

    # when contacts are asked for, arrows are drawn
    person.page.get_by_role("button", name="More").click()
    person.page.get_by_label(re.compile("Contact forces")).check()
    person.until(lambda: _drawn(person) > without, what="arrows")
    person.page.keyboard.press("Escape")
    person.screenshot("stage-contacts")

    # then the key takes them away and brings them back
    person.page.keyboard.press("f")
    person.until(lambda: _drawn(person) == without, what="no arrows")
    person.page.keyboard.press("f")
    person.until(lambda: _drawn(person) > without, what="arrows")
    assert person.problems == []


def test_a_picture_and_a_video_are_saved_as_files_that_open(person: Tab, trained: Trained) -> None:
    # given a robot that a policy drives
    _open_driven(person, trained)
    more = person.page.get_by_role("button", name="More")

    # when a person saves a picture, it is a picture of the robot
    more.click()
    person.screenshot("stage-menu")
    picture = save(person, person.page.get_by_role("button", name="Save a picture").click)
    assert picture.name.startswith("cartpolebalance")
    assert seen(person, picture).colours > 100

    # and when they record it for a while, it is a video of the robot
    more.click()
    person.page.get_by_role("button", name="Record a video").click()
    stop = person.page.get_by_role("button", name="Stop recording and save the video")
    expect(stop).to_contain_text("0:01")
    person.screenshot("stage-recording")
    video = save(person, stop.click)
    assert video.name.startswith("cartpolebalance")
    looked = seen(person, video)
    assert looked.colours > 100
    assert looked.secs > 0.5
    assert person.problems == []


class _Buttons:
    """What a person does by mouse."""

    def __init__(self, tab: Tab) -> None:
        self._bar = tab.page.get_by_role("region", name="Playing")

    def play(self) -> None:
        self._press("Pause", "Play")

    def step(self) -> None:
        self._press("One step")

    def episode(self) -> None:
        self._press("New episode")

    def slower(self) -> None:
        self._choose(-1)

    def faster(self) -> None:
        self._choose(1)

    def _press(self, *names: str) -> None:
        self._bar.get_by_role("button", name=re.compile(f"^({'|'.join(names)})$")).click()

    def _choose(self, way: int) -> None:
        speed = self._bar.get_by_label("Speed")
        speeds = [option.get_attribute("value") for option in speed.get_by_role("option").all()]
        speed.select_option(speeds[speeds.index(speed.input_value()) + way])


class _Keys:
    """The same by keys."""

    def __init__(self, tab: Tab) -> None:
        self._keyboard = tab.page.keyboard

    def play(self) -> None:
        self._keyboard.press("Space")

    def step(self) -> None:
        self._keyboard.press(".")

    def episode(self) -> None:
        self._keyboard.press("n")

    def slower(self) -> None:
        self._keyboard.press("-")

    def faster(self) -> None:
        self._keyboard.press("+")


def _open_driven(tab: Tab, trained: Trained) -> None:
    """Opens the trained policy, and waits until it drives and nothing is in front of the robot."""
    tab.open(f"/?env={ENVIRONMENT}&policy={trained.policy_ids[1]}")
    tab.until_driven()
    tab.until(lambda: _drawn(tab) > 0, what="a robot on screen")


def _pause(tab: Tab) -> None:
    tab.page.get_by_role("button", name="Pause", exact=True).click()
    tab.until(lambda: _tick(tab)["realTimeFactor"] == 0, what="a robot that stands still")


def _slid_in_few_steps(tab: Tab) -> float:
    """How far the cart goes in the next twenty steps, one by one."""
    before = _tick(tab)
    for _ in range(20):
        tab.page.keyboard.press(".")
    tab.until(lambda: _tick(tab)["step"] == before["step"] + 20, what="twenty steps")
    return float(_tick(tab)["qpos"][0] - before["qpos"][0])


def _drawn(tab: Tab) -> int:
    """Triangles of the last frame."""
    drawn: int = tab.page.evaluate("() => window.__tabrl.drawn().triangles")
    return drawn


def _settled(tab: Tab) -> int:
    """Triangles of the last frame, once they have been the same for half a second; 0 before."""
    before = _drawn(tab)
    tab.page.wait_for_timeout(500)
    return before if _drawn(tab) == before else 0


def _tick(tab: Tab) -> dict[str, Any]:
    tick = tab.tick()
    assert tick
    return tick


def _control(tab: Tab) -> list[float]:
    """What drives the motors."""
    values: list[float] = tab.page.evaluate("() => Array.from(window.__tabrl.tick.ctrl)")
    return values


def _view(tab: Tab) -> dict[str, float]:
    """How the camera looks at the robot: `azimuth` and `polar` in radians, `distance` in parts of the first one."""
    (view,) = tab.page.evaluate("() => window.__tabrl.views()")
    return dict(view)


def _same_view(a: dict[str, float], b: dict[str, float]) -> bool:
    return all(math.isclose(a[key], b[key], abs_tol=1e-3) for key in b)


def _canvas(tab: Tab) -> FloatRect:
    box = tab.page.get_by_test_id("stage").locator("canvas").bounding_box()
    assert box
    return box
