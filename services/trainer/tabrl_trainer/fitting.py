"""Whether a training fits the memory of where it is to run: said at submission, before a machine comes to a halt."""

from __future__ import annotations

from tabrl.scene.v1 import scene_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import invalid_field
from tabrl_chassis.machine import memory_bytes
from tabrl_simulation.memory import training_memory
from tabrl_simulation.settings import Settings

from tabrl_trainer.compute import MODAL, executor_of, gpu_memory_bytes
from tabrl_trainer.gpus import told_gpus
from tabrl_trainer.worker_environment import trains_on_gpu

__all__ = ["require_memory"]

_GIB = 1 << 30
_REMEDIES = {
    "num_envs": "take fewer environments, or a shorter unroll_length",
    "num_minibatches": "take more minibatches, or smaller hidden layers",
    "hidden_layer_sizes": "take smaller layers",
}


def require_memory(spec: trainer_pb2.RunSpec, settings: Settings, environment: scene_pb2.Environment) -> None:
    """Make sure that a training fits. What physics takes on a GPU is not known beforehand, and left out.

    Raises:
        TabrlError: INVALID_FIELD for the setting that takes the most.
    """
    needed = training_memory(
        settings, observation_size=environment.observation_size, action_size=environment.action_size
    )
    there, where = _memory(spec)
    if needed.total <= there:
        return
    name = needed.largest
    description = (
        f"training would take about {needed.total / _GIB:,.0f} GiB of memory, {getattr(needed, name) / _GIB:,.0f} GiB "
        f"for this alone, and {where} has {there / _GIB:,.0f} GiB; {_REMEDIES[name]}"
    )
    raise invalid_field(f"spec.settings.{name}", description)


def _memory(spec: trainer_pb2.RunSpec) -> tuple[int, str]:
    if executor_of(spec) == MODAL:
        return gpu_memory_bytes(spec), f"Modal's {spec.compute.gpu}"
    if trains_on_gpu(spec) and (gpus := told_gpus()):
        return min(gpu.memory_bytes for gpu in gpus), "the GPU"
    return memory_bytes(), "this machine"
