"""RewardGen over a real socket, with the built-in library."""

import asyncio
import subprocess
import sys
import uuid

import grpc
import pytest
from tabrl.rewardgen.v1 import rewardgen_pb2, rewardgen_pb2_grpc
from tabrl_chassis.database import Database, schema_differences
from tabrl_chassis.errors import error_from
from tabrl_chassis.service import started
from tabrl_simulation.rewards.container import unpack

from tabrl_rewardgen.config import Config
from tabrl_rewardgen.conftest import rewardgen
from tabrl_rewardgen.service import SERVICE
from tabrl_rewardgen.storage import Base, add_reward

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEAD = "def reward(state, action):\n"
GOOD = HEAD + "    return {\n        # Points up.\n        'up': state.up('pole_1'),\n"
GOOD += "        'effort': state.effort(),\n    }\n"


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return error_from(failed.value)


def creation(**fields):
    request = {"prompt": "keep the pole upright while swaying gently", "scene_name": "CartpoleBalance"}
    return rewardgen_pb2.CreateRewardRequest(**{**request, **fields})


def compilation(source, **fields):
    return rewardgen_pb2.CompileRewardRequest(environment_id="CartpoleBalance", source=source, **fields)


async def test_models_are_the_library_when_nothing_is_configured(service):
    response = await service.ListModels(rewardgen_pb2.ListModelsRequest())
    assert [model.name for model in response.models] == ["library"]


async def test_a_generation_tells_its_stages_and_ends_with_the_reward(service):
    request = rewardgen_pb2.GenerateRewardRequest(prompt="balance the pole", environment_id="CartpoleBalance")
    events = [event async for event in service.GenerateReward(request)]
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["stage", "stage", "source_delta", "stage", "reward"]
    reward = events[-1].reward
    assert reward.origin == rewardgen_pb2.REWARD_ORIGIN_LIBRARY
    assert reward.source == events[2].source_delta
    assert not reward.HasField("usage")
    # each term is explained, weighs something, and stands on the line it names
    lines = reward.source.split("\n")
    for term in reward.terms:
        assert term.explanation
        assert term.weight
        assert f'"{term.name}"' in lines[term.line - 1]
    # and both sealed forms are in the store
    header, _ = unpack(service.artifacts.read(reward.program.sha256))
    assert header.terms == tuple(term.name for term in reward.terms)
    assert header.environment_fingerprint == reward.environment_fingerprint
    assert len(service.artifacts.read(reward.onnx.sha256)) == reward.onnx.size_bytes


async def test_a_created_reward_can_be_found_again(service):
    reward = (await service.CreateReward(creation(model="library"))).reward
    found = await service.GetReward(rewardgen_pb2.GetRewardRequest(reward_id=reward.reward_id))
    assert found.reward == reward
    assert "sways" in reward.explanation


async def test_the_same_request_id_gives_the_same_reward(service):
    request_id = str(uuid.uuid4())
    first = (await service.CreateReward(creation(request_id=request_id))).reward
    second = (await service.CreateReward(creation(request_id=request_id))).reward
    assert first == second
    error = await refused(service.CreateReward(creation(request_id=request_id, prompt="balance")))
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


async def test_rewards_are_listed_newest_first_in_pages(service):
    made = [f"reward-{number}" for number in range(3)]
    for reward_id in made:
        reward = rewardgen_pb2.Reward(reward_id=reward_id, environment_id="WalkerRun")
        await service.database.write(lambda session, reward=reward: add_reward(session, reward))
    request = rewardgen_pb2.ListRewardsRequest(page_size=2, environment_id="WalkerRun")
    first = await service.ListRewards(request)
    assert [reward.reward_id for reward in first.rewards] == made[:0:-1]
    request.page_token = first.next_page_token
    second = await service.ListRewards(request)
    assert second.rewards[0].reward_id == made[0]
    request.environment_id = "WalkerWalk"
    error = await refused(service.ListRewards(request))
    assert error.reason == "INVALID_PAGE_TOKEN"


async def test_a_page_of_large_rewards_ends_where_a_message_does(service):
    for number in range(3):
        reward = rewardgen_pb2.Reward(reward_id=f"large-{number}", environment_id="HopperHop", source="#" * (2 << 20))
        await service.database.write(lambda session, reward=reward: add_reward(session, reward))
    request, listed = rewardgen_pb2.ListRewardsRequest(environment_id="HopperHop"), []
    while not listed or request.page_token:
        page = await service.ListRewards(request)
        assert page.ByteSize() < 4 << 20
        listed += [reward.reward_id for reward in page.rewards]
        request.page_token = page.next_page_token
    assert listed == ["large-2", "large-1", "large-0"]


async def test_a_persons_source_is_sealed_with_its_weights_and_comments(service):
    response = await service.CompileReward(compilation(GOOD, weights={"effort": -0.1}, prompt="up!"))
    reward = response.reward
    assert reward.origin == rewardgen_pb2.REWARD_ORIGIN_PERSON
    assert {term.name: term.weight for term in reward.terms} == {"up": 1.0, "effort": -0.1}
    assert reward.terms[0].explanation == "Points up."
    assert reward.prompt == "up!"


async def test_weights_of_unknown_terms_are_refused(service):
    weights = {"speed": 1.0, "up": 2.0, "calm": 1.0}
    error = await refused(service.CompileReward(compilation(GOOD, weights=weights)))
    assert error.reason == "INVALID_FIELD"
    assert [field for field, _ in error.fields] == ["weights.calm", "weights.speed"]


async def test_weights_that_are_all_nothing_are_refused(service):
    error = await refused(service.CompileReward(compilation(GOOD, weights={"up": 0.0, "effort": 0.0})))
    assert (error.reason, error.fields[0][0]) == ("INVALID_FIELD", "weights")


BAD_SOURCES = {
    "syntax error": (HEAD + "    return {'a': 1.0\n", "source:2:12", "syntax-error"),
    "import": ("import os\n" + HEAD + "    return {'a': 1.0}\n", "source:1:1", "import-forbidden"),
    "printing": (HEAD + "    print(1.0)\n    return {'a': 1.0}\n", "source:2:5", "output-forbidden"),
    "match": (
        HEAD + "    match 1:\n        case _:\n            pass\n    return {'a': 1.0}\n",
        "source:2:5",
        "match-forbidden",
    ),
    "escape": (HEAD + "    x = ().__class__\n    return {'a': 1.0}\n", "source:2:9", "underscore-name"),
    "shape error": (HEAD + "    return {'a': state.qpos}\n", "source:2:13", "shape-error"),
    "not a number": (HEAD + "    return {'a': jnp.log(state.qpos[0])}\n", "source:2:13", "not-finite"),
    "unknown joint": (HEAD + "    return {'a': state.joint_position('knee')}\n", "source:2:39", "unknown-joint"),
    "below prose": ("Here:\n```python\n" + HEAD + "    return {'a': nothing}\n```", "source:4:18", "unknown-name"),
}


@pytest.mark.parametrize(("source", "place", "rule"), BAD_SOURCES.values(), ids=BAD_SOURCES)
async def test_refused_source_names_the_place(service, source, place, rule):
    error = await refused(service.CompileReward(compilation(source)))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REWARD_REJECTED")
    field, description = error.fields[0]
    assert field == place
    assert description.startswith(f"{rule}: ")


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"scene_name": "CartpoleBalanse"}, "NOT_FOUND", "ENVIRONMENT_NOT_FOUND"),
        ({"scene_name": ""}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"prompt": ""}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"prompt": "   \n"}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"prompt": "balance\x00 the pole"}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"prompt": "balance " * 12_500}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        ({"model": "openai/gpt-5"}, "FAILED_PRECONDITION", "MODEL_NOT_CONFIGURED"),
        ({"prompt": "recite a poem"}, "FAILED_PRECONDITION", "BEHAVIOUR_UNKNOWN"),
        ({"request_id": "not-a-uuid"}, "INVALID_ARGUMENT", "INVALID_FIELD"),
    ],
)
async def test_bad_requests_are_typed(service, fields, code, reason):
    error = await refused(service.CreateReward(creation(**fields)))
    assert (error.code.name, error.reason) == (code, reason)


async def test_an_unknown_behaviour_names_the_nearest(service):
    error = await refused(service.CreateReward(creation(prompt="spinny", scene_name="PendulumSwingup")))
    assert error.reason == "BEHAVIOUR_UNKNOWN"
    assert error.metadata["nearest"] == "spin round"


async def test_an_unknown_reward_is_not_found(service):
    error = await refused(service.GetReward(rewardgen_pb2.GetRewardRequest(reward_id="reward-none")))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "REWARD_NOT_FOUND")


async def test_without_scene_the_error_names_it(tmp_path):
    config = Config(data=tmp_path, scene_address="127.0.0.1:1", drain_secs=0.1)
    async with started(SERVICE, config) as running, grpc.aio.insecure_channel(running.address) as channel:
        error = await refused(rewardgen_pb2_grpc.RewardServiceStub(channel).CreateReward(creation()))
    assert error.reason == "SERVICE_UNAVAILABLE"
    assert error.metadata["service"] == "scene"


async def test_an_abandoned_generation_frees_its_place(tmp_path):
    # given room for one generation, when its caller goes away, then the next one is served
    async with rewardgen(tmp_path, generations=1) as stub:
        request = rewardgen_pb2.GenerateRewardRequest(prompt="balance the pole", environment_id="CartpoleBalance")
        call = stub.GenerateReward(request)
        await call.read()
        error = await refused(stub.CreateReward(creation()))
        assert error.reason == "TOO_MANY_REQUESTS"
        call.cancel()
        await asyncio.sleep(0.5)
        assert (await stub.CreateReward(creation())).reward.reward_id


async def test_the_schema_is_that_of_the_models(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'rewardgen.db'}")
    database.migrate("tabrl_rewardgen.migrations")
    assert schema_differences(database, Base.metadata) == []
    database.close()


async def test_an_idle_service_has_imported_nothing_heavy():
    code = (
        "import sys, tabrl_rewardgen.__main__\n"
        "print([name for name in ('jax', 'numpy', 'litellm', 'onnx', 'mujoco', 'openai') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
