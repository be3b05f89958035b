"""The Exporter as a service."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from tabrl.artifacts.v1 import artifacts_pb2_grpc
from tabrl.exporter.v1 import exporter_pb2_grpc, registry_pb2_grpc, sharing_pb2_grpc
from tabrl_chassis.config import ServiceConfig, option, peer
from tabrl_chassis.leadership import while_leading
from tabrl_chassis.references import ReferenceServicer
from tabrl_chassis.service import Context, Service

from tabrl_exporter.export_process import WORKER, ExportProcess
from tabrl_exporter.garbage import PEERS, Garbage
from tabrl_exporter.references import References
from tabrl_exporter.registry_servicer import RegistryServicer
from tabrl_exporter.servicer import ExporterServicer
from tabrl_exporter.sharing_servicer import SharingServicer

__all__ = ["SERVICE", "ExporterConfig", "exporter_service"]


@dataclass(frozen=True)
class ExporterConfig(ServiceConfig):
    """What the Exporter can be told."""

    worker_idle_secs: float = option("end the export process after so long without an export", 300.0)
    scene_address: str = peer("scene")
    rewardgen_address: str = peer("rewardgen")
    trainer_address: str = peer("trainer")
    inference_address: str = peer("inference")
    garbage_every_secs: float = option("time between two collections of garbage", 3600.0, least=1.0)
    # An object store is told of a renewal only for files older than half a day, so that less than a day deletes what is
    # about to be named.
    garbage_unused_secs: float = option(
        "how long ago a file that nothing names must have been stored to be deleted", 24 * 3600.0, least=24 * 3600.0
    )
    export_timeout_secs: float = option("how long one export may take", 240.0)
    share_page: Path | None = option("folder of the built page that plays a policy anywhere; no pages without", None)  # noqa: RUF009


def exporter_service(worker: Sequence[str] = WORKER) -> Service[ExporterConfig]:
    """Return the service; `worker` are the arguments of Python that start the export process."""

    @contextlib.asynccontextmanager
    async def serve(server: grpc.aio.Server, context: Context[ExporterConfig]) -> AsyncIterator[None]:
        config = context.config
        # The service itself imports no jax: exports happen in this process.
        process = ExportProcess(
            context.log, worker=worker, timeout_secs=config.export_timeout_secs, idle_secs=config.worker_idle_secs
        )
        work_folder = config.data.absolute() / "exporter" / "work"
        shutil.rmtree(work_folder, ignore_errors=True)  # left by a process that was killed
        servicer = ExporterServicer(context.database, context.artifacts, process, work_folder)
        exporter_pb2_grpc.add_ExporterServiceServicer_to_server(servicer, server)
        sharing = SharingServicer(
            context.database,
            context.artifacts,
            film_folder=config.data.absolute() / "exporter" / "films",
            upload_folder=config.data.absolute() / "exporter" / "uploads",
            page=config.share_page,
        )
        sharing_pb2_grpc.add_SharingServiceServicer_to_server(sharing, server)
        references = References(context.database, context.artifacts)
        artifacts_pb2_grpc.add_ReferenceServiceServicer_to_server(ReferenceServicer(references.named), server)
        garbage = Garbage(
            context.artifacts,
            references,
            {name: context.channel(name) for name in PEERS},
            unused_for_secs=config.garbage_unused_secs,
        )
        names = RegistryServicer(context.database, context.channel("inference"), garbage)
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(names, server)
        collecting = functools.partial(garbage.collect_every, config.garbage_every_secs)
        context.background(while_leading(context.database, "garbage", collecting), "garbage")
        context.background(process.end_when_idle(), "idle watch")
        yield
        await sharing.stop()
        await servicer.stop()
        await process.stop()

    return Service(
        "exporter",
        ExporterConfig,
        (
            "tabrl.exporter.v1.ExporterService",
            "tabrl.exporter.v1.RegistryService",
            "tabrl.exporter.v1.SharingService",
            "tabrl.artifacts.v1.ReferenceService",
        ),
        serve,
        migrations="tabrl_exporter.migrations",
        description="Turns checkpoints into controllers that run anywhere.",
    )


SERVICE = exporter_service()
