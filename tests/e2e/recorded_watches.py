"""What a page was told of its runs, taken down while it was told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tabrl.trainer.v1 import trainer_pb2

from tests.e2e.browser_tab import Tab

__all__ = ["RECORDER", "Watch", "count", "places", "told", "watches"]

# Keeps what the page asks for with each watch and what it is given, in the pieces in which it takes them: the stream
# that the page reads has no buffer of its own, so that nothing is kept that was not taken.
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

Watch = tuple[trainer_pb2.WatchRunsRequest, Sequence[trainer_pb2.WatchRunsResponse]]


def watches(page: Tab, since: int = 0) -> list[Watch]:
    """Every watch of the page that was answered: what it asked for, and the messages it was given in full.

    The first ones, `since` of them, are left out.
    """
    recorded: list[dict[str, Any]] = page.page.evaluate("(since) => window.recordedWatches.slice(since)", since)
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


def count(page: Tab) -> int:
    """How many watches of the page were answered."""
    answered: int = page.page.evaluate("window.recordedWatches.length")
    return answered


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
