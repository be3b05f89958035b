"""Tables of the Trainer: runs, their events and checkpoints, and the attempts at training them."""

from __future__ import annotations

import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from tabrl_chassis.database import UtcDateTime
from tabrl_chassis.idempotency import request_ids_table


class Base(DeclarativeBase):
    """Declares the tables."""


class RunRow(Base):
    """One run. Protobuf messages are kept as their bytes; `number` orders runs by submission.

    `tags` stand between newlines, also before the first and after the last; `searched` is what a run is found by, in
    lower case. `lease_holder` is the Trainer that trains it or did last. `lease_until` is None once that one gave it
    up, and otherwise another time after each renewal, which is all that is read from it; see `leases`.
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
    lease_holder: Mapped[str] = mapped_column(sa.String(40), default="")
    lease_until: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)


class EventRow(Base):
    """One `RunEvent`, as its bytes."""

    __tablename__ = "events"

    run_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event: Mapped[bytes]


class CheckpointRow(Base):
    """One checkpoint and what became of its publication."""

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


class AttemptRow(Base):
    """One worker process: how it ended, and how fast it went."""

    __tablename__ = "attempts"

    run_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey("runs.run_id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str] = mapped_column(sa.String(20))
    start_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    end_time: Mapped[datetime.datetime | None] = mapped_column(UtcDateTime)
    startup_secs: Mapped[float | None]
    training_secs: Mapped[float]
    env_steps: Mapped[int] = mapped_column(sa.BigInteger)


REQUEST_IDS = request_ids_table(Base.metadata)
