"""Several rewards at once, how they fare on real states, and those that people save."""

import asyncio
import uuid

import grpc
import pytest
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.errors import error_from

from tabrl_rewardgen import library
from tabrl_rewardgen.conftest import rewardgen

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROMPT = "keep the pole upright while swaying gently"
SOURCE = """def reward(state, action):
    return {
        "up": state.up("pole_1"),
        "far": jnp.where(state.joint_position("slider") > 1.4, 1.0, 0.0),
        "whisper": 0.000001 * state.effort(),
    }
"""


async def approaches(service, **fields):
    request = rewardgen_pb2.GenerateApproachesRequest(
        **{"prompt": PROMPT, "environment_id": "CartpoleBalance", **fields}
    )
    return [event async for event in service.GenerateApproaches(request)]


async def test_three_approaches_differ_and_say_what_to_expect(service):
    # when approaches are asked for, then three come, each named, explained and of a program of its own
    rewards = [event.reward for event in await approaches(service) if event.HasField("reward")]
    assert len(rewards) == 3
    assert len({reward.program.sha256 for reward in rewards}) == 3
    assert {reward.name for reward in rewards} == {"As asked", "Smooth", "All at once"}
    for reward in rewards:
        assert reward.expected_behaviour
        assert reward.tier.tier == rewardgen_pb2.TIER_FULL
        assert reward.tier.reason


async def test_the_same_program_comes_once(service):
    # given an author with three ways, when five approaches are asked for, then two are said to be the same as others
    events = await approaches(service, count=5)
    assert sum(event.HasField("reward") for event in events) == 3
    assert {event.same_as for event in events if event.HasField("same_as")} <= {1, 2, 3, 4, 5}
    assert sum(event.HasField("same_as") for event in events) == 2


def outcomes(events):
    """Return by number which reward an approach came to, or which other it is the same as."""
    ended = [event for event in events if event.HasField("reward") or event.HasField("same_as")]
    return {event.approach: event.reward.reward_id or event.same_as for event in ended}


async def test_asking_again_gives_the_same_rewards_under_the_same_numbers(service):
    request_id = str(uuid.uuid4())
    first = await approaches(service, request_id=request_id, count=5)
    again = await approaches(service, request_id=request_id, count=5)
    assert outcomes(again) == outcomes(first)
    assert [event.approach for event in again] == [1, 2, 3, 4, 5]


async def test_what_is_written_whole_comes_again_though_scene_is_away(tmp_path):
    request_id = str(uuid.uuid4())
    async with rewardgen(tmp_path) as stub:
        first = await approaches(stub, request_id=request_id)
        await stub.scene.stop(None)
        assert outcomes(await approaches(stub, request_id=request_id)) == outcomes(first)


async def test_asking_again_after_the_stream_broke_goes_on_with_what_was_written(service):
    # given a caller who lost the stream after the first reward
    before = len((await service.ListRewards(rewardgen_pb2.ListRewardsRequest(page_size=500))).rewards)
    request = rewardgen_pb2.GenerateApproachesRequest(
        prompt=PROMPT, environment_id="CartpoleBalance", request_id=str(uuid.uuid4())
    )
    broken = service.GenerateApproaches(request)
    written = await anext(aiter_rewards(broken))
    broken.cancel()
    # when it asks again, then that reward comes again, and the others beside it
    again = outcomes([event async for event in service.GenerateApproaches(request)])
    assert set(again) == {1, 2, 3}
    assert again[written.approach] == written.reward.reward_id
    # and no reward was kept twice
    kept = (await service.ListRewards(rewardgen_pb2.ListRewardsRequest(page_size=500))).rewards
    assert len(kept) == before + 3


async def aiter_rewards(call):
    """Yield the events that bring a reward."""
    async for event in call:
        if event.HasField("reward"):
            yield event


async def test_two_calls_at_once_with_one_id_write_once(service):
    request_id = str(uuid.uuid4())
    one, other = await asyncio.gather(
        approaches(service, request_id=request_id), approaches(service, request_id=request_id)
    )
    assert outcomes(one) == outcomes(other)
    assert sum(any(event.HasField("stage") for event in events) for events in (one, other)) == 1


async def test_where_none_can_be_written_the_first_error_is_the_calls(service):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await approaches(service, prompt="compose a symphony about taxes")
    assert error_from(failed.value).reason == "BEHAVIOUR_UNKNOWN"


async def test_a_reward_is_tried_on_real_states(service):
    # given a reward with a term that no beginner ever sees and one that hardly counts
    compile_request = rewardgen_pb2.CompileRewardRequest(environment_id="CartpoleBalance", source=SOURCE)
    reward = (await service.CompileReward(compile_request)).reward
    # then both are named, and so is what idling earns
    rules = {remark.rule: remark for remark in reward.diagnostics}
    assert rules["never-moves"].line == 4
    assert rules["hardly-counts"].line == 5
    assert reward.trial.states == 4 * 32
    up = next(term for term in reward.terms if term.name == "up")
    assert -1.0 <= up.trial.low <= up.trial.mean <= up.trial.high <= 1.0
    assert reward.trial.idle_reward == pytest.approx(
        sum(term.weight * term.trial.idle for term in reward.terms), abs=1e-6
    )


async def test_idling_that_pays_is_named(service):
    source = "def reward(state, action):\n    return {'calm': 1.0 - state.effort()}\n"
    request = rewardgen_pb2.CompileRewardRequest(environment_id="CartpoleBalance", source=source)
    reward = (await service.CompileReward(request)).reward
    assert "idling-pays" in {remark.rule for remark in reward.diagnostics}


async def test_a_reward_is_saved_listed_and_forgotten(service):
    request = rewardgen_pb2.CompileRewardRequest(environment_id="CartpoleBalance", source=SOURCE, prompt="my sway")
    reward = (await service.CompileReward(request)).reward
    saved = await service.SaveReward(rewardgen_pb2.SaveRewardRequest(reward_id=reward.reward_id, name=" my  sway "))
    assert saved.reward.saved_name == "my sway"
    listed = await service.ListRewards(rewardgen_pb2.ListRewardsRequest(saved=True))
    assert [each.reward_id for each in listed.rewards] == [reward.reward_id]
    # and the library answers with it whoever asks for the same in other words
    asked = rewardgen_pb2.GenerateRewardRequest(prompt="My sway", environment_id="CartpoleBalance", model="library")
    events = [event async for event in service.GenerateReward(asked)]
    assert events[-1].reward.reward_id == reward.reward_id
    assert "my sway" in events[-2].stage.message
    await service.SaveReward(rewardgen_pb2.SaveRewardRequest(reward_id=reward.reward_id))
    assert not (await service.ListRewards(rewardgen_pb2.ListRewardsRequest(saved=True))).rewards
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await service.SaveReward(rewardgen_pb2.SaveRewardRequest(reward_id="reward-none", name="x"))
    assert error_from(failed.value).reason == "REWARD_NOT_FOUND"


async def test_the_librarys_approaches_keep_its_costs(robot):
    found = library.write(PROMPT, robot("CartpoleBalance"))
    together = library.approach(found, 3)
    assert together.weights["effort"] == found.weights["effort"]
    wanted = sum(weight for weight in found.weights.values() if weight > 0)
    assert together.weights["together"] == pytest.approx(wanted)
