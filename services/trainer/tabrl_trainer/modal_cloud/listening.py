"""Hears a call on Modal: reads its log, brings its checkpoints here, and puts each event on record exactly once.

What is on record says how far the log was heard: each event is put on record in the one transaction that moves that
place on, and an event that is not beyond it is dropped. So a Trainer that starts again, or another one, goes on from
there, and even two that listen at once, as when one was thought to be lost, say nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.failpoints import reach
from tabrl_chassis.logs import get_logger

from tabrl_trainer import attempts, leases
from tabrl_trainer.modal_cloud import names
from tabrl_trainer.modal_cloud.cloud import Call, CallEnd, Cloud, Ended, Said
from tabrl_trainer.models import RunRow
from tabrl_trainer.protocol import parse_event
from tabrl_trainer.record import Record, log, run_row
from tabrl_trainer.retries import PASSING, pauses
from tabrl_trainer.worker_events import WorkerEvents

SILENCE_SECS = 5.0
"""So long nothing is heard before it is looked whether the call has ended, or has begun a new life."""

_LAST_WORDS_SECS = 5.0
_READ_TIMES = 3

_log = get_logger("tabrl_trainer.modal")


@dataclass(frozen=True)
class Heard:
    """How far a log was heard: the life, and the number of the last of its events that is on record."""

    life: int
    seq: int


class Listener:
    """Listens to one call."""

    def __init__(
        self,
        cloud: Cloud,
        record: Record,
        artifacts: ArtifactStore,
        call: Call,
        *,
        events: WorkerEvents,
        holder: str,
        usd_per_sec: float,
    ) -> None:
        """`holder` is who this Trainer is."""
        self._cloud = cloud
        self._record = record
        self._artifacts = artifacts
        self._call = call
        self._run_id = call.run_id
        self._attempt = call.attempt
        self._events = events
        self._holder = holder
        self._usd_per_sec = usd_per_sec
        self.lacks_final = False
        """Whether the run's last checkpoint came damaged."""

    async def listen(self) -> CallEnd:
        """Hear a call to its end, from where its log is on record; may be called again after an error.

        Raises:
            TabrlError: COMPUTE_…, Modal cannot be reached.
            LeaseLost: another Trainer has the run.
        """
        stream = self._call.stream
        heard = await self._record.read_persistently(self._resume)
        end: CallEnd | None = None
        while True:
            heard, whole = await self._hear_page(heard, 0.0 if end else SILENCE_SECS)
            if whole:
                with contextlib.suppress(TabrlError):  # what stays is cleared by Modal after a day
                    await self._cloud.clear(stream, heard.life, names.page_after(heard.seq - 1))
                continue
            if await self._cloud.has_life(stream, heard.life + 1):
                # What the life before said last was said before the new one was claimed.
                heard, whole = await self._hear_page(heard, 0.0, with_gaps=True)
                if not whole:
                    heard = await self._next_life(heard)
                continue
            if end is not None:
                heard, whole = await self._hear_page(heard, 0.0, with_gaps=True)
                if whole:
                    continue
                await self._finish(end)
                with contextlib.suppress(TabrlError):
                    await self._cloud.clear(stream, heard.life, names.page_after(heard.seq))
                return end
            end = await self._cloud.end_of(self._call.call_id, _LAST_WORDS_SECS if self._events.said_last else 0.0)

    def _resume(self, session: Session) -> Heard:
        row = attempts.row(session, self._run_id, self._attempt)
        run = run_row(session, self._run_id)
        if row.startup_secs is not None and run.metrics is not None:
            steps = trainer_pb2.TrainingMetrics.FromString(run.metrics).env_steps
            self._events.measure_from(row.startup_secs, steps - row.env_steps)
        return Heard(row.heard_life, row.heard_seq)

    async def _hear_page(self, heard: Heard, silence_secs: float, *, with_gaps: bool = False) -> tuple[Heard, bool]:
        """Put on record what a page holds beyond what was heard; returns the place then, and whether the page is whole.

        Events are put on record in order: one that comes before another that is missing waits for it, `with_gaps` only
        until the page ends: then nothing can come any more.
        """
        page = names.page_after(heard.seq)
        early: dict[int, Said] = {}
        async with contextlib.aclosing(
            self._cloud.listen(self._call.stream, heard.life, page, silence_secs)
        ) as listening:
            async for said in listening:
                if said.seq > heard.seq:
                    early[said.seq] = said
                while heard.seq + 1 in early:
                    heard = await self._put(heard.life, early.pop(heard.seq + 1))
                if names.page_after(heard.seq) > page:
                    return heard, True
                if silence_secs and self._events.said_last is not None:
                    break  # nothing comes after its last words
        if with_gaps:
            for seq in sorted(early):
                heard = await self._put(heard.life, early[seq])
        return heard, names.page_after(heard.seq) > page

    async def _put(self, life: int, said: Said) -> Heard:
        place = Heard(life, said.seq)
        if said.event.HasField("checkpoint") and not await self._bring(said.event.checkpoint):
            await self._leave_out(place, said)
        else:
            await self._events.put(said.event, lambda session, run: self._admit(session, run, place, said.secs))
            if not said.event.HasField("state_changed"):
                reach("trainer.said_recorded")
        return place

    def _admit(self, session: Session, run: RunRow, place: Heard, secs: float) -> bool:
        """Move the place on record to an event's; False where it is there already."""
        leases.require(run, self._holder)
        row = attempts.row(session, self._run_id, self._attempt)
        if (place.life, place.seq) <= (row.heard_life, row.heard_seq):
            return False
        self._bill(session, run, place.life, secs)
        row.heard_life, row.heard_seq = place.life, place.seq
        return True

    def _bill(self, session: Session, run: RunRow, life: int, secs: float) -> None:
        """Count the seconds that a life has lasted, and what the run has cost."""
        row = attempts.row(session, self._run_id, self._attempt)
        before = row.life_secs if life == row.heard_life else 0.0
        row.billed_secs += max(secs - before, 0.0)
        row.life_secs = max(secs, before)
        session.flush()
        run.cost_usd = attempts.billed_secs(session, self._run_id) * self._usd_per_sec

    async def _bring(self, checkpoint: trainer_pb2.Checkpoint) -> bool:
        """Bring a checkpoint from the volume into the artifact store; False where it cannot be had whole."""
        sha256 = checkpoint.artifact.sha256
        if await asyncio.to_thread(self._artifacts.renew, sha256):
            return True
        for pause, _ in zip(pauses(), range(_READ_TIMES), strict=False):
            data = await self._cloud.read(self._run_id, sha256)
            if data is not None and hashlib.sha256(data).hexdigest() == sha256:
                await self._keep(data, checkpoint.artifact.media_type)
                return True
            _log.warning("a checkpoint came damaged", run=self._run_id, sha256=sha256, bytes=len(data or b""))
            await asyncio.sleep(pause)
        return False

    async def _keep(self, data: bytes, media_type: str) -> None:
        """Store a checkpoint, as often as it takes while the disk is full or the store is away."""
        for pause in pauses():
            try:
                await asyncio.to_thread(self._artifacts.put, data, media_type)
            except TabrlError as error:
                if error.code not in PASSING:
                    raise
                _log.warning("a checkpoint cannot be stored yet", run=self._run_id, cause=str(error))
            else:
                reach("trainer.checkpoint_brought")
                return
            await asyncio.sleep(pause)

    async def _leave_out(self, place: Heard, said: Said) -> None:
        checkpoint = said.event.checkpoint
        self.lacks_final = self.lacks_final or checkpoint.final

        def write(session: Session, run: RunRow) -> None:
            if not attempts.is_current(session, self._run_id, self._attempt):
                raise leases.LeaseLost(self._run_id)
            if self._admit(session, run, place, said.secs):
                text = f"The checkpoint after {checkpoint.env_steps:,} steps came damaged from Modal and is left out."
                log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)

        await self._record.write_persistently(self._run_id, write)

    async def _next_life(self, heard: Heard) -> Heard:
        """Go on with the life after this one, and say so."""
        place = Heard(heard.life + 1, 0)

        def write(session: Session, run: RunRow) -> None:
            if not attempts.is_current(session, self._run_id, self._attempt):
                raise leases.LeaseLost(self._run_id)
            leases.require(run, self._holder)
            row = attempts.row(session, self._run_id, self._attempt)
            if (row.heard_life, row.heard_seq) < (place.life, place.seq):
                row.heard_life, row.heard_seq, row.life_secs = place.life, 0, 0.0
                text = (
                    "Modal took the machine back and started training again on another one, from the newest checkpoint."
                )
                log(session, run, trainer_pb2.LOG_LEVEL_WARNING, text)

        await self._record.write_persistently(self._run_id, write)
        self._events.measure_from(None, 0)
        return place

    async def _finish(self, end: CallEnd) -> None:
        """Hear what could not be told before, count the last seconds, and learn what the worker said last.

        An earlier Trainer may have heard that.
        """
        if end.how is not Ended.RETURNED:
            return
        for said in _untold(end.answer):
            await self._put(end.answer["life"], said)
        if last := end.answer.get("last"):
            await self._events.put(parse_event(last))

        def write(session: Session, run: RunRow) -> None:
            leases.require(run, self._holder)
            self._bill(session, run, end.answer["life"], end.answer["secs"])
            if run.metrics is not None:
                self._tell_cost(session, run)

        await self._record.write_persistently(self._run_id, write)

    def _tell_cost(self, session: Session, run: RunRow) -> None:
        metrics = trainer_pb2.TrainingMetrics.FromString(run.metrics or b"")
        metrics.cost_usd = run.cost_usd or 0.0
        run.metrics = metrics.SerializeToString()


def _untold(answer: Mapping[str, Any]) -> list[Said]:
    """Return the events that a life could not append to its log, numbered as if it had."""
    return [
        Said(answer["said"] + number, answer["secs"], trainer_pb2.RunEvent.FromString(event))
        for number, event in enumerate(answer.get("untold", ()), 1)
    ]
