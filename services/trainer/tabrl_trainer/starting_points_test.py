"""Fine-tuning runs: what they can go on from, and what is refused and why."""

import asyncio
import itertools
import os
import threading

import grpc
import numpy as np
import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.checkpoint import Checkpoint
from tabrl_simulation.settings import Settings

from tabrl_trainer import starting_points
from tabrl_trainer.conftest import FINGERPRINT, SUCCEEDED, logs, states

Point = trainer_pb2.StartingPoint


def stored(rig, *, environment_id="CartpoleBalance", observation=5, action=1, hidden=(32, 16), env_steps=7000) -> str:
    """Store a checkpoint with a policy network of these sizes; return its digest."""
    sizes = (observation, *hidden, 2 * action)
    layers = itertools.pairwise(sizes)
    arrays = {}
    for index, (before, after) in enumerate(layers):
        arrays[f"learner/params/policy/params/hidden_{index}/kernel"] = np.zeros((before, after), np.float32)
        arrays[f"learner/params/policy/params/hidden_{index}/bias"] = np.zeros(after, np.float32)
    checkpoint = Checkpoint(
        environment_id=environment_id,
        environment_fingerprint=FINGERPRINT,
        settings=Settings(env_steps=9000, hidden_layer_sizes=hidden),
        reward_program_sha256=None,
        weights={},
        env_steps=env_steps,
        arrays=arrays,
    )
    return rig.store.put(checkpoint.to_bytes()).sha256


async def test_a_run_goes_on_from_a_checkpoint_with_its_network(rig):
    sha256 = stored(rig)
    run_id = await rig.create("started final:1", start_from=Point(checkpoint_sha256=sha256))
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert logs(events) == [f"started from {sha256}"]
    spec = (await rig.get(run_id)).spec
    assert (spec.start_from.checkpoint_sha256, spec.start_from.env_steps) == (sha256, 7000)
    assert list(spec.settings.hidden_layer_sizes) == [32, 16]


async def test_a_policy_or_a_run_stands_for_its_checkpoint(rig):
    sha256 = stored(rig, env_steps=5000)
    rig.exporter.policies["policy-walks"] = sha256
    by_policy = await rig.create("final:1", start_from=Point(policy_id="policy-walks"))
    assert (await rig.get(by_policy)).spec.start_from == Point(
        policy_id="policy-walks", checkpoint_sha256=sha256, env_steps=5000
    )
    # What the scripted worker leaves is no checkpoint of a network, which is seen once it was looked at.
    await rig.watch(by_policy)
    error = await refused(rig, start_from=Point(run_id=by_policy))
    assert error.reason == "CHECKPOINT_INCOMPATIBLE"


async def test_an_environment_of_the_same_robot_is_another_task_of_it(rig):
    sha256 = stored(rig)
    run_id = await rig.create("final:1", "CartpoleSwingup", start_from=Point(checkpoint_sha256=sha256))
    assert states(await rig.watch(run_id))[-1] == SUCCEEDED


async def ran(rig, *steps: str) -> tuple[str, list[str]]:
    """Train a run; returns its id, and the digests of its checkpoints."""
    run_id = await rig.create(" ".join(("run", *steps)))
    await rig.watch(run_id)
    return run_id, [checkpoint.artifact.sha256 for checkpoint in (await rig.get(run_id)).checkpoints]


@pytest.fixture
def any_file(monkeypatch):
    """Take whatever lies in the store for a checkpoint: what the scripted worker leaves is none."""
    whole = Checkpoint.from_bytes
    kept = []

    def read(data: bytes) -> Checkpoint:
        if data[:1].isdigit():
            return kept[0]
        kept.append(whole(data))
        return kept[-1]

    monkeypatch.setattr("tabrl_trainer.starting_points.require_beginning", lambda _beginning: None)
    monkeypatch.setattr("tabrl_trainer.starting_points.Checkpoint.from_bytes", read)


async def test_what_the_trainer_filled_in_may_be_submitted_again_and_keeps_where_it_comes_from(rig, any_file):
    network = stored(rig)
    await rig.create("final:1", start_from=Point(checkpoint_sha256=network))
    run_id, (older, newest) = await ran(rig, "checkpoint:1000", "final:2000")
    rig.exporter.policies["policy-older"] = older
    for point, sha256 in (
        (Point(run_id=run_id), newest),
        (Point(policy_id="policy-older"), older),
        # not the newest any more, as where the run has trained on since
        (Point(run_id=run_id, checkpoint_sha256=older), older),
        (Point(run_id=run_id, policy_id="policy-older"), older),
    ):
        filled = (await rig.get(await rig.create("final:1", start_from=point))).spec.start_from
        assert (filled.checkpoint_sha256, filled.run_id, filled.policy_id) == (sha256, point.run_id, point.policy_id)
        assert (await rig.get(await rig.create("final:1", start_from=filled))).spec.start_from == filled


async def test_a_run_or_a_policy_of_another_checkpoint_is_refused(rig):
    sha256, other = stored(rig), stored(rig, env_steps=1)
    run_id, (own,) = await ran(rig, "final:1")
    rig.exporter.policies["policy-other"] = other
    rig.exporter.policies["policy-imported"] = ""
    for point, field, words in (
        (Point(checkpoint_sha256=sha256, run_id=run_id), "run_id", f"{run_id} has no checkpoint {sha256}"),
        (Point(policy_id="policy-other", run_id=run_id), "run_id", f"{run_id} has no checkpoint {other}"),
        (
            Point(checkpoint_sha256=sha256, policy_id="policy-other"),
            "policy_id",
            f"policy-other was exported from {other}, not from {sha256}",
        ),
        (Point(checkpoint_sha256=own, policy_id="policy-other", run_id=run_id), "policy_id", "was exported from"),
        (Point(policy_id="policy-imported"), "policy_id", "was imported without its checkpoint"),
    ):
        error = await refused(rig, start_from=point)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        ((name, description),) = error.fields
        assert name == f"spec.start_from.{field}"
        assert words in description


async def refused(rig, environment_id="CartpoleBalance", **spec) -> TabrlError:
    """Return the error that both submitting and estimating give."""
    errors = []
    spec = trainer_pb2.RunSpec(environment_id=environment_id, **spec)
    for method, request in (
        (rig.stub.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)),
        (rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec)),
    ):
        with pytest.raises(TabrlError) as caught:
            await call(method, request, service="trainer")
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    return errors[0]


@pytest.mark.parametrize(
    ("environment_id", "made", "settings", "words"),
    [
        ("WalkerStand", {}, {}, "observations of 5 numbers, this training has 24"),
        ("CartpoleBalance", {"action": 2}, {}, "actions of 2 numbers, this training has 1"),
        ("CartpoleBalance", {}, {"hidden_layer_sizes": [64, 64]}, "hidden layers of 32-16, the settings ask for 64-64"),
        ("PendulumSwingup", {}, {}, "the robot of CartpoleBalance, not that of PendulumSwingup"),
        ("CartpoleBalance", {"environment_id": "Gone"}, {}, "of Gone, which is not here any more"),
    ],
)
async def test_a_checkpoint_that_does_not_fit_is_refused_with_the_reason(rig, environment_id, made, settings, words):
    error = await refused(
        rig,
        environment_id,
        start_from=Point(checkpoint_sha256=stored(rig, **made)),
        settings=trainer_pb2.TrainingSettings(**settings),
    )
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CHECKPOINT_INCOMPATIBLE")
    assert words in error.message
    assert [field for field, _ in error.fields] == ["spec.start_from"]


async def test_what_is_not_there_cannot_be_started_from(rig):
    waiting = await rig.create("wait")
    reasons = {
        (await refused(rig, start_from=point)).reason
        for point in (
            Point(checkpoint_sha256="0" * 64),
            Point(policy_id="policy-none"),
            Point(run_id="run-none"),
            Point(run_id=waiting),
        )
    }
    assert reasons == {"ARTIFACT_NOT_FOUND", "POLICY_NOT_FOUND", "RUN_NOT_FOUND", "CHECKPOINT_INCOMPATIBLE"}
    # with a digest too, and by their fields
    for point, field in ((Point(policy_id="policy-none"), "policy_id"), (Point(run_id="run-none"), "run_id")):
        for sha256 in ("", stored(rig)):
            point.checkpoint_sha256 = sha256
            error = await refused(rig, start_from=point)
            assert error.code == grpc.StatusCode.NOT_FOUND
            assert [name for name, _ in error.fields] == [f"spec.start_from.{field}"]
    nowhere = await refused(rig, start_from=Point(checkpoint_sha256="0" * 64))
    assert [name for name, _ in nowhere.fields] == ["spec.start_from.checkpoint_sha256"]
    no_checkpoint = rig.store.put(b"something else").sha256
    error = await refused(rig, start_from=Point(checkpoint_sha256=no_checkpoint))
    assert error.reason == "CHECKPOINT_INCOMPATIBLE"


@pytest.fixture
def readings(monkeypatch):
    """Slow the store down; gives how many files were read whole, and how many of them at once at most."""
    read, lock, counts = ArtifactStore.read, threading.Lock(), {"all": 0, "now": 0, "most": 0}

    def slowly(store, sha256):
        with lock:
            counts["all"] += 1
            counts["now"] += 1
            counts["most"] = max(counts["most"], counts["now"])
        try:
            threading.Event().wait(0.05)
            return read(store, sha256)
        finally:
            with lock:
                counts["now"] -= 1

    monkeypatch.setattr(ArtifactStore, "read", slowly)
    return counts


async def test_what_is_no_checkpoint_is_refused_unread(rig, readings):
    text = rig.store.put(b"no checkpoint " * 1000).sha256
    huge = rig.store.put(b"TABRLCKP").sha256
    os.chmod(rig.store.local_path(huge), 0o644)
    os.truncate(rig.store.local_path(huge), (256 << 20) + 1)
    for sha256, words in ((text, "are not a checkpoint"), (huge, "268,435,457 bytes are too many")):
        error = await refused(rig, start_from=Point(checkpoint_sha256=sha256))
        assert (error.reason, error.fields[0][0]) == ("CHECKPOINT_INCOMPATIBLE", "spec.start_from")
        assert words in error.message
    assert readings["all"] == 0


async def test_many_that_start_from_a_checkpoint_read_two_at_once(rig, readings, monkeypatch):
    monkeypatch.setattr(starting_points, "_reads", starting_points.ConcurrencyLimit("readings of checkpoints", 9))
    start_from = Point(checkpoint_sha256=stored(rig))
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", start_from=start_from)
    answers = await asyncio.gather(
        *(rig.stub.EstimateRun(trainer_pb2.EstimateRunRequest(spec=spec)) for _ in range(12)), return_exceptions=True
    )
    assert (readings["all"], readings["most"]) == (9, 2)
    refusals = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert refusals == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 3


async def test_who_checks_a_run_holds_the_sizes_alone(rig):
    checkpoint = starting_points._read(rig.store, stored(rig, hidden=(256, 256)))
    arrays = checkpoint.arrays.values()
    assert checkpoint.arrays["learner/params/policy/params/hidden_1/kernel"].shape == (256, 256)
    assert {stride for array in arrays for stride in array.strides} == {0}
