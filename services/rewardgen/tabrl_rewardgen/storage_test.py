"""Approaches on record, on each kind of database, and those of before a schema changed."""

import datetime

import pytest
import sqlalchemy as sa
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.database import Database

from tabrl_rewardgen.storage import approaches_of, keep_approach

pytestmark = pytest.mark.asyncio

MIGRATIONS = "tabrl_rewardgen.migrations"


@pytest.fixture
def database(database_url):
    """An empty database of RewardGen."""
    opened = Database(database_url)
    opened.migrate(MIGRATIONS)
    yield opened
    opened.close()


def reward(reward_id, program="a", **weights):
    """Return a reward with a program and weights."""
    made = rewardgen_pb2.Reward(
        reward_id=reward_id,
        environment_id="CartpoleBalance",
        terms=[rewardgen_pb2.RewardTerm(name=name, weight=weight) for name, weight in weights.items()],
    )
    made.program.sha256 = program
    made.create_time.GetCurrentTime()
    return made


async def keep(database, number, made, set_id="one"):
    """Keep a reward; return its id, or the number of the approach that it is the same as."""
    approach = await database.write(lambda session: keep_approach(session, set_id, number, made))
    return approach.reward.reward_id or approach.same_as


async def test_what_came_out_the_same_is_kept_once(database):
    assert await keep(database, 2, reward("r2", up=1.0)) == "r2"
    assert await keep(database, 1, reward("r1", up=1.0)) == 2
    # another weight or another program is another reward, and so is that of other approaches
    assert await keep(database, 3, reward("r3", up=2.0)) == "r3"
    assert await keep(database, 4, reward("r4", program="b", up=1.0)) == "r4"
    assert await keep(database, 1, reward("r5", up=1.0), set_id="two") == "r5"
    known = await database.read(lambda session: approaches_of(session, "one"))
    assert [each.reward.reward_id or each.same_as for each in known] == [2, "r2", "r3", "r4"]


async def test_what_is_known_of_an_approach_stays(database):
    await keep(database, 1, reward("r1", up=1.0))
    assert await keep(database, 1, reward("r2", up=2.0)) == "r1"


async def test_approaches_of_before_they_were_numbered_are_found_in_their_order(database_url):
    database = Database(database_url)
    database.migrate(MIGRATIONS, "0003")
    rows = [("reward-b", "one"), ("reward-a", "one"), ("reward-alone", ""), ("reward-c", "two")]
    with database.engine.begin() as connection:
        for reward_id, set_id in rows:
            connection.execute(
                sa.text(
                    "INSERT INTO rewards (reward_id, environment_id, create_time, message, set_id) "
                    "VALUES (:reward_id, 'CartpoleBalance', :now, :message, :set_id)"
                ),
                {
                    "reward_id": reward_id,
                    "now": datetime.datetime.now(datetime.UTC),
                    "message": rewardgen_pb2.Reward(reward_id=reward_id).SerializeToString(),
                    "set_id": set_id,
                },
            )
    database.migrate(MIGRATIONS)
    one = await database.read(lambda session: approaches_of(session, "one"))
    assert [(each.approach, each.reward.reward_id) for each in one] == [(1, "reward-b"), (2, "reward-a")]
    two = await database.read(lambda session: approaches_of(session, "two"))
    assert [(each.approach, each.reward.reward_id) for each in two] == [(1, "reward-c")]
    database.close()
