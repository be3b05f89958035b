"""The way to TabRL: gRPC through the gateway, with a deadline on every call and retries where they are safe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

import grpc
from tabrl.exporter.v1 import exporter_pb2_grpc
from tabrl.inference.v1 import inference_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2_grpc
from tabrl.scene.v1 import scene_pb2_grpc
from tabrl.trainer.v1 import trainer_pb2_grpc

from tabrl_cli.errors import EXIT_BAD_INPUT, CallError, call_error

DEFAULT_GATEWAY = "http://127.0.0.1:8080"
UNARY_SECS = 30.0
# An LLM may think and repair for minutes; an evaluation of many episodes plays for as long.
STREAM_SECS = 900.0

_RETRIED = {
    "methodConfig": [
        {
            # Reads, and what a request id makes safe to repeat.
            "name": [
                {"service": "tabrl.scene.v1.SceneService"},
                {"service": "tabrl.exporter.v1.ExporterService"},
                {"service": "tabrl.trainer.v1.TrainerService", "method": "CreateRun"},
                {"service": "tabrl.trainer.v1.TrainerService", "method": "GetRun"},
                {"service": "tabrl.trainer.v1.TrainerService", "method": "ListRuns"},
                {"service": "tabrl.trainer.v1.TrainerService", "method": "CancelRun"},
                {"service": "tabrl.trainer.v1.TrainerService", "method": "EstimateRun"},
                {"service": "tabrl.rewardgen.v1.RewardService", "method": "ListModels"},
                {"service": "tabrl.rewardgen.v1.RewardService", "method": "ListRewards"},
                {"service": "tabrl.rewardgen.v1.RewardService", "method": "GetReward"},
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

RequestT = TypeVar("RequestT", contravariant=True)  # noqa: PLC0105
ResponseT = TypeVar("ResponseT", covariant=True)  # noqa: PLC0105
Request = TypeVar("Request")
Response = TypeVar("Response")


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
            ("grpc.service_config", json.dumps(_RETRIED)),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
        )
        self.channel = (
            grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
            if parts.scheme == "https"
            else grpc.insecure_channel(address, options)
        )
        self.scene = scene_pb2_grpc.SceneServiceStub(self.channel)
        self.rewards = rewardgen_pb2_grpc.RewardServiceStub(self.channel)
        self.trainer = trainer_pb2_grpc.TrainerServiceStub(self.channel)
        self.exporter = exporter_pb2_grpc.ExporterServiceStub(self.channel)
        self.inference = inference_pb2_grpc.InferenceServiceStub(self.channel)

    def call(self, method: _Unary[Request, Response], request: Request, timeout: float = UNARY_SECS) -> Response:
        """Makes a unary call."""
        try:
            return method(request, timeout=timeout)
        except grpc.RpcError as error:
            raise call_error(error, self.url) from error

    def stream(
        self, method: _Stream[Request, Response], request: Request, timeout: float = STREAM_SECS
    ) -> Iterator[Response]:
        """Makes a call that is answered by a stream."""
        try:
            yield from method(request, timeout=timeout)
        except grpc.RpcError as error:
            raise call_error(error, self.url) from error

    def page(self, **query: str) -> str:
        """URL of the page that shows an environment, a reward, a run or a policy; empty values are left out."""
        return f"{self.url}/?{urlencode({name: value for name, value in query.items() if value})}"

    def close(self) -> None:
        """Closes the connection."""
        self.channel.close()


class UsageError(CallError):
    """What was typed cannot be meant."""

    def __init__(self, message: str) -> None:
        """Takes what is wrong."""
        super().__init__("INVALID_ARGUMENT", "USAGE", message)
        assert self.exit_status == EXIT_BAD_INPUT
