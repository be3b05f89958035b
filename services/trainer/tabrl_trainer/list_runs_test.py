"""ListRuns: filters and pages."""

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call

from tabrl_trainer.conftest import SUCCEEDED
from tabrl_trainer.record import run_messages


async def test_runs_are_listed_newest_first_in_pages(rig):
    runs = [await rig.create("final:1", environment) for environment in ("CartpoleBalance", "WalkerStand") * 2]
    listed, token = [], ""
    while True:
        request = trainer_pb2.ListRunsRequest(page_size=3, page_token=token)
        page = await call(rig.stub.ListRuns, request, service="trainer")
        listed += [run.run_id for run in page.runs]
        token = page.next_page_token
        if not token:
            break
    assert listed == runs[::-1]
    for run_id in runs:
        await rig.watch(run_id)
    request = trainer_pb2.ListRunsRequest(environment_id="WalkerStand", states=[SUCCEEDED])
    page = await call(rig.stub.ListRuns, request, service="trainer")
    assert [run.run_id for run in page.runs] == [runs[3], runs[1]]
    assert page.runs[0].checkpoints


async def test_a_page_of_long_runs_is_cut_to_what_fits_in_a_message(rig, monkeypatch):
    monkeypatch.setattr("tabrl_trainer.pages.LARGEST_PAGE_BYTES", 1)
    runs = [await rig.create("final:1") for _ in range(2)]
    page = await call(rig.stub.ListRuns, trainer_pb2.ListRunsRequest(), service="trainer")
    assert [run.run_id for run in page.runs] == [runs[1]]
    request = trainer_pb2.ListRunsRequest(page_token=page.next_page_token)
    page = await call(rig.stub.ListRuns, request, service="trainer")
    assert ([run.run_id for run in page.runs], page.next_page_token) == ([runs[0]], "")


async def test_no_more_runs_are_read_than_the_page_holds(rig, monkeypatch):
    made = [await rig.create("wait") for _ in range(30)]
    size = (await rig.get(made[0])).ByteSize()
    read = []

    def counted(session, rows, messages=run_messages):
        read.extend(row.run_id for row in rows)
        return messages(session, rows)

    monkeypatch.setattr("tabrl_trainer.servicer.run_messages", counted)
    monkeypatch.setattr("tabrl_trainer.pages.LARGEST_PAGE_BYTES", 3 * size + size // 2)
    monkeypatch.setattr("tabrl_trainer.pages._ROWS_PER_READ", 2)
    listed, token = [], ""
    while not listed or token:
        read.clear()
        request = trainer_pb2.ListRunsRequest(page_size=500, page_token=token)
        page = await call(rig.stub.ListRuns, request, service="trainer")
        assert len(page.runs) in (3, 30 - len(listed))
        assert len(read) <= 4
        listed += [run.run_id for run in page.runs]
        token = page.next_page_token
    assert listed == made[::-1]


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 6, 7])
async def test_pages_of_any_size_list_each_run_once(rig, monkeypatch, page_size):
    monkeypatch.setattr("tabrl_trainer.pages._ROWS_PER_READ", 2)
    made = [await rig.create("wait") for _ in range(6)]
    sizes, listed, token = [], [], ""
    while not sizes or token:
        request = trainer_pb2.ListRunsRequest(page_size=page_size, page_token=token)
        page = await call(rig.stub.ListRuns, request, service="trainer")
        sizes.append(len(page.runs))
        listed += [run.run_id for run in page.runs]
        token = page.next_page_token
    assert listed == made[::-1]
    assert sizes == [page_size] * (6 // page_size) + [6 % page_size] * (6 % page_size > 0)
