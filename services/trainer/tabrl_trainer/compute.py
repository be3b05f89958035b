"""Where a run is trained: this Trainer's own machine, or a rented GPU on Modal, and what an hour of it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.errors import invalid_field

LOCAL: Final = "local"
MODAL: Final = "modal"

DEFAULT_GPU: Final = "H100"
DEFAULT_MAX_SECS: Final = 6 * 3600

CPUS: Final = 4.0
"""Physical cores that a container on Modal reserves."""

MEMORY_MIB: Final = 16 * 1024
"""Memory that it reserves."""

# US dollars per second of one GPU, of one physical core and of one GiB of memory: Modal's list prices as others quoted
# them in May 2026 (H100 3.9492, A100-80GB 2.4984, L40S 1.9512, L4 0.7992, T4 0.5904 dollars an hour). None was read
# from Modal's own page, and those of cores and memory are the least certain. Estimates and costs are by this table, the
# bill is Modal's.
_GPU_USD_PER_SEC: Final[Mapping[str, float]] = {
    "H100": 0.001097,
    "A100-80GB": 0.000694,
    "L40S": 0.000542,
    "L4": 0.000222,
    "T4": 0.000164,
}
_GPU_GIB: Final[Mapping[str, int]] = {"H100": 80, "A100-80GB": 80, "L40S": 48, "L4": 24, "T4": 16}
_CPU_USD_PER_SEC: Final = 0.0000131
_GIB_USD_PER_SEC: Final = 0.00000222

_PREFIX: Final = "spec.compute"


def executor_of(spec: trainer_pb2.RunSpec) -> str:
    """Return who trains a run: `LOCAL` or `MODAL`."""
    return MODAL if spec.compute.executor == trainer_pb2.EXECUTOR_MODAL else LOCAL


def executor_of_row(context: Any) -> str:
    """Return the executor for a new row of runs, by the spec in it: the default of that column."""
    return executor_of(trainer_pb2.RunSpec.FromString(context.get_current_parameters()["spec"]))


def usd_per_sec(spec: trainer_pb2.RunSpec) -> float | None:
    """Return what a second of a run costs in US dollars; None on the own machine."""
    if executor_of(spec) == LOCAL:
        return None
    gpu = _GPU_USD_PER_SEC[spec.compute.gpu or DEFAULT_GPU]
    return gpu + CPUS * _CPU_USD_PER_SEC + MEMORY_MIB / 1024 * _GIB_USD_PER_SEC


def gpu_memory_bytes(spec: trainer_pb2.RunSpec) -> int:
    """Return the memory of the GPU that a run on Modal rents, in bytes."""
    return _GPU_GIB[spec.compute.gpu or DEFAULT_GPU] << 30


def fill_compute(spec: trainer_pb2.RunSpec) -> None:
    """Fill in what a spec leaves open of a run on Modal.

    Raises:
        TabrlError: INVALID_FIELD, for a GPU that is not on offer, physics that are not in its image, an uploaded
            environment, or what makes no sense on the own machine.
    """
    compute = spec.compute
    if executor_of(spec) == LOCAL:
        for name in ("gpu", "max_secs"):
            if getattr(compute, name):
                raise invalid_field(f"{_PREFIX}.{name}", "is only for a run on Modal; leave it out, or take Modal")
        return
    if compute.gpu and compute.gpu not in _GPU_USD_PER_SEC:
        description = f"is no GPU that can be had; take one of {', '.join(_GPU_USD_PER_SEC)}"
        raise invalid_field(f"{_PREFIX}.gpu", description)
    if spec.backend == trainer_pb2.PHYSICS_BACKEND_WARP:
        raise invalid_field("spec.backend", "MJX-Warp is not in Modal's image; leave it out, or take MJX")
    if spec.environment_id.startswith("custom-"):
        description = "an uploaded environment is only on this machine; leave it out, and it is trained here"
        raise invalid_field(f"{_PREFIX}.executor", description)
    compute.gpu = compute.gpu or DEFAULT_GPU
    compute.max_secs = compute.max_secs or DEFAULT_MAX_SECS
