"""Table and plot of the stepping benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation.benchmarks.machine import sentence

if TYPE_CHECKING:
    from tabrl_simulation.benchmarks.stepping import Measured

__all__ = ["line", "plot", "table"]

_PARTS: Final = ("physics", "copies", "environment and policy", "learning")


def line(run: Measured) -> str:
    """Returns one configuration as one line."""
    parts = ", ".join(f"{name} {run.profile[name]:.0%}" for name in _PARTS if name in run.profile)
    return (
        f"{run.environment} {run.what}, {run.num_envs} environments: {run.per_sec:,.0f} steps/s, {run.share:.0%} of "
        f"{run.physics_per_sec:,.0f} ({min(run.shares):.0%} to {max(run.shares):.0%}); time: {parts}"
    )


def table(described: dict[str, Any], runs: Sequence[Measured]) -> str:
    """Returns all configurations as a page of Markdown."""
    rows = [
        f"| {run.environment} | {run.what} | {run.num_envs:,} | {run.per_sec:,.0f} | {run.physics_per_sec:,.0f} "
        f"| **{run.share:.0%}** | {min(run.shares):.0%} to {max(run.shares):.0%} | "
        + " | ".join(f"{run.profile[name]:.0%}" if name in run.profile else "" for name in _PARTS)
        + f" | {run.load_average:.1f} |"
        for run in runs
    ]
    return "\n".join(
        [
            "# Stepping on this machine",
            "",
            sentence(described),
            "",
            "Control steps per second over all environments: of whole environments (observations, rewards, ends and "
            "new episodes), or of a training in them (policy and learning too), and of `mujoco.batch` alone, which "
            "repeats the same physics from the same states in the same round. The share is the median of "
            f"{len(runs[0].shares) if runs else 0} rounds; least and most beside it. The rest says where the time of "
            "the environments or of the training goes. Training: default settings of the environment.",
            "",
            "| environment | | environments | steps /s | physics alone /s | share | range | "
            + " | ".join(_PARTS)
            + " | load average |",
            "|---" * (8 + len(_PARTS)) + "|",
            *rows,
            "",
        ]
    )


def plot(runs: Sequence[Measured], path: Path) -> None:
    """Draws where the time of each configuration goes, beside its share of physics alone."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.8 + 0.36 * len(runs)))
    labels = [f"{run.environment} {run.what}, {run.num_envs:,}" for run in runs]
    left = [0.0] * len(runs)
    for name, color in zip(_PARTS, ("#4477aa", "#ccbb44", "#66ccee", "#ee6677"), strict=True):
        widths = [run.profile.get(name, 0.0) for run in runs]
        axes.barh(labels, widths, left=left, label=name, color=color)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    axes.plot([run.share for run in runs], labels, "k|", markersize=14, label="physics alone")
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of the time")
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=5, frameon=False, fontsize=8)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
