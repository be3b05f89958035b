"""These tests run beside those of the services, which have this machine's robots again afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stack.robots import no_robots


@pytest.fixture(scope="module", autouse=True)
def _no_robots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with no_robots(tmp_path_factory.mktemp("no_robots")):
        yield
