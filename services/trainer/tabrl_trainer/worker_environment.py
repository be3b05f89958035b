"""What a worker finds in its environment, wherever it runs."""

from __future__ import annotations

import os

from tabrl.trainer.v1 import trainer_pb2
from tabrl_simulation.backends import has_gpu

from tabrl_trainer.gpus import Gpu

__all__ = ["trains_on_gpu", "worker_environment"]


def trains_on_gpu(spec: trainer_pb2.RunSpec) -> bool:
    """Whether this machine has a GPU and a run may use it: with physics on the processor it does not."""
    return has_gpu() and spec.backend != trainer_pb2.PHYSICS_BACKEND_MUJOCO_C


def worker_environment(
    spec: trainer_pb2.RunSpec, gpu: Gpu | None = None, *, gpu_is_shared: bool = False
) -> dict[str, str]:
    """Return the environment variables of a worker beside those of this process, which count more where they are set.

    A GPU that the run was given is the only one that its worker sees.
    """
    # XLA prints kilobytes of harmless lines otherwise.
    wanted = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if not trains_on_gpu(spec):
        # With physics on the processor, each step's arrays would travel to a GPU and back for little work there.
        wanted["JAX_PLATFORMS"] = "cpu"
    if gpu is not None and gpu_is_shared:
        # Whoever came first would take most of the memory for itself.
        wanted["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    wanted = {name: value for name, value in wanted.items() if name not in os.environ}
    return wanted if gpu is None else wanted | {"CUDA_VISIBLE_DEVICES": gpu.uuid}
