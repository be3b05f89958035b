"""Runs on Modal, against a server that speaks Modal's protocol; containers, workers, database and store are real."""

import asyncio
import contextlib
import signal

import pytest
from grpclib import Status
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.checkpoint import Checkpoint

from tabrl_trainer import scripted_trainer
from tabrl_trainer.conftest import (
    CANCELLED,
    FAILED,
    PAUSED,
    QUEUED,
    RUNNING,
    STARTING,
    SUCCEEDED,
    Rig,
    logs,
    states,
    trainer,
)
from tabrl_trainer.modal_cloud import names
from tabrl_trainer.modal_cloud.testing.control_plane import TOKEN_ID, TOKEN_SECRET, control_plane

MODAL = trainer_pb2.Compute(executor=trainer_pb2.EXECUTOR_MODAL)


@pytest.fixture
def database_url(tmp_path):
    """SQLite; what differs between databases is tested with workers of this machine."""
    return f"sqlite:///{tmp_path / 'database' / 'test.db'}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Serve a Modal for all tests here: its containers have imported everything once."""
    with control_plane(tmp_path_factory.mktemp("modal")) as plane:
        yield plane


@pytest.fixture
def plane(server, worker, monkeypatch):
    """Give a Modal on which nothing has run, and that the client of this process, and of those it starts, speaks to."""
    monkeypatch.setattr("tabrl_trainer.modal_cloud.listening.SILENCE_SECS", 0.3)
    monkeypatch.setattr("tabrl_trainer.modal_cloud.cloud._CALL_SECS", 5.0)
    # A busy machine may take longer to look than a person who waits would.
    monkeypatch.setattr("tabrl_trainer.modal_cloud.cloud._CHECK_SECS", 60.0)
    monkeypatch.setattr("tabrl_trainer.retries.FIRST_PAUSE_SECS", 0.05)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    server.reset(worker[0])
    yield server
    server.reset()


@pytest.fixture
async def rig(plane, config, worker, exporter):
    """Give the rig of a Trainer with Modal at hand."""
    async with trainer(config, worker, exporter) as running:
        yield running


def steps_of(run: trainer_pb2.Run) -> list[int]:
    return [checkpoint.env_steps for checkpoint in run.checkpoints]


def in_order(events) -> bool:
    return [event.revision for event in events] == list(range(1, len(events) + 1))


async def test_a_run_is_submitted_streamed_and_its_checkpoints_brought_here(rig, plane):
    run_id = await rig.create("run resumed metrics:500@2 checkpoint:1000 metrics:1500@3 final:2000", compute=MODAL)
    events = await rig.watch(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert logs(events) == ["resumed at 0"]
    run = await rig.get(run_id)
    assert steps_of(run) == [1000, 2000]
    assert [rig.store.read(checkpoint.artifact.sha256) for checkpoint in run.checkpoints] == [b"1000", b"2000"]
    # its default GPU, and what it has cost
    assert run.spec.compute.gpu == "H100"
    (options,) = plane.variants.values()
    assert options.resources.gpu_config.gpu_type == "H100"
    costs = [event.metrics.cost_usd for event in events if event.HasField("metrics")]
    assert 0 < costs[0] <= costs[1] <= run.cost_usd < 0.1
    # the log and the files that were on Modal are cleared
    assert plane.partitions() == []
    await _until(lambda: not list(plane.volume.iterdir()))


async def test_a_run_on_this_machine_costs_nothing_and_asks_nothing_of_modal(rig, plane):
    events = await rig.watch(await rig.create("run metrics:500@2 final:1000"))
    assert not any(event.metrics.HasField("cost_usd") for event in events)
    assert not plane.requests


@pytest.mark.parametrize("manner", ["", "deaf "])
async def test_cancel_stops_the_worker_and_keeps_its_last_checkpoint(rig, plane, manner):
    run_id = await rig.create(f"{manner or 'onstop:1500 '}run checkpoint:1000 wait", compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    run = await rig.cancel(run_id)
    assert run.state == CANCELLED
    assert steps_of(run) == ([1000] if manner else [1000, 1500])
    # and no container is left that costs
    (made,) = plane.calls.values()
    await _until(made.done.is_set)


async def test_a_paused_run_goes_on_from_its_checkpoint_in_another_call(rig, plane, tmp_path):
    gate = tmp_path / "gate"
    # with a checkpoint too large to be among the arguments themselves
    words = f"bulky:{3 << 20} run resumed checkpoint:1000 file:{gate} final:2000"
    run_id = await rig.create(words, compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    paused = await call(rig.stub.PauseRun, trainer_pb2.PauseRunRequest(run_id=run_id), service="trainer")
    assert paused.run.state == PAUSED
    gate.touch()
    await call(rig.stub.ContinueRun, trainer_pb2.ContinueRunRequest(run_id=run_id), service="trainer")
    events = await rig.watch(run_id)
    assert logs(events) == ["resumed at 0", "resumed at 1000"]
    assert states(events)[-1] == SUCCEEDED
    assert len(plane.calls) == 2
    assert [len(blob) > 3 << 20 for blob in plane.blobs.values()] == [True]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_preempted_run_goes_on_from_its_newest_checkpoint(rig, plane, tmp_path, number):
    gate = tmp_path / "gate"
    run_id = await rig.create(
        f"onstop:1200 run resumed metrics:500@2 checkpoint:1000 file:{gate} metrics:1500@3 final:2000", compute=MODAL
    )
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    plane.preempt(number)
    # with time to end, the worker writes one more
    newest = 1000 if number == signal.SIGKILL else 1200
    await rig.until(run_id, lambda event: event.log.text == f"resumed at {newest}")
    gate.touch()
    events = await rig.watch(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    told = logs(events)
    assert told[0] == "resumed at 0"
    assert told[1].startswith("Modal took the machine back")
    # one call, of two containers; nothing is recorded twice
    (made,) = plane.calls.values()
    assert len(made.containers) == 2
    steps = steps_of(await rig.get(run_id))
    assert sorted(set(steps)) == steps
    assert steps[0] == 1000
    assert steps[-1] == 2000
    costs = [event.metrics.cost_usd for event in events if event.HasField("metrics")]
    assert costs == sorted(costs)


@pytest.mark.parametrize(
    "point", ["", "trainer.call_recorded", "trainer.checkpoint_brought", "trainer.said_recorded:2"]
)
async def test_a_call_is_listened_to_again_after_kill_9_of_the_trainer(
    plane, config, worker, exporter, tmp_path, point
):
    # given a Trainer that is killed while its run trains on Modal, or at a named point before
    gate = tmp_path / "gate"
    failpoint = {"TABRL_FAILPOINT": point, "TABRL_FAILPOINT_FILE": str(tmp_path / "reached")}
    process, address = scripted_trainer.start(config, worker[0], tmp_path / "log", failpoint)
    rig = Rig(config, address, exporter)
    run_id = await rig.create(
        f"run resumed metrics:500@2 checkpoint:1000 file:{gate} metrics:1500@3 final:2000", compute=MODAL
    )
    if point:
        await asyncio.to_thread(process.wait, 20)
    else:
        await rig.until(run_id, lambda event: event.HasField("checkpoint"))
        process.kill()
        process.wait()
    await rig.channel.close()
    gate.touch()
    # when it starts again, then it hears the rest of the same call
    async with trainer(config, worker, exporter) as again:
        events = await again.watch(run_id)
        run = await again.get(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert logs(events) == ["resumed at 0"]
    assert [event.metrics.env_steps for event in events if event.HasField("metrics")] == [500, 1500]
    assert steps_of(run) == [1000, 2000]
    assert len(plane.calls) == 1


async def test_a_call_that_is_not_on_record_trains_nothing_and_ends(plane, config, worker, exporter, tmp_path):
    # given a Trainer that is killed between the call and its record
    failpoint = {"TABRL_FAILPOINT": "trainer.call_submitted", "TABRL_FAILPOINT_FILE": str(tmp_path / "reached")}
    process, address = scripted_trainer.start(config, worker[0], tmp_path / "log", failpoint)
    rig = Rig(config, address, exporter)
    run_id = await rig.create("run resumed final:1000", compute=MODAL)
    await asyncio.to_thread(process.wait, 20)
    await rig.channel.close()
    (lost,) = plane.calls.values()
    # when it starts again, then another call trains the run, once
    async with trainer(config, worker, exporter) as again:
        events = await again.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert logs(events).count("resumed at 0") == 1
    assert not lost.done.is_set()
    assert f"{run_id}/1" not in "".join(plane.partitions())


async def test_a_trainer_that_stops_leaves_its_call_to_the_next(plane, config, worker, exporter, tmp_path):
    gate = tmp_path / "gate"
    async with trainer(config, worker, exporter) as rig:
        run_id = await rig.create(f"run resumed checkpoint:1000 file:{gate} final:2000", compute=MODAL)
        await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    gate.touch()
    async with trainer(config, worker, exporter) as rig:
        events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert logs(events) == ["resumed at 0"]
    assert len(plane.calls) == 1


async def test_a_run_that_was_cancelled_while_no_trainer_was_there_is_stopped_by_the_next(
    plane, config, worker, exporter, tmp_path
):
    failpoint = {"TABRL_FAILPOINT": "trainer.stop_asked", "TABRL_FAILPOINT_FILE": str(tmp_path / "reached")}
    process, address = scripted_trainer.start(config, worker[0], tmp_path / "log", failpoint)
    rig = Rig(config, address, exporter)
    run_id = await rig.create("run checkpoint:1000 wait", compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    with contextlib.suppress(TabrlError):
        await rig.cancel(run_id)
    await asyncio.to_thread(process.wait, 20)
    await rig.channel.close()
    async with trainer(config, worker, exporter) as again:
        assert states(await again.watch(run_id))[-1] == CANCELLED
    (made,) = plane.calls.values()
    await _until(made.done.is_set)


async def test_a_network_that_is_lost_for_a_while_loses_nothing(rig, plane, tmp_path):
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run metrics:500@2 checkpoint:1000 file:{gate} metrics:1500@3 final:2000", compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    plane.unplug()
    gate.touch()
    await rig.until(run_id, lambda event: "COMPUTE_UNREACHABLE" in event.log.text)
    plane.plug_in()
    events = await rig.watch(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert [event.metrics.env_steps for event in events if event.HasField("metrics")] == [500, 1500]
    assert len(plane.calls) == 1


@pytest.mark.parametrize("method", ["QueueNextItems", "FunctionGetOutputs", "DictContains"])
async def test_streams_that_break_off_for_a_while_end_no_worker(rig, plane, tmp_path, method):
    gate = tmp_path / "gate"
    run_id = await rig.create(f"run resumed checkpoint:1000 file:{gate} metrics:1500@3 final:2000", compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    plane.broken = {method}
    await rig.until(run_id, lambda event: "COMPUTE_UNREACHABLE" in event.log.text)
    plane.broken = set()
    gate.touch()
    events = await rig.watch(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert [text for text in logs(events) if "COMPUTE_UNREACHABLE" not in text] == ["resumed at 0"]
    assert len(plane.calls) == 1


async def test_a_volume_that_cannot_be_committed_for_a_while_holds_up_only_what_is_told(rig, plane, tmp_path):
    gate = tmp_path / "gate"
    plane.failures["VolumeCommit"] = [(Status.PERMISSION_DENIED, "not now")] * 1000
    words = f"run resumed metrics:500@2 checkpoint:1000 metrics:1500@3 file:{gate} final:2000"
    run_id = await rig.create(words, compute=MODAL)
    # what came before is told, and that something is held up
    await rig.until(run_id, lambda event: event.log.text.startswith("The checkpoint after 1,000 steps cannot be"))
    run = await rig.get(run_id)
    assert (run.metrics.env_steps, steps_of(run)) == (500, [])
    # once it is committed, all the rest is, in order
    plane.failures.clear()
    gate.touch()
    events = await rig.watch(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    told = [event.checkpoint.env_steps or event.metrics.env_steps for event in events]
    assert [steps for steps in told if steps] == [500, 1000, 1500, 2000]
    assert "resumed at 1000" not in logs(events)
    assert len(plane.calls) == 1


async def test_what_could_not_be_told_comes_with_the_answer(rig, plane, tmp_path):
    # given a queue that takes nothing any more
    gate = tmp_path / "gate"
    plane.tell_rest_secs = 1.0
    run_id = await rig.create(f"run metrics:500@2 checkpoint:1000 file:{gate} metrics:1500@3 final:2000", compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    plane.partition_items = 0
    gate.touch()
    # then the container does not wait for it for ever, and nothing is lost
    events = await rig.watch(run_id)
    assert in_order(events)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert [event.metrics.env_steps for event in events if event.HasField("metrics")] == [500, 1500]
    assert steps_of(await rig.get(run_id)) == [1000, 2000]
    assert len(plane.calls) == 1


async def test_what_the_function_raises_is_not_taken_for_a_lost_network(rig, plane):
    plane.failures["VolumeReload"] = [(Status.RESOURCE_EXHAUSTED, "too many reloads")]
    events = await rig.watch(await rig.create("run final:1000", compute=MODAL))
    assert states(events)[-1] == SUCCEEDED
    assert [text for text in logs(events) if "ended by itself" in text and "too many reloads" in text]
    assert len(plane.calls) == 2


async def test_what_comes_twice_and_out_of_order_is_recorded_once_and_in_order(rig, plane):
    plane.scrambles = True
    count = 2 * names.PAGE + 50
    run_id = await rig.create(f"run count:{count} final:9000", compute=MODAL)
    events = await rig.watch(run_id)
    steps = [event.metrics.env_steps for event in events if event.HasField("metrics")]
    assert steps == list(range(1, count + 1))
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    # no partition of the queue grows beyond a page, far below Modal's limit
    assert plane.largest_partition <= names.PAGE
    assert plane.partitions() == []


async def test_a_checkpoint_that_comes_damaged_is_left_out_and_said(rig, plane):
    damaged = []

    def damage(data):
        if data != b"1000":
            return data
        damaged.append(data)
        return b"1001"

    plane.damages = damage
    run_id = await rig.create("run checkpoint:1000 final:2000", compute=MODAL)
    events = await rig.watch(run_id)
    assert len(damaged) == 3
    assert "The checkpoint after 1,000 steps came damaged from Modal and is left out." in logs(events)
    assert steps_of(await rig.get(run_id)) == [2000]
    assert states(events)[-1] == SUCCEEDED


async def test_a_last_checkpoint_that_came_damaged_is_brought_by_another_call(rig, plane):
    damaged = []

    def damage(data):
        if data == b"2000" and len(damaged) < 3:
            damaged.append(data)
            return b""
        return data

    plane.damages = damage
    events = await rig.watch(run_id := await rig.create("run checkpoint:1000 final:2000", compute=MODAL))
    assert states(events)[-1] == SUCCEEDED
    assert steps_of(await rig.get(run_id)) == [1000, 2000]
    assert len(plane.calls) == 2


async def test_a_crashed_worker_resumes_and_the_third_crash_fails_the_run(rig, plane):
    events = await rig.watch(await rig.create("run resumed checkpoint:1000 crash:1000 final:2000", compute=MODAL))
    assert states(events)[-1] == SUCCEEDED
    assert logs(events)[-1] == "resumed at 1000"
    run_id = await rig.create("run crash", compute=MODAL)
    assert states(await rig.watch(run_id))[-1] == FAILED
    error = (await rig.get(run_id)).error
    assert error.reason == "WORKER_CRASHED"
    assert "SIGKILL: out of something" in error.message


async def test_a_container_that_dies_is_followed_by_another_call(rig, plane):
    run_id = await rig.create("run resumed checkpoint:1000 wait:1000 final:2000", compute=MODAL)
    await rig.until(run_id, lambda event: event.HasField("checkpoint"))
    (made,) = plane.calls.values()
    plane._loop.call_soon_threadsafe(plane.signal, made, signal.SIGKILL)
    events = await rig.watch(run_id)
    assert states(events)[-1] == SUCCEEDED
    assert [text for text in logs(events) if "Container exited" in text and "after 1,000 steps" in text]
    assert len(plane.calls) == 2


async def test_a_run_that_diverges_fails_at_once_with_its_reason(rig, plane):
    run_id = await rig.create("run checkpoint:1000 diverge", compute=MODAL)
    assert states(await rig.watch(run_id)) == [QUEUED, STARTING, RUNNING, FAILED]
    assert (await rig.get(run_id)).error.reason == "TRAINING_DIVERGED"


async def test_a_run_ends_at_its_time_limit_with_its_newest_checkpoint(rig, plane):
    compute = trainer_pb2.Compute(executor=trainer_pb2.EXECUTOR_MODAL, gpu="L4", max_secs=2)
    run_id = await rig.create("onstop:1500 run checkpoint:1000 wait", compute=compute)
    assert states(await rig.watch(run_id))[-1] == FAILED
    run = await rig.get(run_id)
    assert run.error.reason == "RUN_TIME_LIMIT"
    assert "2 s" in run.error.message
    assert steps_of(run) == [1000, 1500]
    (options,) = plane.variants.values()
    assert options.resources.gpu_config.gpu_type == "L4"
    assert 2 < options.timeout_secs < 3600


async def test_a_quota_is_said_and_waited_for(rig, plane):
    plane.failures["FunctionMap"] = [(Status.RESOURCE_EXHAUSTED, "Workspace spend limit reached")] * 2
    events = await rig.watch(await rig.create("run final:1000", compute=MODAL))
    told = [text for text in logs(events) if "COMPUTE_QUOTA_SPENT" in text and "Workspace spend limit reached" in text]
    assert len(told) == 2
    assert states(events)[-1] == SUCCEEDED


@pytest.mark.parametrize(
    ("failure", "code", "reason", "remedy"),
    [
        (
            (Status.UNAUTHENTICATED, "Token validation failed"),
            "FAILED_PRECONDITION",
            "COMPUTE_REFUSED",
            "modal token new",
        ),
        ((Status.PERMISSION_DENIED, "no"), "FAILED_PRECONDITION", "COMPUTE_REFUSED", "access"),
        (
            (Status.NOT_FOUND, "App not found"),
            "FAILED_PRECONDITION",
            "COMPUTE_APP_NOT_DEPLOYED",
            "modal deploy deploy/modal/app.py",
        ),
        ((Status.RESOURCE_EXHAUSTED, "limit"), "RESOURCE_EXHAUSTED", "COMPUTE_QUOTA_SPENT", "Raise the limit"),
    ],
)
async def test_a_run_that_modal_would_not_take_is_refused_with_the_remedy(rig, plane, failure, code, reason, remedy):
    plane.failures["FunctionGet"] = [failure]
    with pytest.raises(TabrlError) as caught:
        await rig.create("run final:1", compute=MODAL)
    assert (caught.value.code.name, caught.value.reason) == (code, reason)
    assert remedy in caught.value.metadata["remedy"]
    # and taken once that is mended
    assert states(await rig.watch(await rig.create("run final:1", compute=MODAL)))[-1] == SUCCEEDED


async def test_without_a_token_runs_train_here_and_modal_is_refused_with_the_remedy(
    plane, config, worker, exporter, monkeypatch
):
    monkeypatch.delenv("MODAL_TOKEN_ID")
    monkeypatch.delenv("MODAL_TOKEN_SECRET")
    async with trainer(config, worker, exporter) as rig:
        with pytest.raises(TabrlError) as caught:
            await rig.create("run final:1", compute=MODAL)
        assert (caught.value.code.name, caught.value.reason) == ("FAILED_PRECONDITION", "COMPUTE_NOT_CONFIGURED")
        assert "modal token new" in caught.value.metadata["remedy"]
        # an estimate needs no cloud
        spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", compute=MODAL)
        answer = await call(rig.stub.EstimateRun, trainer_pb2.EstimateRunRequest(spec=spec), service="trainer")
        assert answer.usd_per_hour == pytest.approx(4.27, abs=0.01)
        assert answer.cost_usd == pytest.approx(answer.usd_per_hour / 3600 * answer.duration_secs)
        assert states(await rig.watch(await rig.create("run final:1")))[-1] == SUCCEEDED


async def test_a_cloud_that_does_not_answer_is_unreachable(rig, plane, monkeypatch):
    monkeypatch.setattr("tabrl_trainer.modal_cloud.cloud._CHECK_SECS", 1.0)
    plane.unplug()
    with pytest.raises(TabrlError) as caught:
        await rig.create("run final:1", compute=MODAL)
    assert (caught.value.code.name, caught.value.reason) == ("UNAVAILABLE", "COMPUTE_UNREACHABLE")
    plane.plug_in()
    assert states(await rig.watch(await rig.create("run final:1", compute=MODAL)))[-1] == SUCCEEDED


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"compute": {"executor": "EXECUTOR_MODAL", "gpu": "H1000"}}, "spec.compute.gpu"),
        ({"compute": {"gpu": "H100"}}, "spec.compute.gpu"),
        ({"compute": {"executor": "EXECUTOR_LOCAL", "max_secs": 60}}, "spec.compute.max_secs"),
        ({"compute": {"executor": "EXECUTOR_MODAL"}, "backend": "PHYSICS_BACKEND_WARP"}, "spec.backend"),
    ],
)
async def test_compute_that_cannot_be_had_is_refused_with_the_field(rig, spec, field):
    with pytest.raises(TabrlError) as caught:
        await rig.create("run final:1", **spec)
    assert [name for name, _ in caught.value.fields] == [field]


async def test_no_secret_is_logged_recorded_or_told(plane, config, worker, exporter, tmp_path):
    # given a Trainer that logs everything, a run, and errors whose words hold the token
    environment = {"TABRL_LOG_LEVEL": "debug", "MODAL_LOGLEVEL": "DEBUG"}
    log = tmp_path / "log"
    process, address = scripted_trainer.start(config, worker[0], log, environment)
    rig = Rig(config, address, exporter)
    words = f"bad token {TOKEN_ID} {TOKEN_SECRET}"
    told = []
    for status in (Status.UNAUTHENTICATED, Status.RESOURCE_EXHAUSTED, Status.INTERNAL):
        plane.failures["FunctionGet"] = [(status, words)] * 5
        with pytest.raises(TabrlError) as caught:
            await rig.create("run final:1", compute=MODAL)
        told.append(f"{caught.value} {caught.value.metadata}")
        plane.failures.clear()
    plane.failures["FunctionMap"] = [(Status.RESOURCE_EXHAUSTED, words)]
    events = await rig.watch(run_id := await rig.create("run metrics:500@2 final:1000", compute=MODAL))
    plane.failures["FunctionMap"] = [(Status.PERMISSION_DENIED, words)]
    failed = await rig.watch(await rig.create("run final:1000", compute=MODAL))
    assert states(failed)[-1] == FAILED
    await rig.channel.close()
    process.terminate()
    process.wait()
    # then the token was really used
    assert (TOKEN_ID, TOKEN_SECRET) in plane.seen_tokens
    # and is nowhere: not in errors, the record, logs, the database, artifacts, nor what containers printed
    told += [str(events), str(failed), str(run_id)]
    files = [path for folder in (tmp_path, plane.folder) for path in folder.rglob("*") if path.is_file()]
    told += [path.read_bytes().decode(errors="replace") for path in files]
    assert log in files
    assert not [text for text in told if TOKEN_SECRET in text or TOKEN_ID in text]


async def test_the_real_worker_trains_a_little(rig, plane):
    plane.worker = ""
    settings = {"env_steps": 2000, "num_envs": 16, "unroll_length": 20, "num_minibatches": 2}
    run_id = await rig.create("", settings=settings, compute=MODAL)
    events = await rig.watch(run_id)
    run = await rig.get(run_id)
    assert states(events) == [QUEUED, STARTING, RUNNING, SUCCEEDED]
    assert run.metrics.env_steps >= 2000
    assert run.metrics.cost_usd == pytest.approx(run.cost_usd)
    last = run.checkpoints[-1]
    assert last.final
    assert Checkpoint.from_bytes(rig.store.read(last.artifact.sha256)).env_steps == last.env_steps


async def _until(true) -> None:
    async with asyncio.timeout(10.0):
        while not true():
            await asyncio.sleep(0.02)
