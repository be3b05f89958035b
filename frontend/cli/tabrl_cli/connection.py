"""The way to TabRL: gRPC through the gateway, with a deadline on every call and retries where they are safe."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from tabrl.exporter.v1 import exporter_pb2_grpc, registry_pb2_grpc, sharing_pb2_grpc
from tabrl.inference.v1 import inference_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2_grpc
from tabrl.scene.v1 import menagerie_pb2_grpc, scene_pb2_grpc
from tabrl.trainer.v1 import batches_pb2_grpc, trainer_pb2_grpc

from tabrl_cli.errors import EXIT_BAD_INPUT, CallError, call_error

DEFAULT_GATEWAY = "http://127.0.0.1:8080"
UNARY_SECS = 30.0
# An LLM may think and repair for minutes; an evaluation of many episodes plays for as long.
STREAM_SECS = 900.0
# Sealing takes a second or two, and its jails may have to wait for a busy machine.
COMPILE_SECS = 120.0
# How long a gateway may take to accept a connection: seconds, where the machine is busy. One that is refused is noticed
# at once. gRPC has this as the shortest time between two attempts, and waits less after one that failed.
CONNECT_SECS = 10.0
# A name with all of its versions, or a page of large rewards, may be longer than the 4 MiB that gRPC takes by itself.
LONGEST_ANSWER_BYTES = 64 << 20
# What is tried again: calls that are safe to repeat, while a service restarts. It is back within seconds; its own
# RetryInfo says about one second, too short for one that loads.
RESTART_PAUSES_SECS: Sequence[float] = (1.0, 1.0, 2.0, 3.0, 3.0)
_RESTARTING = frozenset({"SERVICE_UNAVAILABLE", "DRAINING", "STORAGE_UNAVAILABLE"})

RequestT = TypeVar("RequestT", contravariant=True)  # noqa: PLC0105
ResponseT = TypeVar("ResponseT", covariant=True)  # noqa: PLC0105
Request = TypeVar("Request")
Response = TypeVar("Response")
# Whatever the contracts list: requests with `page_size` and `page_token`, answers with `next_page_token`.
Listing = TypeVar("Listing", bound=Any)
Page = TypeVar("Page", bound=Any)


class _Unary(Protocol[RequestT, ResponseT]):
    def __call__(self, request: RequestT, timeout: float | None = ...) -> ResponseT: ...


class _Stream(Protocol[RequestT, ResponseT]):
    def __call__(self, request: RequestT, timeout: float | None = ...) -> Iterator[ResponseT]: ...


class Connection:
    """One gateway and the services behind it. Raises CallError from every call."""

    def __init__(self, gateway: str) -> None:
        """Takes the gateway's URL; connects at the first call."""
        parts = urlsplit(gateway if "//" in gateway else f"http://{gateway}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{gateway!r} is no URL of a gateway, such as {DEFAULT_GATEWAY}")
        self.url = f"{parts.scheme}://{parts.netloc}"
        address = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
        options = (
            ("grpc.max_receive_message_length", LONGEST_ANSWER_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", round(CONNECT_SECS * 1000)),
            ("grpc.max_reconnect_backoff_ms", 2000),
        )
        self.channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if parts.scheme == "https"
            else grpc.insecure_channel(address, options)
        )
        self.scene = scene_pb2_grpc.SceneServiceStub(self.channel)
        self.menagerie = menagerie_pb2_grpc.MenagerieServiceStub(self.channel)
        self.rewards = rewardgen_pb2_grpc.RewardServiceStub(self.channel)
        self.trainer = trainer_pb2_grpc.TrainerServiceStub(self.channel)
        self.batches = batches_pb2_grpc.BatchServiceStub(self.channel)
        self.exporter = exporter_pb2_grpc.ExporterServiceStub(self.channel)
        self.registry = registry_pb2_grpc.RegistryServiceStub(self.channel)
        self.sharing = sharing_pb2_grpc.SharingServiceStub(self.channel)
        self.inference = inference_pb2_grpc.InferenceServiceStub(self.channel)

    def call(self, method: _Unary[Request, Response], request: Request, timeout: float = UNARY_SECS) -> Response:
        """Makes a unary call, again while the service restarts where that is safe."""
        pauses = _pauses(request)
        while True:
            try:
                return method(request, timeout=timeout)
            except grpc.RpcError as error:
                _wait_for_restart(call_error(error, self.url), pauses)

    def listed(self, method: _Unary[Listing, Page], request: Listing, items: str) -> Page:
        """Asks for a list as `call` does, page after page: one ends before `page_size` where a message ends.

        Args:
            method: answers with a page.
            request: asks for `page_size` items.
            items: the field of the answer that holds them.

        Returns:
            One answer with as many items as were asked for, and the token of what follows.
        """
        asked = type(request)()
        asked.CopyFrom(request)
        answer = self.call(method, asked)
        while answer.next_page_token and (missing := request.page_size - len(getattr(answer, items))) > 0:
            asked.page_size, asked.page_token = missing, answer.next_page_token
            answer.ClearField("next_page_token")
            answer.MergeFrom(self.call(method, asked))
        return answer

    def stream(
        self,
        method: _Stream[Request, Response],
        request: Request,
        timeout: float | None = STREAM_SECS,
        *,
        goes_on: bool = False,
    ) -> Iterator[Response]:
        """Makes a call that is answered by a stream; again, as `call` does, until the first message has come.

        `timeout` in seconds is for all of it; None for calls that have a budget of their own. Of a call that `goes_on`
        the service keeps what it did: it is made again after its first message too, and some messages come twice.
        """
        pauses = _pauses(request)
        while True:
            try:
                for message in method(request, timeout=timeout):
                    if not goes_on:
                        pauses = iter(())
                    yield message
            except grpc.RpcError as error:
                _wait_for_restart(call_error(error, self.url), pauses)
            else:
                return

    def page(self, **query: str) -> str:
        """URL of the page that shows an environment, a reward, a run or a policy; empty values are left out."""
        return f"{self.url}/?{urlencode({name: value for name, value in query.items() if value})}"

    def close(self) -> None:
        """Closes the connection."""
        self.channel.close()


def _wait_for_restart(error: CallError, pauses: Iterator[float]) -> None:
    """Waits before another try. Raises the error when no restart explains it, or there were tries enough."""
    if error.code != "UNAVAILABLE" or error.reason not in _RESTARTING:
        raise error
    pause = next(pauses, None)
    if pause is None:
        raise error
    time.sleep(pause)


def _pauses(request: object) -> Iterator[float]:
    """How long to wait before each further try, in seconds; none where a second call could do something twice."""
    return iter(RESTART_PAUSES_SECS if _is_safe_to_repeat(request) else ())


def _is_safe_to_repeat(request: object) -> bool:
    """Whether a request has an id, or its method is declared idempotent; each method has a request of its own."""
    if not isinstance(request, Message):
        return False
    if getattr(request, "request_id", ""):
        return True
    methods = [
        method
        for service in request.DESCRIPTOR.file.services_by_name.values()
        for method in service.methods
        if method.input_type.full_name == request.DESCRIPTOR.full_name
    ]
    unknown = descriptor_pb2.MethodOptions.IDEMPOTENCY_UNKNOWN
    return bool(methods) and all(method.GetOptions().idempotency_level != unknown for method in methods)


class UsageError(CallError):
    """What was typed cannot be meant."""

    def __init__(self, message: str) -> None:
        """Takes what is wrong."""
        super().__init__("INVALID_ARGUMENT", "USAGE", message)
        assert self.exit_status == EXIT_BAD_INPUT
