"""What a soak came to, as lines for a terminal and as a page."""

from __future__ import annotations

import collections
import statistics
from dataclasses import dataclass, field

REATTACHES_WITHIN_SECS = 30.0


@dataclass
class Report:
    """Kills by point, other faults by kind, what callers met meanwhile, and what was wrong at the end.

    `refusals` counts attempts whose late words a Trainer refused to put on record; `notes` are histories of runs that
    something was wrong with; `load` is the load average. Times are in seconds: `reattached_secs` from a Trainer's start
    to the new worker of a run that was under way when it was killed, `started_secs` of them until it served at all,
    which is a matter of the machine; `recovered_secs` from the end of a fault of a kind
    to the next run that ends, or from its begin to when another Trainer has taken the run over.
    """

    seed: int = 0
    database: str = "SQLite"
    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    besides: int = 0
    rounds: collections.Counter[str] = field(default_factory=collections.Counter)
    left_out: dict[str, str] = field(default_factory=dict)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    runs: int = 0
    starts: int = 0
    refusals: int = 0
    reattached_secs: list[float] = field(default_factory=list)
    started_secs: list[float] = field(default_factory=list)
    recovered_secs: dict[str, list[float]] = field(default_factory=lambda: collections.defaultdict(list))
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    took_secs: float = 0.0
    load: float = 0.0

    def fault(self, what: str) -> None:
        """Add something that is wrong, and say so at once."""
        self.faults.append(what)
        print(f"FAULT {what}", flush=True)

    @property
    def killed(self) -> int:
        """How many processes ended at named points."""
        return sum(self.kills.values())

    @property
    def late(self) -> int:
        """How many runs were taken up again later than they should, counted from when their Trainer served."""
        return sum(secs > REATTACHES_WITHIN_SECS for secs in self.after_serving_secs)

    @property
    def after_serving_secs(self) -> list[float]:
        """How long after their Trainer served runs were taken up again; 0 where it did that before."""
        pairs = zip(self.reattached_secs, self.started_secs, strict=True)
        return [max(taken - serves, 0.0) for taken, serves in pairs]

    def lines(self) -> list[str]:
        """Return the report for a terminal."""
        workers = sum(count for point, count in self.kills.items() if point.startswith("worker."))
        return [
            *(f"{count:6}  {point}" for point, count in sorted(self.kills.items())),
            f"{self.killed:6}  kills at {len(self.kills)} named points: {self.killed - workers} of the service, "
            f"{workers - self.besides} of a worker, {self.besides} of both",
            *(
                f"{count:6}  rounds of: {kind}{_times(self.recovered_secs.get(kind, []), 'goes on after')}"
                for kind, count in sorted(self.rounds.items())
            ),
            *(f"     -  {kind}: left out, {why}" for kind, why in sorted(self.left_out.items())),
            *(f"{count:6}  calls answered {reason}" for reason, count in sorted(self.errors.items())),
            f"{self.refusals:6}  attempts of a Trainer that had lost its lease, their late words refused",
            f"{len(self.reattached_secs):6}  runs taken up again{_times(self.reattached_secs, 'from the start')}"
            f"{_times(self.after_serving_secs, 'from serving')}, {self.late} of them later than "
            f"{REATTACHES_WITHIN_SECS:.0f} s from serving",
            f"{self.starts:6}  starts of the Trainer",
            f"{self.runs:6}  runs accepted",
            f"{len(self.faults):6}  FAULTS with seed {self.seed} on {self.database} in {self.took_secs:.0f} s",
            *(f"FAULT {fault}" for fault in self.faults),
            *self.notes,
        ]


def _times(secs: list[float], what: str) -> str:
    if not secs:
        return ""
    return f", {what} {statistics.median(secs):.1f} s (median), {max(secs):.1f} s (longest)"
