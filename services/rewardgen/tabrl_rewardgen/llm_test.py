"""RewardGen with a language model whose answers were recorded, and with one that fails in every way."""

import datetime
import json

import grpc
import pytest
import pytest_asyncio
import sqlalchemy as sa
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl_chassis.errors import TabrlError, error_from

from tabrl_rewardgen import llm
from tabrl_rewardgen.config import Config
from tabrl_rewardgen.conftest import ModelServer, Told, recorded, rewardgen
from tabrl_rewardgen.ledger import Ledger, LlmCallRow

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def model():
    server = ModelServer()
    yield server
    server.shutdown()
    server.server_close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory, model):
    options = {"llm_model": "openai/relay", "llm_api_base": model.base, "llm_timeout_secs": 60.0, "llm_attempts": 2}
    async with rewardgen(tmp_path_factory.mktemp("data"), **options) as stub:
        yield stub


def asking(prompt="keep the pole upright while swaying gently", environment_id="CartpoleBalance", **fields):
    return rewardgen_pb2.GenerateRewardRequest(prompt=prompt, environment_id=environment_id, **fields)


async def events_of(service, request):
    return [event async for event in service.GenerateReward(request)]


async def refused(service, request):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await events_of(service, request)
    return error_from(failed.value)


async def test_the_configured_model_is_the_default_and_the_library_stays(service):
    response = await service.ListModels(rewardgen_pb2.ListModelsRequest())
    assert [each.name for each in response.models] == ["openai/relay", "library"]


async def test_a_recorded_answer_becomes_a_reward_as_it_is_written(service, model):
    (exchange,) = recorded("sway")
    model.play(exchange["answer"])
    events = await events_of(service, asking())
    deltas = [event.source_delta for event in events if event.WhichOneof("event") == "source_delta"]
    reward = events[-1].reward
    assert len(deltas) > 10
    assert "".join(deltas) == reward.source
    assert reward.origin == rewardgen_pb2.REWARD_ORIGIN_LLM
    assert reward.model == "openai/relay"
    assert reward.explanation.startswith("You want the pole to stay up")
    assert {term.name: term.weight for term in reward.terms}["effort"] == pytest.approx(-0.1)
    assert (reward.usage.prompt_tokens, reward.usage.completion_tokens, reward.usage.calls) == (1000, 200, 1)
    assert not reward.usage.HasField("cost_usd")


async def test_a_refused_answer_is_repaired_with_its_diagnostics(service, model):
    # given a recorded answer with a body that the walker lacks, beside an `if` that was no part of the language when it
    # was recorded, and the recorded answer to its diagnostics
    first, second = recorded("walk_backwards")
    model.play(first["answer"], second["answer"])
    prompt = "Walk backwards slowly with long strides while whistling a tune"
    events = await events_of(service, asking(prompt, "WalkerWalk"))
    (repair,) = [event.repair for event in events if event.WhichOneof("event") == "repair"]
    assert repair.attempt == 1
    # places are those of the text as it was streamed, with its import line
    assert [(each.rule, each.line) for each in repair.diagnostics] == [("unknown-body", 10)]
    reward = events[-1].reward
    assert reward.usage.calls == 2
    assert list(reward.left_out) == ["whistling a tune"]
    told = model.requests[1]["messages"][-1]["content"]
    assert "left_heel" in told


WEIGHED = """def reward(state, action):
    return {"up": state.up("pole_1"), "effort": state.effort()}
"""


def answer_with(*terms):
    """Return a model's answer that weighs these terms."""
    return json.dumps({"source": WEIGHED, "terms": [{"name": name, "weight": weight} for name, weight in terms]})


async def test_weights_of_terms_that_are_not_there_are_remarked_on(service, model):
    model.play(answer_with(("up", 2.0), ("speed", 1.0)))
    reward = (await events_of(service, asking()))[-1].reward
    assert {term.name: term.weight for term in reward.terms} == {"up": 2.0, "effort": 1.0}
    said = [each.message for each in reward.diagnostics if each.rule == "answer-not-taken"]
    assert said == [
        "the model's answer was not taken whole: it weighs what its source does not return: speed",
        "the model's answer was not taken whole: it gives no weight for effort, so it is 1",
    ]


async def test_a_check_that_does_not_fit_the_robot_is_remarked_on(service, model):
    answer = json.loads(answer_with(("up", 1.0), ("effort", -0.1)))
    model.play(json.dumps({**answer, "check": "mean(up('nobody')) > 0"}))
    reward = (await events_of(service, asking()))[-1].reward
    assert reward.check == ""
    (remark,) = [each for each in reward.diagnostics if each.rule == "answer-not-taken"]
    assert "mean(up('nobody')) > 0" in remark.message


async def test_an_answer_that_weighs_nothing_is_repaired(service, model):
    model.play(answer_with(("up", 0), ("effort", 0)), answer_with(("up", 1), ("effort", 0)))
    events = await events_of(service, asking())
    (repair,) = [event.repair for event in events if event.WhichOneof("event") == "repair"]
    assert [each.rule for each in repair.diagnostics] == ["weightless"]
    assert {term.name: term.weight for term in events[-1].reward.terms} == {"up": 1.0, "effort": 0.0}


GARBAGE = {
    "garbage": "I would rather talk about the weather.",
    "cut short": '{"source": "def reward(state, action):\\n    return {\\"a\\": 1.0',
    "an escape": '{"source": "def reward(state, action):\\n    return {\\"a\\": ().__class__}"}',
    "nothing": "",
}


@pytest.mark.parametrize("answer", GARBAGE.values(), ids=GARBAGE)
async def test_unusable_answers_end_in_an_error_and_in_nothing_invented(service, model, answer):
    model.play(answer)
    error = await refused(service, asking())
    assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "PROVIDER_ANSWER_UNUSABLE")
    assert error.fields
    assert len(model.requests) == 2


FAILURES = {
    "rate limit": ((429, {"error": {"message": "slow down"}}), "RESOURCE_EXHAUSTED", "PROVIDER_RATE_LIMITED"),
    "bad key": ((401, {"error": {"message": "no such key"}}), "FAILED_PRECONDITION", "PROVIDER_AUTHENTICATION"),
    "server error": ((500, {"error": {"message": "oops"}}), "UNAVAILABLE", "PROVIDER_FAILED"),
    "unavailable": ((503, {"error": {"message": "down"}}), "UNAVAILABLE", "PROVIDER_FAILED"),
    "unknown model": ((404, {"error": {"message": "no such model"}}), "UNAVAILABLE", "PROVIDER_FAILED"),
}


@pytest.mark.parametrize(("answer", "code", "reason"), FAILURES.values(), ids=FAILURES)
async def test_a_failing_provider_is_a_typed_error(service, model, answer, code, reason):
    model.play(answer)
    error = await refused(service, asking())
    assert (error.code.name, error.reason) == (code, reason)
    assert answer[1]["error"]["message"] in error.metadata["provider_error"]


ANSWER = json.dumps({"source": "def reward(state, action):\n    return {'a': state.up('pole_1')}\n", "terms": []})
BROKEN = {
    "declined": (Told("I'm sorry, but I can't help with that."), "FAILED_PRECONDITION", "PROVIDER_REFUSED"),
    "filtered": (Told(ANSWER[:40], finish="content_filter"), "FAILED_PRECONDITION", "PROVIDER_REFUSED"),
    "cut off at the limit of tokens": (Told(ANSWER, finish="length"), "ABORTED", "PROVIDER_ANSWER_UNUSABLE"),
    "broken off": (Told(ANSWER, breaks_at=2), "UNAVAILABLE", "PROVIDER_FAILED"),
    "stalled": (Told(ANSWER, stalls_at=2, stalls_secs=6.0), "DEADLINE_EXCEEDED", "PROVIDER_TIMEOUT"),
}


@pytest.mark.parametrize(("answer", "code", "reason"), BROKEN.values(), ids=BROKEN)
async def test_an_answer_that_breaks_is_a_typed_error_and_paid_for(tmp_path, model, answer, code, reason):
    # given a model whose answer is refused, cut off, broken off or stalls, when a reward is asked for
    model.play(answer)
    options = {"llm_model": "openai/relay", "llm_api_base": model.base, "llm_attempts": 1, "llm_idle_secs": 2.0}
    async with rewardgen(tmp_path / "data", **options) as stub:
        error = await refused(stub, asking())
        # then the error says what happened, and the call is on record with what it cost until then
        assert (error.code.name, error.reason) == (code, reason)
        calls = await stub.database.read(lambda session: session.scalars(sa.select(LlmCallRow)).all())
    assert len(calls) == 1
    assert calls[0].prompt_tokens > 500
    assert len(model.requests) == 1


async def test_a_limited_model_says_how_long_to_wait(service, model):
    model.play((429, {"error": {"message": "slow down"}}, {"retry-after": "7"}))
    error = await refused(service, asking())
    assert error.reason == "PROVIDER_RATE_LIMITED"
    assert error.retry_after_secs == 7.0


async def test_a_key_is_never_said_nor_kept(tmp_path, model, capfd):
    # given a key in a file, and a provider that says it back
    keys = tmp_path / "keys"
    keys.write_text("OPENAI_API_KEY=sk-very-secret-key\n")
    keys.chmod(0o600)
    model.play((401, {"error": {"message": "the key sk-very-secret-key is wrong"}}))
    options = {"llm_model": "openai/relay", "llm_api_base": model.base, "llm_secrets_file": str(keys)}
    async with rewardgen(tmp_path / "data", **options) as stub:
        error = await refused(stub, asking())
    # then it was sent to the provider, and is in no error, log or database
    assert model.keys == {"Bearer sk-very-secret-key"}
    assert error.reason == "PROVIDER_AUTHENTICATION"
    said = f"{error.message} {error.metadata} {capfd.readouterr()}"
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert "sk-very-secret-key" not in said
    assert b"sk-very-secret-key" not in kept


async def test_every_call_is_put_on_record_also_where_its_answer_was_of_no_use(service, model):
    def recorded_calls(session):
        query = sa.select(LlmCallRow.model, LlmCallRow.prompt_tokens, LlmCallRow.completion_tokens, LlmCallRow.cost_usd)
        return [tuple(row) for row in session.execute(query)]

    before = await service.database.read(recorded_calls)
    model.play("I would rather talk about the weather.")
    await refused(service, asking())
    after = await service.database.read(recorded_calls)

    # the price of a model that nobody has heard of is not known
    assert after[len(before) :] == [("openai/relay", 1000, 200, None)] * 2


async def test_where_one_model_fails_the_next_one_is_asked_unless_one_was_named(tmp_path, model):
    (exchange,) = recorded("sway")
    options = {"llm_model": "openai/first,openai/second", "llm_api_base": model.base}
    async with rewardgen(tmp_path, **options) as stub:
        model.play((500, {"error": {"message": "oops"}}), (500, {"error": {"message": "oops"}}), exchange["answer"])
        named = await refused(stub, asking(model="openai/first"))
        model.play(
            (429, {"error": {"message": "slow down"}}), (429, {"error": {"message": "slow"}}), exchange["answer"]
        )
        events = await events_of(stub, asking())

    assert named.reason == "PROVIDER_FAILED"
    assert {request["model"] for request in model.requests} == {"first", "second"}
    said = [event.stage.message for event in events if event.HasField("stage")]
    assert "openai/first gave no reward (PROVIDER_RATE_LIMITED); asking openai/second" in said
    assert events[-1].reward.model == "openai/second"


async def test_a_day_has_a_budget(tmp_path, model):
    # given a model whose price is known, two calls of which are more than a day's budget
    model.play(*(exchange["answer"] for exchange in recorded("sway")))
    options = {"llm_model": "openai/gpt-4o", "llm_api_base": model.base, "llm_daily_budget_usd": 0.008}
    async with rewardgen(tmp_path, **options) as stub:
        for _ in range(2):
            assert (await events_of(stub, asking()))[-1].reward.usage.cost_usd == pytest.approx(0.0045)
        error = await refused(stub, asking())
        asked = len(model.requests)
        by_library = await events_of(stub, asking(model="library"))

    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LLM_BUDGET_SPENT")
    assert (error.metadata["spent_usd"], error.metadata["budget_usd"]) == ("0.0090", "0.0080")
    assert 0 < error.retry_after_secs <= 24 * 3600
    # and the provider was not asked again, nor is the library kept from anyone
    assert asked == 2
    assert by_library[-1].reward.origin == rewardgen_pb2.REWARD_ORIGIN_LIBRARY


async def test_a_budget_is_for_a_day(service):
    noon = datetime.datetime(2030, 1, 1, 12, tzinfo=datetime.UTC)
    yesterday = Ledger(service.database, 1.0, lambda: noon)
    await yesterday.add("openai/gpt-4o", llm.Usage(1, 1, 2.0, 1))

    with pytest.raises(TabrlError) as spent:
        await yesterday.require_budget()
    assert spent.value.retry_after_secs == 12 * 3600
    await Ledger(service.database, 1.0, lambda: noon + datetime.timedelta(hours=13)).require_budget()


async def test_the_library_is_used_only_when_asked_for(service, model):
    model.play((500, {"error": {"message": "oops"}}))
    events = await events_of(service, asking(model="library"))
    assert events[-1].reward.origin == rewardgen_pb2.REWARD_ORIGIN_LIBRARY
    assert model.requests == []


async def test_the_endpoint_is_that_of_the_openai_models_alone(tmp_path, monkeypatch):
    # given an endpoint without a key and two models, then the other provider's model keeps its own address and key
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = Config(
        data=tmp_path, llm_model="openai/relay,anthropic/claude-sonnet-4-5", llm_api_base="http://127.0.0.1:1/v1"
    )
    near, far = (llm._request(llm._litellm(), config, name, [], {}) for name in config.llm_models)
    assert (near["api_base"], near["api_key"]) == ("http://127.0.0.1:1/v1", "none")
    assert not {"api_base", "api_key"} & far.keys()


async def test_a_model_that_is_down_or_slow_is_a_typed_error(tmp_path):
    async with rewardgen(tmp_path / "down", llm_model="openai/relay", llm_api_base="http://127.0.0.1:1/v1") as stub:
        error = await refused(stub, asking())
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_FAILED")


async def test_a_model_that_never_answers_times_out(tmp_path, unused_tcp_port):
    import asyncio

    async def silent(reader, writer):
        await asyncio.sleep(60)

    server = await asyncio.start_server(silent, "127.0.0.1", unused_tcp_port)
    base = f"http://127.0.0.1:{unused_tcp_port}/v1"
    options = {"llm_model": "openai/relay", "llm_api_base": base, "llm_timeout_secs": 1.0}
    async with rewardgen(tmp_path, **options) as stub:
        error = await refused(stub, asking())
    server.close()
    assert (error.code, error.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "PROVIDER_TIMEOUT")
