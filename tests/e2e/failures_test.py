"""What goes wrong is said where the person looks, and goes away when it is over."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection
from tabrl_cli.watch import watch_run

from tests.e2e.browser_tab import Tab, tab
from tests.e2e.line import Line
from tests.e2e.recorded_watches import RECORDER, count, places, told, watches
from tests.e2e.trained import cancelled
from tests.stack.running_stack import RunningStack

BREAKS = 20

# Follows a run as pages do that have no gRPC.
LISTENER = """(runId) => {
  const heard = (window.heardEvents = { ids: [], opened: 0, ended: false });
  const source = new EventSource(`/api/training/${runId}/events`);
  source.addEventListener("open", () => heard.opened++);
  source.addEventListener("message", ({ lastEventId }) => heard.ids.push(Number(lastEventId)));
  source.addEventListener("end", () => {
    heard.ended = true;
    source.close();
  });
}"""


def test_a_killed_trainer_is_noticed_and_the_run_goes_on_when_it_returns(
    stack: RunningStack, person: Tab, run_id: str
) -> None:
    # given a person who watches a run
    state = person.watch("CartpoleBalance", run_id)
    person.see("checkpoint-item")

    # when the Trainer is killed
    stack.kill("trainer")

    # then the page says so, while the robot stays alive
    # the broken stream is seen at once, the service's name with the next look at its health
    person.until(lambda: "Trainer" in person.banner(), what="a banner that names the Trainer")
    person.screenshot("failure-trainer")
    person.until_it_plays_on()

    # and once it is back the banner goes and the run goes on
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")
    person.until(lambda: state.get_attribute("data-state") == "RUNNING", what="the run's return")
    seen = person.text("run-panel")
    person.until(lambda: person.text("run-panel") != seen, what="progress of the run")
    person.screenshot("failure-trainer-over")
    assert [error["code"] for error in person.player_errors()] == []


@pytest.fixture
def person_on_the_line(line: Line, browser: Browser) -> Iterator[Tab]:
    """A tab behind a line that breaks."""
    with tab(browser, line.url) as opened:
        opened.page.add_init_script(RECORDER)
        yield opened


def test_a_page_that_reconnects_twenty_times_misses_nothing_and_hears_nothing_twice(
    line: Line, person_on_the_line: Tab, person: Tab, connection: Connection, run_id: str
) -> None:
    # given a page that follows a run, and beside it a plain EventSource
    page = person_on_the_line
    state = page.watch("CartpoleBalance", run_id)
    page.page.evaluate(LISTENER, run_id)

    # when the connection breaks twenty times, each time after news of the run: between messages, within one, and once
    # for as long as it takes the page to say so
    known = 0
    for number in range(BREAKS):
        page.until(lambda known=known: told(watches(page, since=known), run_id), what="news")  # type: ignore[misc]
        known, cuts = count(page), line.cuts
        if number == BREAKS // 2:
            with line.down():
                page.until(lambda: "reconnect" in page.banner().lower(), what="a banner")
        elif number % 2:
            line.cut_in_message()
            page.until(lambda cuts=cuts: line.cuts > cuts, what="a cut")  # type: ignore[misc]
        else:
            line.cut()
    assert line.cuts >= BREAKS

    # then, once the run has ended, the page has been told every event, once, in order, and asked for no more than that
    assert cancelled(connection, run_id)
    page.until(lambda: state.get_attribute("data-state") == "CANCELLED", what="the end of the run")
    events = [update for update in watch_run(connection, run_id) if isinstance(update, trainer_pb2.RunEvent)]
    everything = list(range(1, len(events) + 1))
    assert [event.revision for event in events] == everything
    page.until(lambda: len(told(watches(page), run_id)) >= len(events), what="the last event")
    recorded = watches(page)
    assert told(recorded, run_id) == everything
    assert [after for after, _ in places(recorded, run_id)] == [before for _, before in places(recorded, run_id)]
    assert len(recorded) > BREAKS

    # and the page shows what one shows that has only just come
    person.open(f"/?env=CartpoleBalance&run={run_id}")
    person.see("checkpoint-item")
    person.until(lambda: _checkpoints(person) == _checkpoints(page), what="the same checkpoints")

    # and the EventSource has heard the same
    page.until(lambda: page.page.evaluate("window.heardEvents.ended"), what="the end of the events")
    heard = page.page.evaluate("window.heardEvents")
    assert heard["ids"] == everything
    print(f"{len(recorded)} watches of {len(events)} events; the EventSource connected {heard['opened']} times")


@pytest.mark.parametrize("service", ["RewardGen", "Exporter", "Inference"])
def test_a_killed_service_is_named_although_nobody_calls_it(service: str, stack: RunningStack, person: Tab) -> None:
    # it is back within a second or two, perhaps before the page looks again: then the count of restarts tells
    with person.page.expect_response("**/healthz"):
        person.open()
    person.see("env-card-CartpoleBalance")

    stack.kill(service.lower())

    person.until(lambda: service in person.banner(), what=f"a banner that names the {service}")
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")


def test_a_scene_that_hangs_is_named_and_does_not_stop_a_robot_that_is_loaded(stack: RunningStack, person: Tab) -> None:
    person.open("/?env=WalkerStand")
    person.until_alive()

    stack.process("scene").suspend()

    person.until(lambda: "scene" in person.banner().lower(), what="a banner that names the Scene service")
    person.screenshot("failure-scene-hangs")
    episode = person.tick()["episode"]  # type: ignore[index]
    person.click("reset")
    person.until(lambda: person.tick()["episode"] > episode, what="a new episode")  # type: ignore[index]
    stack.process("scene").resume()
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")


def test_an_empty_prompt_is_refused_beside_the_prompt(person: Tab) -> None:
    person.open("/?env=CartpoleBalance")
    person.page.get_by_test_id("prompt").fill("   ")

    person.click("generate")

    person.see("error")
    person.screenshot("failure-prompt")
    expect(person.page.get_by_test_id("reward-terms")).to_have_count(0)


def test_broken_source_is_refused_with_its_line(stack: RunningStack, person: Tab) -> None:
    # given a reward
    person.open("/?env=CartpoleBalance")
    person.page.get_by_test_id("prompt").fill("keep the pole upright")
    person.click("generate")
    person.see("reward-terms")

    # when the person breaks its source
    editor = person.page.get_by_test_id("reward-source").locator(".cm-content")
    editor.click()
    person.page.keyboard.press("Control+A")
    person.page.keyboard.insert_text("import os\n\ndef reward(state, action):\n    return {'a': os.getpid()}\n")
    person.click("compile")

    # then the page says which rule is broken and where
    expect(person.part("error")).to_contain_text("import")
    expect(person.part("error")).to_contain_text(re.compile("line 1|1:", re.IGNORECASE))
    person.screenshot("failure-source")


def test_an_unknown_environment_is_said_to_be_unknown(person: Tab) -> None:
    person.open("/?env=CartpoleBallance")

    expect(person.part("error")).to_contain_text("CartpoleBalance")
    person.screenshot("failure-environment")


def _checkpoints(page: Tab) -> list[str]:
    """What the page's list of checkpoints says."""
    texts: list[str] = page.page.get_by_test_id("checkpoint-item").all_inner_texts()
    return texts
