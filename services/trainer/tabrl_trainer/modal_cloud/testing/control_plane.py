"""The part of Modal's control plane that TabRL calls, over the real protocol (`modal_proto`) on loopback.

It keeps calls, queues, dicts, volumes and blobs in memory, starts each input in a process of its own (`container`), and
can be told to fail: to refuse a method or break its streams off, to preempt a container, to lose the network, to
deliver out of order, to damage a file. What it does not cover is listed in `deploy/modal/README.md`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import pickle
import random
import shutil
import signal
import sys
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpclib.server
from aiohttp import web
from google.protobuf.empty_pb2 import Empty
from grpclib import GRPCError, Status
from modal._utils.blob_utils import BLOCK_SIZE
from modal._utils.grpc_testing import patch_mock_servicer
from modal_proto import api_grpc
from modal_proto import api_pb2 as api

from tabrl_trainer.modal_cloud import names

TOKEN_ID, TOKEN_SECRET = "ak-2fQ9xTestTokenId77", "as-8hZ3TestTokenSecret42"
_RESULT = api.GenericResult
_POLL_SECS = 0.02


@dataclass
class Container:
    """The process of one start of an input."""

    task_id: str
    pid: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Call:
    """One function call, of one input."""

    call_id: str
    function_id: str
    arguments: bytes
    options: api.FunctionOptions
    containers: list[Container] = field(default_factory=list)
    preempted: bool = False
    cancelled: bool = False
    output: api.FunctionGetOutputsItem | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


@patch_mock_servicer
class _Servicer(api_grpc.ModalClientBase):
    """The methods; all state is that of `plane`."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane

    async def _request(self, stream: Any) -> Any:
        """Return the request of a call that is let in; raise what the test wants of its method."""
        request = await stream.recv_message()
        method = type(request).__name__.removesuffix("Request")
        self.plane.requests[method] += 1
        token = stream.metadata.get("x-modal-token-id"), stream.metadata.get("x-modal-token-secret")
        self.plane.seen_tokens.add(token)
        if token[1] != self.plane.accepted_secret:
            raise GRPCError(Status.UNAUTHENTICATED, "Token validation failed")
        if failures := self.plane.failures.get(method):
            status, message = failures.pop(0)
            raise GRPCError(status, message)
        if method in self.plane.broken:
            await stream.cancel()
            raise GRPCError(Status.CANCELLED)  # goes to the log alone: nothing can be sent any more
        return request

    async def ClientHello(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(api.ClientHelloResponse())

    # ---- functions -----------------------------------------------------------------------------------------------

    async def FunctionGet(self, stream: Any) -> None:
        request = await self._request(stream)
        if (request.app_name, request.object_tag) not in self.plane.deployed:
            raise GRPCError(Status.NOT_FOUND, f"App {request.app_name!r} has no function {request.object_tag!r}")
        ranked = api.FunctionData.RankedFunction(rank=0, function=api.Function(function_name=request.object_tag))
        await stream.send_message(
            api.FunctionGetResponse(
                function_id="fu-1", handle_metadata=_handle(), function=api.FunctionData(ranked_functions=[ranked])
            )
        )

    async def FunctionBindParams(self, stream: Any) -> None:
        request = await self._request(stream)
        function_id = f"fu-{len(self.plane.variants) + 2}"
        self.plane.variants[function_id] = request.function_options
        await stream.send_message(
            api.FunctionBindParamsResponse(bound_function_id=function_id, handle_metadata=_handle())
        )

    async def FunctionMap(self, stream: Any) -> None:
        request = await self._request(stream)
        given = request.pipelined_inputs[0].input
        arguments = self.plane.blobs[given.args_blob_id] if given.args_blob_id else given.args
        options = self.plane.variants.get(request.function_id, api.FunctionOptions())
        call = Call(f"fc-{uuid.uuid4().hex[:12]}", request.function_id, arguments, options)
        self.plane.begin(call)
        item = api.FunctionPutInputsResponseItem(idx=0, input_id=f"in-{call.call_id}", input_jwt="jwt")
        await stream.send_message(api.FunctionMapResponse(function_call_id=call.call_id, pipelined_inputs=[item]))

    async def FunctionGetOutputs(self, stream: Any) -> None:
        request = await self._request(stream)
        call = self.plane.calls.get(request.function_call_id)
        if call is None:
            raise GRPCError(Status.NOT_FOUND, "No such function call")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(request.timeout, 0.001)):
                await call.done.wait()
        outputs = [call.output] if call.output is not None else []
        await stream.send_message(
            api.FunctionGetOutputsResponse(outputs=outputs, num_unfinished_inputs=0 if outputs else 1)
        )

    async def FunctionCallCancel(self, stream: Any) -> None:
        request = await self._request(stream)
        call = self.plane.calls.get(request.function_call_id)
        if call is None:
            raise GRPCError(Status.NOT_FOUND, "No such function call")
        call.cancelled = True
        self.plane.signal(call, signal.SIGKILL if request.terminate_containers else signal.SIGUSR1)
        await stream.send_message(Empty())

    async def BlobCreate(self, stream: Any) -> None:
        await self._request(stream)
        blob_id = f"bl-{uuid.uuid4().hex[:12]}"
        urls = api.UploadUrlList(items=[f"{self.plane.http_url}/blob/{blob_id}"])
        await stream.send_message(api.BlobCreateResponse(blob_ids=[blob_id], upload_urls=urls))

    # ---- queues and dicts ----------------------------------------------------------------------------------------

    async def QueueGetOrCreate(self, stream: Any) -> None:
        request = await self._request(stream)
        metadata = api.QueueMetadata(name=request.deployment_name)
        await stream.send_message(
            api.QueueGetOrCreateResponse(queue_id=f"qu-{request.deployment_name}", metadata=metadata)
        )

    async def QueuePut(self, stream: Any) -> None:
        request = await self._request(stream)
        items = self.plane.queues[request.queue_id, request.partition_key]
        if len(items) + len(request.values) > self.plane.partition_items:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "Queue is full")
        items.extend(request.values)
        self.plane.largest_partition = max(self.plane.largest_partition, len(items))
        await stream.send_message(Empty())

    async def QueueNextItems(self, stream: Any) -> None:
        request = await self._request(stream)
        key = request.queue_id, request.partition_key
        begin = int(request.last_entry_id or -1) + 1
        deadline = asyncio.get_running_loop().time() + request.item_poll_timeout
        while len(self.plane.queues[key]) <= begin and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL_SECS)
        numbered = list(enumerate(self.plane.queues[key]))[begin : begin + 100]
        await stream.send_message(api.QueueNextItemsResponse(items=self.plane.delivered(numbered)))

    async def QueueClear(self, stream: Any) -> None:
        request = await self._request(stream)
        self.plane.queues.pop((request.queue_id, request.partition_key), None)
        await stream.send_message(Empty())

    async def DictGetOrCreate(self, stream: Any) -> None:
        request = await self._request(stream)
        metadata = api.DictMetadata(name=request.deployment_name)
        await stream.send_message(
            api.DictGetOrCreateResponse(dict_id=f"di-{request.deployment_name}", metadata=metadata)
        )

    async def DictUpdate(self, stream: Any) -> None:
        request = await self._request(stream)
        created = False
        for entry in request.updates:
            if not (request.if_not_exists and entry.key in self.plane.state):
                self.plane.state[entry.key] = entry.value
                created = True
        await stream.send_message(api.DictUpdateResponse(created=created))

    async def DictGet(self, stream: Any) -> None:
        request = await self._request(stream)
        value = self.plane.state.get(request.key)
        await stream.send_message(api.DictGetResponse(found=value is not None, value=value))

    async def DictContains(self, stream: Any) -> None:
        request = await self._request(stream)
        await stream.send_message(api.DictContainsResponse(found=request.key in self.plane.state))

    # ---- volumes -------------------------------------------------------------------------------------------------

    async def VolumeGetOrCreate(self, stream: Any) -> None:
        request = await self._request(stream)
        metadata = api.VolumeMetadata(name=request.deployment_name, version=api.VOLUME_FS_VERSION_V1)
        await stream.send_message(
            api.VolumeGetOrCreateResponse(
                volume_id=f"vo-{request.deployment_name}", version=api.VOLUME_FS_VERSION_V1, metadata=metadata
            )
        )

    async def VolumeCommit(self, stream: Any) -> None:
        await self._request(stream)
        mount = self.plane.folder / "mounts" / stream.metadata["x-modal-token-id"]
        shutil.copytree(mount, self.plane.volume, dirs_exist_ok=True, copy_function=_copy)
        await stream.send_message(api.VolumeCommitResponse(skip_reload=True))

    async def VolumeReload(self, stream: Any) -> None:
        await self._request(stream)
        await stream.send_message(Empty())

    async def VolumeGetFile2(self, stream: Any) -> None:
        request = await self._request(stream)
        path = self.plane.volume / request.path
        if not path.is_file():
            raise GRPCError(Status.NOT_FOUND, f"No such file: {request.path}")
        size = path.stat().st_size
        urls = [
            f"{self.plane.http_url}/block/{index}/{request.path}" for index in range(max(1, -(-size // BLOCK_SIZE)))
        ]
        await stream.send_message(api.VolumeGetFile2Response(get_urls=urls, size=size, start=0, len=size))

    async def VolumeRemoveFile(self, stream: Any) -> None:
        request = await self._request(stream)
        path = self.plane.volume / request.path
        if not path.exists():
            raise GRPCError(Status.NOT_FOUND, "No such file")
        shutil.rmtree(path)
        await stream.send_message(Empty())


class ControlPlane:
    """The server, on a thread and an event loop of its own. Use as a context manager; tests call the rest."""

    def __init__(self, folder: Path, app: Path) -> None:
        """`app` is the file of the deployed app."""
        self.folder = folder
        self.volume = folder / "volume"
        self.app = app
        self.url = ""
        self.http_url = ""
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: grpclib.server.Server | None = None
        self._forker: asyncio.subprocess.Process | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._containers: dict[str, Container] = {}
        self._begin_anew("")

    def _begin_anew(self, worker: str) -> None:
        self.worker = worker
        self.deployed = {(names.APP, names.FUNCTION)}
        self.accepted_secret = TOKEN_SECRET
        self.failures: dict[str, list[tuple[Status, str]]] = defaultdict(list)
        self.broken: set[str] = set()
        self.requests: Counter[str] = Counter()
        self.seen_tokens: set[tuple[str | None, str | None]] = set()
        self.calls: dict[str, Call] = {}
        self.variants: dict[str, api.FunctionOptions] = {}
        self.blobs: dict[str, bytes] = {}
        self.queues: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
        self.partition_items = 5000
        self.tell_rest_secs = 60.0
        self.largest_partition = 0
        self.state: dict[bytes, bytes] = {}
        self.scrambles = False
        self.damages: Callable[[bytes], bytes] = lambda data: data
        self._random = random.Random(5)
        shutil.rmtree(self.volume, ignore_errors=True)
        self.volume.mkdir(parents=True)

    def __enter__(self) -> ControlPlane:
        """Serve."""
        self._thread.start()
        self._wait(self._serve_http())
        self.plug_in()
        self._wait(self._start_forker())
        return self

    def __exit__(self, *_: object) -> None:
        """End, containers too."""
        self.reset()
        self._wait(self._end_forker())
        self.unplug()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def reset(self, worker: str = "") -> None:
        """End every container and forget everything; `worker` is the script of the next ones, or empty."""
        self._wait(self._end_containers())
        self._begin_anew(worker)

    def environment(self) -> dict[str, str]:
        """Return the variables that point Modal's client here."""
        return {"MODAL_SERVER_URL": self.url, "MODAL_TOKEN_ID": TOKEN_ID, "MODAL_TOKEN_SECRET": TOKEN_SECRET}

    def plug_in(self) -> None:
        """Have the network."""

        async def serve() -> None:
            self._server = grpclib.server.Server([_Servicer(self)])  # type: ignore[abstract]  # the decorator adds the rest
            await self._server.start("127.0.0.1", self._port)
            self._port = self._server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

        self._wait(serve())
        self.url = f"http://127.0.0.1:{self._port}"

    def unplug(self) -> None:
        """Lose the network: every connection ends, and none is taken."""

        async def close() -> None:
            assert self._server is not None
            self._server.close()
            await self._server.wait_closed()

        self._wait(close())

    def preempt(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Take the newest call's container away, by SIGINT with time to end or by SIGKILL; its input starts again."""
        call = list(self.calls.values())[-1]
        call.preempted = True
        self._loop.call_soon_threadsafe(self.signal, call, number)

    def signal(self, call: Call, number: signal.Signals) -> None:
        """Send a signal to the container of a call, if it has one."""
        if call.containers and call.containers[-1].pid and call.containers[-1].status is None:
            os.kill(call.containers[-1].pid, number)

    def begin(self, call: Call) -> None:
        """Start a call."""
        self.calls[call.call_id] = call
        task = self._loop.create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def delivered(self, numbered: list[tuple[int, bytes]]) -> list[api.QueueItem]:
        """Return items as they are delivered: where the test wants it in any order, and some of them twice."""
        values = [value for _, value in numbered]
        last = numbered[-1][0] if numbered else 0
        if self.scrambles:
            values += values[::2]
            self._random.shuffle(values)
            return [api.QueueItem(value=value, entry_id=str(last)) for value in values]
        return [api.QueueItem(value=value, entry_id=str(entry)) for entry, value in numbered]

    def partitions(self) -> list[str]:
        """Return the partitions that hold something."""
        return sorted(key.decode() for (_, key), values in self.queues.items() if values)

    async def _run(self, call: Call) -> None:
        try:
            async with asyncio.timeout(call.options.timeout_secs or None):
                while True:
                    call.preempted = False
                    status = await self._contain(call)
                    if not call.preempted or call.cancelled:
                        break
        except TimeoutError:
            self.signal(call, signal.SIGKILL)
            result = _RESULT(status=_RESULT.GENERIC_STATUS_TIMEOUT, exception="Task's current input hit its timeout")
        else:
            result = self._result(call, status)
        call.output = api.FunctionGetOutputsItem(
            idx=0, input_id=f"in-{call.call_id}", result=result, data_format=api.DATA_FORMAT_PICKLE
        )
        call.done.set()

    async def _contain(self, call: Call) -> int:
        """Run the input in a fresh container to its end; returns its exit status."""
        task_id = f"ta-{call.call_id}-{len(call.containers)}"
        folder, mount = self.folder / task_id, self.folder / "mounts" / task_id
        folder.mkdir(parents=True)
        shutil.copytree(self.volume, mount)
        (folder / "input").write_bytes(call.arguments)
        container = self._containers[task_id] = Container(task_id)
        call.containers.append(container)
        order = {
            "call_id": call.call_id,
            "task_id": task_id,
            "worker": self.worker,
            "folder": str(folder),
            "mount": str(mount),
            "tell_rest_secs": self.tell_rest_secs,
        }
        assert self._forker is not None
        assert self._forker.stdin is not None
        self._forker.stdin.write(json.dumps(order).encode() + b"\n")
        await container.started.wait()
        if call.cancelled:
            self.signal(call, signal.SIGKILL)
        await container.ended.wait()
        assert container.status is not None
        return container.status

    async def _start_forker(self) -> None:
        variables = {**os.environ, **self.environment()}
        command = ("-m", "tabrl_trainer.modal_cloud.testing.container", str(self.app))
        pipe = asyncio.subprocess.PIPE
        self._forker = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=variables, stdin=pipe, stdout=pipe
        )
        task = self._loop.create_task(self._follow_forker(self._forker))
        self._tasks.add(task)

    async def _follow_forker(self, forker: asyncio.subprocess.Process) -> None:
        assert forker.stdout is not None
        async for line in forker.stdout:
            what, task_id, number = json.loads(line)
            container = self._containers[task_id]
            if what == "started":
                container.pid = number
                container.started.set()
            else:
                container.status = number
                container.ended.set()

    async def _end_containers(self) -> None:
        for call in self.calls.values():
            call.cancelled = True
            self.signal(call, signal.SIGKILL)
        for container in self._containers.values():
            await asyncio.wait_for(container.ended.wait(), 20.0)

    async def _end_forker(self) -> None:
        assert self._forker is not None
        self._forker.kill()
        await self._forker.wait()

    def _result(self, call: Call, status: int) -> api.GenericResult:
        path = self.folder / f"ta-{call.call_id}-{len(call.containers) - 1}" / "output"
        if call.cancelled and not path.exists():
            return _RESULT(status=_RESULT.GENERIC_STATUS_TERMINATED, exception="Input was cancelled by user")
        if not path.exists():
            return _RESULT(status=_RESULT.GENERIC_STATUS_FAILURE, exception=f"Container exited with status {status}")
        returned, value = pickle.loads(path.read_bytes())
        code = _RESULT.GENERIC_STATUS_SUCCESS if returned else _RESULT.GENERIC_STATUS_FAILURE
        return _RESULT(status=code, data=pickle.dumps(value), exception="" if returned else repr(value))

    async def _serve_http(self) -> None:
        """Serve blobs and blocks of files, as Modal's object store does."""

        async def put_blob(request: web.Request) -> web.Response:
            data = await request.read()
            self.blobs[request.match_info["blob"]] = data
            return web.Response(headers={"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'})

        async def get_block(request: web.Request) -> web.Response:
            begin = int(request.match_info["index"]) * BLOCK_SIZE
            data = (self.volume / request.match_info["path"]).read_bytes()[begin : begin + BLOCK_SIZE]
            body = self.damages(data)
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            return web.Response(body=body, headers={"Repr-Digest": f"sha-256=:{digest}:"})

        application = web.Application(client_max_size=1 << 30)
        application.router.add_put("/blob/{blob}", put_blob)
        application.router.add_get("/block/{index}/{path:.*}", get_block)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.http_url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30.0)


@contextlib.contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Serve the app of this workspace."""
    app = Path(__file__).resolve().parents[5] / "deploy" / "modal" / "app.py"
    with ControlPlane(folder, app) as plane:
        yield plane


def _handle() -> api.FunctionHandleMetadata:
    return api.FunctionHandleMetadata(
        function_name=names.FUNCTION,
        app_id="ap-1",
        function_type=api.Function.FUNCTION_TYPE_FUNCTION,
        supported_input_formats=[api.DATA_FORMAT_PICKLE],
        supported_output_formats=[api.DATA_FORMAT_PICKLE],
    )


def _copy(source: str, target: str) -> None:
    """Replace a file at once: it may be read meanwhile."""
    if not os.path.exists(target) or not os.path.samestat(os.stat(source), os.stat(target)):
        temporary = f"{target}.copying"
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
