"""The whole Trainer over real sockets: real database, store and processes; only what a worker does is scripted."""

import asyncio
import contextlib
from pathlib import Path

import grpc
import pytest
from tabrl.exporter.v1 import exporter_pb2, exporter_pb2_grpc
from tabrl.inference.v1 import inference_pb2, inference_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.trainer.v1 import batches_pb2, batches_pb2_grpc, trainer_pb2, trainer_pb2_grpc
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import call, open_channel
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Service, started

from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.models import RunRow
from tabrl_trainer.record import PENDING, now
from tabrl_trainer.service import trainer_service

FINGERPRINT = "f" * 64
QUEUED, STARTING, RUNNING = (
    trainer_pb2.RUN_STATE_QUEUED,
    trainer_pb2.RUN_STATE_STARTING,
    trainer_pb2.RUN_STATE_RUNNING,
)
SUCCEEDED, FAILED, CANCELLED, PAUSED = (
    trainer_pb2.RUN_STATE_SUCCEEDED,
    trainer_pb2.RUN_STATE_FAILED,
    trainer_pb2.RUN_STATE_CANCELLED,
    trainer_pb2.RUN_STATE_PAUSED,
)

# A worker that follows the run's title: words such as `checkpoint:1000` or `wait`, one after the other.
WORKER = """
import os, select, signal, sys
from tabrl_chassis.processes import die_with_parent
die_with_parent()
from tabrl.trainer.v1 import trainer_pb2 as t
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.failpoints import reach
from tabrl_trainer.protocol import EXIT_TRY_AGAIN, Job, event_line

job = Job.from_json(sys.stdin.read())
store = ArtifactStore(job.artifacts_url)
resumed = int(store.read(job.resume_sha256)) if job.resume_sha256 else 0
start_from = job.spec.start_from.checkpoint_sha256
padding = 0

def say(**event):
    os.write(1, event_line(t.RunEvent(**event)))

def checkpoint(steps, final=False):
    reach("worker.checkpoint_made")
    try:
        artifact = store.put(str(steps).encode() + b" " * padding, "text/plain")
    except TabrlError as error:
        print(f"{error.reason}: {error.message}", file=sys.stderr, flush=True)
        os._exit(EXIT_TRY_AGAIN)
    reach("worker.checkpoint_stored")
    say(checkpoint=t.Checkpoint(env_steps=steps, artifact=artifact, final=final))
    reach("worker.checkpoint_said")

reach("worker.loaded")
for word in job.spec.title.split():
    name, _, value = word.partition(":")
    if name == "run":
        say(state_changed=t.StateChanged(state=t.RUN_STATE_RUNNING))
    elif name == "metrics":
        steps, elapsed = value.split("@")
        say(metrics=t.TrainingMetrics(env_steps=int(steps), elapsed_secs=float(elapsed), remaining_secs=5.0))
    elif name == "bulky":
        padding = int(value)
    elif name == "count":
        for steps in range(1, int(value) + 1):
            say(metrics=t.TrainingMetrics(env_steps=steps, elapsed_secs=float(steps)))
    elif name == "checkpoint":
        checkpoint(int(value))
        if resumed < int(value) and 0 < job.pause_env_steps <= int(value):
            say(state_changed=t.StateChanged(state=t.RUN_STATE_PAUSED))
            os._exit(0)
    elif name == "resumed":
        say(log=t.LogLine(level=t.LOG_LEVEL_INFO, text=f"resumed at {resumed}"))
    elif name == "gpu":
        say(log=t.LogLine(level=t.LOG_LEVEL_INFO, text=os.environ.get("CUDA_VISIBLE_DEVICES", "every GPU")))
    elif name == "started":
        say(log=t.LogLine(level=t.LOG_LEVEL_INFO, text=f"started from {start_from}"))
    elif name == "lines":
        count, size = value.split("x")
        for number in range(int(count)):
            say(log=t.LogLine(level=t.LOG_LEVEL_INFO, text=f"{number} ".ljust(int(size), ".")))
    elif name == "print":
        print("this is no event", flush=True)
        for stream in (sys.stdout, sys.stderr):
            print("x" * 3_000_000, file=stream, flush=True)
    elif name == "final":
        checkpoint(int(value), final=True)
        reach("worker.trained")
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
        while True:
            signal.pause()
    elif name == "file":
        while not os.path.exists(value):
            select.select((), (), (), 0.02)  # not time.sleep, which fails where a test sets the clock by libfaketime
"""


# Sizes of observation and action, and the actuators, by environment.
ENVIRONMENTS = {
    "CartpoleBalance": (5, 1, ["slider"]),
    "CartpoleSwingup": (5, 1, ["slider"]),
    "PendulumSwingup": (5, 1, ["hinge"]),
    "WalkerStand": (24, 6, ["right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"]),
}


class Scene(scene_pb2_grpc.SceneServiceServicer):
    """Knows a few environments."""

    async def GetEnvironment(self, request, context):  # noqa: D102
        if request.environment_id not in ENVIRONMENTS:
            raise TabrlError(grpc.StatusCode.NOT_FOUND, "ENVIRONMENT_NOT_FOUND", "There is no such environment.")
        observation_size, action_size, actuators = ENVIRONMENTS[request.environment_id]
        environment = scene_pb2.Environment(
            summary=scene_pb2.EnvironmentSummary(environment_id=request.environment_id),
            fingerprint=FINGERPRINT,
            observation_size=observation_size,
            action_size=action_size,
            structure=scene_pb2.RobotStructure(actuators=[scene_pb2.Actuator(name=name) for name in actuators]),
        )
        environment.timing.control_period_secs = 0.02
        environment.structure.bodies.extend([scene_pb2.Body(name="world"), scene_pb2.Body(name="pole")])
        environment.structure.joints.add(name="hinge", type=scene_pb2.JOINT_TYPE_HINGE)
        return scene_pb2.GetEnvironmentResponse(environment=environment)


class Exporter(exporter_pb2_grpc.ExporterServiceServicer):
    """Publishes everything at once, but while `error` is set or `gate` is closed."""

    def __init__(self):
        """Start with the gate open."""
        self.requests: list[exporter_pb2.CreatePolicyRequest] = []
        self.published: dict[str, exporter_pb2.CreatePolicyRequest] = {}
        self.policies: dict[str, str] = {}
        """Checkpoints of policies that were published before, by id."""
        self.error: TabrlError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def CreatePolicy(self, request, context):  # noqa: D102
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        policy_id = f"policy-{request.run_id}-{request.checkpoint_sha256[:8]}"
        self.published[policy_id] = request
        return exporter_pb2.CreatePolicyResponse(policy=exporter_pb2.Policy(policy_id=policy_id))

    async def GetPolicy(self, request, context):  # noqa: D102
        if request.policy_id not in self.policies:
            raise TabrlError(grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND", "There is no such policy.")
        policy = exporter_pb2.Policy(checkpoint_sha256=self.policies[request.policy_id])
        return exporter_pb2.GetPolicyResponse(policy=policy)


class Inference(inference_pb2_grpc.InferenceServiceServicer):
    """Plays nothing: each episode's score is what `scores` says of the policy, by default the title's `scores:0.1,0.3`.

    The check holds where the score is 1; the return is a hundred times the score.
    """

    def __init__(self, exporter: Exporter):
        """Start with the gate open; the exporter knows what each policy was trained for."""
        self.exporter = exporter
        self.requests: list[inference_pb2.EvaluateRequest] = []
        self.error: TabrlError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.scores = scores_of_title

    async def Evaluate(self, request, context):  # noqa: D102
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        scores = await self.scores(self.exporter.published[request.policy_id])
        summary = inference_pb2.EvaluationSummary(episodes=request.episodes, mean_survived=1.0)
        for index in range(request.episodes):
            score = scores[index % len(scores)]
            episode = inference_pb2.EpisodeResult(index=index, episode_return=100 * score, length=10, survived=1.0)
            summary.mean_return += 100 * score / request.episodes
            if request.check:
                episode.checked.held, episode.checked.score = score >= 1, score
                summary.checked.held += score >= 1
                summary.checked.score += score / request.episodes
                summary.checked.measures["mean(up('pole'))"] = scores[0]
            yield inference_pb2.EvaluateResponse(episode=episode)
        yield inference_pb2.EvaluateResponse(summary=summary)


async def scores_of_title(policy: exporter_pb2.CreatePolicyRequest) -> list[float]:
    """Return the scores that a title says, as `scores:0.1,0.3`, one for each episode in turn."""
    (word,) = [word for word in policy.title.split() if word.startswith("scores:")]
    return [float(score) for score in word.removeprefix("scores:").split(",")]


@contextlib.asynccontextmanager
async def peers(data: Path, exporter: Exporter, inference: Inference | None = None):
    """Serve a Scene, an Exporter and an Inference service, and give their address."""

    @contextlib.asynccontextmanager
    async def serve(server, context):
        scene_pb2_grpc.add_SceneServiceServicer_to_server(Scene(), server)
        exporter_pb2_grpc.add_ExporterServiceServicer_to_server(exporter, server)
        inference_pb2_grpc.add_InferenceServiceServicer_to_server(inference or Inference(exporter), server)
        yield

    names = (
        "tabrl.scene.v1.SceneService",
        "tabrl.exporter.v1.ExporterService",
        "tabrl.inference.v1.InferenceService",
    )
    async with started(Service("peers", ServiceConfig, names, serve), ServiceConfig(data=data)) as running:
        yield running.address


class Rig:
    """A running Trainer and a client of it."""

    def __init__(self, config: TrainerConfig, address: str, exporter: Exporter, http_port: int = 0) -> None:
        """Take the address of a Trainer that runs."""
        self.config = config
        self.http_port = http_port
        self.exporter = exporter
        self.store = ArtifactStore(config.data / "artifacts")
        self.channel = open_channel(address)
        self.stub = trainer_pb2_grpc.TrainerServiceStub(self.channel)
        self.batches = batches_pb2_grpc.BatchServiceStub(self.channel)

    async def create(self, title: str, environment_id: str = "CartpoleBalance", request_id: str = "", **spec) -> str:
        """Queue a run whose worker does what the title says; returns its id."""
        request = trainer_pb2.CreateRunRequest(
            spec=trainer_pb2.RunSpec(environment_id=environment_id, title=title, **spec), request_id=request_id
        )
        # A busy machine may take long over the first import of what it needs.
        return (await call(self.stub.CreateRun, request, service="trainer", timeout_secs=60.0)).run.run_id

    async def get(self, run_id: str) -> trainer_pb2.Run:
        """Return a run."""
        return (await call(self.stub.GetRun, trainer_pb2.GetRunRequest(run_id=run_id), service="trainer")).run

    async def cancel(self, run_id: str) -> trainer_pb2.Run:
        """Cancel a run and return it."""
        request = trainer_pb2.CancelRunRequest(run_id=run_id)
        return (await call(self.stub.CancelRun, request, service="trainer")).run

    async def watch(self, run_id: str, after: int = 0) -> list[trainer_pb2.RunEvent]:
        """Watch a run to the end of the stream and return its events."""
        return [event async for event in self.follow(run_id, after)]

    async def follow(self, run_id: str, after: int = 0):
        """Yield a run's events as they come."""
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

    async def create_batch(self, spec: batches_pb2.BatchSpec, request_id: str = "") -> batches_pb2.Batch:
        """Submit a batch."""
        request = batches_pb2.CreateBatchRequest(spec=spec, request_id=request_id)
        # A busy machine may take its time to let a process that has just started answer.
        return (await call(self.batches.CreateBatch, request, service="trainer", timeout_secs=60.0)).batch

    async def get_batch(self, batch_id: str) -> batches_pb2.Batch:
        """Return a batch."""
        request = batches_pb2.GetBatchRequest(batch_id=batch_id)
        return (await call(self.batches.GetBatch, request, service="trainer")).batch

    async def watch_batch(self, batch_id: str) -> list[batches_pb2.Batch]:
        """Watch a batch to the end of the stream and return its snapshots."""
        responses = self.batches.WatchBatch(batches_pb2.WatchBatchRequest(batch_id=batch_id))
        return [response.snapshot async for response in responses if response.HasField("snapshot")]


@pytest.fixture
def exporter():
    """Give the Exporter that the Trainer of this test calls."""
    return Exporter()


@pytest.fixture
def inference(exporter):
    """Give the Inference service that the Trainer of this test calls."""
    return Inference(exporter)


@pytest.fixture
async def config(tmp_path, exporter, inference, database_url):
    """Give the configuration of a Trainer whose peers serve; a test that asks for it runs on each kind of database."""
    async with peers(tmp_path / "peers", exporter, inference) as address:
        yield TrainerConfig(
            data=tmp_path / "data",
            database_url=database_url,
            scene_address=address,
            exporter_address=address,
            inference_address=address,
            niceness=0,
        )


@pytest.fixture
def worker(tmp_path):
    """Write the scripted worker; gives the arguments of Python that start it."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    return (str(script),)


@contextlib.asynccontextmanager
async def trainer(config, worker, exporter):
    """Run a Trainer and give its rig."""
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(started(trainer_service(worker), config))
        rig = Rig(config, running.address, exporter, running.http_port)
        rig.close = stack.aclose
        yield rig
    await rig.channel.close()  # only after the drain, so that a test sees how its watches end


@pytest.fixture
async def rig(config, worker, exporter):
    """Give the rig of a Trainer that runs."""
    async with trainer(config, worker, exporter) as running:
        yield running


@pytest.fixture
def short_pauses(monkeypatch):
    """Have what is tried again tried at once."""
    monkeypatch.setattr("tabrl_trainer.retries.FIRST_PAUSE_SECS", 0.01)


def states(events) -> list[int]:
    """Return the states that events tell of."""
    return [event.state_changed.state for event in events if event.HasField("state_changed")]


def logs(events) -> list[str]:
    """Return the lines of a log."""
    return [event.log.text for event in events if event.HasField("log")]


def is_state(state):
    """Return what tells the event that a run enters a state."""
    return lambda event: event.state_changed.state == state


def a_run(run_id, state):
    """The row of a run as it is queued, but in another state."""
    return RunRow(
        run_id=run_id,
        environment_id="CartpoleBalance",
        environment_fingerprint="",
        spec=b"",
        state=state,
        revision=0,
        cancel_requested=False,
        publishing=PENDING,
        create_time=now(),
    )
