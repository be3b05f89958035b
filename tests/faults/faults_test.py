"""`kill -9` of each process while a run trains: the rest stays up, healthz says what is wrong, all of it recovers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from tabrl.exporter.v1 import exporter_pb2
from tabrl.inference.v1 import inference_pb2
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.scene.v1 import scene_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection
from tabrl_cli.errors import CallError
from tabrl_cli.watch import watch_run
from tabrl_local.topology import SERVICE_NAMES

from tests.stack.baked import Baker
from tests.stack.running_stack import RunningStack, eventually, running_stack

# More than it can do while the test lasts; it is cancelled at the end.
ENV_STEPS = 2_000_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, baker: Baker) -> Path:
    """One data folder for the module, its environments baked, which Scene would do beside the test otherwise."""
    made = tmp_path_factory.mktemp("faults")
    baker.bake(made / "data")
    return made


@pytest.fixture
def stack(folder: Path) -> Iterator[RunningStack]:
    with running_stack(folder) as running:
        yield running


class Watcher(threading.Thread):
    """A person's terminal: follows the run through all that happens."""

    def __init__(self, url: str, run_id: str) -> None:
        super().__init__(daemon=True)
        self.revisions: list[int] = []
        self.env_steps = 0
        self.ended: trainer_pb2.RunState.ValueType | None = None
        self.error: CallError | None = None
        self._connection = Connection(url)
        self._run_id = run_id

    def run(self) -> None:
        try:
            for update in watch_run(self._connection, self._run_id):
                if isinstance(update, trainer_pb2.RunEvent):
                    self.revisions.append(update.revision)
                    if update.HasField("metrics"):
                        self.env_steps = update.metrics.env_steps
                    if update.HasField("state_changed"):
                        self.ended = update.state_changed.state
        except CallError as error:
            self.error = error


def ask(connection: Connection, service: str) -> None:
    """A cheap call of each service, as a person's terminal makes it. Raises CallError."""
    match service:
        case "scene":
            connection.call(connection.scene.ListEnvironments, scene_pb2.ListEnvironmentsRequest())
        case "rewardgen":
            connection.call(connection.rewards.ListModels, rewardgen_pb2.ListModelsRequest())
        case "trainer":
            connection.call(connection.trainer.ListRuns, trainer_pb2.ListRunsRequest())
        case "exporter":
            connection.call(connection.exporter.ListPolicies, exporter_pb2.ListPoliciesRequest())
        case "inference":
            with pytest.raises(grpc.RpcError) as raised:
                connection.inference.GetActSignature(inference_pb2.GetActSignatureRequest(policy_id="none"), timeout=20)
            assert isinstance(raised.value, grpc.Call)
            assert raised.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)


def test_every_process_may_be_killed_while_a_run_trains(stack: RunningStack) -> None:
    connection = Connection(stack.url)
    settings = trainer_pb2.TrainingSettings(env_steps=ENV_STEPS, num_envs=256)
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", settings=settings)
    run_id = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run.run_id
    watcher = Watcher(stack.url, run_id)
    watcher.start()

    def run() -> trainer_pb2.Run:
        return connection.call(connection.trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id)).run

    # given a run that trains and has a checkpoint to come back to
    eventually(lambda: watcher.env_steps > 0, report=stack.tail)
    eventually(lambda: len(run().checkpoints) > 0, report=stack.tail)

    for name in SERVICE_NAMES:
        # when the process is gone
        stack.kill(name)
        # then healthz says which
        status, health = eventually(
            lambda name=name: said if (said := stack.healthz())[1].get("services", {}).get(name) != "serving" else None
        )
        assert status == 503
        assert health["status"] == "degraded"
        # and the others go on
        for other in SERVICE_NAMES:
            if other != name:
                assert health["services"][other] == "serving", health
                ask(connection, other)
        # and it comes back
        stack.until_serving()
        assert stack.healthz()[1]["restarts"][name] == 1
        ask(connection, name)

    # the gateway comes back too
    stack.kill("gateway")
    eventually(lambda: stack.healthz()[0] == 0)
    stack.until_serving()

    # the run went on where it was, under the same id
    steps = watcher.env_steps
    eventually(lambda: watcher.env_steps > steps, report=stack.tail)
    assert run().state == trainer_pb2.RUN_STATE_RUNNING

    # and its record has no gap: what was told while things broke is what is told now
    connection.call(connection.trainer.CancelRun, trainer_pb2.CancelRunRequest(run_id=run_id))
    eventually(lambda: not watcher.is_alive(), report=stack.tail)
    assert watcher.error is None
    assert watcher.ended == trainer_pb2.RUN_STATE_CANCELLED
    assert watcher.revisions == list(range(1, run().revision + 1))

    # and a policy came of it
    def policies() -> int:
        request = exporter_pb2.ListPoliciesRequest(run_id=run_id)
        return len(connection.call(connection.exporter.ListPolicies, request).policies)

    eventually(policies, report=stack.tail)


def test_a_second_start_finds_the_earlier_runs(folder: Path) -> None:
    with running_stack(folder) as first:
        connection = Connection(first.url)
        spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", title="the first")
        run_id = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run.run_id
        connection.call(connection.trainer.CancelRun, trainer_pb2.CancelRunRequest(run_id=run_id))
    assert first.launcher.returncode == 0
    with running_stack(folder) as second:
        connection = Connection(second.url)
        run = connection.call(connection.trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id)).run
        assert run.spec.title == "the first"
