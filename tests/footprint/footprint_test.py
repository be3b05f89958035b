"""A service at rest has imported only what it needs to answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from tabrl_local.topology import SERVICE_NAMES

from tests.footprint.measure import heavy_imports


@pytest.mark.parametrize("service", SERVICE_NAMES)
def test_an_idle_service_has_imported_neither_jax_nor_litellm(service: str, tmp_path: Path) -> None:
    assert heavy_imports(service, tmp_path) == set()
