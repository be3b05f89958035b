"""Tests of the whole look at a machine without robots, whatever this one has; those in a browser bring two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack.baked import baker
from tests.stack.robots import no_robots

__all__ = ["baker"]


@pytest.fixture(scope="session", autouse=True)
def _no_robots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_robots(tmp_path_factory.mktemp("no_robots")):
        yield
