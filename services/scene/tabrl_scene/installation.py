"""An installation of the robots while the service runs: one at a time, however many callers follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from tabrl.scene.v1 import scene_pb2
from tabrl_chassis.config import ServiceConfig
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.service import Context, until_stopping

from tabrl_scene import robots
from tabrl_scene.shelf import Shelf

__all__ = ["Installation"]

_EVERY_SECS = 0.3
_STAGES = {
    robots.Stage.DOWNLOADING: scene_pb2.ROBOT_INSTALLATION_STAGE_DOWNLOADING,
    robots.Stage.UNPACKING: scene_pb2.ROBOT_INSTALLATION_STAGE_UNPACKING,
}


class Installation:
    """Installs the robots and has their environments prepared; goes on when the callers leave."""

    def __init__(self, context: Context[ServiceConfig], shelf: Shelf) -> None:
        """Does nothing until it is followed."""
        self._context = context
        self._shelf = shelf
        self._task: asyncio.Task[None] | None = None
        self._failure: TabrlError | None = None
        self._progress = robots.Progress(robots.Stage.DOWNLOADING, 0)
        self._preparing = False

    async def follow(self) -> AsyncIterator[scene_pb2.InstallRobotsResponse]:
        """Begins the installation unless it is under way, and yields its progress until everything is ready.

        Raises:
            TabrlError: what the installation failed with; the next call begins anew.
        """
        if self._task is None or self._task.done():
            self._failure, self._preparing = None, False
            self._task = self._context.background(self._install(), "installing the robots")
        task, said = self._task, None
        while not task.done():
            message = self._message()
            if message != said:
                yield message
                said = message
            if not await until_stopping(self._context, asyncio.wait({task}, timeout=_EVERY_SECS)):
                return
        if self._failure is not None:
            raise self._failure
        # Whatever else went wrong is a defect, and no installation.
        task.result()
        yield _response(scene_pb2.ROBOT_INSTALLATION_STAGE_READY, robots.DOWNLOAD_BYTES, "The robots are installed")

    async def _install(self) -> None:
        try:
            if not robots.installed():
                self._context.log.info("installing the robots", bytes=robots.DOWNLOAD_BYTES)
                await robots.install(self._report)
            self._preparing = True
            if not await self._shelf.load():
                await self._shelf.prepare()
        except TabrlError as error:
            self._context.log.warning("the robots could not be installed", cause=str(error))
            self._failure = error

    def _report(self, progress: robots.Progress) -> None:
        self._progress = progress

    def _message(self) -> scene_pb2.InstallRobotsResponse:
        if self._preparing:
            stage = scene_pb2.ROBOT_INSTALLATION_STAGE_PREPARING
            return _response(stage, robots.DOWNLOAD_BYTES, self._shelf.progress)
        return _response(_STAGES[self._progress.stage], self._progress.downloaded_bytes, str(self._progress))


def _response(
    stage: scene_pb2.RobotInstallationStage.ValueType, downloaded_bytes: int, message: str
) -> scene_pb2.InstallRobotsResponse:
    return scene_pb2.InstallRobotsResponse(
        stage=stage, downloaded_bytes=downloaded_bytes, download_bytes=robots.DOWNLOAD_BYTES, message=message
    )
