"""The publisher: which checkpoints it has published, what it waits for, and what it takes for an answer."""

import asyncio

import grpc
import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import TabrlError

from tabrl_trainer.conftest import (
    SUCCEEDED,
    is_state,
    logs,
    states,
)


async def test_only_the_newest_checkpoint_is_published_while_the_exporter_is_busy(rig, tmp_path):
    gate = tmp_path / "gate"
    rig.exporter.gate.clear()
    run_id = await rig.create(f"run checkpoint:1000 file:{gate} checkpoint:2000 checkpoint:3000 final:4000")
    while not rig.exporter.requests:
        await asyncio.sleep(0.02)
    gate.touch()
    await rig.until(run_id, is_state(SUCCEEDED))
    rig.exporter.gate.set()
    events = await rig.watch(run_id)
    published = [event.policy_published.env_steps for event in events if event.HasField("policy_published")]
    assert published == [1000, 4000]
    assert [bool(checkpoint.policy_id) for checkpoint in (await rig.get(run_id)).checkpoints] == [
        True,
        False,
        False,
        True,
    ]


async def test_a_refused_export_is_told_and_ends_the_watch(rig):
    rig.exporter.error = TabrlError(grpc.StatusCode.FAILED_PRECONDITION, "PARITY_FAILED", "ctrl moved by 0.1")
    run_id = await rig.create("run final:1000")
    events = await rig.watch(run_id)
    (refused,) = [event.policy_refused for event in events if event.HasField("policy_refused")]
    error = trainer_pb2.RunError(reason="PARITY_FAILED", message="ctrl moved by 0.1")
    assert (refused.env_steps, refused.error, refused.final) == (1000, error, True)
    (checkpoint,) = (await rig.get(run_id)).checkpoints
    assert (checkpoint.policy_id, checkpoint.refusal) == ("", error)
    assert checkpoint.artifact.sha256 == refused.checkpoint_sha256


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            TabrlError(grpc.StatusCode.UNAVAILABLE, "DRAINING", "Not now."),
            "The Exporter does not answer, so the newest policy comes later: Not now.",
        ),
        (
            TabrlError(grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL", "The disk is full."),
            "The Exporter cannot publish for now, so the newest policy comes later: The disk is full.",
        ),
        (
            TabrlError(grpc.StatusCode.FAILED_PRECONDITION, "ROBOT_NOT_INSTALLED", "Its robot is missing."),
            "The Exporter cannot publish for now, so the newest policy comes later: Its robot is missing.",
        ),
    ],
    ids=["away", "full disk", "missing robot"],
)
async def test_what_passes_lets_the_watch_go_and_is_waited_for(rig, error, told):
    rig.exporter.error = error
    run_id = await rig.create("run final:1000")
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert logs(events) == [told]
    assert not (await rig.get(run_id)).checkpoints[0].HasField("refusal")
    rig.exporter.error = None
    while not (await rig.get(run_id)).checkpoints[0].policy_id:
        await asyncio.sleep(0.05)
    later = await rig.watch(run_id, after=events[-1].revision)
    assert [event.policy_published.final for event in later] == [True]
