"""What is refused of a batch before anything is trained, and the field that is named."""

import dataclasses
import math

import pytest
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.database import Database
from tabrl_simulation.settings import WHOLE_NUMBERS

from tabrl_trainer.batches_test import CHECK, batch_of, refusal, search_of, spec_of
from tabrl_trainer.conftest import trainer
from tabrl_trainer.create_run_test import reward_for
from tabrl_trainer.models import RunRow
from tabrl_trainer.search_parameters import SETTINGS, is_number, is_whole
from tabrl_trainer.speeds import default_speed

DIGEST = "0" * 64
FIRST, SECOND = "spec.search.parameters[0].choices.values[0]", "spec.search.parameters[0].choices.values[1]"


@pytest.fixture
def database_url():
    """Refusals do not depend on the kind of database."""
    return ""


def changed(spec: batches_pb2.BatchSpec, change) -> batches_pb2.BatchSpec:
    change(spec)
    return spec


def parameter(name: str, low: float = 0.0, high: float = 1.0, *, log: bool = False):
    return batches_pb2.SearchParameter(name=name, range=batches_pb2.ParameterRange(low=low, high=high, log=log))


def choice(name: str, *values: str):
    return batches_pb2.SearchParameter(name=name, choices=batches_pb2.ParameterChoices(values=values))


def searching(*parameters) -> batches_pb2.BatchSpec:
    spec = search_of(4)
    del spec.search.parameters[:]
    spec.search.parameters.extend(parameters)
    return spec


def three(**fields) -> batches_pb2.BatchSpec:
    """Three candidates, of which the third is odd."""
    spec = batch_of("0.1", "0.2", "0.3")
    spec.candidates[2].spec.MergeFrom(trainer_pb2.RunSpec(**fields))
    return spec


REFUSED = {
    "nothing to try": (batches_pb2.BatchSpec(), "spec.candidates"),
    "both": (changed(search_of(2), lambda spec: spec.candidates.add(spec=spec_of("x"))), "spec.search"),
    "unknown environment": (three(environment_id="Nowhere"), "spec.candidates[2].spec.environment_id"),
    "other environment": (three(environment_id="WalkerStand"), "spec.candidates[2].spec.environment_id"),
    "unknown reward": (
        three(reward=trainer_pb2.RewardRef(program_sha256=DIGEST, onnx_sha256=DIGEST)),
        "spec.candidates[2].spec.reward.onnx_sha256",
    ),
    "too many steps": (
        three(settings=trainer_pb2.TrainingSettings(env_steps=10**12)),
        "spec.candidates[2].spec.settings.env_steps",
    ),
    "settings that do not fit": (
        three(settings=trainer_pb2.TrainingSettings(num_envs=2, num_minibatches=8)),
        "spec.candidates[2].spec.settings.num_minibatches",
    ),
    "rungs that go back": (batch_of("0.1", rungs=(2000, 1000)), "spec.halving.rung_env_steps[1]"),
    "a rung beyond the steps": (batch_of("0.1", "0.2", rungs=(1000, 4000)), "spec.halving.rung_env_steps[1]"),
    "one episode with halving": (batch_of("0.1", rungs=(1000,), episodes=1), "spec.judgement.episodes"),
    "no expression": (batch_of("0.1", check="jump!"), "spec.judgement.check"),
    "a check of another robot": (batch_of("0.1", check="mean(up('torso')) > 0.9"), "spec.judgement.check"),
    "a check of nothing": (batch_of("0.1", check="1 > 0"), "spec.judgement.check"),
    "unknown parameter": (searching(parameter("learning_speed")), "spec.search.parameters[0].name"),
    "the steps": (searching(parameter("env_steps", 1000, 9000)), "spec.search.parameters[0].name"),
    "a weight without a reward": (searching(parameter("reward.weights.upright")), "spec.search.parameters[0].name"),
    "twice": (searching(parameter("seed", 0, 9), choice("seed", "3")), "spec.search.parameters[1].name"),
    "out of range": (searching(parameter("learning_rate", 0.1, 5.0)), "spec.search.parameters[0].range.high"),
    "below the range": (searching(parameter("num_envs", 0, 64)), "spec.search.parameters[0].range.low"),
    "far out of range": (searching(parameter("num_envs", 8, 1e12)), "spec.search.parameters[0].range.high"),
    "upside down": (searching(parameter("discounting", 0.99, 0.9)), "spec.search.parameters[0].range.high"),
    "no logarithm": (searching(parameter("entropy_cost", log=True)), "spec.search.parameters[0].range.low"),
    "not finite": (searching(parameter("entropy_cost", 0, math.inf)), "spec.search.parameters[0].range.high"),
    "a range of no numbers": (searching(parameter("hidden_layer_sizes", 8, 64)), "spec.search.parameters[0].range"),
    "fractions of environments": (
        searching(choice("num_envs", "64", "1.5")),
        SECOND,
    ),
    "no layers": (searching(choice("hidden_layer_sizes", "64,x")), FIRST),
    "a layer too wide": (
        searching(choice("hidden_layer_sizes", "9999")),
        "spec.search.parameters[0].choices.values[0]",
    ),
    "a layer far too wide": (searching(choice("hidden_layer_sizes", "64", "64,99999999999")), SECOND),
    "a layer of a negative width": (searching(choice("hidden_layer_sizes", "-99999999999")), FIRST),
    "far too many environments": (searching(choice("num_envs", "99999999999")), FIRST),
    "neither true nor false": (
        searching(choice("domain_randomization", "false", "maybe")),
        SECOND,
    ),
}


@pytest.mark.parametrize(("spec", "field"), list(REFUSED.values()), ids=list(REFUSED))
async def test_what_cannot_be_is_refused_by_its_field(config, worker, exporter, spec, field):
    async with trainer(config, worker, exporter) as rig:
        error = await refusal(rig.create_batch(spec))
        assert error.fields[0][0] == field, error
        assert error.fields[0][1]
        database = Database(f"sqlite:///{config.data / 'trainer' / 'trainer.db'}")
        assert await database.read(lambda session: session.query(RunRow).count()) == 0
        database.close()


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (choice("hidden_layer_sizes", "64,99999999999"), "99999999999 is not between 1 and 4096"),
        (choice("hidden_layer_sizes", "4097"), "4097 is not between 1 and 4096"),
        (choice("num_envs", "99999999999"), "99999999999 is not between 1 and 16384"),
        (choice("num_envs", "0"), "0 is not between 1 and 16384"),
    ],
)
async def test_a_number_out_of_range_is_refused_with_the_range(config, worker, exporter, parameter, words):
    async with trainer(config, worker, exporter) as rig:
        assert (await refusal(rig.create_batch(searching(parameter)))).fields[0][1] == words


def test_each_whole_number_that_can_be_searched_has_a_range():
    assert {name for name in SETTINGS if is_number(name) and is_whole(name)} <= WHOLE_NUMBERS.keys()


async def test_different_rewards_need_a_check(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        reward = reward_for(rig)
        spec = batch_of("0.1", "0.2", "0.3", check="")
        for candidate in spec.candidates:
            candidate.spec.reward.CopyFrom(reward)
        spec.candidates[0].spec.reward.weights["upright"] = 1.0  # as those left out
        assert len((await rig.create_batch(spec)).candidates) == 3
        spec.candidates[2].spec.reward.weights["upright"] = 2.0
        error = await refusal(rig.create_batch(spec))
        assert error.fields[0][0] == "spec.judgement.check"
        assert error.fields[0][1].startswith("candidates 1 and 3 train for different rewards or weights")
        spec.judgement.check = CHECK
        assert len((await rig.create_batch(spec)).candidates) == 3


async def test_a_search_of_weights_needs_a_check_and_a_term(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        spec = searching(parameter("reward.weights.upright", 0.1, 10, log=True))
        spec.search.base.reward.CopyFrom(reward_for(rig))
        assert (await rig.create_batch(spec)).state == batches_pb2.BATCH_STATE_RUNNING
        spec.search.parameters[0].name = "reward.weights.upside"
        error = await refusal(rig.create_batch(spec))
        assert error.fields[0][0] == "spec.search.parameters[0].name"
        assert "its terms are" in error.fields[0][1]
        spec.search.parameters[0].name = "reward.weights.upright"
        spec.judgement.check = ""
        assert (await refusal(rig.create_batch(spec))).fields[0][0] == "spec.judgement.check"


async def test_default_rungs_lead_from_all_candidates_to_one(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        spec = batch_of(*"123456", steps="run wait")
        spec.halving.SetInParent()
        for candidate in spec.candidates:
            candidate.spec.settings.env_steps = 640_000_000
        made = (await rig.create_batch(spec)).spec
        assert list(made.halving.rung_env_steps) == [80_000_000, 160_000_000, 320_000_000]
        assert (made.halving.keep_share, made.judgement.episodes) == (0.5, 5)
        assert {each.spec.settings.num_envs for each in made.candidates} != {0}


async def test_default_rungs_are_no_closer_than_going_on_is_worth(config, worker, exporter):
    async with trainer(config, worker, exporter) as rig:
        spec = batch_of(*"123456", steps="run wait")
        spec.halving.SetInParent()
        a_minute = 60 * default_speed("CartpoleBalance").env_steps_per_sec
        for minutes, rungs in ((1.9, 0), (2.1, 1), (4.1, 2), (8.1, 3)):
            for candidate in spec.candidates:
                candidate.spec.settings.env_steps = round(minutes * a_minute)
            assert len((await rig.create_batch(spec)).spec.halving.rung_env_steps) == rungs


async def test_a_batch_that_does_not_fit_the_queue_is_refused_whole(config, worker, exporter):
    async with trainer(dataclasses.replace(config, max_queued=2), worker, exporter) as rig:
        error = await refusal(rig.create_batch(batch_of("0.1", "0.2", "0.3")))
        assert error.reason == "TOO_MANY_REQUESTS"
        assert not (await rig.stub.ListRuns(trainer_pb2.ListRunsRequest())).runs
