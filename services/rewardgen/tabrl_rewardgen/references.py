"""Which files of the artifact store RewardGen names: the program and the graph of every reward on record."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.references import digests_in

from tabrl_rewardgen.storage import RewardRow

__all__ = ["named_files"]


def named_files(session: Session) -> set[str]:
    """Return the digests. What an improvement writes is on record before anyone hears of it."""
    messages = session.scalars(sa.select(RewardRow.message))
    return {digest for message in messages for digest in digests_in(rewardgen_pb2.Reward.FromString(message))}
