"""What a worker finds in its environment, wherever it runs."""

from __future__ import annotations

from tabrl.trainer.v1 import trainer_pb2
from tabrl_simulation.backends import has_gpu


def worker_environment(spec: trainer_pb2.RunSpec) -> dict[str, str]:
    """Return the environment variables of a worker, where they are not set already."""
    # XLA prints kilobytes of harmless lines otherwise.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    if has_gpu() and spec.backend != trainer_pb2.PHYSICS_BACKEND_MUJOCO_C:
        return quiet
    # With physics on the processor, each step's arrays would travel to a GPU and back for little work there.
    return quiet | {"JAX_PLATFORMS": "cpu"}
