"""TabRL's training on Modal's cloud: `modal deploy deploy/modal/app.py`. See README.md beside this file.

The image has the packages of `deploy/locks/modal.txt`, by hash, and the code of this workspace: the function runs the
very worker that trains on the own machine. GPU and time limit are chosen with each call.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import modal
from tabrl_simulation import robots
from tabrl_trainer.compute import CPUS, DEFAULT_GPU, DEFAULT_MAX_SECS, MEMORY_MIB
from tabrl_trainer.modal_cloud import names, relay

_PACKAGES = {
    "services/chassis/tabrl_chassis": "tabrl_chassis",
    "services/simulation/tabrl_simulation": "tabrl_simulation",
    "services/trainer/tabrl_trainer": "tabrl_trainer",
}
_LEFT_OUT = ["**/__pycache__", "**/*_test.py", "**/conftest.py"]
_ROBOTS = "/robots"


def _image() -> modal.Image:
    """Return the image: what was locked, the code, and the robots if they are on the machine that deploys."""
    workspace = Path(__file__).resolve().parents[2]
    image = (
        modal.Image.debian_slim(python_version="3.11")
        .pip_install_from_requirements(
            str(workspace / "deploy/locks/modal.txt"), extra_options="--require-hashes --no-deps"
        )
        .env({"TABRL_ROBOTS": _ROBOTS, "PYTHONUNBUFFERED": "1"})
        .add_local_dir(workspace / "protos/gen/python", "/root", ignore=_LEFT_OUT)
    )
    for folder, package in _PACKAGES.items():
        image = image.add_local_dir(workspace / folder, f"/root/{package}", ignore=_LEFT_OUT)
    if robots.folder().is_dir():
        return image.add_local_dir(robots.folder(), _ROBOTS)
    print("Without the robots (`make robots`), Modal trains the environments of the DeepMind Control Suite only.")
    return image


app = modal.App(names.APP, image=_image() if modal.is_local() else None)


@app.function(
    name=names.FUNCTION,
    gpu=DEFAULT_GPU,
    cpu=CPUS,
    memory=MEMORY_MIB,
    timeout=DEFAULT_MAX_SECS,
    volumes={str(relay.VOLUME_FOLDER): modal.Volume.from_name(names.VOLUME, create_if_missing=True)},
    retries=0,  # the Trainer begins another attempt itself, from the newest checkpoint
    max_containers=20,
    single_use_containers=True,
)
def train_v1(
    *, stream: str, job: str, files: Mapping[str, bytes], resume_env_steps: int, limit_secs: float
) -> dict[str, Any]:
    """Train a job and tell of it; see `relay.relay`."""
    return relay.relay(stream=stream, job=job, files=files, resume_env_steps=resume_env_steps, limit_secs=limit_secs)
