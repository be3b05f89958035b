"""Modal as the Trainer sees it: typed, with a deadline on every call, and imported only when it is asked for."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from tabrl.trainer.v1 import trainer_pb2

from tabrl_trainer.modal_cloud import names
from tabrl_trainer.modal_cloud.failures import broken_connection, keep_secrets_out_of_logs, modal_failures

if TYPE_CHECKING:
    import modal

_CHECK_SECS = 5.0  # who submits a run waits for it
_CALL_SECS = 15.0
_SUBMIT_SECS = 60.0  # arguments above 2 MiB, such as a checkpoint, are uploaded
_LONGEST_CALL_SECS = 24 * 3600  # Modal's own limit
_TIMEOUT_MARGIN_SECS = 600


@dataclass(frozen=True)
class Said:
    """An event of a life's log: its number, and for how many seconds the life had lasted."""

    seq: int
    secs: float
    event: trainer_pb2.RunEvent


@dataclass(frozen=True)
class Call:
    """A call that is on record: the attempt at a run that it is."""

    run_id: str
    attempt: int
    call_id: str

    @property
    def stream(self) -> str:
        """The name of its log."""
        return names.stream(self.run_id, self.attempt)


class Ended(Enum):
    """How a call ended."""

    RETURNED = "returned"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    GONE = "gone"


@dataclass(frozen=True)
class CallEnd:
    """How a call ended, with its answer or the reason."""

    how: Ended
    answer: Mapping[str, Any]
    detail: str = ""


class Cloud:
    """The deployed app, its queue, its state and its volume.

    Every method raises `TabrlError` with a reason that begins with COMPUTE_.
    """

    def __init__(self) -> None:
        """Connect to nothing yet."""
        self._client: modal.Client | None = None
        self._handles: dict[str, Any] = {}

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._client is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(1.0):
                    await self._client.close.aio()

    async def check(self) -> None:
        """Make sure that the app is there."""
        function = await self._function()
        async with _call(_CHECK_SECS):
            await function.hydrate.aio()

    async def submit(self, gpu: str, limit_secs: float, arguments: Mapping[str, Any]) -> str:
        """Call the function with arguments of `relay.relay`; returns the id of the call."""
        timeout = min(int(limit_secs) + _TIMEOUT_MARGIN_SECS, _LONGEST_CALL_SECS)
        function = (await self._function()).with_options(gpu=gpu, timeout=timeout)
        async with _call(_SUBMIT_SECS):
            call = await function.spawn.aio(**arguments)
        return str(call.object_id)

    async def tell_to_go(self, stream: str, call_id: str) -> None:
        """Let a call that is on record begin."""
        state = await self._state()
        async with _call():
            await state.put.aio(names.go_key(stream), call_id)

    async def tell_to_stop(self, stream: str) -> None:
        """Have a call write one more checkpoint and end."""
        state = await self._state()
        async with _call():
            await state.put.aio(names.stop_key(stream), True)

    async def has_life(self, stream: str, life: int) -> bool:
        """Whether a life has begun."""
        state = await self._state()
        async with _call():
            return bool(await state.contains.aio(names.life_key(stream, life)))

    async def listen(self, stream: str, life: int, page: int, silence_secs: float) -> AsyncGenerator[Said, None]:
        """Yield the events of a page from its beginning, until none comes for a while; nothing is taken out."""
        queue = await self._queue()
        partition = names.partition(stream, life, page)
        with modal_failures():
            items = queue.iterate.aio(partition=partition, item_poll_timeout=silence_secs)
            async with contextlib.aclosing(items):
                while True:
                    async with asyncio.timeout(silence_secs + _CALL_SECS):
                        try:
                            item = await anext(items)
                        except StopAsyncIteration:
                            return
                    yield Said(item["seq"], item["secs"], trainer_pb2.RunEvent.FromString(item["event"]))

    async def clear(self, stream: str, life: int, page: int) -> None:
        """Clear a page that is on record."""
        queue = await self._queue()
        async with _call():
            await queue.clear.aio(partition=names.partition(stream, life, page))

    async def end_of(self, call_id: str, wait_secs: float = 0.0) -> CallEnd | None:
        """Return how a call ended; None while it has not."""
        client = await self._connect()
        import modal

        errors = modal.exception
        unreached: tuple[type[Exception], ...] = (
            errors.AuthError,
            errors.ConnectionError,
            errors.ServiceError,
            errors.InternalError,
            errors.ResourceExhaustedError,
            *broken_connection(),
        )
        call = modal.FunctionCall.from_id(call_id, client=client)
        async with _call(wait_secs + _CALL_SECS):
            try:
                return CallEnd(Ended.RETURNED, await call.get.aio(timeout=wait_secs))
            except (errors.OutputExpiredError, errors.NotFoundError) as error:
                return CallEnd(Ended.GONE, {}, str(error))
            except errors.FunctionTimeoutError as error:
                return CallEnd(Ended.TIMED_OUT, {}, str(error))
            except (errors.TimeoutError, builtins.TimeoutError):
                return None
            except unreached:
                raise  # not of the function: what it raises is a RuntimeError
            except (Exception, errors.InputCancellation) as error:  # what the function raised
                return CallEnd(Ended.FAILED, {}, f"{type(error).__name__}: {error}")

    async def cancel(self, call_id: str) -> None:
        """End a call at once. One that has ended, or is gone, needs no ending."""
        client = await self._connect()
        import modal

        call = modal.FunctionCall.from_id(call_id, client=client)
        async with _call():
            with contextlib.suppress(modal.exception.NotFoundError):
                await call.cancel.aio(terminate_containers=True)

    async def read(self, run_id: str, sha256: str) -> bytes | None:
        """Return a checkpoint's file as it is on the volume; None where there is none."""
        volume = await self._volume()
        async with _call(_SUBMIT_SECS):
            try:
                path = names.artifact_path(run_id, sha256)
                return b"".join([chunk async for chunk in volume.read_file.aio(path)])
            except FileNotFoundError:
                return None

    async def remove(self, run_id: str) -> None:
        """Remove a run's files from the volume, if there are any."""
        volume = await self._volume()
        import modal

        async with _call():
            with contextlib.suppress(FileNotFoundError, modal.exception.NotFoundError):
                await volume.remove_file.aio(run_id, recursive=True)

    async def _connect(self) -> modal.Client:
        # Off the event loop: it takes a second of processor time.
        modal = await asyncio.to_thread(importlib.import_module, "modal")
        keep_secrets_out_of_logs()
        async with _call():
            # Not kept where it fails: who sets up a token later need not be refused for ever.
            self._client = await modal.Client.from_env.aio()
        return self._client

    async def _function(self) -> modal.Function[..., Any, Any]:
        client = await self._connect()
        import modal

        return modal.Function.from_name(names.APP, names.FUNCTION, client=client)

    async def _queue(self) -> modal.Queue:
        return cast("modal.Queue", await self._handle("Queue", names.QUEUE))

    async def _state(self) -> modal.Dict:
        return cast("modal.Dict", await self._handle("Dict", names.STATE))

    async def _volume(self) -> modal.Volume:
        return cast("modal.Volume", await self._handle("Volume", names.VOLUME))

    async def _handle(self, kind: str, name: str) -> Any:
        """Return a named object, the same one each time: it asks for its id once."""
        client = await self._connect()
        import modal

        if kind not in self._handles:
            self._handles[kind] = getattr(modal, kind).from_name(name, create_if_missing=True, client=client)
        return self._handles[kind]


@contextlib.asynccontextmanager
async def _call(longest_secs: float | None = None) -> AsyncIterator[None]:
    """Bound a call in time, and type its failure."""
    with modal_failures():
        async with asyncio.timeout(longest_secs or _CALL_SECS):
            yield
