"""The loop that writes, trains, measures and writes again, with trainings that end at once."""

import asyncio

import grpc
import pytest
import pytest_asyncio
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_chassis.artifacts import ArtifactStore
from tabrl_chassis.errors import TabrlError
from tabrl_simulation.motion.measure import Measures
from tabrl_simulation.rewards.pool import JailPool

from tabrl_rewardgen.config import LIBRARY, Config
from tabrl_rewardgen.generation import Workshop
from tabrl_rewardgen.improving import Goal, improve
from tabrl_rewardgen.keeping import reward_message
from tabrl_rewardgen.ledger import Purse
from tabrl_rewardgen.llm import Usage
from tabrl_rewardgen.reflection import Evidence, brief
from tabrl_rewardgen.rehearsal import Rehearsed

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHECK = "mean(up('pole_1')) > 0.9"


class Rehearsals:
    """Trainings whose robots do the better the more the term `upright` weighs; some of them fail."""

    def __init__(self, *, failing=0, secs=0.0, held=0):
        self.weights, self._failing, self._secs, self._held = [], failing, secs, held

    async def rehearse(self, reward, weights, check, *, env_steps, told):
        assert check == CHECK
        number = len(self.weights)
        self.weights.append(dict(weights))
        run = trainer_pb2.Run(run_id=f"run-{number}")
        told(run)
        await asyncio.sleep(self._secs)
        if number < self._failing:
            raise TabrlError(grpc.StatusCode.ABORTED, "TRAINING_DIVERGED", "it diverged")
        score = min(0.99, weights["upright"] / 10.0)
        return Rehearsed(run, f"policy-{number}", Measures(self._held, 5, score, {"mean(up('pole_1'))": score}))


class NoStates:
    """No recorded states."""

    async def find(self, environment_id, *, wait_secs=0.0):
        return None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workshop(tmp_path_factory):
    async with JailPool() as pool:
        pool.warm()
        yield Workshop(Config(data=tmp_path_factory.mktemp("data")), pool, None, NoStates())


async def improved(workshop, robot, rehearsals, **fields):
    """Return the events of an improvement of a balancing cart."""
    which = robot("CartpoleBalance")
    artifacts = ArtifactStore(workshop.config.data / "artifacts")

    async def keep(written, parent):
        return await reward_message(artifacts, written, which, "balance the pole", parent=parent)

    goal = Goal(prompt="balance the pole", robot=which, models=(LIBRARY,), check=CHECK, **fields)
    return [event async for event in improve(workshop, rehearsals, goal, keep)]


async def test_weights_are_searched_and_the_best_comes_last(workshop, robot):
    # given the library alone, when weights are searched for three rounds of two
    rehearsals = Rehearsals()
    events = await improved(workshop, robot, rehearsals, rounds=3, candidates=2)
    measured = [event.measured for event in events if event.HasField("measured")]
    # then its own weights are among those tried, each set is another, and the best is the best that was measured
    assert len(measured) == 6
    assert rehearsals.weights[0]["upright"] == 1.0
    assert len({tuple(sorted(weights.items())) for weights in rehearsals.weights}) == 6
    assert events[-1].best.score == max(each.score for each in measured)
    assert events[-1].best.check == CHECK
    assert {event.run.run_id for event in events if event.HasField("run")} == {f"run-{n}" for n in range(6)}


async def test_costs_stay_costs(workshop, robot):
    rehearsals = Rehearsals()
    await improved(workshop, robot, rehearsals, rounds=2, candidates=2)
    assert all(weights["effort"] < 0 < weights["upright"] for weights in rehearsals.weights)


async def test_a_training_that_fails_does_not_end_the_others(workshop, robot):
    events = await improved(workshop, robot, Rehearsals(failing=1), rounds=1, candidates=2)
    assert [event.failure.reason for event in events if event.HasField("failure")] == ["TRAINING_DIVERGED"]
    assert events[-1].best.policy_id == "policy-1"


async def test_where_every_training_fails_so_does_the_loop(workshop, robot):
    with pytest.raises(TabrlError) as failed:
        await improved(workshop, robot, Rehearsals(failing=9), rounds=1, candidates=2)
    assert failed.value.reason == "TRAINING_DIVERGED"


async def test_nothing_is_left_to_improve_once_the_check_always_holds(workshop, robot):
    rehearsals = Rehearsals(held=5)
    events = await improved(workshop, robot, rehearsals, rounds=5, candidates=1)
    assert len(rehearsals.weights) == 1
    assert events[-1].best.held == 5


async def test_the_time_that_was_set_ends_what_is_under_way(workshop, robot):
    with pytest.raises(TabrlError) as failed:
        await improved(workshop, robot, Rehearsals(secs=600.0), rounds=1, candidates=1, budget_secs=25.0)
    assert failed.value.fields[0][0] == "budget_secs"


async def test_a_model_is_told_what_came_of_its_reward():
    reward = rewardgen_pb2.Reward(source="def reward(state, action):\n    return {'up': 1.0}\n")
    reward.terms.add(name="up", weight=2.0)
    run = trainer_pb2.Run(metrics=trainer_pb2.TrainingMetrics(env_steps=5000, episode_return=12.5))
    run.metrics.term_statistics["up"].mean = 0.25
    told = brief(
        Evidence(reward, run=run, measures={"mean(up('pole_1'))": 0.4}, held=(1, 5), check=CHECK, remark="it trembles")
    )
    for piece in ("up 2", "return {'up': 1.0}", "5,000", "12.5", "0.25 a step", "1 of 5", "= 0.4", "<<<it trembles>>>"):
        assert piece in told


async def test_a_budget_counts_calls_whose_answers_were_of_no_use():
    class Kept:
        def __init__(self):
            self.added = []

        async def require_budget(self):
            pass

        async def add(self, model, usage):
            self.added.append((model, usage))

    kept = Kept()
    purse = Purse(kept, 0.5)
    await purse.require_budget()
    await purse.add("a model", Usage(prompt_tokens=10, cost_usd=0.6, calls=1))
    with pytest.raises(TabrlError) as spent:
        await purse.require_budget()
    assert spent.value.reason == "LLM_BUDGET_SPENT"
    assert len(kept.added) == 1
    await Purse(kept, 0.0).require_budget()
