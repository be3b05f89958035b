"""The page that says what was measured of the studio, beside what is asked for."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final

from tabrl_simulation.benchmarks.machine import sentence

from tests.benchmarks.studio_memory import KINDS, growth_per_hour

__all__ = ["page"]

_MOST_SCRIPT_BYTES: Final = 250_000
_FIRST_ROBOT_MS: Final = 1000.0
_LONG_TASK_MS: Final = 100.0
_LEAST_FACTOR: Final = 0.95
_MOST_HEAP_GROWTH: Final = 5.0
_MOST_RESIDENT_GROWTH: Final = 30.0
# With more than this waiting for two cores, a time says more about the machine than about the page.
_CALM_LOAD: Final = 4.0
_PLACES: Final = {"": "gallery"}


def page(known: dict[str, Any]) -> str:
    """Writes what is known; parts that were never measured are left out."""
    machines = {sentence(each): None for each in known.get("machines", {}).values()}
    lines = [
        "# The studio in Chromium",
        "",
        "Debian's Chromium without a window, drawing in software (SwiftShader), with the built page from the gateway "
        f"on the same machine. {' '.join(machines)} Drawing, physics and page share these cores with each other, with "
        "TabRL's services and with whatever else ran: *load* is the load average of the last minute when a measurement "
        "began, and above 2 everything waits for its turn.",
        "",
    ]
    for part, kept, write in (
        ("arrival", "visits", _arrival),
        ("playing", "robots", _playing),
        ("memory", "samples", _memory),
    ):
        if kept in known:
            title, *rest = write(known)
            lines += [title, "", f"Measured until {known['ends'][part]}.", *rest]
    return "\n".join(lines)


def _verdict(passed: bool, load: float = 0.0) -> str:
    if passed:
        return "pass"
    return "**fail**" if load <= _CALM_LOAD else "**fail**, under load"


def _range(numbers: Iterable[float | None], form: str = ",.0f") -> str:
    """The median, and the span it lies in where there are several."""
    told = sorted(number for number in numbers if number is not None)
    if not told:
        return ""
    middle = f"{statistics.median(told):{form}}"
    return middle if len(told) == 1 else f"{middle} ({told[0]:{form}} to {told[-1]:{form}})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    marks = ["---", *("--:" for _ in head[1:])]
    return [*(f"| {' | '.join(cells)} |" for cells in (head, marks, *rows)), ""]


def _problems(measured: Iterable[dict[str, Any]]) -> list[str]:
    told = {problem for each in measured for problem in each["problems"]}
    return [f"The console complained: {'; '.join(sorted(told))}", ""] if told else []


def _grouped(visits: Iterable[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Visits by their place and kind."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in visits:
        groups.setdefault((each["place"], each["kind"]), []).append(each)
    return groups


# ---- arrival --------------------------------------------------------------------------------------------------------


def _arrival(known: dict[str, Any]) -> list[str]:
    visits = [each for each in known["visits"] if each["kind"] != "slow line"]
    groups = _grouped(visits)
    rows = []
    for (place, kind), group in groups.items():
        first_robot = [each["moving_ms"] for each in group]
        calmest = min(each["load"] for each in group)
        judged = [number for number in first_robot if number is not None]
        rows.append(
            (
                _PLACES.get(place, place),
                kind,
                _range(each["painted_ms"] for each in group),
                _range(each["player_ms"] for each in group),
                _range(each["tick_ms"] for each in group),
                _range(first_robot),
                _range(each["driven_ms"] for each in group),
                _verdict(statistics.median(judged) <= _FIRST_ROBOT_MS, calmest) if judged and place else "",
                _range((sum(each["cpu_secs"].values()) for each in group), ".1f"),
                _range((each["load"] for each in group), ".1f"),
            )
        )
    repeats = max(len(group) for group in groups.values())
    counted = "one visit each" if repeats == 1 else f"the median of {repeats} visits (shortest to longest)"
    return [
        "## From opening the page to a robot that moves",
        "",
        f"Asked for: a robot that is alive from the first second. Milliseconds since the navigation began, {counted}. "
        "*Cold* has a profile that never saw TabRL, *warm* is a second visit with the same profile after Chromium was "
        "started again. The robot is there at the first frame that is drawn after it has moved two control steps; "
        "*driven* is the first frame after a policy took over. Processor time is what all of Chromium used until then, "
        "with the drawing: on a machine that does nothing else, the least that two cores would take is half of it.",
        "",
        *_table(
            (
                "page",
                "visit",
                "first contentful paint",
                "player's script runs",
                "first tick told",
                "robot moves on screen",
                "driven by a policy",
                "within 1 s",
                "processor time, s",
                "load",
            ),
            rows,
        ),
        *_scripts(known["visits"]),
        "Tasks of 50 ms and longer that kept the main thread busy, from the navigation to three seconds after the "
        "robot moved. No number was asked for; none longer than 100 ms would be felt as instant.",
        "",
        *_table(
            ("page", "visit", "long tasks a visit", "longest, ms", "under 100 ms", "most of it in"),
            (
                (
                    _PLACES.get(place, place),
                    kind,
                    _range(float(len(each["tasks"])) for each in group),
                    f"{max((ms for each in group for ms in each['tasks']), default=0):,.0f}",
                    _verdict(
                        all(ms <= _LONG_TASK_MS for each in group for ms in each["tasks"]),
                        min(each["load"] for each in group),
                    ),
                    _culprit(group),
                )
                for (place, kind), group in groups.items()
            ),
        ),
        *_problems(known["visits"]),
    ]


def _scripts(visits: list[dict[str, Any]]) -> list[str]:
    line = [each for each in visits if each["kind"] == "slow line"]
    most = max((each["script_bytes"] for each in line), default=0)
    groups = _grouped(visits)
    judged = [
        f"At most {most / 1000:,.1f} kB over the slow line; less than 250 kB are asked for: "
        f"{_verdict(most < _MOST_SCRIPT_BYTES)}.",
        "",
    ]
    return [
        "Script before the first contentful paint, compressed, with headers, as it came over the network. The *slow "
        "line* of 1.6 Mbit/s and 150 ms says what the paint needs: there it does not come later than what is fetched "
        "behind it only because a core was taken.",
        "",
        *_table(
            ("page", "visit", "first contentful paint, ms", "had come, kB", "was asked for, kB"),
            (
                (
                    _PLACES.get(place, place),
                    kind,
                    _range(each["painted_ms"] for each in group),
                    _range((each["script_bytes"] / 1000 for each in group), ".1f"),
                    _range((each["script_bytes_asked"] / 1000 for each in group), ".1f"),
                )
                for (place, kind), group in groups.items()
            ),
        ),
        *(judged if line else []),
    ]


def _culprit(group: Iterable[dict[str, Any]]) -> str:
    told = [task["longest"] for each in group for task in each["frame_tasks"] if task["longest"]]
    worst = max(told, key=lambda script: float(script["ms"]), default=None)
    return f"`{worst['by']}`, {worst['ms']:,.0f} ms" if worst else ""


# ---- playing --------------------------------------------------------------------------------------------------------


def _playing(known: dict[str, Any]) -> list[str]:
    robots = known["robots"]
    rows = []
    for each in robots:
        factor = each["simulated_secs"] / each["secs"]
        lanes = len(each["canvases"])
        size = " by ".join(map(str, each["canvases"][0])) if lanes else ""
        rows.append(
            (
                each["robot"],
                "a policy" if each["driven"] else "nobody: idle",
                f"{each['secs']:.0f}",
                f"{factor:.2f}",
                f"{each['factor']:.2f}",
                _verdict(factor >= _LEAST_FACTOR, each["load"]),
                f"{each['frames'] / max(lanes, 1) / each['secs']:.1f}",
                f"{each['triangles']:,}",
                f"{each['draw_calls']:,}",
                size,
                f"{1000 * each['cpu_secs']['renderer'] / max(each['simulated_secs'], 0.1):,.0f}",
                f"{1000 * each['cpu_secs']['gpu-process'] / max(each['frames'], 1):,.0f}",
                f"{sum(each['cpu_secs'].values()) / each['secs']:.2f}",
                f"{each['load']:.1f}",
            )
        )
    return [
        "## While robots play",
        "",
        "At 1440 by 900. The real-time factor is simulated time over time on the clock, beside the mean of what the "
        "worker's own meter says; at least 0.95 is called real time here. Frames are what the stage drew in a second "
        "(of one of the four where four play); triangles and drawing calls those of the fullest frame, shadows "
        "included, of all four where four play. 60 frames a second on a laptop's integrated GPU are asked for; a "
        "machine without any GPU can neither show nor refute that. The page's processor time (its worker's "
        "included) is given for a simulated second, that of the drawing process for a frame: they say what it takes, "
        "however long it had to wait for a core. *Cores it got* is all of Chromium's processor time over time on the "
        "clock. A page that takes less than 1,000 ms a simulated second keeps time where it has a core for itself.",
        "",
        *_table(
            (
                "robot",
                "driven by",
                "s",
                "real-time factor",
                "worker's meter",
                "real time",
                "frames/s",
                "triangles",
                "drawing calls",
                "canvas",
                "page, ms a simulated second",
                "drawing, ms a frame",
                "cores it got",
                "load",
            ),
            rows,
        ),
        "Long tasks of the main thread meanwhile, none longer than 100 ms asked for:",
        "",
        *_table(
            ("robot", "s", "long tasks", "longest, ms", "under 100 ms", "longest script"),
            (
                (
                    each["robot"],
                    f"{each['secs']:.0f}",
                    str(len(each["tasks"])),
                    f"{max(each['tasks'], default=0):,.0f}",
                    _verdict(all(ms <= _LONG_TASK_MS for ms in each["tasks"]), each["load"]),
                    _culprit([each]),
                )
                for each in robots
            ),
        ),
        *_problems(robots),
    ]


# ---- memory ---------------------------------------------------------------------------------------------------------


def _memory(known: dict[str, Any]) -> list[str]:
    taken, told = known["samples"], known["memory"]
    first, last = taken[0], taken[-1]
    minutes = last["secs"] / 60
    rows = []
    for kind, name in KINDS.items():
        growth = growth_per_hour(taken, kind)
        bound = _MOST_HEAP_GROWTH if "heap" in kind or "buffers" in kind else _MOST_RESIDENT_GROWTH
        judged = growth is not None and kind.endswith("_mb")
        rows.append(
            (
                name,
                f"{first[kind]:,.1f}",
                f"{last[kind]:,.1f}",
                f"{max(sample[kind] for sample in taken):,.1f}",
                "" if growth is None else f"{growth:+.1f}",
                _verdict(growth <= bound) if judged and growth is not None else "",
            )
        )
    return [
        f"## {minutes:.0f} minutes of playing",
        "",
        f"{told['robot']}, driven by a policy, in a window of 800 by 600, at niceness {told['niceness']}: "
        f"{last['episodes']:,} episodes, {last['simulated_secs'] / 60:,.0f} simulated minutes, {last['frames']:,} "
        f"frames. A sample each minute; resident memory as it is, then the heaps after a collection. The growth is the "
        "slope of a straight line through the samples after the first five minutes. Asked for is the number after 30 "
        "minutes; less than 5 MB an hour of heap and less than 30 MB an hour of resident memory are called no leak "
        f"here. Load {_range((sample['load'] for sample in taken), '.1f')}.",
        "",
        *_table(("", "at first", "at last", "most", "growth an hour", "no leak"), rows),
        *_problems([told]),
    ]
