"""The Exporter as a service."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc
from tabrl.exporter.v1 import exporter_pb2_grpc, sharing_pb2_grpc
from tabrl_chassis.config import ServiceConfig, option
from tabrl_chassis.service import Context, Service

from tabrl_exporter.export_process import WORKER, ExportProcess
from tabrl_exporter.servicer import ExporterServicer
from tabrl_exporter.sharing_servicer import SharingServicer

__all__ = ["SERVICE", "ExporterConfig", "exporter_service"]


@dataclass(frozen=True)
class ExporterConfig(ServiceConfig):
    """What the Exporter can be told."""

    worker_idle_secs: float = option("end the export process after so long without an export", 300.0)
    export_timeout_secs: float = option("how long one export may take", 240.0)


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
        )
        sharing_pb2_grpc.add_SharingServiceServicer_to_server(sharing, server)
        context.background(process.end_when_idle(), "idle watch")
        yield
        await servicer.stop()
        await process.stop()

    return Service(
        "exporter",
        ExporterConfig,
        ("tabrl.exporter.v1.ExporterService", "tabrl.exporter.v1.SharingService"),
        serve,
        migrations="tabrl_exporter.migrations",
        description="Turns checkpoints into controllers that run anywhere.",
    )


SERVICE = exporter_service()
