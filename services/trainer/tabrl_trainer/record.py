"""The record of runs: every change is one transaction that appends the events telling of it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import TypeVar, cast

import grpc
import sqlalchemy as sa
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy.orm import Session
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl.type.v1 import artifact_pb2
from tabrl_chassis.database import Database
from tabrl_chassis.error_mapping import as_tabrl_error
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.failpoints import reach

from tabrl_trainer.models import BatchRow, CheckpointRow, EventRow, RunRow
from tabrl_trainer.retries import PASSING, pauses

T = TypeVar("T")

ENDED = (trainer_pb2.RUN_STATE_SUCCEEDED, trainer_pb2.RUN_STATE_FAILED, trainer_pb2.RUN_STATE_CANCELLED)
UNDER_WAY = (trainer_pb2.RUN_STATE_STARTING, trainer_pb2.RUN_STATE_RUNNING)

# RunRow.publishing: whether the newest checkpoint of the run still waits for the Exporter.
PENDING, SETTLED, UNREACHABLE = "pending", "settled", "unreachable"
# CheckpointRow.publication: PENDING, or one of these.
PUBLISHED, SKIPPED, REFUSED = "published", "skipped", "refused"

OTHERS_EVERY_SECS = 0.5
"""How often a Trainer looks for what others that share its database did."""

LONGEST_PAUSE_SECS = 5.0
"""How long the record waits at most before it asks its database again: leases must be renewed, and runs go on, soon
after it is back."""

_EVERY_RUN = "*"


class Record:
    """Transactions on the runs, and word of each to those who watch."""

    def __init__(self, database: Database) -> None:
        """Keep the database."""
        self._database = database
        self._subscriptions: dict[str, set[asyncio.Event]] = defaultdict(set)

    async def read(self, work: Callable[[Session], T]) -> T:
        """Return `work(session)`."""
        return await self._database.read(work)

    async def read_persistently(self, work: Callable[[Session], T], *, urgent: bool = False) -> T:
        """Read as often as it takes while the database is away; `urgent` is as in `Database.read`."""
        return await persistently(lambda: self._database.read(work, urgent=urgent))

    async def write(self, run_id: str, work: Callable[[Session, RunRow], T]) -> T:
        """Return `work(session, run)` of a committed transaction, then wake those who watch the run.

        Transactions on one run come one after the other, whichever process makes them.
        """

        def transaction(session: Session) -> T:
            result = work(session, run_row(session, run_id, locked=True))
            session.flush()
            reach("trainer.before_commit")
            return result

        result = await self._database.write(transaction)
        reach("trainer.committed")
        self.wake(run_id)
        return result

    async def write_silently(self, work: Callable[[Session], None], *, urgent: bool = False) -> None:
        """Commit what tells nobody anything, such as leases, as often as it takes while the database is away."""
        await persistently(lambda: self._database.write(work, urgent=urgent))

    async def write_persistently(self, run_id: str, work: Callable[[Session, RunRow], T]) -> T:
        """Write as often as it takes while the database is locked or away, or the disk is full."""
        return await persistently(lambda: self.write(run_id, work))

    async def transact(self, work: Callable[[Session], tuple[T, Collection[str]]]) -> T:
        """Return the first of what a committed transaction gives, then wake who watches the runs and batches it names.

        `work` locks what it changes itself.
        """

        def transaction(session: Session) -> tuple[T, Collection[str]]:
            result = work(session)
            session.flush()
            reach("trainer.before_batch_commit")
            return result

        result, changed = await self._database.write(transaction)
        reach("trainer.batch_committed")
        for resource_id in changed:
            self.wake(resource_id)
        return result

    async def transact_persistently(self, work: Callable[[Session], tuple[T, Collection[str]]]) -> T:
        """Do as `transact`, as often as it takes while the database is locked or away, or the disk is full."""
        return await persistently(lambda: self.transact(work))

    async def follow_other_processes(self) -> None:
        """Wake those who watch runs that other processes change, where others can."""
        seen: dict[str, int] = {}
        while self._database.is_shared:
            await asyncio.sleep(OTHERS_EVERY_SECS)
            if not self._subscriptions:
                seen = {}
                continue
            watched = [run_id for run_id in self._subscriptions if run_id != _EVERY_RUN]
            revisions = await self.read_persistently(lambda session: _revisions(session, watched))  # noqa: B023
            # One that has ended, or was deleted, and that nobody watches by its name, is not read any more.
            for run_id in revisions.keys() | seen.keys():
                if seen.get(run_id) != revisions.get(run_id):
                    self.wake(run_id)
            seen = revisions

    async def create(self, work: Callable[[Session], str]) -> str:
        """Return the id of the run or batch that `work` makes in a transaction, and wake those who watch."""
        run_id = await self._database.write(work)
        self.wake(run_id)
        return run_id

    def wake(self, run_id: str) -> None:
        """Tell those who watch a run that it changed."""
        for changed in (*self._subscriptions.get(run_id, ()), *self._subscriptions.get(_EVERY_RUN, ())):
            changed.set()

    def subscribed_to_all(self) -> contextlib.AbstractContextManager[asyncio.Event]:
        """Give an event that is set after each change of any run."""
        return self.subscribed([_EVERY_RUN])

    @contextlib.contextmanager
    def subscribed(self, run_ids: Sequence[str]) -> Iterator[asyncio.Event]:
        """Give an event that is set after each change of the runs; clear it before reading them."""
        changed = asyncio.Event()
        for run_id in run_ids:
            self._subscriptions[run_id].add(changed)
        try:
            yield changed
        finally:
            for run_id in run_ids:
                self._subscriptions[run_id].discard(changed)
                if not self._subscriptions[run_id]:
                    del self._subscriptions[run_id]


def new_run_id() -> str:
    """Return an id for a run."""
    return f"run-{secrets.token_hex(8)}"


def now() -> datetime.datetime:
    """Return the time, in UTC."""
    return datetime.datetime.now(datetime.UTC)


async def persistently(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` does, which is done as often as it takes while the database is locked or away."""
    for pause in pauses(longest_secs=LONGEST_PAUSE_SECS):
        try:
            return await work()
        except (TabrlError, sa.exc.DBAPIError) as error:
            if as_tabrl_error(error, "record").code not in PASSING:
                raise
        await asyncio.sleep(pause)
    raise AssertionError("pauses end")


def _revisions(session: Session, run_ids: Sequence[str]) -> dict[str, int]:
    """Return the revisions of some runs and batches, and of all that may still change."""
    changing = sa.or_(RunRow.state.not_in(ENDED), RunRow.publishing != SETTLED, RunRow.run_id.in_(run_ids))
    runs = session.execute(sa.select(RunRow.run_id, RunRow.revision).where(changing))
    going_on = sa.or_(BatchRow.state == batches_pb2.BATCH_STATE_RUNNING, BatchRow.batch_id.in_(run_ids))
    batches = session.execute(sa.select(BatchRow.batch_id, BatchRow.revision).where(going_on))
    return {row[0]: row[1] for row in (*runs, *batches)}


def run_row(session: Session, run_id: str, *, locked: bool = False) -> RunRow:
    """Return a run's row, `locked` until the transaction ends.

    Raises:
        TabrlError: NOT_FOUND / RUN_NOT_FOUND.
    """
    wanted = sa.select(RunRow).where(RunRow.run_id == run_id)
    row = session.scalars(wanted.with_for_update() if locked else wanted).one_or_none()
    if row is None:
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND", f"There is no run {run_id!r}.", metadata={"run_id": run_id}
        )
    return row


def append(session: Session, run: RunRow, event: trainer_pb2.RunEvent) -> None:
    """Append an event to a run's history, giving it the next revision and the time."""
    run.revision += 1
    event.run_id = run.run_id
    event.revision = run.revision
    event.time.CopyFrom(timestamp(now()))
    session.add(EventRow(run_id=run.run_id, revision=run.revision, event=event.SerializeToString()))


def log(session: Session, run: RunRow, level: trainer_pb2.LogLevel.ValueType, text: str) -> None:
    """Append a line to a run's log."""
    append(session, run, trainer_pb2.RunEvent(log=trainer_pb2.LogLine(level=level, text=text)))


def change_state(
    session: Session, run: RunRow, state: trainer_pb2.RunState.ValueType, error: trainer_pb2.RunError | None = None
) -> None:
    """Bring a run into another state and append the event; the first start and the end are timed.

    They are in order, also where the clock was set back in between.
    """
    run.state = state
    changed = trainer_pb2.StateChanged(state=state)
    if state == trainer_pb2.RUN_STATE_STARTING and run.start_time is None:
        run.start_time = max(now(), run.create_time)
    if error is not None:
        changed.error.CopyFrom(error)
        run.error_reason, run.error_message = error.reason, error.message
    if state in ENDED:
        run.end_time = max(now(), run.start_time or run.create_time)
        waiting = sa.select(CheckpointRow.number).where(
            CheckpointRow.run_id == run.run_id, CheckpointRow.publication == PENDING
        )
        if session.scalars(waiting.limit(1)).first() is None:
            run.publishing = SETTLED
    append(session, run, trainer_pb2.RunEvent(state_changed=changed))


def tags_of(run: RunRow) -> list[str]:
    """Return a run's tags."""
    return run.tags.split("\n")[1:-1]


def annotate(run: RunRow, tags: Sequence[str], notes: str) -> None:
    """Write tags and notes beside a run, and what it is found by from then on."""
    spec = trainer_pb2.RunSpec.FromString(run.spec)
    words = [word for word in dict.fromkeys(" ".join(tag.split()) for tag in tags) if word]
    run.tags = "\n".join(["", *words, ""]) if words else ""
    run.notes = notes
    run.searched = "\n".join([run.run_id, spec.environment_id, spec.title, *words, run.notes]).lower()


def newest_checkpoint(session: Session, run_id: str) -> CheckpointRow | None:
    """Return the row of a run's newest checkpoint, or None before the first."""
    checkpoints = sa.select(CheckpointRow).where(CheckpointRow.run_id == run_id)
    return session.scalars(checkpoints.order_by(CheckpointRow.number.desc()).limit(1)).one_or_none()


def is_at_pause(session: Session, run: RunRow) -> bool:
    """Whether a run has come to the steps at which its batch has it pause."""
    if run.pause_env_steps is None:
        return False
    checkpoint = newest_checkpoint(session, run.run_id)
    return checkpoint is not None and not checkpoint.final and checkpoint.env_steps >= run.pause_env_steps


def checkpoint_message(row: CheckpointRow) -> trainer_pb2.Checkpoint:
    """Return a checkpoint as the contract has it."""
    message = trainer_pb2.Checkpoint(
        env_steps=row.env_steps,
        artifact=artifact_pb2.Artifact(sha256=row.sha256, size_bytes=row.size_bytes, media_type=row.media_type),
        episode_return=row.episode_return,
        policy_id=row.policy_id,
        final=row.final,
        pruned=row.pruned,
    )
    if row.refusal_reason is not None:
        message.refusal.reason, message.refusal.message = row.refusal_reason, row.refusal_message or ""
    return message


def run_messages(session: Session, rows: Sequence[RunRow]) -> list[trainer_pb2.Run]:
    """Return runs as the contract has them, with their checkpoints."""
    checkpoints: dict[str, list[CheckpointRow]] = defaultdict(list)
    wanted = sa.select(CheckpointRow).where(CheckpointRow.run_id.in_([row.run_id for row in rows]))
    for checkpoint in session.scalars(wanted.order_by(CheckpointRow.number)):
        checkpoints[checkpoint.run_id].append(checkpoint)
    return [_run_message(row, checkpoints[row.run_id]) for row in rows]


def run_message(session: Session, run_id: str) -> trainer_pb2.Run:
    """Return one run; raises `TabrlError` NOT_FOUND / RUN_NOT_FOUND."""
    return run_messages(session, [run_row(session, run_id)])[0]


def events_after(session: Session, run_id: str, revision: int, limit: int) -> list[trainer_pb2.RunEvent]:
    """Return at most `limit` events of a run after a revision, in order."""
    rows = sa.select(EventRow.event).where(EventRow.run_id == run_id, EventRow.revision > revision)
    return [
        trainer_pb2.RunEvent.FromString(event)
        for event in session.scalars(rows.order_by(EventRow.revision).limit(limit))
    ]


def newest_events(session: Session, run_id: str, limit: int) -> list[trainer_pb2.RunEvent]:
    """Return the newest events of a run, at most `limit`, in order."""
    rows = sa.select(EventRow.event).where(EventRow.run_id == run_id).order_by(EventRow.revision.desc()).limit(limit)
    return [trainer_pb2.RunEvent.FromString(event) for event in session.scalars(rows)][::-1]


def timestamp(time: datetime.datetime) -> Timestamp:
    """Return a time as protobuf has it."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def _run_message(row: RunRow, checkpoints: Sequence[CheckpointRow]) -> trainer_pb2.Run:
    run = trainer_pb2.Run(
        run_id=row.run_id,
        spec=trainer_pb2.RunSpec.FromString(row.spec),
        state=cast("trainer_pb2.RunState.ValueType", row.state),
        revision=row.revision,
        checkpoints=[checkpoint_message(checkpoint) for checkpoint in checkpoints],
        create_time=timestamp(row.create_time),
        tags=tags_of(row),
        notes=row.notes,
        batch_id=row.batch_id,
    )
    if row.metrics is not None:
        run.metrics.ParseFromString(row.metrics)
    if row.cost_usd is not None:
        run.cost_usd = row.cost_usd
    if row.error_reason is not None:
        run.error.reason, run.error.message = row.error_reason, row.error_message or ""
    if row.start_time is not None:
        run.start_time.CopyFrom(timestamp(row.start_time))
    if row.end_time is not None:
        run.end_time.CopyFrom(timestamp(row.end_time))
    return run
