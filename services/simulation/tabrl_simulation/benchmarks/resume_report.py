"""Table and picture of what `resume` measured."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from tabrl_simulation.benchmarks import killed_training
from tabrl_simulation.benchmarks.machine import sentence

__all__ = ["all_equal", "line", "plot", "shortened", "table"]


def all_equal(case: dict[str, Any]) -> bool:
    """Whether a case's killed trainings came out as the undisturbed ones."""
    return all(
        chain["sha256"][0] == chain["sha256"][1]
        and chain["arrays"][0] == chain["arrays"][1] > 0
        and chain["checkpoints"][0] == chain["checkpoints"][1] > 0
        for chain in case["chains"]
    )


def line(case: dict[str, Any]) -> str:
    """Returns a case in a line."""
    kills = len(_killed(case))
    verdict = "all equal to the bit" if all_equal(case) else "THEY DIFFER"
    return f"{case['environment_id']}: killed {kills} times in {case['secs']:.0f} s; {verdict}"


def shortened(result: dict[str, Any]) -> dict[str, Any]:
    """Returns a result whose attempts say only what each began from and reached, and when."""

    def attempt(made: dict[str, Any]) -> dict[str, Any]:
        events = made["events"]
        return {
            "resumed_from": made["resumed_from"],
            "reached": _reached(made),
            "killed_secs": made["killed_secs"],
            "during": _during(made),
            "left_behind": made["left_behind"],
            "first_update_secs": next((secs for secs, word, _ in events if word == killed_training.UPDATED), None),
            "finished": made["finished"],
        }

    def chain(values: dict[str, Any]) -> dict[str, Any]:
        return {
            **values,
            "reference": attempt(values["reference"]),
            "attempts": [attempt(made) for made in values["attempts"]],
        }

    cases = [{**case, "chains": [chain(values) for values in case["chains"]]} for case in result["cases"]]
    return {**result, "cases": cases}


def table(result: dict[str, Any]) -> str:
    """Returns the results as Markdown."""
    rows, digests = [], []
    for case in result["cases"]:
        killed = _killed(case)
        during = [_during(made) for made in killed]
        left = [whole for made in killed for whole in made["left_behind"]]
        starts = [_first_update(made) for chain in case["chains"] for made in chain["attempts"]]
        files, same_files = (sum(chain["checkpoints"][i] for chain in case["chains"]) for i in range(2))
        arrays, same_arrays = (sum(chain["arrays"][i] for chain in case["chains"]) for i in range(2))
        rows.append(
            f"| {case['environment_id']} | {case['what']} | {len(killed)} "
            f"| {during.count('loading')} / {during.count('training')} / {during.count('writing')} "
            f"| {len(left)}, {left.count(False)} of them cut off | {same_arrays} of {arrays} | {same_files} of {files} "
            f"| {statistics.median(secs for secs in starts if secs is not None):.1f} | {case['secs']:.0f} |"
        )
        digests += [
            f"| {case['environment_id']} | {chain['seed']} | `{undisturbed[:16]}` | `{resumed[:16]}` |"
            for chain in case["chains"]
            for undisturbed, resumed in [chain["sha256"]]
        ]
    return "\n".join(
        [
            "# Trainings killed at random moments",
            "",
            sentence(result["machine"]),
            "",
            "Each training is a process that SIGKILL ends at seeded moments of wall clock; the next process goes on "
            "from the newest checkpoint on disk, up to five updates back. In the end it is compared with a training "
            "that was never stopped, and so is one more that was not stopped either: every array of the last "
            "checkpoint (parameters, optimizer, statistics, keys, every simulation, what was reported), and every "
            "checkpoint's file on the way.",
            "",
            "| environment | what | kills | while loading / training / writing | files left half-written "
            "| last arrays equal | files equal | s to first update | s in all |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
            "",
            "| environment | seed | SHA-256 of the last checkpoint, undisturbed | killed |",
            "|---|---|---|---|",
            *digests,
            "",
        ]
    )


def plot(result: dict[str, Any], path: Path) -> None:
    """Draws steps over time, and the kills."""
    from matplotlib import pyplot

    cases = result["cases"]
    figure, all_axes = pyplot.subplots(len(cases), 1, figsize=(9, 2.6 * len(cases)), squeeze=False)
    for axes, case in zip(all_axes[:, 0], cases, strict=True):
        for chain, color in zip(case["chains"], ("C0", "C1", "C2", "C3"), strict=False):
            for began, made in zip(chain["secs"], chain["attempts"], strict=True):
                steps = [(secs, step) for secs, word, step in made["events"] if word == killed_training.UPDATED]
                axes.plot([began + secs for secs, _ in steps], [step for _, step in steps], color=color, linewidth=1.5)
                axes.plot(began, made["resumed_from"], "|", color=color, alpha=0.6)
                if made["killed_secs"] is not None:
                    axes.plot(began + made["killed_secs"], _reached(made), "x", color="C3", markersize=5)
        axes.set(title=f"{case['environment_id']}: {line(case).partition(': ')[2]}", ylabel="control steps")
    all_axes[-1, 0].set_xlabel("seconds; | a process starts, x it is killed; a colour is a training")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _killed(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [made for chain in case["chains"] for made in chain["attempts"] if made["killed_secs"] is not None]


def _reached(made: dict[str, Any]) -> int:
    return max((step for _, word, step in made["events"] if word == killed_training.UPDATED), default=0) or int(
        made["resumed_from"]
    )


def _first_update(made: dict[str, Any]) -> float | None:
    return next((secs for secs, word, _ in made["events"] if word == killed_training.UPDATED), None)


def _during(made: dict[str, Any]) -> str:
    """Says what a process did last."""
    words = [word for _, word, _ in made["events"]]
    if killed_training.UPDATED not in words:
        return "loading"
    return "writing" if words[-1] == killed_training.WRITING else "training"
