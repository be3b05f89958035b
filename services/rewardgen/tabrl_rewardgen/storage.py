"""Rewards on record: one row each, holding the contract's own message."""

from __future__ import annotations

import datetime
import hashlib
import uuid

import grpc
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.errors import TabrlError
from tabrl_chassis.idempotency import request_ids_table
from tabrl_chassis.pagination import Page, how_many_fit

__all__ = [
    "ApproachRow",
    "Base",
    "RewardRow",
    "add_reward",
    "approaches_of",
    "find_reward",
    "keep_approach",
    "new_set_id",
    "page_of_rewards",
    "save_reward",
    "saved_rewards",
]


class Base(DeclarativeBase):
    """The models of RewardGen's database."""


request_ids_table(Base.metadata)


class RewardRow(Base):
    """A sealed reward. `sequence` orders them by when they were made; `message` is the `Reward`, serialized."""

    __tablename__ = "rewards"

    sequence: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    reward_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    environment_id: Mapped[str] = mapped_column(sa.String(100), index=True)
    create_time: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True))
    message: Mapped[bytes] = mapped_column(sa.LargeBinary)
    saved_name: Mapped[str] = mapped_column(sa.String(200), default="")


class ApproachRow(Base):
    """What became of one of the approaches that were written together: a reward, or the same as another of them.

    `digest` tells rewards apart; only the row of the one that is kept has it.
    """

    __tablename__ = "approaches"
    __table_args__ = (sa.UniqueConstraint("set_id", "digest", name="uq_approaches_digest"),)

    set_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    number: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    reward_id: Mapped[str] = mapped_column(sa.String(40), default="")
    same_as: Mapped[int] = mapped_column(sa.Integer, default=0)
    digest: Mapped[str | None] = mapped_column(sa.String(64))


def add_reward(session: Session, reward: rewardgen_pb2.Reward) -> str:
    """Keep a reward and return its id."""
    session.add(
        RewardRow(
            reward_id=reward.reward_id,
            environment_id=reward.environment_id,
            create_time=reward.create_time.ToDatetime(datetime.UTC),
            message=reward.SerializeToString(deterministic=True),
        )
    )
    return reward.reward_id


def approaches_of(session: Session, set_id: str) -> list[rewardgen_pb2.GenerateApproachesResponse]:
    """Return what became of the approaches that were written together, as far as it is known, by their numbers."""
    query = (
        sa.select(ApproachRow, RewardRow)
        .outerjoin(RewardRow, RewardRow.reward_id == ApproachRow.reward_id)
        .where(ApproachRow.set_id == set_id)
        .order_by(ApproachRow.number)
    )
    return [_approach(approach, reward) for approach, reward in session.execute(query)]


def keep_approach(
    session: Session, set_id: str, number: int, reward: rewardgen_pb2.Reward
) -> rewardgen_pb2.GenerateApproachesResponse:
    """Keep the reward that an approach came to, and return what became of the approach.

    A reward that another approach of the set came to is not kept again, and what is known of this one stays.
    """
    known = next((each for each in approaches_of(session, set_id) if each.approach == number), None)
    if known is not None:
        return known
    digest = _digest(reward)
    same = session.scalar(sa.select(ApproachRow.number).filter_by(set_id=set_id, digest=digest))
    if same is not None:
        session.add(ApproachRow(set_id=set_id, number=number, same_as=same))
        return rewardgen_pb2.GenerateApproachesResponse(approach=number, same_as=same)
    add_reward(session, reward)
    session.add(ApproachRow(set_id=set_id, number=number, reward_id=reward.reward_id, digest=digest))
    return rewardgen_pb2.GenerateApproachesResponse(approach=number, reward=reward)


def new_set_id(_session: Session) -> str:
    """Return an id for approaches that are written together."""
    return f"approaches-{uuid.uuid4().hex[:16]}"


def _approach(row: ApproachRow, reward: RewardRow | None) -> rewardgen_pb2.GenerateApproachesResponse:
    if reward is None:
        return rewardgen_pb2.GenerateApproachesResponse(approach=row.number, same_as=row.same_as)
    kept = rewardgen_pb2.Reward.FromString(reward.message)
    return rewardgen_pb2.GenerateApproachesResponse(approach=row.number, reward=kept)


def _digest(reward: rewardgen_pb2.Reward) -> str:
    """Return what tells rewards apart: the sealed program and the weights of its terms."""
    weights = sorted((term.name, term.weight) for term in reward.terms)
    return hashlib.sha256(f"{reward.program.sha256} {weights}".encode()).hexdigest()


def save_reward(session: Session, reward_id: str, name: str) -> rewardgen_pb2.Reward:
    """Name a reward as the person's own, or forget it where the name is empty; return it.

    Raises:
        TabrlError: REWARD_NOT_FOUND.
    """
    reward = find_reward(session, reward_id)
    reward.saved_name = name
    row = session.scalars(sa.select(RewardRow).where(RewardRow.reward_id == reward_id)).one()
    row.saved_name, row.message = name, reward.SerializeToString(deterministic=True)
    return reward


def saved_rewards(session: Session, environment_id: str, fingerprint: str) -> list[rewardgen_pb2.Reward]:
    """Return the rewards that a person saved for an environment as it is now, newest first."""
    query = sa.select(RewardRow).where(RewardRow.environment_id == environment_id, RewardRow.saved_name != "")
    rows = session.scalars(query.order_by(RewardRow.sequence.desc()))
    rewards = [rewardgen_pb2.Reward.FromString(row.message) for row in rows]
    return [reward for reward in rewards if reward.environment_fingerprint == fingerprint]


def find_reward(session: Session, reward_id: str) -> rewardgen_pb2.Reward:
    """Return a reward.

    Raises:
        TabrlError: REWARD_NOT_FOUND.
    """
    row = session.scalar(sa.select(RewardRow).where(RewardRow.reward_id == reward_id))
    if row is None:
        raise TabrlError(
            grpc.StatusCode.NOT_FOUND,
            "REWARD_NOT_FOUND",
            f"There is no reward {reward_id!r}.",
            metadata={"reward_id": reward_id},
        )
    return rewardgen_pb2.Reward.FromString(row.message)


def page_of_rewards(
    session: Session, environment_id: str, page: Page, *, saved: bool = False
) -> tuple[list[rewardgen_pb2.Reward], str]:
    """Return a page of rewards, newest first, and the token of the next page (empty on the last).

    With `saved`, only those that a person saved.
    """
    query = sa.select(RewardRow).order_by(RewardRow.sequence.desc()).limit(page.size + 1)
    if environment_id:
        query = query.where(RewardRow.environment_id == environment_id)
    if saved:
        query = query.where(RewardRow.saved_name != "")
    if (after := page.after_number()) is not None:
        query = query.where(RewardRow.sequence < after)
    rows = list(session.scalars(query))
    shown = rows[: how_many_fit(len(row.message) for row in rows[: page.size])]
    token = page.token(str(shown[-1].sequence)) if len(rows) > len(shown) else ""
    return [rewardgen_pb2.Reward.FromString(row.message) for row in shown], token
