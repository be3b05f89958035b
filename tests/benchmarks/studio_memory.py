"""What a robot that plays for a long time costs in memory: samples, and how fast each kind grows."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Final

from tests.benchmarks.studio_visit import Visit

__all__ = ["KINDS", "growth_per_hour", "samples"]

KINDS: Final = {
    "page_heap_mb": "JavaScript heap of the page, MB",
    "worker_heap_mb": "JavaScript heap of the player's worker, MB",
    "page_buffers_mb": "buffers of the page, MB",
    "worker_buffers_mb": "buffers of the worker, MB",
    "renderer_rss_mb": "resident memory of the page's process, MB",
    "gpu_rss_mb": "resident memory of the drawing process, MB",
    "nodes": "nodes of the document",
    "listeners": "event listeners",
}
# What is loaded late, compiled by and by or kept for the first time is no leak.
_SETTLING_SECS: Final = 300.0


def samples(visited: Visit, minutes: float, every_secs: float = 60.0) -> list[dict[str, float]]:
    """Takes a sample at once and after every minute of playing."""
    visited.forget_tasks()
    began = time.monotonic()
    taken = []
    while True:
        # Resident memory first: the collection that the heap is read after gives some of it back.
        sample = {"secs": time.monotonic() - began, **visited.processes(), **visited.live()}
        probe = visited.probe()
        sample |= {"simulated_secs": probe["simulatedSecs"], "episodes": probe["episodes"], "frames": probe["frames"]}
        sample["load"] = os.getloadavg()[0]
        taken.append(sample)
        print(" ".join(f"{name}={number:.5g}" for name, number in sample.items()), flush=True)
        if sample["secs"] >= 60 * minutes:
            return taken
        due = began + every_secs * len(taken)
        while time.monotonic() < due:
            visited.page.wait_for_timeout(1000)


def growth_per_hour(taken: Sequence[dict[str, Any]], kind: str) -> float | None:
    """The slope of the straight line through the samples after the first five minutes; None where they are too few."""
    late: list[tuple[float, float]] = [
        (sample["secs"] / 3600, sample[kind]) for sample in taken if sample["secs"] >= _SETTLING_SECS
    ]
    if len(late) < 3:
        return None
    mean_hours = sum(hours for hours, _ in late) / len(late)
    mean = sum(number for _, number in late) / len(late)
    spread = sum((hours - mean_hours) ** 2 for hours, _ in late)
    return sum((hours - mean_hours) * (number - mean) for hours, number in late) / spread
