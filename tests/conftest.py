"""Tests of the whole look at a machine without robots, whatever this one has; those in a browser bring two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tests.stack.robots  # noqa: F401  looks where the robots are before that is hidden
from tests.stack.baked import baker

__all__ = ["baker"]


@pytest.fixture(scope="session", autouse=True)
def _no_robots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABRL_ROBOTS", str(tmp_path_factory.mktemp("no_robots")))
        yield
