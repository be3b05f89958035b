"""Baked environments for the data folders of the tests: baking takes a minute, and gives the same each time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["Baker", "baker"]

_ROOT = Path(__file__).parents[2]


class Baker:
    """Bakes, and keeps what was baked for the next time. A catalogue is named for all that its content depends on."""

    def __init__(self, kept: Path) -> None:
        """Keeps catalogues in a folder."""
        kept.mkdir(parents=True, exist_ok=True)
        self._kept = kept

    def bake(self, data: Path) -> None:
        """Prepares the environments of a data folder, for the robots that are installed at the moment."""
        catalogues = data / "scene" / "catalogues"
        for known in (_ROOT / ".data" / "scene" / "catalogues", self._kept):
            if known.is_dir():
                shutil.copytree(known, catalogues, dirs_exist_ok=True)
        subprocess.run([sys.executable, "-m", "tabrl_scene.bake", "--data", str(data)], check=True)
        baked = [catalogue for catalogue in catalogues.iterdir() if not catalogue.name.startswith(".")]
        for catalogue in baked:
            if not (self._kept / catalogue.name).exists():
                shutil.copytree(catalogue, self._kept / catalogue.name)
        # Those of an older source are of no use any more.
        sources = {_source(catalogue) for catalogue in baked}
        for catalogue in list(self._kept.iterdir()):
            if _source(catalogue) not in sources:
                shutil.rmtree(catalogue)


def _source(catalogue: Path) -> str:
    return catalogue.name.partition("-")[0]


@pytest.fixture(scope="session")
def baker() -> Baker:
    """Prepares environments, once for all folders, and for later sessions too."""
    return Baker(_ROOT / ".tools" / "catalogues")
