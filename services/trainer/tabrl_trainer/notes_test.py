"""UpdateRun, DeleteRun, and finding runs by what people wrote."""

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.conftest import RUNNING, is_state


async def update(rig, run_id, tags=None, notes=None):
    request = trainer_pb2.UpdateRunRequest(run_id=run_id, notes=notes)
    if tags is not None:
        request.tags.CopyFrom(trainer_pb2.RunTags(values=tags))
    return (await call(rig.stub.UpdateRun, request, service="trainer")).run


async def found(rig, **filters):
    answer = await call(rig.stub.ListRuns, trainer_pb2.ListRunsRequest(**filters), service="trainer")
    return [run.run_id for run in answer.runs]


async def delete(rig, run_id):
    await call(rig.stub.DeleteRun, trainer_pb2.DeleteRunRequest(run_id=run_id), service="trainer")


async def test_tags_and_notes_are_kept_and_what_is_absent_stays(rig):
    run_id = await rig.create("final:1")
    run = await update(rig, run_id, tags=["demo", " best  of ", "demo"], notes="leans\nforward")
    assert (list(run.tags), run.notes) == (["demo", "best of"], "leans\nforward")
    run = await update(rig, run_id, notes="")
    assert (list(run.tags), run.notes) == (["demo", "best of"], "")
    assert list((await update(rig, run_id, tags=[])).tags) == []
    assert list((await rig.get(run_id)).tags) == []


async def test_runs_are_found_by_prompt_notes_tags_environment_and_id(rig):
    hop = await rig.create("final:1 Hop")
    walk = await rig.create("final:1 walk 100%", "WalkerStand")
    await update(rig, walk, tags=["demo"], notes="Leans FORWARD")
    await update(rig, hop, tags=["demonstration"])
    for query in ("hop", hop, "CARTPOLE", "demonstr"):
        assert await found(rig, query=query) == [hop]
    for query in ("leans forward", "walkerstand", "100%", " walk "):
        assert await found(rig, query=query) == [walk]
    # what is looked for is no pattern
    assert await found(rig, query="h_p") == []
    assert await found(rig, query="%") == [walk]
    assert await found(rig, tag="demo") == [walk]
    assert await found(rig, query="") == [walk, hop]


async def test_text_that_no_database_keeps_is_refused_by_its_field(rig):
    run_id = await rig.create("final:1")
    for asked, field in (
        (rig.create("final:1 nul\0title"), "spec.title"),
        (update(rig, run_id, tags=["a", "b\0"], notes=""), r"tags.values\[1\]"),
        (update(rig, run_id, tags=[], notes="c\0d"), "notes"),
        (found(rig, query="\0"), "query"),
        (rig.get("run-\0"), "run_id"),
    ):
        with pytest.raises(Exception, match=rf"{field}: holds the control character U\+0000"):
            await asked


async def test_a_run_that_has_ended_is_deleted_with_its_history_and_its_policy_stays(rig):
    run_id, other = await rig.create("run metrics:1000@2 final:1"), await rig.create("run final:1")
    await rig.watch(run_id)
    await rig.watch(other)
    final = (await rig.get(run_id)).checkpoints[-1].artifact.sha256
    await delete(rig, run_id)
    for again in (rig.get(run_id), delete(rig, run_id), rig.watch(run_id)):
        with pytest.raises(Exception, match=r"RUN_NOT_FOUND|There is no run"):
            await again
    assert await found(rig) == [other]
    assert rig.store.read(final) == b"1"


async def test_a_run_that_goes_on_is_not_deleted(rig):
    run_id = await rig.create("run wait")
    await rig.until(run_id, is_state(RUNNING))
    with pytest.raises(TabrlError) as caught:
        await delete(rig, run_id)
    assert caught.value.reason == "RUN_NOT_ENDED"
    await rig.cancel(run_id)


async def test_a_run_that_is_deleted_while_it_is_published_disturbs_no_other(rig, exporter):
    exporter.gate.clear()
    run_id = await rig.create("run final:1")
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    while not exporter.requests or (await rig.get(run_id)).state != trainer_pb2.RUN_STATE_SUCCEEDED:
        await rig.get(run_id)
    await delete(rig, run_id)
    exporter.gate.set()
    other = await rig.create("run final:2")
    await rig.watch(other)
    assert (await rig.get(other)).checkpoints[-1].policy_id
