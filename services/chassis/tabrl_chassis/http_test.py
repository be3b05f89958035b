"""Routes of a service's HTTP port that fail: each tells why as its calls do, or breaks off."""

import asyncio

import aiohttp
import grpc
import pytest
import sqlalchemy as sa
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.http import http_application

AWAY = sa.exc.OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path)


async def answer_of(store, error) -> tuple[int, dict]:
    async def fail(_request):
        raise error

    application = http_application(store, routes=[web.get("/fails", fail)])
    async with TestClient(TestServer(application)) as http:
        response = await http.get("/fails")
        return response.status, await response.json()


async def test_a_database_that_is_away_is_said_and_to_be_asked_again(store):
    status, told = await answer_of(store, AWAY)
    assert status == 503
    assert [detail.get("reason") for detail in told["details"]] == ["STORAGE_UNAVAILABLE", None]
    assert told["details"][1]["retry_delay"] == "1s"


async def test_what_nobody_foresaw_has_an_incident_in_the_log(store):
    with capture_logs() as said:
        status, told = await answer_of(store, RuntimeError("a secret of ours"))
    assert (status, told["details"][0]["reason"]) == (500, "INTERNAL")
    assert "secret" not in str(told)
    incident = told["details"][0]["metadata"]["incident"]
    assert incident in told["message"]
    assert incident in [line.get("incident") for line in said]


async def test_what_aiohttp_answers_stays(store):
    status, _ = await answer_of(store, web.HTTPConflict(text="{}", content_type="application/json"))
    assert status == 409


@pytest.mark.parametrize("error", [TabrlError(grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE", "Away."), AWAY])
async def test_an_answer_that_has_begun_breaks_off(store, monkeypatch, error):
    sha256 = store.put(b"x" * (3 << 20)).sha256
    whole = store.chunks

    def breaks_off(*place):
        yield next(whole(*place))
        raise error

    monkeypatch.setattr(store, "chunks", breaks_off)
    async with TestClient(TestServer(http_application(store))) as http:
        response = await http.get(f"/artifacts/{sha256}")
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            async with asyncio.timeout(10.0):
                await response.read()
