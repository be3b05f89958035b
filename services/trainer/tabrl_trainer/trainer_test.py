"""The whole Trainer over real sockets: real database, store and processes; only what a worker does is scripted."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2, trainer_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call, open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.database import Database, schema_differences
from tabrl_chassis.errors import TabrlError, error_from
from tabrl_chassis.service import Service, main, started
from tabrl_simulation.rewards.container import ProgramHeader, pack

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.executor import LocalExecutor
from tabrl_trainer.models import Base, CheckpointRow
from tabrl_trainer.record import Record
from tabrl_trainer.service import trainer_service

FINGERPRINT = "f" * 64
QUEUED, STARTING, RUNNING = (
    trainer_pb2.RUN_STATE_QUEUED,
    trainer_pb2.RUN_STATE_STARTING,
    trainer_pb2.RUN_STATE_RUNNING,
)
SUCCEEDED, FAILED, CANCELLED = (
    trainer_pb2.RUN_STATE_SUCCEEDED,
    trainer_pb2.RUN_STATE_FAILED,
    trainer_pb2.RUN_STATE_CANCELLED,
)

# A worker that follows the run's title: words such as `checkpoint:1000` or `wait`, one after the other.
WORKER = """
import os, signal, sys, time
from tabrl_chassis.processes import die_with_parent
die_with_parent()
from tabrl.trainer.v1 import trainer_pb2 as t
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_trainer.protocol import Job, event_line

job = Job.from_json(sys.stdin.read())
store = ArtifactStore(job.artifacts_url)
resumed = int(store.read(job.resume_sha256)) if job.resume_sha256 else 0

def say(**event):
    os.write(1, event_line(t.RunEvent(**event)))

def checkpoint(steps, final=False):
    say(checkpoint=t.Checkpoint(env_steps=steps, artifact=store.put(str(steps).encode(), "text/plain"), final=final))

for word in job.spec.title.split():
    name, _, value = word.partition(":")
    if name == "run":
        say(state_changed=t.StateChanged(state=t.RUN_STATE_RUNNING))
    elif name == "metrics":
        steps, elapsed = value.split("@")
        say(metrics=t.TrainingMetrics(env_steps=int(steps), elapsed_secs=float(elapsed), remaining_secs=5.0))
    elif name == "checkpoint":
        checkpoint(int(value))
    elif name == "resumed":
        say(log=t.LogLine(level=t.LOG_LEVEL_INFO, text=f"resumed at {resumed}"))
    elif name == "print":
        print("this is no event", flush=True)
        for stream in (sys.stdout, sys.stderr):
            print("x" * 3_000_000, file=stream, flush=True)
    elif name == "final":
        checkpoint(int(value), final=True)
        say(state_changed=t.StateChanged(state=t.RUN_STATE_SUCCEEDED))
    elif name == "crash" and (not value or resumed < int(value)):
        print("out of something", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "diverge":
        error = t.RunError(reason="TRAINING_DIVERGED", message="the policy loss is not finite")
        say(state_changed=t.StateChanged(state=t.RUN_STATE_FAILED, error=error))
    elif name == "onstop":
        def write_one_more(number, frame, steps=int(value)):
            checkpoint(steps)
            os._exit(0)
        signal.signal(signal.SIGTERM, write_one_more)
    elif name == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif name == "defer" and resumed < int(value):
        print("STORAGE_FULL: the disk is full", file=sys.stderr, flush=True)
        os._exit(75)
    elif name == "wait" and (not value or resumed < int(value)):
        time.sleep(600)
    elif name == "file":
        while not os.path.exists(value):
            time.sleep(0.02)
"""


class Scene(scene_pb2_grpc.SceneServiceServicer):
    async def GetEnvironment(self, request, context):
        if request.environment_id not in ("CartpoleBalance", "WalkerStand"):
            raise TabrlError(grpc.StatusCode.NOT_FOUND, "ENVIRONMENT_NOT_FOUND", "There is no such environment.")
        return scene_pb2.GetEnvironmentResponse(environment=scene_pb2.Environment(fingerprint=FINGERPRINT))


class Exporter(exporter_pb2_grpc.ExporterServiceServicer):
    def __init__(self):
        self.requests: list[exporter_pb2.CreatePolicyRequest] = []
        self.error: TabrlError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def CreatePolicy(self, request, context):
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        policy_id = f"policy-{request.checkpoint_sha256[:8]}"
        return exporter_pb2.CreatePolicyResponse(policy=exporter_pb2.Policy(policy_id=policy_id))


@contextlib.asynccontextmanager
async def peers(data: Path, exporter: Exporter):
    @contextlib.asynccontextmanager
    async def serve(server, context):
        scene_pb2_grpc.add_SceneServiceServicer_to_server(Scene(), server)
        exporter_pb2_grpc.add_ExporterServiceServicer_to_server(exporter, server)
        yield

    names = ("tabrl.scene.v1.SceneService", "tabrl.exporter.v1.ExporterService")
    async with started(Service("peers", ServiceConfig, names, serve), ServiceConfig(data=data)) as running:
        yield running.address


class Rig:
    """A running Trainer and a client of it."""

    def __init__(self, config: TrainerConfig, address: str, exporter: Exporter) -> None:
        self.config = config
        self.exporter = exporter
        self.store = ArtifactStore(config.data / "artifacts")
        self.channel = open_channel(address)
        self.stub = trainer_pb2_grpc.TrainerServiceStub(self.channel)

    async def create(self, title: str, environment_id: str = "CartpoleBalance", request_id: str = "", **spec) -> str:
        request = trainer_pb2.CreateRunRequest(
            spec=trainer_pb2.RunSpec(environment_id=environment_id, title=title, **spec), request_id=request_id
        )
        return (await call(self.stub.CreateRun, request, service="trainer")).run.run_id

    async def get(self, run_id: str) -> trainer_pb2.Run:
        return (await call(self.stub.GetRun, trainer_pb2.GetRunRequest(run_id=run_id), service="trainer")).run

    async def cancel(self, run_id: str) -> trainer_pb2.Run:
        request = trainer_pb2.CancelRunRequest(run_id=run_id)
        return (await call(self.stub.CancelRun, request, service="trainer")).run

    async def watch(self, run_id: str, after: int = 0) -> list[trainer_pb2.RunEvent]:
        """Watch a run to the end of the stream and return its events."""
        return [event async for event in self.follow(run_id, after)]

    async def follow(self, run_id: str, after: int = 0):
        cursor = trainer_pb2.RunCursor(run_id=run_id, after_revision=after)
        async for response in self.stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=[cursor])):
            if response.HasField("event"):
                yield response.event

    async def until(self, run_id: str, wanted) -> trainer_pb2.RunEvent:
        """Follow a run until an event passes `wanted`."""
        async for event in self.follow(run_id):
            if wanted(event):
                return event
        raise AssertionError("the run ended first")


@pytest.fixture
def exporter():
    return Exporter()


@pytest.fixture
async def config(tmp_path, exporter):
    async with peers(tmp_path / "peers", exporter) as address:
        yield TrainerConfig(data=tmp_path / "data", scene_address=address, exporter_address=address, niceness=0)


@pytest.fixture
def worker(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return (str(script),)


@contextlib.asynccontextmanager
async def trainer(config, worker, exporter):
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(started(trainer_service(worker), config))
        rig = Rig(config, running.address, exporter)
        yield rig
    await rig.channel.close()  # only after the drain, so that a test sees how its watches end


@pytest.fixture
async def rig(config, worker, exporter):
    async with trainer(config, worker, exporter) as running:
        yield running


def states(events) -> list[int]:
    return [event.state_changed.state for event in events if event.HasField("state_changed")]


def logs(events) -> list[str]:
    return [event.log.text for event in events if event.HasField("log")]


def is_state(state):
    return lambda event: event.state_changed.state == state


async def test_a_run_is_told_from_submission_to_its_final_policy(rig):
    run_id = await rig.create("print run metrics:1000@2 checkpoint:1000 metrics:2000@3 final:2000")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert [event.revision for event in events] == list(range(1, len(events) + 1))
    assert {event.run_id for event in events} == {run_id}
    run = await rig.get(run_id)
    assert (run.state, run.revision, run.metrics.env_steps) == (SUCCEEDED, len(events), 2000)
    assert run.create_time.ToNanoseconds() <= run.start_time.ToNanoseconds() <= run.end_time.ToNanoseconds()
    final = run.checkpoints[-1]
    assert (final.env_steps, final.final) == (2000, True)
    assert rig.store.read(final.artifact.sha256) == b"2000"
    published = [event.policy_published for event in events if event.HasField("policy_published")][-1]
    assert (published.final, published.policy_id, published.checkpoint_sha256) == (
        True,
        final.policy_id,
        final.artifact.sha256,
    )


async def test_settings_are_filled_in(rig):
    run_id = await rig.create("final:1", settings=trainer_pb2.TrainingSettings(env_steps=12345))
    settings = (await rig.get(run_id)).spec.settings
    assert settings.env_steps == 12345
    assert all(settings.HasField(field.name) for field in settings.DESCRIPTOR.fields if field.has_presence)
    assert list(settings.hidden_layer_sizes)


async def test_a_watch_goes_on_where_it_broke_off(rig):
    run_id = await rig.create("run metrics:1000@2 checkpoint:1000 final:2000")
    everything = await rig.watch(run_id)
    assert await rig.watch(run_id, after=3) == everything[3:]
    assert await rig.watch(run_id, after=len(everything)) == []


async def test_a_watch_begins_with_a_snapshot_of_each_run(rig):
    first, second = await rig.create("final:1"), await rig.create("final:2")
    cursors = [trainer_pb2.RunCursor(run_id=run_id) for run_id in (first, second)]
    responses = [r async for r in rig.stub.WatchRuns(trainer_pb2.WatchRunsRequest(cursors=cursors))]
    assert [response.snapshot.run_id for response in responses[:2]] == [first, second]
    ended = {r.event.run_id for r in responses if r.HasField("event") and is_state(SUCCEEDED)(r.event)}
    assert ended == {first, second}


@pytest.mark.parametrize(
    ("run_id", "after", "reason"),
    [("missing", 0, grpc.StatusCode.NOT_FOUND), (None, 1000, grpc.StatusCode.OUT_OF_RANGE)],
)
async def test_a_watch_of_what_is_not_there_is_refused(rig, run_id, after, reason):
    known = await rig.create("final:1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rig.watch(run_id or known, after)
    assert caught.value.code() is reason


async def watch_until_it_breaks(rig, run_id, begun: asyncio.Event) -> tuple[list[trainer_pb2.RunEvent], TabrlError]:
    events = []
    try:
        async for event in rig.follow(run_id):
            events.append(event)
            begun.set()
    except grpc.aio.AioRpcError as error:
        return events, error_from(error)
    raise AssertionError("the watch ended as if the run had")


async def test_a_drain_breaks_watches_off_and_the_run_goes_on_after_the_restart(config, worker, exporter, tmp_path):
    gate = tmp_path / "gate"
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create(f"run checkpoint:1000 resumed file:{gate} final:2000")
        watching = asyncio.create_task(watch_until_it_breaks(rig, run_id, begun := asyncio.Event()))
        await rig.until(run_id, lambda event: event.HasField("checkpoint"))
        await begun.wait()
    events, error = await watching
    assert states(events) == [QUEUED, STARTING, RUNNING]
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert error.retry_after_secs
    gate.touch()
    async with trainer(config, worker, exporter) as rig:
        events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert (
        "The Trainer was restarted while this run trained; it resumes from the checkpoint after 1,000 steps."
        in logs(events)
    )
    assert "resumed at 1000" in logs(events)


async def test_the_checkpoint_written_on_a_drain_is_kept(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create("run onstop:1500 checkpoint:1000 resumed wait")
        await rig.until(run_id, lambda event: event.log.text == "resumed at 0")
    async with trainer(config, worker, exporter) as rig:
        await rig.until(run_id, lambda event: event.log.text == "resumed at 1500")
        assert [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints] == [1000, 1500]
        await rig.cancel(run_id)


async def test_the_same_request_makes_one_run(rig):
    request_id = str(uuid.uuid4())
    runs = await asyncio.gather(*[rig.create("final:1", request_id=request_id) for _ in range(4)])
    assert len(set(runs)) == 1
    with pytest.raises(TabrlError) as caught:
        await rig.create("final:2", request_id=request_id)
    assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def refused(rig, **spec) -> TabrlError:
    errors = []
    spec = trainer_pb2.RunSpec(**{"environment_id": "CartpoleBalance", **spec})
    for method, request in (
        (rig.stub.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)),
        (rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec)),
    ):
        with pytest.raises(TabrlError) as caught:
            await call(method, request, service="trainer")
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    return errors[0]


async def test_an_unknown_environment_is_refused(rig):
    error = await refused(rig, environment_id="CartpoleBalanse")
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "ENVIRONMENT_NOT_FOUND")


async def test_settings_that_do_not_fit_together_are_refused(rig):
    error = await refused(rig, settings=trainer_pb2.TrainingSettings(num_envs=4, num_minibatches=8))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "spec.settings.num_minibatches")


async def test_without_scene_no_run_is_taken(config, worker, exporter):
    async with trainer(dataclasses.replace(config, scene_address="127.0.0.1:1"), worker, exporter) as rig:
        error = await refused(rig)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert error.metadata["service"] == "scene"


def reward_for(rig, environment_id="CartpoleBalance", fingerprint=FINGERPRINT, **weights) -> trainer_pb2.RewardRef:
    header = ProgramHeader(environment_id, fingerprint, {"qpos": (2,)}, 1, False, ("upright",))
    program = rig.store.put(pack(header, b"program"), "application/octet-stream")
    onnx = rig.store.put(b"onnx", "application/octet-stream")
    return trainer_pb2.RewardRef(program_sha256=program.sha256, onnx_sha256=onnx.sha256, weights=weights)


async def test_a_reward_is_handed_to_the_exporter(rig):
    reward = reward_for(rig, upright=2.0)
    await rig.watch(await rig.create("final:1", reward=reward))
    sent = rig.exporter.requests[-1].reward
    assert (sent.program_sha256, sent.onnx_sha256, dict(sent.weights)) == (
        reward.program_sha256,
        reward.onnx_sha256,
        {"upright": 2.0},
    )


@pytest.mark.parametrize(
    ("made_for", "reason"),
    [
        ({"environment_id": "WalkerStand"}, "REWARD_MISMATCH"),
        ({"fingerprint": "0" * 64}, "REWARD_MISMATCH"),
        ({"sideways": 1.0}, "INVALID_FIELD"),
    ],
)
async def test_a_reward_that_does_not_fit_is_refused(rig, made_for, reason):
    error = await refused(rig, reward=reward_for(rig, **made_for))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert error.fields[0][0].startswith("spec.reward.")


async def test_a_reward_that_is_none_is_refused(rig):
    stored = rig.store.put(b"something else").sha256
    error = await refused(rig, reward=trainer_pb2.RewardRef(program_sha256=stored, onnx_sha256=stored))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "spec.reward.program_sha256")
    missing = trainer_pb2.RewardRef(program_sha256="0" * 64, onnx_sha256="0" * 64)
    assert (await refused(rig, reward=missing)).reason == "ARTIFACT_NOT_FOUND"


async def test_a_crashed_worker_resumes_from_its_checkpoint(rig):
    run_id = await rig.create("run resumed checkpoint:1000 crash:1000 final:2000")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    told = logs(events)
    assert told[0] == "resumed at 0"
    assert "SIGKILL" in told[1]
    assert "it resumes from the checkpoint after 1,000 steps" in told[1]
    assert told[2] == "resumed at 1000"
    steps = [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints]
    assert steps == sorted(steps) == [1000, 2000]


async def test_crashes_with_progress_in_between_never_fail_a_run(rig):
    steps = range(1000, 5000, 1000)
    run_id = await rig.create("run " + " ".join(f"checkpoint:{n} crash:{n}" for n in steps) + " final:5000")
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert len([text for text in logs(events) if "SIGKILL" in text]) == 4


@pytest.fixture
def short_pauses(monkeypatch):
    monkeypatch.setattr("tabrl_trainer.executor.FIRST_PAUSE_SECS", 0.01)
    monkeypatch.setattr("tabrl_trainer.record.FIRST_PAUSE_SECS", 0.01)


async def test_a_worker_that_cannot_go_on_for_now_is_tried_again(rig, short_pauses):
    run_id = await rig.create("run defer:1 checkpoint:1000 defer:1000 final:2000")
    await rig.until(run_id, lambda event: event.log.text.count("STORAGE_FULL"))
    assert (await rig.cancel(run_id)).state == CANCELLED
    run_id = await rig.create("run checkpoint:1000 defer:1000 final:2000")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    assert logs(events) == [
        "Training cannot go on for now and is tried again (STORAGE_FULL: the disk is full); "
        "it resumes from the checkpoint after 1,000 steps."
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full")), "STORAGE_FULL"),
        (RuntimeError("out of something"), "the Trainer lost it, RuntimeError: out of something"),
    ],
)
async def test_what_cannot_be_put_on_record_stops_the_worker_and_resumes_it(
    rig, tmp_path, monkeypatch, short_pauses, error, told
):
    # Given a run that trains, with a checkpoint
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run checkpoint:1000 resumed file:{gate} metrics:1500@2 wait:1000 final:2000")
    await rig.until(run_id, lambda event: event.HasField("policy_published"))

    # when one write fails
    errors, write = [error], Record.write

    async def failing(self, run_id, work):
        if errors:
            raise errors.pop()
        return await write(self, run_id, work)

    monkeypatch.setattr(Record, "write", failing)
    gate.touch()

    # then the worker is stopped, and another one goes on from the checkpoint
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, SUCCEEDED]
    assert [text for text in logs(events) if told in text and "resumes from the checkpoint after 1,000" in text]
    assert "resumed at 1000" in logs(events)


async def test_a_run_that_is_about_to_start_takes_no_other_slot(config, worker, exporter, monkeypatch):
    # Given two slots, and a first run whose task has not come to its first write
    held, train = asyncio.Event(), LocalExecutor._train
    first: list[str] = []

    async def slow(self, run_id):
        first.append(run_id)
        if run_id == first[0]:
            await held.wait()
        await train(self, run_id)

    monkeypatch.setattr(LocalExecutor, "_train", slow)
    async with trainer(dataclasses.replace(config, slots=2), worker, exporter) as rig:
        waiting = await rig.create("run final:1")
        while not first:
            await asyncio.sleep(0.01)
        # when a second one comes, then it trains
        assert states(await rig.watch(await rig.create("run final:1")))[-1] == SUCCEEDED
        assert (await rig.get(waiting)).state == QUEUED
        held.set()
        assert states(await rig.watch(waiting))[-1] == SUCCEEDED


async def test_the_third_crash_fails_the_run(rig):
    run_id = await rig.create("run crash")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, STARTING, RUNNING, STARTING, RUNNING, FAILED]
    error = (await rig.get(run_id)).error
    assert error.reason == "WORKER_CRASHED"
    assert "out of something" in error.message


async def test_a_final_checkpoint_is_enough_to_succeed(rig):
    run_id = await rig.create("run final:1000 crash")
    assert states(await rig.watch(run_id))[-1] == SUCCEEDED


async def test_divergence_fails_the_run_at_once(rig):
    run_id = await rig.create("run checkpoint:1000 diverge")
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, FAILED]
    run = await rig.get(run_id)
    assert run.error.reason == "TRAINING_DIVERGED"
    assert run.checkpoints[0].policy_id


@pytest.mark.parametrize("manner", ["", "deaf "])
async def test_cancel_stops_the_worker_and_keeps_the_checkpoint(rig, manner):
    run_id = await rig.create(f"{manner}run checkpoint:1000 wait")
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    run = await rig.cancel(run_id)
    assert run.state == CANCELLED
    assert run.checkpoints[0].env_steps == 1000
    assert run.HasField("end_time")
    assert (await rig.cancel(run_id)).revision >= run.revision
    assert states(await rig.watch(run_id))[-1] == CANCELLED
    assert (await rig.get(run_id)).checkpoints[0].policy_id


async def test_a_cancel_that_takes_long_answers_with_the_run_as_it_stands(rig, monkeypatch):
    monkeypatch.setattr("tabrl_trainer.servicer._CANCEL_TIMEOUT_SECS", 0.05)
    run_id = await rig.create("deaf run wait")
    await rig.until(run_id, is_state(RUNNING))
    assert (await rig.cancel(run_id)).state == RUNNING
    assert states(await rig.watch(run_id))[-1] == CANCELLED


async def test_a_queued_run_is_cancelled_without_a_worker(rig):
    first = await rig.create("run wait")
    await rig.until(first, is_state(RUNNING))
    second = await rig.create("run final:1")
    assert (await rig.cancel(second)).state == CANCELLED
    await rig.cancel(first)
    assert states(await rig.watch(second)) == [QUEUED, CANCELLED]


async def test_an_ended_or_unknown_run_cannot_be_cancelled(rig):
    run_id = await rig.create("run final:1")
    await rig.watch(run_id)
    for name, reason in ((run_id, "RUN_ENDED"), ("missing", "RUN_NOT_FOUND")):
        with pytest.raises(TabrlError) as caught:
            await rig.cancel(name)
        assert caught.value.reason == reason


async def test_runs_wait_for_a_slot_in_order(rig, tmp_path):
    gate = tmp_path / "gate"
    runs = [await rig.create(f"run file:{gate} final:1") for _ in range(3)]
    await rig.until(runs[0], is_state(RUNNING))
    assert [(await rig.get(run_id)).state for run_id in runs[1:]] == [QUEUED, QUEUED]
    gate.touch()
    for run_id in runs:
        await rig.watch(run_id)
    starts = [(await rig.get(run_id)).start_time.ToNanoseconds() for run_id in runs]
    assert starts == sorted(starts)


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
    (line,) = [event.log for event in events if event.HasField("log")]
    assert line.level == trainer_pb2.LOG_LEVEL_ERROR
    assert line.text == "The checkpoint after 1,000 steps was not published (PARITY_FAILED): ctrl moved by 0.1"
    assert not (await rig.get(run_id)).checkpoints[0].policy_id


async def test_an_exporter_that_is_away_lets_the_watch_go_and_publishes_later(rig):
    rig.exporter.error = TabrlError(grpc.StatusCode.UNAVAILABLE, "DRAINING", "Not now.")
    run_id = await rig.create("run final:1000")
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert [line for line in logs(events) if "The Exporter does not answer" in line]
    rig.exporter.error = None
    while not (await rig.get(run_id)).checkpoints[0].policy_id:
        await asyncio.sleep(0.05)
    later = await rig.watch(run_id, after=events[-1].revision)
    assert [event.policy_published.final for event in later] == [True]


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


async def estimate(rig, **spec) -> trainer_pb2.EstimateRunResponse:
    spec = trainer_pb2.RunSpec(**{"environment_id": "CartpoleBalance", **spec})
    return await call(rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec), service="trainer")


async def test_an_estimate_learns_from_runs_seen_here(rig):
    settings = trainer_pb2.TrainingSettings(env_steps=100_000)
    first = await estimate(rig, settings=settings)
    assert first.measured_runs == 0
    assert first.duration_secs == pytest.approx(first.startup_secs + 100_000 / first.env_steps_per_sec)
    assert first.settings.HasField("learning_rate")
    # 50,000 steps in 10 s, after 4 s of loading.
    await rig.watch(await rig.create("run metrics:10000@4 metrics:60000@14 final:60000"))
    second = await estimate(rig, settings=settings)
    assert (second.measured_runs, second.startup_secs, second.env_steps_per_sec) == (1, 4.0, 5000.0)
    assert (second.duration_secs, second.queue_secs) == (24.0, 0.0)


async def test_an_estimate_counts_the_queue(rig):
    run_id = await rig.create("run metrics:10000@4 wait")
    await rig.until(run_id, lambda event: event.HasField("metrics"))
    assert (await estimate(rig)).queue_secs == 5.0
    await rig.cancel(run_id)


async def test_a_full_queue_refuses(config, worker, exporter):
    async with trainer(dataclasses.replace(config, max_queued=1), worker, exporter) as rig:
        first = await rig.create("run wait")
        await rig.until(first, is_state(RUNNING))
        await rig.create("final:1")
        with pytest.raises(TabrlError) as caught:
            await rig.create("final:1")
    assert caught.value.reason == "TOO_MANY_REQUESTS"


async def test_checkpoints_never_go_backwards(rig):
    run_id = await rig.create("run checkpoint:2000 checkpoint:1000 checkpoint:2000 final:3000 checkpoint:4000")
    await rig.watch(run_id)
    assert [checkpoint.env_steps for checkpoint in (await rig.get(run_id)).checkpoints] == [2000, 3000]


async def test_the_migrated_schema_is_that_of_the_models(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        database = Database(f"sqlite:///{rig.config.data}/trainer/trainer.db")
        assert schema_differences(database, Base.metadata) == []
        assert await database.read(lambda session: session.scalars(sa.select(CheckpointRow)).all()) == []
        database.close()


def start_process(config: TrainerConfig, worker: tuple[str, ...]) -> tuple[subprocess.Popen[str], str]:
    flags = [f"--{field.name.replace('_', '-')}={getattr(config, field.name)}" for field in dataclasses.fields(config)]
    flags = [flag for flag in flags if not flag.startswith(("--log-format", "--database-url", "--artifacts-url"))]
    command = [sys.executable, "-m", "tabrl_trainer.trainer_test", *worker, *flags, "--log-format=json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if '"event": "serving"' in line:
            return process, line.split('"address": "')[1].split('"')[0]
    raise AssertionError("the Trainer did not start")


async def test_a_killed_trainer_takes_its_worker_along_and_resumes_and_a_signal_drains_it(
    config, worker, exporter, tmp_path
):
    gate, pid_file = tmp_path / "gate", tmp_path / "pid"
    script = Path(worker[0])
    script.write_text(f"import os; open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n" + script.read_text())
    process, address = await asyncio.to_thread(start_process, config, worker)
    rig = Rig(config, address, exporter)
    run_id = await rig.create(f"run checkpoint:1000 resumed file:{gate} final:2000")
    await rig.until(run_id, lambda event: event.log.text == "resumed at 0")
    worker_pid = int(pid_file.read_text())
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert "jaxlib" not in loaded
    process.send_signal(signal.SIGKILL)
    process.wait()
    while _alive(worker_pid):
        await asyncio.sleep(0.02)
    await rig.channel.close()
    gate.touch()
    process, address = await asyncio.to_thread(start_process, config, worker)
    rig = Rig(config, address, exporter)
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert "resumed at 1000" in logs(events)
    # A signal to stop breaks off the watch of a run that has not ended, and the process ends in good order.
    run_id = await rig.create("run wait")
    await rig.until(run_id, is_state(RUNNING))
    watching = asyncio.create_task(watch_until_it_breaks(rig, run_id, begun := asyncio.Event()))
    await begun.wait()
    process.terminate()
    events, error = await watching
    assert error.reason == "DRAINING"
    assert await asyncio.to_thread(process.wait, 30) == 0
    await rig.channel.close()


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    os.environ.setdefault("TABRL_NICENESS", "0")
    main(trainer_service((sys.argv[1],)), sys.argv[2:])
