"""RewardGen names the files of every reward that it has on record, over a real socket."""

import pytest
from tabrl.artifacts.v1 import artifacts_pb2, artifacts_pb2_grpc
from tabrl_chassis.client import open_channel
from tabrl_chassis.service import started

from tabrl_rewardgen.config import Config
from tabrl_rewardgen.service import SERVICE
from tabrl_rewardgen.storage import add_reward, keep_approach, save_reward
from tabrl_rewardgen.storage_test import reward

pytestmark = pytest.mark.asyncio


def with_files(reward_id, program, onnx):
    """Return a reward whose files have these digests."""
    made = reward(reward_id, program=program, up=1.0)
    made.onnx.sha256 = onnx
    return made


async def test_the_files_of_every_reward_are_named(tmp_path, database_url):
    # given a reward of each way onto the record: written or compiled, one of several approaches, saved by a person
    config = Config(data=tmp_path, database_url=database_url, drain_secs=0.1)
    async with started(SERVICE, config) as running, open_channel(running.address) as channel:
        database = running.context.database
        await database.write(lambda session: add_reward(session, with_files("r1", "a" * 64, "b" * 64)))
        await database.write(lambda session: keep_approach(session, "set", 1, with_files("r2", "c" * 64, "d" * 64)))
        await database.write(lambda session: add_reward(session, with_files("r3", "e" * 64, "f" * 64)))
        await database.write(lambda session: save_reward(session, "r3", "my dance"))

        # when it is asked what it names
        stub = artifacts_pb2_grpc.ReferenceServiceStub(channel)
        told = [part async for part in stub.ListReferences(artifacts_pb2.ListReferencesRequest())]

    # then these are all of their files
    assert {digest for part in told for digest in part.sha256} == {letter * 64 for letter in "abcdef"}
