"""A RewardGen over real sockets, beside a Scene that answers with the real robots, and a model whose answers are
recorded."""

import asyncio
import contextlib
import functools
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from tabrl.rewardgen.v1 import rewardgen_pb2_grpc
from tabrl.scene.v1 import scene_pb2, scene_pb2_grpc
from tabrl.type.v1 import tensor_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.service import started
from tabrl_simulation import environments
from tabrl_simulation.rewards.from_model import robot_of
from tabrl_simulation.rewards.real_states import record_states

from tabrl_rewardgen.config import Config
from tabrl_rewardgen.service import SERVICE

TESTDATA = Path(__file__).parent / "testdata"


@functools.cache
def robot_named(environment_id):
    """Return the robot of an environment."""
    return robot_of(environments.load(environment_id))


@pytest.fixture(scope="session", autouse=True)
def _playground_is_imported():
    """Import Playground before a call waits for Scene: on a busy machine that takes longer than the call's deadline."""
    robot_named("CartpoleBalance")
    recorded_states("CartpoleBalance")


@pytest.fixture(scope="session")
def robot():
    """Return the robot of an environment id; a test that wants one that is not installed is skipped."""

    def named(environment_id):
        try:
            return robot_named(environment_id)
        except environments.MissingRobot as missing:
            pytest.skip(str(missing))

    return named


def environment_message(environment_id):
    """Return the Scene contract's description of an environment."""
    robot = robot_named(environment_id)
    structure = scene_pb2.RobotStructure(
        bodies=[scene_pb2.Body(name=body.name, parent=body.parent) for body in robot.bodies],
        actuators=[scene_pb2.Actuator(name=each.name, target=each.target, gear=each.gear) for each in robot.actuators],
        sensors=[
            scene_pb2.Sensor(name=each.name, type=each.type, address=each.address, dim=each.dim, target=each.target)
            for each in robot.sensors
        ],
        sites=robot.sites,
        geoms=robot.geoms,
        feet=[
            scene_pb2.Foot(
                name=foot.name,
                geoms=[
                    scene_pb2.FootGeom(index=geom.index, half_m=geom.half_m, radius_m=geom.radius_m)
                    for geom in foot.geoms
                ],
            )
            for foot in robot.feet
        ],
    )
    for joint in robot.joints:
        structure.joints.add(
            name=joint.name,
            type=f"JOINT_TYPE_{joint.kind.upper()}",
            body=joint.body,
            qpos_address=joint.qpos_address,
            qvel_address=joint.qvel_address,
            range_low=joint.range_low,
            range_high=joint.range_high,
        )
    return scene_pb2.Environment(
        summary=scene_pb2.EnvironmentSummary(environment_id=environment_id, robot=environment_id),
        fingerprint=robot.environment_fingerprint,
        structure=structure,
        timing=scene_pb2.Timing(control_period_secs=robot.control_period_secs),
        action_size=robot.action_size,
        command_size=robot.command_size,
        arrays=[tensor_pb2.TensorSpec(name=name, shape=shape) for name, shape in robot.arrays.items()],
    )


@functools.cache
def recorded_states(environment_id):
    """Return the file of a robot's real states, a few."""
    return record_states(environments.load(environment_id), episodes=4, steps=32).to_bytes()


class Scene(scene_pb2_grpc.SceneServiceServicer):
    """The methods of Scene that RewardGen calls. Only CartpoleBalance's states were recorded."""

    def __init__(self, artifacts):
        """Keep states in RewardGen's own store."""
        self._artifacts = artifacts

    async def GetRealStates(self, request, context):
        """Return real states, or say that they are being recorded."""
        if request.environment_id != "CartpoleBalance":
            return scene_pb2.GetRealStatesResponse(state=scene_pb2.REAL_STATES_STATE_FAILED)
        states = await asyncio.to_thread(recorded_states, request.environment_id)
        kept = self._artifacts.put(states, "application/vnd.tabrl.real-states")
        return scene_pb2.GetRealStatesResponse(state=scene_pb2.REAL_STATES_STATE_READY, states=kept)

    async def GetEnvironment(self, request, context):
        """Describe a real environment."""
        try:
            environment = await asyncio.to_thread(environment_message, request.environment_id)
        except environments.UnknownEnvironment:
            from google.protobuf import any_pb2
            from google.rpc import error_details_pb2, status_pb2
            from grpc_status import rpc_status

            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.ErrorInfo(reason="ENVIRONMENT_NOT_FOUND", domain="tabrl.dev"))
            status = status_pb2.Status(code=5, message="There is no such environment.", details=[detail])
            await context.abort_with_status(rpc_status.to_status(status))
        return scene_pb2.GetEnvironmentResponse(environment=environment)


@contextlib.asynccontextmanager
async def rewardgen(data, **options):
    """Run RewardGen and its Scene; yield a stub."""
    scene = grpc.aio.server()
    artifacts = ArtifactStore(data / "artifacts")
    scene_pb2_grpc.add_SceneServiceServicer_to_server(Scene(artifacts), scene)
    port = scene.add_insecure_port("127.0.0.1:0")
    await scene.start()
    config = Config(data=data, scene_address=f"127.0.0.1:{port}", drain_secs=0.1, **options)
    try:
        async with started(SERVICE, config) as running, grpc.aio.insecure_channel(running.address) as channel:
            stub = rewardgen_pb2_grpc.RewardServiceStub(channel)
            stub.scene = scene
            stub.artifacts, stub.database = running.context.artifacts, running.context.database
            yield stub
    finally:
        await scene.stop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory):
    """A RewardGen without any model, shared by a module's tests."""
    async with rewardgen(tmp_path_factory.mktemp("data")) as stub:
        yield stub


class ModelServer(ThreadingHTTPServer):
    """An OpenAI-compatible endpoint that plays recorded answers in order and keeps the requests it got."""

    def __init__(self):
        """Listen on a free port of the loopback address."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = []
        self.requests = []
        self.keys = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def base(self):
        """The address LiteLLM is pointed at."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def play(self, *answers):
        """Answer the next requests with these texts, or with (status, body) pairs."""
        self.answers, self.requests, self.keys = list(answers), [], set()


@dataclass(frozen=True)
class Told:
    """An answer that does not simply come: it stalls or breaks off before a piece, or ends for a reason."""

    text: str = ""
    finish: str = "stop"
    stalls_at: int = -1
    stalls_secs: float = 0.0
    breaks_at: int = -1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        """Stream the next answer as server-sent events, 24 characters at a time, as the relay that recorded it did."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        self.server.keys.add(self.headers["authorization"])
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        if isinstance(answer, tuple):
            status, body, *headers = answer
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers[0].items() if headers else ():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}
        told = answer if isinstance(answer, Told) else Told(answer)
        pieces = [told.text[start : start + 24] for start in range(0, len(told.text), 24)]
        for number, piece in enumerate(pieces):
            if number == told.stalls_at:
                time.sleep(told.stalls_secs)
            if number == told.breaks_at:
                self._break()
                return
            self._event({**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
        usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
        self._event({**head, "usage": usage, "choices": [{"index": 0, "delta": {}, "finish_reason": told.finish}]})
        self._event_text(b"[DONE]")
        self._chunk(b"")

    def _event(self, body):
        self._event_text(json.dumps(body).encode())

    def _event_text(self, text):
        self._chunk(b"data: " + text + b"\n\n")

    def _chunk(self, data):
        """Write a chunk of HTTP's chunked coding, so that an answer that breaks off can be told from one that ends."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _break(self):
        """Reset the connection in the middle of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def recorded(name):
    """Return the exchanges of a recorded conversation: a list of {request, answer}."""
    return json.loads((TESTDATA / f"{name}.json").read_text())
