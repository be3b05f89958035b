"""Policies side by side: chosen, moved by one clock, measured, and what is said when one of them cannot be had."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from tabrl.exporter.v1 import exporter_pb2
from tabrl.inference.v1 import inference_pb2
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import Tab
from tests.e2e.downloads import save, seen
from tests.e2e.practice import Practised, policies, practised
from tests.e2e.trained import Trained, publish_untrained
from tests.stack.running_stack import RunningStack

# The run whose robots are picked is found by these words alone.
SWAY = "Sway gently to be compared"
# In fifteen steps of a hundredth of a second the cart's own motor moves it by 0.12 m at most, in metres.
FURTHER_THAN_ITS_MOTOR = 0.2


@pytest.fixture(scope="module")
def runs(connection: Connection, trained: Trained) -> tuple[Practised, Practised]:
    """Two runs for one reward, each with policies of its beginning and of its end."""
    first = Practised(trained.run_id, policies(connection, trained.run_id))
    if len(first.policy_ids) < 2:
        first = practised(connection, trained, "Sway at first")
    return first, practised(connection, trained, SWAY)


def test_two_policies_are_picked_and_play_by_one_clock(person: Tab, runs: tuple[Practised, Practised]) -> None:
    # given nothing to compare yet
    person.open("/?view=compare")
    person.page.get_by_role("heading", name="Which one does it better?").wait_for()
    person.screenshot("compare-nothing")

    # when a person picks two policies of one run
    person.page.get_by_role("button", name="Choose a policy").click()
    offers = _offers(person)
    offers.first.click()
    offers.first.get_by_text("compared already").wait_for()
    offers.last.click()
    picker = person.page.get_by_role("dialog", name="Choose policies to compare")
    picker.get_by_text("2 of 4").wait_for()
    person.screenshot("compare-picker")
    picker.get_by_role("button", name="Done").click()

    # then both drive, with what they earn below each, and the address says which they are
    last, first = runs[1].policy_ids[-1], runs[1].policy_ids[0]
    _until_driven(person, 2)
    assert _compared(person) == [last, first]
    for pane in person.page.get_by_role("article").all():
        expect(pane.get_by_role("list", name="Terms").get_by_role("listitem").nth(1)).to_be_visible()
        expect(pane.get_by_test_id("lane-return")).to_contain_text(re.compile(r"\d"))
    person.screenshot("compare-two")

    # and a reload brings them back
    person.page.reload()
    _until_driven(person, 2)
    for pane, policy_id in zip(person.page.get_by_role("article").all(), (last, first), strict=True):
        expect(pane).to_have_attribute("data-policy-id", policy_id)

    # and what is done to time is done to both: stopped, they stand at one step, and go on from it together
    _press(person, "Pause all")
    person.until(lambda: all(robot["realTimeFactor"] == 0 for robot in _robots(person)), what="robots that stand still")
    person.until(lambda: len({robot["step"] for robot in _robots(person)}) == 1, what="robots at one step")
    _press(person, "Start all anew")
    person.until(lambda: [robot["step"] for robot in _robots(person)] == [0, 0], what="a new episode of both")
    assert _robots(person)[0]["qpos"] == _robots(person)[1]["qpos"]
    _press(person, "One step of all")
    person.until(lambda: [robot["step"] for robot in _robots(person)] == [1, 1], what="a step of both")

    # and one push sends both the same way, further than their motors do
    person.page.get_by_label("Strength").focus()
    person.page.keyboard.press("End")
    _press(person, "Push all forwards")
    before = _robots(person)
    for _ in range(15):
        person.page.keyboard.press(".")
    person.until(lambda: [robot["step"] for robot in _robots(person)] == [16, 16], what="fifteen steps of both")
    for robot, was in zip(_robots(person), before, strict=True):
        assert robot["qpos"][0] - was["qpos"][0] > FURTHER_THAN_ITS_MOTOR
    person.screenshot("compare-pushed")

    # and slow motion slows both
    person.page.get_by_label("Speed").select_option("0.25")
    _press(person, "Play all")
    person.until(lambda: all(0 < robot["realTimeFactor"] < 0.4 for robot in _robots(person)), what="slow motion")
    assert person.problems == []


def test_one_slider_moves_both_to_what_they_could_at_first(person: Tab, runs: tuple[Practised, Practised]) -> None:
    # given the newest policies of two runs
    _open(person, *(run.policy_ids[-1] for run in runs))
    newest = _graphs(person)
    slider = person.page.get_by_role("slider", name="Practice")

    # when the slider of practice is moved to its beginning, both play the first policy of their run
    slider.focus()
    person.page.keyboard.press("Home")
    person.until(lambda: _compared(person) == [run.policy_ids[0] for run in runs], what="the first policies")
    person.until(lambda: not set(_graphs(person)) & set(newest), what="other policies that drive both")
    person.screenshot("compare-beginning")

    # then the newest are one button away, and the robots have gone on all the time
    person.page.get_by_role("button", name="Newest").click()
    person.until(lambda: _compared(person) == [run.policy_ids[-1] for run in runs], what="the newest policies")
    person.until(lambda: _graphs(person) == newest, what="the newest policies on stage")
    assert person.player_errors() == []
    assert person.problems == []


def test_the_better_one_is_found_by_evaluation_and_robustness_and_filmed(
    person: Tab, trained: Trained, runs: tuple[Practised, Practised], connection: Connection
) -> None:
    # given a policy that learned its task, and one that had hardly begun to
    better, worse = trained.policy_ids[1], runs[1].policy_ids[0]
    _open(person, better, worse)

    # when both are evaluated, the table says what Inference measures
    person.page.get_by_role("button", name="Evaluate", exact=True).click()
    person.page.get_by_role("button", name="Evaluate again").wait_for()
    returns = person.page.get_by_role("row", name="Mean return").get_by_role("cell")
    for cell, policy_id in zip(returns.all(), (better, worse), strict=True):
        measured = pytest.approx(_evaluation(connection, policy_id).mean_return, abs=0.5)
        person.until(lambda: _number(cell) == measured, what=f"a mean return of {measured}")  # noqa: B023

    # then the one that earns more is marked, and wins
    expect(returns.first).to_contain_text("(best)")
    verdict = person.page.get_by_role("region", name="Who is best")
    expect(verdict).to_contain_text("A, ")
    expect(verdict).to_contain_text("wins: it earns more")
    verdict.scroll_into_view_if_needed()
    person.screenshot("compare-evaluated")

    # and when their robustness is measured, a chart and a number for each say how much they withstand
    person.page.get_by_role("button", name="Measure robustness").click()
    person.page.get_by_role("button", name="Measure again").wait_for()
    robustness = person.page.get_by_role("region", name="Robustness")
    robustness.get_by_role("img", name=re.compile("Robustness of A, .*; B, ")).scroll_into_view_if_needed()
    share = re.compile(r"^\d+\s?%$")
    expect(robustness.get_by_role("row", name="In all").get_by_role("cell")).to_have_text([share, share])
    expect(verdict).to_contain_text("Robustness: ")
    person.screenshot("compare-robustness")

    # and a film of both is a video that opens
    person.page.get_by_role("button", name="Film all robots").click()
    stop = person.page.get_by_role("button", name="Stop and save the film")
    person.until(lambda: "1 s" in stop.inner_text(), what="a second of film")
    film = save(person, stop.click)
    assert film.name == "comparison.webm"
    looked = seen(person, film)
    assert looked.width > looked.height
    assert looked.colours > 100
    assert person.problems == []


def test_a_policy_that_is_gone_is_said_in_its_pane_and_the_other_plays_on(
    person: Tab, trained: Trained, stack: RunningStack, connection: Connection
) -> None:
    # given a link to a policy that is there, one that was deleted, and one that never was
    deleted = publish_untrained(connection, stack.data / "artifacts", seed=43).policy_id
    connection.call(connection.exporter.DeletePolicy, exporter_pb2.DeletePolicyRequest(policy_id=deleted))
    there = trained.policy_ids[1]

    # when it is followed
    person.open(f"/?view=compare&with={deleted},{there},nothing-of-this-name")

    # then their panes say which are missing, and the other robot plays
    panes = person.page.get_by_role("article")
    panes.nth(0).get_by_role("alert").get_by_text(deleted).wait_for()
    panes.nth(2).get_by_role("alert").get_by_text("nothing-of-this-name").wait_for()
    _until_driven(person, 1)
    person.screenshot("compare-missing")

    # and once both are removed, the address names the one that plays on
    for _ in range(2):
        panes.get_by_role("button", name="Remove it").first.click()
    person.until(lambda: _compared(person) == [there], what="an address without them")
    person.until_it_plays_on()
    assert person.player_errors() == []


def test_an_evaluation_that_breaks_off_says_so_beside_the_robots_and_can_be_taken_up(
    person: Tab, trained: Trained, stack: RunningStack
) -> None:
    # given an evaluation that is under way
    _open(person, *trained.policy_ids)
    stack.process("inference").suspend()
    person.page.get_by_role("button", name="Evaluate", exact=True).click()
    person.page.get_by_text("episode 1 of 5").first.wait_for()

    # when Inference is killed
    stack.kill("inference")

    # then the evaluation says that it could not be done, and the robots play on
    evaluation = person.page.get_by_role("region", name="Evaluation", exact=True)
    evaluation.get_by_text("A could not be evaluated").wait_for()
    evaluation.scroll_into_view_if_needed()
    person.screenshot("compare-failed-evaluation")
    person.until_it_plays_on()

    # and once it is back, the evaluation is done when it is asked for
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")
    evaluation.get_by_role("button", name="Evaluate", exact=True).click()
    evaluation.get_by_role("button", name="Evaluate again").wait_for()
    expect(evaluation.get_by_role("alert")).to_have_count(0)


def test_robots_play_on_and_are_evaluated_without_the_exporter(
    person: Tab, trained: Trained, stack: RunningStack
) -> None:
    # given two policies that play
    _open(person, *trained.policy_ids)

    # when the Exporter is killed before they are evaluated
    stack.kill("exporter")
    person.page.get_by_role("button", name="Evaluate", exact=True).click()

    # then the page names it, and the robots play on
    person.until(lambda: "Exporter" in person.banner(), what="a banner that names the Exporter")
    person.until_it_plays_on()

    # and the evaluation comes about, at the latest when it is asked for again
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")
    evaluation = person.page.get_by_role("region", name="Evaluation", exact=True)
    person.until(lambda: _asked_until_done(evaluation), what="an evaluation")
    expect(evaluation.get_by_role("alert")).to_have_count(0)


def _asked_until_done(evaluation: Locator) -> bool:
    """Asks for what is still missing of an evaluation; whether nothing is."""
    ask = evaluation.get_by_role("button", name="Evaluate", exact=True)
    if ask.count() and ask.is_enabled():
        ask.click()
    return evaluation.get_by_role("button", name="Evaluate again").count() > 0


def _evaluation(connection: Connection, policy_id: str) -> inference_pb2.EvaluationSummary:
    """What Inference measures of a policy, from the starts that the page asks for."""
    asked = inference_pb2.EvaluateRequest(policy_id=policy_id, episodes=5, seed=0)
    *_, last = connection.inference.Evaluate(asked)
    return last.summary


def _number(cell: Locator) -> float | None:
    """The mean that a cell of the table shows."""
    found = re.match(r"[\d,.]+", cell.inner_text())
    return float(found[0].replace(",", "")) if found else None


def _open(tab: Tab, *policy_ids: str) -> None:
    tab.open(f"/?view=compare&with={','.join(policy_ids)}")
    _until_driven(tab, len(policy_ids))


def _until_driven(tab: Tab, robots: int) -> None:
    wanted = [True] * robots
    tab.until(lambda: [robot["driven"] for robot in _robots(tab)] == wanted, what=f"{robots} driven robots")
    tab.until(lambda: not tab.page.get_by_text("Setting up").count(), what="robots on screen")


def _offers(tab: Tab) -> Locator:
    """Opens a run in the picker and returns what can be chosen of it."""
    dialog = tab.page.get_by_role("dialog", name="Choose policies to compare")
    dialog.get_by_role("searchbox", name="Search").fill(SWAY)
    run = dialog.get_by_test_id("pick-run")
    run.filter(has_text=SWAY).first.wait_for()
    run.first.click()
    return dialog.get_by_role("button", name=re.compile(r"^\S+ steps"))


def _press(tab: Tab, name: str) -> None:
    tab.page.get_by_role("region", name="Controls of all robots").get_by_role("button", name=name, exact=True).click()


def _compared(tab: Tab) -> list[str]:
    """The policies that the address names."""
    return re.sub(r".*with=", "", tab.page.url).split(",")


def _graphs(tab: Tab) -> list[str]:
    """What drives each robot."""
    return [robot["controllerSha256"] for robot in _robots(tab)]


def _robots(tab: Tab) -> list[dict[str, Any]]:
    """The newest tick of each robot."""
    script = """() => Array.from(window.__tabrl?.lanes ?? [], (tick) =>
      tick ? { ...tick, qpos: Array.from(tick.qpos), ctrl: Array.from(tick.ctrl) } : { driven: false })"""
    robots: list[dict[str, Any]] = tab.page.evaluate(script)
    return robots
