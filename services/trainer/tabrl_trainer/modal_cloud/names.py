"""What the Trainer and the function on Modal agree on: names, the log of events, and where checkpoints lie.

**The log.** A call has *lives*: Modal starts the input of a preempted container again by itself, and each start is a
new life, numbered from 0. A life numbers its events from 1 without gaps and appends them to partitions of a
`modal.Queue`, `PAGE` of them to each, so that an event's number says where it lies. The Trainer reads a page without
taking anything out, commits what it read, and only then clears the page once it is complete. So nothing is lost
whenever the Trainer dies, what is read twice is dropped by its number, and no partition ever comes near Modal's limits
of 5,000 items and 64 MiB, however long the Trainer is away. (Taking events out with `get` would lose what was taken out
and not yet committed; one partition read with `iterate` would be full after 83 minutes.) A partition that nothing was
put into for 24 hours is cleared by Modal: a Trainer that is away for longer misses metrics and lines of the log, never
a checkpoint, for these are on the volume.
"""

from __future__ import annotations

from typing import Final

APP: Final = "tabrl-trainer"
FUNCTION: Final = "train_v1"
"""Its number grows with every change of what passes between both sides, so that another release's app is not found."""

QUEUE: Final = "tabrl-trainer-events"
STATE: Final = "tabrl-trainer-state"
VOLUME: Final = "tabrl-trainer-checkpoints"

PAGE: Final = 200
"""Events in one partition of the queue."""

GO_SECS: Final = 120.0
"""How long a call waits to be told that it is on record. One that is not was lost with its Trainer, and ends."""

NEWEST: Final = "newest.json"
"""File in a run's folder on the volume: the event of its newest checkpoint."""

# What the function's answer says about why its worker was stopped.
ASKED: Final = "asked"
TIME_LIMIT: Final = "time limit"
NEVER_TOLD: Final = "never told to go"


def stream(run_id: str, attempt: int) -> str:
    """Return the name of an attempt's log."""
    return f"{run_id}/{attempt}"


def partition(stream: str, life: int, page: int) -> str:
    """Return the partition of the queue that a page of a life's events lies in: at most 64 bytes."""
    return f"{stream}/{life}/{page}"


def page_after(seq: int) -> int:
    """Return the page that the event after number `seq` lies in."""
    return seq // PAGE


def go_key(stream: str) -> str:
    """Return the key under which the id of the call that is on record stands."""
    return f"{stream}/go"


def stop_key(stream: str) -> str:
    """Return the key that is there once the call is to stop."""
    return f"{stream}/stop"


def life_key(stream: str, life: int) -> str:
    """Return the key under which a life stands, with the time of its start in seconds since 1970."""
    return f"{stream}/life/{life}"


def artifact_path(run_id: str, sha256: str) -> str:
    """Return where a run's checkpoint lies on the volume: an `ArtifactStore` in a folder of the run's own."""
    return f"{run_id}/{sha256[:2]}/{sha256}"
