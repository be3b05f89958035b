"""What a benchmark says about the machine it ran on, and where results go."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["RESULTS", "machine", "numbered", "sentence"]

RESULTS: Final = Path(__file__).resolve().parents[4] / "tests" / "benchmarks" / "results"
"""Folder of the results that are kept with the code."""

_PACKAGES: Final = ("mujoco", "playground", "brax", "jax")


def machine() -> dict[str, Any]:
    """Returns processor, cores this process may use, and versions."""
    from tabrl_simulation import physics

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor() or platform.machine(),
        "cores": physics.cores(),
        "python": platform.python_version(),
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def numbered(machines: Sequence[dict[str, Any]]) -> tuple[str, list[int]]:
    """Returns the different ones among machines as a list of sentences, and the number in it of each machine."""
    different: list[dict[str, Any]] = []
    for described in machines:
        if described not in different:
            different.append(described)
    lines = (f"{number}. {sentence(described)}" for number, described in enumerate(different, 1))
    return "\n".join(lines), [different.index(described) + 1 for described in machines]


def sentence(described: dict[str, Any]) -> str:
    """Returns a machine as one sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    return f"{described['processor']}, {described['cores']} cores, no GPU; Python {described['python']}, {versions}."
