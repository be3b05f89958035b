"""A run's events over HTTP, as a browser's EventSource reads them."""

import json

import aiohttp
import pytest
import sqlalchemy as sa
from tabrl_chassis.database import Database

from tabrl_trainer import feeds
from tabrl_trainer.conftest import RUNNING, is_state, trainer


@pytest.fixture
def database_url(tmp_path):
    """One kind of database: what differs between them is watched over gRPC."""
    return f"sqlite:///{tmp_path / 'test.db'}"


class Page:
    """Reads events as a page does that keeps the id of the last."""

    def __init__(self, rig):
        """Read from a Trainer's HTTP port."""
        self.url = f"http://127.0.0.1:{rig.http_port}/api/training/"
        self.last_id = ""

    async def read(self, run_id, query="", until=lambda _: False):
        """Return the events until one that is wanted or the end of the stream, each as a dict of its fields."""
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.url}{run_id}/events{query}", headers=headers) as got,
        ):
            assert got.status == 200, await got.text()
            assert got.headers["content-type"] == "text/event-stream"
            events, fields = [], {}
            async for line in got.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                    continue
                self.last_id = fields.get("id", self.last_id)
                if "data" in fields:
                    events.append(fields)
                    if until(json.loads(fields["data"])):
                        break
                fields = {}
            return events

    async def status(self, run_id, query=""):
        """Return status and reason of a request that gives no stream."""
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.url}{run_id}/events{query}", headers=headers) as got,
        ):
            text = await got.text()
            return got.status, json.loads(text)["details"][0]["reason"] if text else ""


async def test_a_run_is_told_to_its_end(rig):
    run_id = await rig.create("run metrics:1000@2 final:2000")
    events = await Page(rig).read(run_id)
    assert [event.get("event") for event in (events[0], events[-1])] == ["snapshot", "end"]
    assert events[0]["retry"] == "1000"
    told = [json.loads(event["data"]) for event in events[1:-1]]
    assert [event["revision"] for event in told] == [event["id"] for event in events[1:-1]]
    assert [int(event["revision"]) for event in told] == list(range(1, len(told) + 1))
    assert told[0]["state_changed"]["state"] == "RUN_STATE_QUEUED"
    assert any("metrics" in event for event in told)


async def test_a_broken_connection_goes_on_without_a_gap_or_a_repeat(rig, tmp_path, caplog):
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run metrics:1000@2 file:{gate} metrics:1500@3 final:2000")
    page, seen = Page(rig), []
    for _ in range(3):
        seen += await page.read(run_id, until=lambda event: event.get("run_id") == run_id and "revision" in event)
    gate.touch()
    seen += await page.read(run_id)
    revisions = [int(event["id"]) for event in seen if "id" in event]
    assert revisions == list(range(1, len(revisions) + 1))
    # that somebody no longer listens is no error
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    # asked once more after its end, a browser is told to stop
    assert await page.status(run_id) == (204, "")


async def test_what_cannot_be_told_is_a_typed_error(rig):
    page = Page(rig)
    run_id = await rig.create("run final:1")
    await rig.watch(run_id)
    assert await page.status("run-none") == (404, "RUN_NOT_FOUND")
    assert await page.status(run_id, "?after_revision=999") == (400, "REVISION_OUT_OF_RANGE")
    for text in ("-1", "x", "1e3", "%C2%B2", "9" * 19, "9" * 30, "9" * 5000):
        assert await page.status(run_id, f"?after_revision={text}") == (400, "INVALID_FIELD")


async def test_a_database_that_is_away_is_said(rig, monkeypatch):
    page = Page(rig)
    run_id = await rig.create("run wait")
    await rig.until(run_id, is_state(RUNNING))
    with monkeypatch.context() as away:
        away.setattr(Database, "read", _is_away)
        assert await page.status(run_id) == (503, "STORAGE_UNAVAILABLE")
    told = await page.read(
        run_id, until=lambda event: event.get("state_changed", {}).get("state") == "RUN_STATE_RUNNING"
    )
    assert told[0]["event"] == "snapshot"


async def test_a_database_that_goes_away_ends_the_stream_so_that_it_is_taken_up_again(rig, monkeypatch, caplog):
    # given a feed that keeps little, so that most of what is told comes from the database
    monkeypatch.setattr(feeds, "MOST_EVENTS_KEPT", 2)
    monkeypatch.setattr(feeds, "_EVENTS_PER_READ", 3)
    run_id = await rig.create("run lines:20x10 final:1000")
    await rig.watch(run_id)
    page = Page(rig)
    read_older, reads = feeds.Feed.older_after, []

    async def older_after(feed, revision):
        reads.append(revision)
        return await (_is_away() if len(reads) == 3 else read_older(feed, revision))

    monkeypatch.setattr(feeds.Feed, "older_after", older_after)
    told = await page.read(run_id)
    assert (told[-1].get("event"), int(page.last_id)) == (None, 6)
    rest = await page.read(run_id)
    assert rest[-1]["event"] == "end"
    revisions = [int(event["id"]) for event in told + rest if "id" in event]
    assert revisions == list(range(1, len(revisions) + 1))
    assert [record.getMessage() for record in caplog.records if "Error handling request" in record.getMessage()] == []


async def test_the_stream_ends_with_the_service(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create("run wait")
        await rig.until(run_id, is_state(RUNNING))
        async with aiohttp.ClientSession() as http:
            got = await http.get(f"http://127.0.0.1:{rig.http_port}/api/training/{run_id}/events")
            await rig.close()
            told = await got.text()
    assert "event: snapshot" in told
    assert "event: end" not in told


async def _is_away(*_):
    raise sa.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))
