"""ListRuns: filters and pages."""

from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call

from tabrl_trainer.conftest import SUCCEEDED


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
    monkeypatch.setattr("tabrl_trainer.servicer._LARGEST_PAGE_BYTES", 1)
    runs = [await rig.create("final:1") for _ in range(2)]
    page = await call(rig.stub.ListRuns, trainer_pb2.ListRunsRequest(), service="trainer")
    assert [run.run_id for run in page.runs] == [runs[1]]
    request = trainer_pb2.ListRunsRequest(page_token=page.next_page_token)
    page = await call(rig.stub.ListRuns, request, service="trainer")
    assert ([run.run_id for run in page.runs], page.next_page_token) == ([runs[0]], "")
