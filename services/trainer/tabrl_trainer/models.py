"""Tables of the Trainer: runs, their events and checkpoints, files to be deleted, and the attempts at training them."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tabrl_chassis.database import UtcDateTime
from tabrl_chassis.idempotency import request_ids_table

from tabrl_trainer.compute import executor_of_row


class Base(DeclarativeBase):
    """Declares the tables."""


class RunRow(Base):
    """One run. Protobuf messages are kept as their bytes; `number` orders runs by submission.

    `tags` stand between newlines, also before the first and after the last; `searched` is what a run is found by, in
    lower case. `start_sha256` is the checkpoint that it goes on from, empty for none. `lease_holder` is the Trainer
    that trains it or did last, until `lease_until`; see `leases`. `executor` is that of the spec, see `compute`;
    `cost_usd` is None on the own machine.
    """

    __tablename__ = "runs"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(sa.String(36), unique=True)
    environment_id: Mapped[str] = mapped_column(sa.String(100), index=True)
    environment_fingerprint: Mapped[str] = mapped_column(sa.String(64))
    spec: Mapped[bytes]
    state: Mapped[int] = mapped_column(index=True)
    revision: Mapped[int]
    metrics: Mapped[bytes | None]
    error_reason: Mapped[str | None] = mapped_column(sa.String(60))
    error_message: Mapped[str | None] = mapped_column(sa.Text)
    cancel_requested: Mapped[bool]
    pause_requested: Mapped[bool] = mapped_column(default=False)
    publishing: Mapped[str] = mapped_column(sa.String(20))
    create_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    start_time: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    end_time: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    tags: Mapped[str] = mapped_column(sa.Text, default="")
    notes: Mapped[str] = mapped_column(sa.Text, default="")
    searched: Mapped[str] = mapped_column(sa.Text, default="")
    start_sha256: Mapped[str] = mapped_column(sa.String(64), default="", index=True)
    lease_holder: Mapped[str] = mapped_column(sa.String(40), default="")
    lease_until: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    executor: Mapped[str] = mapped_column(sa.String(20), default=executor_of_row)
    cost_usd: Mapped[float | None]


class EventRow(Base):
    """One `RunEvent`, as its bytes."""

    __tablename__ = "events"

    run_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[bytes]


class CheckpointRow(Base):
    """One checkpoint and what became of its publication; `pruned` where its file is not kept any more."""

    __tablename__ = "checkpoints"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey("runs.run_id"), index=True)
    env_steps: Mapped[int] = mapped_column(sa.BigInteger)
    sha256: Mapped[str] = mapped_column(sa.String(64))
    size_bytes: Mapped[int] = mapped_column(sa.BigInteger)
    media_type: Mapped[str] = mapped_column(sa.String(100))
    episode_return: Mapped[float | None]
    final: Mapped[bool]
    policy_id: Mapped[str] = mapped_column(sa.String(100))
    publication: Mapped[str] = mapped_column(sa.String(20), index=True)
    refusal_reason: Mapped[str | None] = mapped_column(sa.String(60))
    refusal_message: Mapped[str | None] = mapped_column(sa.Text)
    pruned: Mapped[bool] = mapped_column(default=False)


class UnwantedFileRow(Base):
    """One file in the store that nothing on record needs since a time; see `retention`."""

    __tablename__ = "unwanted_files"

    sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    since: Mapped[datetime.datetime] = mapped_column(UtcDateTime)


class AttemptRow(Base):
    """One worker: how it ended, and how fast it went.

    A worker elsewhere has a `call_id`, once its call is on record. A call has lives: each time that it starts again, a
    new one begins, whose events are numbered from 1. All until `heard_life`, `heard_seq` are on record; that life had
    then lasted `life_secs`, and all of them together `billed_secs`.
    """

    __tablename__ = "attempts"

    run_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str] = mapped_column(sa.String(20))
    start_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    end_time: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    startup_secs: Mapped[float | None]
    training_secs: Mapped[float]
    env_steps: Mapped[int] = mapped_column(sa.BigInteger)
    call_id: Mapped[str | None] = mapped_column(sa.String(100))
    heard_life: Mapped[int] = mapped_column(default=0)
    heard_seq: Mapped[int] = mapped_column(default=0)
    life_secs: Mapped[float] = mapped_column(default=0.0)
    billed_secs: Mapped[float] = mapped_column(default=0.0)


REQUEST_IDS = request_ids_table(Base.metadata)
