"""Rewards that were kept before a schema changed are found after it."""

import datetime

import pytest
import sqlalchemy as sa
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.database import Database

from tabrl_rewardgen.storage import approaches_of

MIGRATIONS = "tabrl_rewardgen.migrations"


@pytest.mark.asyncio
async def test_approaches_of_before_they_were_numbered_are_found_in_their_order(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'rewardgen.db'}")
    database.migrate(MIGRATIONS, "0003")
    rows = [("reward-b", "one"), ("reward-a", "one"), ("reward-alone", ""), ("reward-c", "two")]
    with database.engine.begin() as connection:
        for reward_id, set_id in rows:
            message = rewardgen_pb2.Reward(reward_id=reward_id).SerializeToString()
            connection.execute(
                sa.text(
                    "INSERT INTO rewards (reward_id, environment_id, create_time, message, set_id) "
                    "VALUES (:reward_id, 'CartpoleBalance', :now, :message, :set_id)"
                ),
                {
                    "reward_id": reward_id,
                    "now": datetime.datetime.now(datetime.UTC),
                    "message": message,
                    "set_id": set_id,
                },
            )
    database.migrate(MIGRATIONS)
    one = await database.read(lambda session: approaches_of(session, "one"))
    assert [(each.approach, each.reward.reward_id) for each in one] == [(1, "reward-b"), (2, "reward-a")]
    two = await database.read(lambda session: approaches_of(session, "two"))
    assert [(each.approach, each.reward.reward_id) for each in two] == [(1, "reward-c")]
    database.close()
