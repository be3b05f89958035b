import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tabrl_simulation.environments import CATEGORY

from tabrl_scene.descriptions import picture
from tabrl_scene.thumbnails import shot_of

# Sixteenths of the samples and the rounding of WebP move a pixel by a few of 255; another pose or camera by far more.
_MEAN_DIFFERENCE = 3.0


def _open_gl() -> str | None:
    """The off-screen OpenGL that works here; None without one."""
    for backend in ("egl", "osmesa"):
        probe = [sys.executable, "-c", "import mujoco; mujoco.GLContext(8, 8).make_current()"]
        environment = {**os.environ, "MUJOCO_GL": backend}
        if subprocess.run(probe, env=environment, capture_output=True, check=False).returncode == 0:
            return backend
    return None


@pytest.mark.parametrize("environment_id", CATEGORY)
def test_every_environment_has_a_shot(environment_id: str) -> None:
    shot = shot_of(environment_id)
    assert 0.3 < shot.fill < 1.0


def test_rendering_again_gives_the_committed_picture(tmp_path: Path) -> None:
    from PIL import Image

    backend = _open_gl()
    if backend is None:
        pytest.skip("no off-screen OpenGL here")
    command = [sys.executable, "-m", "tabrl_scene.thumbnails", "HopperHop", "--samples", "3", "--to", str(tmp_path)]

    subprocess.run(command, env={**os.environ, "MUJOCO_GL": backend}, check=True, capture_output=True)

    pictures = []
    for content in ((tmp_path / "HopperHop.webp").read_bytes(), picture("HopperHop")):
        with Image.open(io.BytesIO(content)) as image:
            pictures.append(np.asarray(image.convert("RGB"), np.float64))
    assert np.abs(pictures[0] - pictures[1]).mean() < _MEAN_DIFFERENCE
