"""RewardGen as a service of the chassis."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc
from tabrl.artifacts.v1 import artifacts_pb2_grpc
from tabrl.rewardgen.v1 import rewardgen_pb2_grpc
from tabrl_chassis.references import ReferenceServicer
from tabrl_chassis.service import Context, Service
from tabrl_simulation.rewards.pool import JailPool

from tabrl_rewardgen.config import Config
from tabrl_rewardgen.references import named_files
from tabrl_rewardgen.secrets import read_secrets
from tabrl_rewardgen.servicer import Servicer

__all__ = ["SERVICE"]


@contextlib.asynccontextmanager
async def _serve(server: grpc.aio.Server, context: Context[Config]) -> AsyncIterator[None]:
    secrets = read_secrets(context.config.llm_secrets_file)
    async with JailPool() as pool:
        rewardgen_pb2_grpc.add_RewardServiceServicer_to_server(Servicer(context, pool, secrets), server)
        references = ReferenceServicer(lambda: context.database.read(named_files))
        artifacts_pb2_grpc.add_ReferenceServiceServicer_to_server(references, server)
        yield


SERVICE = Service(
    name="rewardgen",
    config=Config,
    contracts=("tabrl.rewardgen.v1.RewardService", "tabrl.artifacts.v1.ReferenceService"),
    serve=_serve,
    migrations="tabrl_rewardgen.migrations",
    description="Turns words into sealed reward programs.",
)
