"""The page of what soaks came to, a section for each kind of database."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
from pathlib import Path

from tests.robustness.report import REATTACHES_WITHIN_SECS, Report

__all__ = ["write"]

_PACKAGES = ("grpcio", "SQLAlchemy", "psycopg")
_HEAD = """# Trainers killed, starved, hung and misled

The Trainer is a process with real worker processes, whose training alone is scripted, so that a run takes a second.
Between kills (`kill -9` at named points before and after each commit) come rounds of other faults: the disk that data
folder, store and SQLite are on (64 MiB in memory) is full for 3 to 6 s; the wall clocks of service and database jump
by an hour forward and back; the database is locked, stopped or hangs for {away} s; a Trainer is stopped until another
has its run, and continued. Callers ask again after each failure under the same request id. In the end every run must
have ended as it would have, with its revisions in order and as they were told, each checkpoint once, each policy
once, and nothing on record that nobody asked for.
`make bench-kills` does it anew.
"""


def write(path: Path, report: Report, away_secs: float) -> None:
    """Write a report into the page, in the place of the one that is there of the same kind of database."""
    sections: dict[str, str] = {}
    if path.exists():
        for text in path.read_text().split("\n## On ")[1:]:
            sections[text.partition("\n")[0]] = text.partition("\n")[2].strip()
    sections[report.database] = _section(report)
    parts = (f"## On {name}\n\n{text}\n" for name, text in sorted(sections.items(), reverse=True))
    path.write_text("\n".join([_HEAD.format(away=f"{away_secs:.0f}"), *parts]))


def _section(report: Report) -> str:
    points = ", ".join(f"`{point}` {count}" for point, count in sorted(report.kills.items()))
    workers = sum(count for point, count in report.kills.items() if point.startswith("worker."))
    rows = [
        ("kills at named points", report.killed, f"at {len(report.kills)} points"),
        (
            "of them the service / a worker / both",
            "",
            f"{report.killed - workers} / {workers - report.besides} / {report.besides}",
        ),
        *(
            (kind, report.rounds[kind], _times(report.recovered_secs.get(kind, []), "goes on after"))
            for kind in sorted(report.rounds)
        ),
        ("starts of the Trainer", report.starts, ""),
        (
            "runs under way taken up again",
            len(report.reattached_secs),
            f"{_times(report.reattached_secs, 'from the start of the process')}; "
            f"{_times(report.after_serving_secs, 'from when it serves')}; {report.late} more than "
            f"{REATTACHES_WITHIN_SECS:.0f} s after that",
        ),
        ("late words of Trainers that had lost their lease", report.refusals, "refused"),
        ("calls answered with an error", sum(report.errors.values()), _counts(report.errors)),
        ("runs accepted", report.runs, ""),
        ("**faults found at the end**", f"**{len(report.faults)}**", "; ".join(report.faults)),
    ]
    table = "\n".join(f"| {what} | {count} | {more} |" for what, count, more in rows)
    left_out = "".join(f"\n\nLeft out: {kind}, for {why}." for kind, why in sorted(report.left_out.items()))
    return (
        f"{_machine()} Seed {report.seed}, {report.took_secs / 60:.0f} min. Other work ran beside it: the load average "
        f"was {report.load:.0f}.\n\n| | times | |\n|---|---|---|\n{table}\n\nKills by point: {points}.{left_out}"
    )


def _machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in _PACKAGES)
    cores = len(os.sched_getaffinity(0))
    return (
        f"{models[0] if models else platform.machine()}, {cores} cores; Python {platform.python_version()}, {versions}."
    )


def _times(secs: list[float], what: str) -> str:
    return f"{what} {statistics.median(secs):.1f} s (median), {max(secs):.1f} s (longest)" if secs else ""


def _counts(errors: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(errors.items()))
