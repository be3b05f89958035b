"""A page whose connection breaks again and again while a run trains is told each event once, and in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection
from tabrl_cli.watch import watch_run

from tests.e2e.browser_tab import Tab, tab
from tests.e2e.line import Line, line_to
from tests.stack.running_stack import RunningStack

BREAKS = 20
# More than it can do while the test lasts; it is cancelled at the end.
ENV_STEPS = 2_000_000_000

# Keeps what the page asks for with each watch and what it is given, in the pieces in which it takes them: the stream that
# the page reads has no buffer of its own, so that nothing is kept that was not taken.
RECORDER = """(() => {
  const watches = (window.recordedWatches = []);
  const passedOn = window.fetch;
  window.fetch = async (input, init) => {
    if (!String(input).endsWith("/tabrl.trainer.v1.TrainerService/WatchRuns")) return passedOn(input, init);
    const asked = Array.from(new Uint8Array(await new Response(init.body).arrayBuffer()));
    const watch = { asked, told: [] };
    const response = await passedOn(input, init);
    watches.push(watch);
    const reader = response.body.getReader();
    const body = new ReadableStream(
      {
        async pull(controller) {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          watch.told.push(Array.from(value));
          controller.enqueue(value);
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
    return new Response(body, { status: response.status, headers: response.headers });
  };
})()"""

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


@pytest.fixture
def line(stack: RunningStack) -> Iterator[Line]:
    with line_to(stack.topology.port) as opened:
        yield opened


@pytest.fixture
def person_on_the_line(line: Line, browser: Browser) -> Iterator[Tab]:
    """A tab behind a line that breaks."""
    with tab(browser, line.url) as opened:
        opened.page.add_init_script(RECORDER)
        yield opened


@pytest.fixture
def connection(stack: RunningStack) -> Connection:
    return Connection(stack.url)


@pytest.fixture
def run_id(connection: Connection) -> Iterator[str]:
    """A run that trains."""
    settings = trainer_pb2.TrainingSettings(env_steps=ENV_STEPS, num_envs=256)
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", settings=settings)
    run = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run
    yield run.run_id
    cancel(connection, run.run_id)


def test_a_page_that_reconnects_twenty_times_misses_nothing_and_hears_nothing_twice(
    line: Line, person_on_the_line: Tab, person: Tab, connection: Connection, run_id: str
) -> None:
    # given a page that follows a run, and beside it a plain EventSource
    page = person_on_the_line
    page.open(f"/?env=CartpoleBalance&run={run_id}")
    state = page.page.get_by_test_id("run-state")
    page.until(lambda: state.count() and state.get_attribute("data-state") == "RUNNING", what="a running run")
    page.page.evaluate(LISTENER, run_id)

    # when the connection breaks twenty times, each time after news of the run: between messages, within one, and once
    # for as long as it takes the page to say so
    for number in range(BREAKS):
        known = len(told(watches(page), run_id))
        page.until(lambda known=known: len(told(watches(page), run_id)) > known, what="news")  # type: ignore[misc]
        cuts = line.cuts
        if number == BREAKS // 2:
            with line.down():
                assert "connection" in page.until(page.banner, what="a banner").lower()
        elif number % 2:
            line.cut_in_message()
            page.until(lambda cuts=cuts: line.cuts > cuts, what="a cut")  # type: ignore[misc]
        else:
            line.cut()
    assert line.cuts >= BREAKS

    # then, once the run has ended, the page has been told every event, once, in order, and asked for no more than that
    cancel(connection, run_id)
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
    person.until(lambda: checkpoints(person) == checkpoints(page), what="the same checkpoints")

    # and the EventSource has heard the same
    page.until(lambda: page.page.evaluate("window.heardEvents.ended"), what="the end of the events")
    heard = page.page.evaluate("window.heardEvents")
    assert heard["ids"] == everything
    print(f"{len(recorded)} watches of {len(events)} events; the EventSource connected {heard['opened']} times")


Watch = tuple[trainer_pb2.WatchRunsRequest, Sequence[trainer_pb2.WatchRunsResponse]]


def watches(page: Tab) -> list[Watch]:
    """Every watch of the page that was answered: what it asked for, and the messages it was given in full."""
    recorded: list[dict[str, Any]] = page.page.evaluate("window.recordedWatches")
    return [
        (
            trainer_pb2.WatchRunsRequest.FromString(messages(bytes(watch["asked"]))[0]),
            [
                trainer_pb2.WatchRunsResponse.FromString(message)
                for message in messages(b"".join(bytes(piece) for piece in watch["told"]))
            ],
        )
        for watch in recorded
    ]


def messages(data: bytes) -> list[bytes]:
    """The whole messages in a body of grpc-web: a byte that is 0, four of length, and so many of the message."""
    found = []
    while len(data) >= 5:
        flag, length = data[0], int.from_bytes(data[1:5], "big")
        if flag != 0 or len(data) < 5 + length:
            break
        found.append(data[5 : 5 + length])
        data = data[5 + length :]
    return found


def told(recorded: Sequence[Watch], run_id: str) -> list[int]:
    """The revisions of a run that the page was given, in the order of their coming."""
    return [
        update.event.revision
        for _, updates in recorded
        for update in updates
        if update.HasField("event") and update.event.run_id == run_id
    ]


def places(recorded: Sequence[Watch], run_id: str) -> list[tuple[int, int]]:
    """For each watch of a run, after which revision the page asked to go on, and the last it had been given before."""
    found, last = [], 0
    for request, updates in recorded:
        for cursor in request.cursors:
            if cursor.run_id == run_id:
                found.append((cursor.after_revision, last))
        last = max([last, *told([(request, updates)], run_id)])
    return found


def checkpoints(page: Tab) -> list[str]:
    """What the page's list of checkpoints says."""
    texts: list[str] = page.page.get_by_test_id("checkpoint-item").all_inner_texts()
    return texts


def cancel(connection: Connection, run_id: str) -> None:
    connection.call(connection.trainer.CancelRun, trainer_pb2.CancelRunRequest(run_id=run_id))
