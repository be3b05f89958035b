"""A network that goes away while a run is watched, and a page that knows more of a run than the Trainer."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import Tab, tab
from tests.e2e.line import Line
from tests.e2e.recorded_watches import RECORDER, count, messages, places, told, watches
from tests.e2e.trained import ENVIRONMENT

WATCH = "**/tabrl.trainer.v1.TrainerService/WatchRuns"


@pytest.fixture
def person(line: Line, browser: Browser) -> Iterator[Tab]:
    """A tab behind a line that breaks."""
    with tab(browser, line.url) as opened:
        opened.page.add_init_script(RECORDER)
        yield opened


def test_a_person_who_is_offline_for_a_while_keeps_the_robot_and_then_the_run(
    person: Tab, line: Line, run_id: str
) -> None:
    # given a run, and its policy that drives
    person.watch(ENVIRONMENT, run_id)
    person.see("checkpoint-item")
    person.until_driven()
    known, drove = count(person), person.tick()["controllerSha256"]  # type: ignore[index]

    # when the network goes away
    person.page.context.set_offline(True)
    line.cut()

    # then the page says so, and the robot plays on
    person.until(lambda: "reconnect" in person.banner().lower(), what="a banner")
    person.until_it_plays_on()
    person.screenshot("failure-offline")

    # and when it is back, the banner goes and the run goes on from where it was
    person.page.context.set_offline(False)
    person.until(lambda: not person.banner(), what="the end of the banner")
    person.until(lambda: told(watches(person, since=known), run_id), what="news of the run")
    recorded = watches(person)
    assert told(recorded, run_id) == list(range(1, len(told(recorded, run_id)) + 1))

    # and its newest policy takes over, whichever was on its way when the network went away
    person.until(lambda: (person.tick() or {}).get("controllerSha256") not in (None, drove), what="a newer policy")
    assert {error["code"] for error in person.player_errors()} <= {"ARTIFACT_UNREACHABLE"}


def test_a_page_that_knows_more_than_the_trainer_reads_the_run_from_its_start(
    person: Tab, line: Line, run_id: str, connection: Connection
) -> None:
    # given a page that follows a run
    state = person.watch(ENVIRONMENT, run_id)
    person.see("checkpoint-item")
    person.until(lambda: len(told(watches(person), run_id)) > 5, what="news of the run")

    # when it asks for what comes after a revision that the Trainer does not have, as after a restored backup
    asked: list[int] = []

    def ahead(route: Route) -> None:
        body = route.request.post_data_buffer
        assert body is not None
        request = trainer_pb2.WatchRunsRequest.FromString(messages(body)[0])
        asked.append(request.cursors[0].after_revision)
        if len(asked) == 1:
            request.cursors[0].after_revision += 1_000_000
        message = request.SerializeToString()
        route.continue_(post_data=struct.pack(">BI", 0, len(message)) + message)

    person.page.route(WATCH, ahead)
    known = count(person)
    line.cut()

    # then it asks for all of it, without a person's doing
    person.until(lambda: len(asked) >= 2, what="another watch")
    assert asked[0] > 0
    assert asked[1] == 0
    person.until(lambda: told(watches(person, since=known), run_id), what="the run's first events")
    connection.call(connection.trainer.CancelRun, trainer_pb2.CancelRunRequest(run_id=run_id))
    person.until(lambda: state.get_attribute("data-state") == "CANCELLED", what="the end of the run")

    # and has been told all of it once more, in order, so that its curves are whole
    again = told(watches(person, since=known), run_id)
    assert again == list(range(1, len(again) + 1))
    assert len(again) > asked[0]
    assert places(watches(person, since=known), run_id)[-1][0] == 0
    person.until(lambda: not person.banner(), what="the end of the banner")
