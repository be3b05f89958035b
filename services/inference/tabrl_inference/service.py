"""The Inference service as a process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
from tabrl.inference.v1 import inference_pb2_grpc
from tabrl_chassis.config import ServiceConfig, option, peer
from tabrl_chassis.service import Context, Service

from tabrl_inference.evaluation import Evaluations
from tabrl_inference.policies import Policies
from tabrl_inference.servicer import InferenceServicer

__all__ = ["SERVICE", "Config"]


@dataclass(frozen=True)
class Config(ServiceConfig):
    """What the Inference service can be told."""

    exporter_address: str = peer("exporter")
    policies: int = option("how many policies are kept loaded", 16)
    evaluations: int = option("how many evaluations run at once", 2)


@contextlib.asynccontextmanager
async def _serve(server: grpc.aio.Server, context: Context[Config]) -> AsyncIterator[None]:
    policies = Policies(context.channel("exporter"), context.artifacts, maximum=context.config.policies)
    evaluations = Evaluations(maximum=context.config.evaluations)
    servicer = InferenceServicer(policies, evaluations)
    inference_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    yield
    evaluations.close()


SERVICE = Service(
    "inference",
    Config,
    ("tabrl.inference.v1.InferenceService",),
    _serve,
    description="Runs policies on the server: single decisions, and whole episodes in native MuJoCo.",
)
