"""What passes between the service and a worker: a job as one JSON object on stdin, events as JSON lines on a pipe.

Each line is a `tabrl.trainer.v1.RunEvent` in protobuf JSON, without run, revision and time, which the service gives it:
`state_changed` (RUNNING once it learns; SUCCEEDED, FAILED or, where it is to pause, PAUSED as the last line),
`metrics`, `checkpoint`, `log`.
A worker that cannot go on for now, because the disk is full for example, says why on stderr and exits with
`EXIT_TRY_AGAIN`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Self

from google.protobuf import json_format
from tabrl.trainer.v1 import trainer_pb2

EXIT_TRY_AGAIN = 75  # EX_TEMPFAIL


@dataclass(frozen=True)
class Job:
    """What a worker trains.

    `resume_sha256` is the digest of the checkpoint to go on from, empty to start afresh. `artifacts_url` is the store
    that checkpoints and reward programs are in. `pause_env_steps` are the control steps after which it writes a
    checkpoint and pauses, 0 to train to the end.
    """

    spec: trainer_pb2.RunSpec
    resume_sha256: str
    artifacts_url: str
    checkpoint_secs: float
    pause_env_steps: int = 0

    @property
    def start_sha256(self) -> str:
        """Digest of the checkpoint to start from; empty for none, and where there is one of its own to go on from."""
        return "" if self.resume_sha256 else self.spec.start_from.checkpoint_sha256

    @property
    def files(self) -> list[str]:
        """Digests of the files in the store that the worker reads."""
        digests = (self.resume_sha256, self.start_sha256, self.spec.reward.program_sha256)
        return [sha256 for sha256 in digests if sha256]

    def to_json(self) -> str:
        """Return the job as text."""
        return json.dumps({**vars(self), "spec": json_format.MessageToDict(self.spec)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "spec": json_format.ParseDict(fields["spec"], trainer_pb2.RunSpec())})


class MalformedLine(ValueError):
    """A line that is no event."""


def event_line(event: trainer_pb2.RunEvent) -> bytes:
    """Return an event as a line."""
    return json_format.MessageToJson(event, indent=None).encode() + b"\n"


def parse_event(line: bytes) -> trainer_pb2.RunEvent:
    """Return the event on a line; raises `MalformedLine`."""
    try:
        return json_format.Parse(line, trainer_pb2.RunEvent())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise MalformedLine(f"{error}: {line[:200]!r}") from error
