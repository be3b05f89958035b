"""The one way to start a service: `main(SERVICE)` in its `__main__`, `started(SERVICE, config)` in its tests."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.client import open_channel
from tabrl_chassis.config import ServiceConfig, loggable, parse_config
from tabrl_chassis.database import Database
from tabrl_chassis.error_mapping import error_interceptor
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.health import Check, Health
from tabrl_chassis.http import http_application
from tabrl_chassis.logs import Logger, configure_logs, get_logger
from tabrl_chassis.metrics import metrics_interceptor
from tabrl_chassis.tasks import cancel_until_ended
from tabrl_chassis.validation import validation_interceptor

C = TypeVar("C", bound=ServiceConfig)

_FORCED_EXIT_STATUS = 130


@dataclass
class Context(Generic[C]):
    """What a service's code gets from its process."""

    name: str
    config: C
    artifacts: ArtifactStore
    log: Logger
    # Set when the process is told to stop. Endless streams must end when it is: they hold the shutdown otherwise.
    stopping: asyncio.Event
    health: Health
    routes: list[web.RouteDef] = field(default_factory=list)
    """What the service answers on its HTTP port besides metrics and artifacts; to be filled before it serves."""
    _database: Database | None = None
    _channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _failed: asyncio.Future[None] | None = None

    @property
    def database(self) -> Database:
        """The service's database; raises `RuntimeError` for a service that declares no migrations."""
        if self._database is None:
            raise RuntimeError(f"the {self.name} service declares no migrations, so it has no database")
        return self._database

    def channel(self, peer: str) -> grpc.aio.Channel:
        """Return the channel to another service, at the address in the configuration's `<peer>_address`."""
        if peer not in self._channels:
            contract = importlib.import_module(f"tabrl.{peer}.v1.{peer}_pb2")
            services = contract.DESCRIPTOR.services_by_name.values()
            self._channels[peer] = open_channel(getattr(self.config, f"{peer}_address"), *services)
        return self._channels[peer]

    def ready_when(self, name: str, check: Check) -> None:
        """Have health say NOT_SERVING while `check` raises, beside the checks of the stores."""
        self.health.add_check(name, check)

    def background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine until it ends or the service stops. When it raises, the process stops with an error."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self.log.error("background task failed", task=task.get_name(), exc_info=error)
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)


Serve = Callable[[grpc.aio.Server, Context[C]], contextlib.AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Service(Generic[C]):
    """What a service is made of.

    `serve` is an async context manager of (server, context): it adds its servicers and starts what it needs, yields
    while the service runs, and cleans up after the last call has ended. `contracts` are the full names of its gRPC
    services. `migrations` is the package of its Alembic revisions, None for a service without a database.
    """

    name: str
    config: type[C]
    contracts: Sequence[str]
    serve: Serve[C]
    migrations: str | None = None
    description: str = ""


@dataclass
class Running(Generic[C]):
    """A started service: the ports it listens on, and its context."""

    context: Context[C]
    port: int
    http_port: int
    failed: asyncio.Future[None]

    @property
    def address(self) -> str:
        """Address of its gRPC port."""
        return f"{self.context.config.host}:{self.port}"


@contextlib.asynccontextmanager
async def started(service: Service[C], config: C) -> AsyncIterator[Running[C]]:
    """Run a service in this event loop; leaving the block drains it.

    Raises `OSError` when a port is taken or the database cannot be used, `TabrlError` when the artifact store cannot.
    """
    log = get_logger(service.name)
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    health = Health(service.contracts)
    async with contextlib.AsyncExitStack() as stack:
        database = _open_database(service, config)
        if database is not None and service.migrations is not None:
            # Off the event loop, which a second signal must get through to.
            stack.push_async_callback(asyncio.to_thread, database.close)
            await _migrate(database, service.migrations)
            health.add_check("database", database.ping)
        artifacts = ArtifactStore(config.artifacts_url or config.data / "artifacts")
        health.add_check("artifacts", lambda: asyncio.to_thread(artifacts.check))
        context = Context(
            service.name, config, artifacts, log, asyncio.Event(), health, _database=database, _failed=failed
        )
        stack.push_async_callback(_close_channels, context)
        server = _grpc_server(health)
        port = _listen(server, config)
        await stack.enter_async_context(service.serve(server, context))
        _enable_reflection(server, service.contracts)
        stack.push_async_callback(_cancel_background, context)
        await server.start()
        stack.push_async_callback(server.stop, config.drain_secs)
        http_port = await _serve_http(stack, context)
        stack.push_async_callback(_end_streams, context)
        await health.run_checks()
        context.background(health.watch(), "health")
        yield Running(context, port, http_port, failed)


def main(service: Service[C], arguments: Sequence[str] | None = None) -> None:
    """Start a service from its command line and run it until a signal; the process's whole `main`.

    SIGTERM and SIGINT drain: health turns NOT_SERVING, `stopping` is set, calls under way get `drain_secs`. A second
    signal ends the process at once.
    """
    begin = time.perf_counter()
    # Children are started with exec; gRPC's own fork handlers would only slow them down.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    config = parse_config(service.config, service.name, description=service.description, arguments=arguments)
    log = configure_logs(service.name, log_format=config.log_format, log_level=config.log_level)
    # Where robots that people bring are kept; the processes that a service starts look there too.
    os.environ.setdefault("TABRL_SCENES", str((config.data / "scenes").absolute()))
    try:
        asyncio.run(_run(service, config, log, begin))
    except (OSError, TabrlError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400  a taken port needs no traceback
        raise SystemExit(1) from error


async def _run(service: Service[C], config: C, log: Logger, begin: float) -> None:
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("forced to stop", signal=number.name)
            os._exit(_FORCED_EXIT_STATUS)
        log.info("stopping", signal=number.name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    log.debug("configuration", **loggable(config))
    async with started(service, config) as running:
        secs = round(time.perf_counter() - begin, 2)
        log.info("serving", address=running.address, http_port=running.http_port, start_secs=secs)
        stopped = asyncio.create_task(stop.wait())
        running.failed.add_done_callback(lambda _failed: stopped.cancel())
        with contextlib.suppress(asyncio.CancelledError):
            await stopped
        if running.failed.done():
            running.failed.result()  # raises: better to end and be started afresh than to limp on
    log.info("stopped")


def _open_database(service: Service[Any], config: ServiceConfig) -> Database | None:
    if service.migrations is None:
        return None
    file = (config.data / service.name / f"{service.name}.db").absolute()
    return Database(config.database_url or f"sqlite:///{file}")


async def _migrate(database: Database, migrations: str) -> None:
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    try:
        await asyncio.to_thread(database.migrate, migrations)
    except (DBAPIError, CommandError) as error:
        place = database.url.render_as_string(hide_password=True)
        raise OSError(f"cannot use the database {place}: {getattr(error, 'orig', None) or error}") from error


def _grpc_server(health: Health) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[metrics_interceptor(), error_interceptor(), validation_interceptor()],
        options=[
            # Without it a second process on the same port would silently take half of the calls.
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 5000),
        ],
    )
    health_pb2_grpc.add_HealthServicer_to_server(health.servicer, server)
    return server


def _listen(server: grpc.aio.Server, config: ServiceConfig) -> int:
    try:
        return server.add_insecure_port(f"{config.host}:{config.port}")
    except RuntimeError as error:
        raise OSError(f"cannot listen on {config.host}:{config.port}; is another process using the port?") from error


def _enable_reflection(server: grpc.aio.Server, contracts: Sequence[str]) -> None:
    from grpc_reflection.v1alpha import reflection

    health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection.enable_server_reflection((*contracts, health_name, reflection.SERVICE_NAME), server)


async def _serve_http(stack: contextlib.AsyncExitStack, context: Context[Any]) -> int:
    runner = web.AppRunner(
        http_application(context.artifacts, host=context.config.host, routes=context.routes),
        access_log=None,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, context.config.host, context.config.http_port).start()
    return int(runner.addresses[0][1])


async def _end_streams(context: Context[Any]) -> None:
    """Send no more calls here, and have endless streams end, over gRPC and HTTP, before either port closes."""
    await context.health.drain()
    context.stopping.set()


async def _cancel_background(context: Context[Any]) -> None:
    while any(not task.done() for task in context._tasks):  # one that ends may begin another
        await cancel_until_ended(context._tasks)


async def _close_channels(context: Context[Any]) -> None:
    for channel in context._channels.values():
        await channel.close()


async def until_stopping(context: Context[Any], waiting: Awaitable[Any]) -> bool:
    """Wait for `waiting` or the drain, whichever is first; return whether the service goes on. For Watch streams."""
    task = asyncio.ensure_future(waiting)
    stopping = asyncio.ensure_future(context.stopping.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        return not context.stopping.is_set()
    finally:
        task.cancel()
        stopping.cancel()
