"""What is tried again, and after which pauses: one policy for the record, the executor and the publisher."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

# What passes by itself, or when a person frees some space, is tried again, ever more slowly.
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
FIRST_PAUSE_SECS = 1.0
LONGEST_PAUSE_SECS = 60.0


def pauses(first_secs: float | None = None, longest_secs: float = LONGEST_PAUSE_SECS) -> Iterator[float]:
    """Yield the pauses before each further try in seconds, without end; each is twice as long as the one before."""
    pause = FIRST_PAUSE_SECS if first_secs is None else first_secs
    while True:
        yield pause
        pause = min(2 * pause, longest_secs)
