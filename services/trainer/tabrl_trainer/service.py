"""The Trainer as a service."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

import grpc
import sqlalchemy as sa
from prometheus_client import Gauge
from tabrl.artifacts.v1 import artifacts_pb2_grpc
from tabrl.trainer.v1 import batches_pb2_grpc, trainer_pb2, trainer_pb2_grpc
from tabrl_chassis.leadership import while_leading
from tabrl_chassis.references import ReferenceServicer
from tabrl_chassis.service import Context, Service

from tabrl_trainer.batch_driver import BatchDriver
from tabrl_trainer.batch_search import Searches
from tabrl_trainer.batch_servicer import BatchServicer
from tabrl_trainer.config import TrainerConfig
from tabrl_trainer.executor import Executor, Executors, Place
from tabrl_trainer.feeds import Feeds
from tabrl_trainer.holder import Holder
from tabrl_trainer.local_place import LocalPlace
from tabrl_trainer.modal_cloud.cloud import Cloud
from tabrl_trainer.modal_cloud.place import ModalPlace
from tabrl_trainer.models import RunRow
from tabrl_trainer.publishing import Publisher
from tabrl_trainer.record import Record
from tabrl_trainer.references import named_files
from tabrl_trainer.retention import Janitor
from tabrl_trainer.server_sent_events import routes
from tabrl_trainer.servicer import TrainerServicer

RUNS = Gauge("tabrl_trainer_runs", "Runs on record, by state.", ["state"])

_WORKER = ("-m", "tabrl_trainer.worker")


def trainer_service(worker: Sequence[str] = _WORKER) -> Service[TrainerConfig]:
    """Return the service; `worker` are the arguments of Python that start a worker process."""

    @contextlib.asynccontextmanager
    async def serve(server: grpc.aio.Server, context: Context[TrainerConfig]) -> AsyncIterator[None]:
        record = Record(context.database)
        holder = Holder(context.config.data / "trainer")
        cloud = Cloud()
        local = LocalPlace(context, record, worker)
        await local.learn_of_gpus()
        places: Sequence[Place] = (local, ModalPlace(context, record, holder.name, cloud))
        executors = [Executor(context, record, holder.name, place) for place in places]
        executor = Executors(executors)
        publisher = Publisher(context, record)
        feeds = Feeds(context, record)
        searches = Searches(context.database)
        driver = BatchDriver(context, record, executor, searches)
        servicer = TrainerServicer(context, record, executor, feeds, cloud)
        trainer_pb2_grpc.add_TrainerServiceServicer_to_server(servicer, server)
        batches = BatchServicer(context, record, executor, searches, cloud)
        batches_pb2_grpc.add_BatchServiceServicer_to_server(batches, server)
        references = ReferenceServicer(lambda: record.read(named_files))
        artifacts_pb2_grpc.add_ReferenceServiceServicer_to_server(references, server)
        context.routes.extend(routes(context, feeds))
        for each in executors:
            context.background(each.run(), "executor")
            context.background(each.keep_leases(), "leases")
        context.background(while_leading(context.database, "publisher", publisher.run), "publisher")
        context.background(while_leading(context.database, "batches", driver.run), "batches")
        context.background(while_leading(context.database, "janitor", Janitor(context, record).run), "janitor")
        context.background(record.follow_other_processes(), "other processes")
        context.background(feeds.tell_of_the_end(), "feeds")
        context.background(_count_runs(record), "run counter")
        try:
            yield
        finally:
            await cloud.close()
            searches.close()
            holder.close()

    return Service(
        "trainer",
        TrainerConfig,
        ("tabrl.trainer.v1.TrainerService", "tabrl.trainer.v1.BatchService", "tabrl.artifacts.v1.ReferenceService"),
        serve,
        migrations="tabrl_trainer.migrations",
        description="Runs from submission to the final checkpoint.",
    )


async def _count_runs(record: Record) -> None:
    """Keep the gauge of runs by state."""
    by_state = sa.select(RunRow.state, sa.func.count()).group_by(RunRow.state)
    with record.subscribed_to_all() as changed:
        while True:
            changed.clear()
            rows = await record.read_persistently(lambda session: session.execute(by_state).all())
            counts = {row[0]: row[1] for row in rows}
            for state in trainer_pb2.RunState.values()[1:]:
                name = trainer_pb2.RunState.Name(state).removeprefix("RUN_STATE_")
                RUNS.labels(name).set(counts.get(state, 0))
            await changed.wait()


SERVICE = trainer_service()
