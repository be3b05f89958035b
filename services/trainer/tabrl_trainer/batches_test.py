"""Batches over real sockets and databases: candidates, rungs, searches, and the winner by evaluation."""

import asyncio
import dataclasses
import itertools

import pytest
from structlog.testing import capture_logs
from tabrl.trainer.v1 import batches_pb2, trainer_pb2
from tabrl_chassis.client import call
from tabrl_chassis.database import Database
from tabrl_chassis.errors import TabrlError

from tabrl_trainer import batch_driver, run_requests
from tabrl_trainer.conftest import CANCELLED, PAUSED, RUNNING, SUCCEEDED, is_state, scores_of_title, states, trainer
from tabrl_trainer.record import Record
from tabrl_trainer.starting_points_test import stored

CHECK = "mean(up('pole')) > 0.9"
GOING, DONE, FAILED_BATCH, STOPPED_BATCH = (
    batches_pb2.BATCH_STATE_RUNNING,
    batches_pb2.BATCH_STATE_SUCCEEDED,
    batches_pb2.BATCH_STATE_FAILED,
    batches_pb2.BATCH_STATE_CANCELLED,
)
FINISHED, STOPPED, FAILED, JUDGED = (
    batches_pb2.CANDIDATE_STATE_FINISHED,
    batches_pb2.CANDIDATE_STATE_STOPPED,
    batches_pb2.CANDIDATE_STATE_FAILED,
    batches_pb2.CANDIDATE_STATE_JUDGED,
)
# Of what hangs where it is broken.
_ENDS_WITHIN_SECS = 60.0
STEPS = "run metrics:500@1 checkpoint:1000 metrics:1500@2 checkpoint:2000 metrics:2500@3 final:4000"


def spec_of(title: str, environment_id: str = "CartpoleBalance", **settings) -> trainer_pb2.RunSpec:
    settings = trainer_pb2.TrainingSettings(**{"env_steps": 4000, **settings})
    return trainer_pb2.RunSpec(environment_id=environment_id, title=title, settings=settings)


def batch_of(*scores: str, steps: str = STEPS, rungs=(), check: str = CHECK, **judgement) -> batches_pb2.BatchSpec:
    """One candidate for each text of scores, whose worker and evaluation follow its title."""
    spec = batches_pb2.BatchSpec(
        title="which is best",
        candidates=[
            batches_pb2.CandidateSpec(label=f"with {each}", spec=spec_of(f"scores:{each} {steps}")) for each in scores
        ],
        judgement=batches_pb2.JudgementSpec(check=check, **judgement),
    )
    if rungs:
        spec.halving.rung_env_steps.extend(rungs)
    return spec


def search_of(trials: int, *, at_once: int = 1, rungs=()) -> batches_pb2.BatchSpec:
    """A search of the learning rate."""
    spec = batches_pb2.BatchSpec(
        search=batches_pb2.SearchSpec(
            base=spec_of(STEPS),
            parameters=[
                batches_pb2.SearchParameter(
                    name="learning_rate", range=batches_pb2.ParameterRange(low=1e-5, high=1e-1, log=True)
                ),
                batches_pb2.SearchParameter(
                    name="hidden_layer_sizes", choices=batches_pb2.ParameterChoices(values=["32", "64,64"])
                ),
            ],
            trials=trials,
            at_once=at_once,
            seed=3,
        ),
        judgement=batches_pb2.JudgementSpec(check=CHECK),
    )
    if rungs:
        spec.halving.rung_env_steps.extend(rungs)
    return spec


async def by_learning_rate(rig, policy) -> list[float]:
    """Score best where the learning rate is 1e-3."""
    rate = (await rig.get(policy.run_id)).spec.settings.learning_rate
    distance = abs(rate - 1e-3) / (rate + 1e-3)
    return [1 - distance - 0.01, 1 - distance]


async def ended(rig, batch_id: str) -> batches_pb2.Batch:
    return (await rig.watch_batch(batch_id))[-1]


async def test_all_candidates_are_trained_and_the_best_by_evaluation_wins(rig, inference):
    batch = await rig.create_batch(batch_of("0.1,0.2", "1,0.9", "0.4", episodes=4, seed=7))
    assert batch.state == GOING
    assert [candidate.label for candidate in batch.candidates] == ["with 0.1,0.2", "with 1,0.9", "with 0.4"]

    batch = await ended(rig, batch.batch_id)

    assert batch.state == DONE
    assert batch.HasField("end_time")
    assert [candidate.state for candidate in batch.candidates] == [FINISHED] * 3
    assert [candidate.rank for candidate in batch.candidates] == [3, 1, 2]
    best = batch.candidates[1]
    assert batch.winner.index == 1
    assert batch.winner.run_id == best.run_id
    assert batch.winner.policy_id == best.evaluations[-1].policy_id
    assert batch.winner.reason == (
        "The check held in 2 of 4 episodes, score 0.95 ± 0.029; of with 0.4, the next: "
        "the check held in 0 of 4 episodes, score 0.4 ± 0."
    )
    evaluation = best.evaluations[-1]
    assert (evaluation.rung, evaluation.env_steps, evaluation.episodes) == (0, 4000, 4)
    assert (evaluation.held_share, evaluation.score) == (0.5, pytest.approx(0.95))
    assert {(each.check, each.episodes, each.seed) for each in inference.requests} == {(CHECK, 4, 7)}
    # each is an ordinary run, found by its batch
    runs = await rig.stub.ListRuns(trainer_pb2.ListRunsRequest(batch_id=batch.batch_id))
    assert {run.run_id for run in runs.runs} == {candidate.run_id for candidate in batch.candidates}
    assert {run.batch_id for run in runs.runs} == {batch.batch_id}
    assert {run.state for run in runs.runs} == {SUCCEEDED}


async def test_clear_losers_are_stopped_at_rungs_and_the_others_go_on(rig):
    batch = await rig.create_batch(batch_of("0.1,0.11", "0.9,0.91", "0.3,0.31", rungs=(1000, 2000)))

    batch = await ended(rig, batch.batch_id)

    assert [candidate.state for candidate in batch.candidates] == [STOPPED, FINISHED, STOPPED]
    assert [candidate.rungs_passed for candidate in batch.candidates] == [0, 2, 1]
    assert [candidate.rank for candidate in batch.candidates] == [3, 1, 2]
    assert batch.candidates[0].reason == (
        "Stopped at the rung of 1,000 steps: its score of 0.104 ± 0.0024 is clearly below the 0.304 ± 0.0024 of "
        "with 0.3,0.31, the last that was kept."
    )
    assert [evaluation.env_steps for evaluation in batch.candidates[1].evaluations] == [1000, 2000, 4000]
    assert batch.winner.index == 1
    # a run pauses at a rung, gives up its slot, and goes on from its checkpoint; the first loser never learns on
    events = [await rig.watch(candidate.run_id) for candidate in batch.candidates]
    assert states(events[0])[-2:] == [PAUSED, CANCELLED]
    assert states(events[1]).count(PAUSED) == 2
    assert states(events[1])[-1] == SUCCEEDED
    assert batch.env_steps_saved == 3000 + 2000
    assert batch.env_steps_trained == 1000 + 4000 + 2000
    assert batch.secs_saved > 0


async def test_whoever_is_within_the_luck_of_its_episodes_is_not_stopped(rig):
    # given scores that vary so much that neither is clearly worse, and two that are alike
    batch = await rig.create_batch(batch_of("0.1,0.9", "0.2,0.9", "0.15,0.9", rungs=(1000,)))
    batch = await ended(rig, batch.batch_id)
    assert [candidate.state for candidate in batch.candidates] == [FINISHED] * 3
    assert batch.winner.reason.endswith("The difference is within the luck of these episodes.")
    assert batch.env_steps_saved == 0


async def test_without_a_check_the_return_under_the_common_reward_decides(rig):
    batch = await ended(rig, (await rig.create_batch(batch_of("0.2", "0.5", check=""))).batch_id)
    assert batch.winner.index == 1
    assert batch.winner.reason.startswith("Evaluated return 50 ± 0 over 5 episodes; of with 0.2, the next: ")
    assert not batch.candidates[1].evaluations[0].HasField("held_share")


async def test_a_candidate_that_fails_is_left_behind_and_one_that_is_cancelled_too(rig, tmp_path):
    spec = batch_of("0.2", "0.5", "0.9", rungs=(1000,))
    spec.candidates[1].spec.title = "run diverge"
    spec.candidates[2].spec.title = "run wait"
    batch = await rig.create_batch(spec)
    await rig.cancel(batch.candidates[2].run_id)
    batch = await ended(rig, batch.batch_id)
    assert [candidate.state for candidate in batch.candidates] == [FINISHED, FAILED, FAILED]
    assert batch.candidates[1].reason == "Its training failed: the policy loss is not finite"
    assert batch.candidates[2].reason == "Its run was cancelled by a person."
    assert batch.winner.index == 0


async def test_a_batch_of_which_nothing_comes_fails(rig):
    spec = batch_of("0.2", "0.5")
    for candidate in spec.candidates:
        candidate.spec.title = "run diverge"
    batch = await ended(rig, (await rig.create_batch(spec)).batch_id)
    assert batch.state == FAILED_BATCH
    assert batch.error.reason == "BATCH_WITHOUT_WINNER"
    assert not batch.HasField("winner")


async def test_an_inference_service_that_is_away_is_waited_for_and_a_refusal_is_told(rig, inference):
    inference.error = TabrlError(*_away())
    batch = await rig.create_batch(batch_of("0.2"))
    while len(inference.requests) < 2:
        await asyncio.sleep(0.02)
    assert (await rig.get_batch(batch.batch_id)).candidates[0].state == batches_pb2.CANDIDATE_STATE_JUDGING
    inference.error = None
    assert (await ended(rig, batch.batch_id)).state == DONE

    inference.error = dataclasses.replace(TabrlError(*_away()), code=_codes().NOT_FOUND, reason="POLICY_NOT_FOUND")
    batch = await ended(rig, (await rig.create_batch(batch_of("0.2"))).batch_id)
    assert batch.state == FAILED_BATCH
    assert batch.candidates[0].reason == "Its policy could not be evaluated: It is away."


async def test_a_policy_that_nobody_can_play_for_now_holds_up_no_other(rig, inference):
    # given a batch whose first policy finds the Inference service away each time
    async def scores(policy):
        if "scores:0.2" in policy.title:
            raise TabrlError(*_away())
        return await scores_of_title(policy)

    inference.scores = scores
    batch = await rig.create_batch(batch_of("0.2"))
    while not inference.requests:
        await asyncio.sleep(0.02)
    # then another batch is judged all the same
    async with asyncio.timeout(_ENDS_WITHIN_SECS):
        assert (await ended(rig, (await rig.create_batch(batch_of("0.5"))).batch_id)).state == DONE
    inference.scores = scores_of_title
    assert (await ended(rig, batch.batch_id)).state == DONE


async def test_a_policy_that_takes_too_long_to_play_is_given_up_and_says_so(rig, inference, monkeypatch):
    monkeypatch.setattr("tabrl_trainer.batch_driver._EVALUATION_TIMEOUT_SECS", 1.0)
    slow = []

    async def scores(policy):
        if "scores:0.9" in policy.title:
            slow.append(policy)
            await asyncio.Event().wait()
        return await scores_of_title(policy)

    inference.scores = scores
    batch = await rig.create_batch(batch_of("0.9", "0.5", episodes=7))
    async with asyncio.timeout(_ENDS_WITHIN_SECS):
        batch = await ended(rig, batch.batch_id)
    assert [candidate.state for candidate in batch.candidates] == [FAILED, FINISHED]
    assert batch.candidates[0].reason == (
        "Its policy could not be evaluated: 0 of 7 episodes ended within 1 s; ask for fewer in judgement.episodes, or "
        "try again when the machine has less to do."
    )
    assert len(slow) == 3


async def test_a_batch_that_goes_wrong_is_tried_ever_more_slowly_and_holds_up_no_other(rig, monkeypatch):
    due, tries, broken = batch_driver._due, [], True

    def breaks(session, batch_id):
        if broken and batch_id == first.batch_id:
            tries.append(batch_id)
            raise ValueError("it cannot be read")
        return due(session, batch_id)

    monkeypatch.setattr("tabrl_trainer.batch_driver.LOOK_EVERY_SECS", 0.05)
    first = await rig.create_batch(batch_of("0.2", steps="run wait"))
    monkeypatch.setattr("tabrl_trainer.batch_driver._due", breaks)
    with capture_logs() as said:
        await rig.cancel(first.candidates[0].run_id)
        async with asyncio.timeout(_ENDS_WITHIN_SECS):
            assert (await ended(rig, (await rig.create_batch(batch_of("0.5"))).batch_id)).state == DONE
            while len(tries) < 3:
                await asyncio.sleep(0.05)
    told = [entry for entry in said if entry["event"] == "batch held up"]
    assert [entry["pause_secs"] for entry in told][:2] == [0.5, 1.0]
    assert all(entry["exc_info"] and entry["batch"] == first.batch_id for entry in told)
    # once it can be read again, it goes on
    broken = False
    async with asyncio.timeout(_ENDS_WITHIN_SECS):
        assert (await ended(rig, first.batch_id)).state == FAILED_BATCH


async def test_a_run_that_ends_unheard_is_found_all_the_same(rig, monkeypatch):
    monkeypatch.setattr("tabrl_trainer.batch_driver.LOOK_EVERY_SECS", 0.2)
    # given a candidate that waits, and is cancelled by a process that this Trainer does not hear of
    await rig.until(await rig.create("run wait"), is_state(RUNNING))
    batch = await rig.create_batch(batch_of("0.2"))
    await asyncio.sleep(0.5)  # until the driver has looked at it
    other = Database(rig.config.database_url)
    await Record(other).write(batch.candidates[0].run_id, run_requests.cancel)
    other.close()
    async with asyncio.timeout(_ENDS_WITHIN_SECS):
        while (await rig.get_batch(batch.batch_id)).state == GOING:
            await asyncio.sleep(0.05)
    assert (await rig.get_batch(batch.batch_id)).candidates[0].reason == "Its run was cancelled by a person."


async def test_cancelling_a_batch_stops_its_runs(rig):
    batch = await rig.create_batch(batch_of("0.2", "0.5", steps="run checkpoint:1000 wait"))
    await rig.until(batch.candidates[0].run_id, lambda event: event.HasField("checkpoint"))
    request = batches_pb2.CancelBatchRequest(batch_id=batch.batch_id)
    cancelled = (await rig.batches.CancelBatch(request)).batch
    assert cancelled.state == STOPPED_BATCH
    assert {candidate.reason for candidate in cancelled.candidates} == {"The batch was cancelled."}
    for candidate in batch.candidates:
        assert states(await rig.watch(candidate.run_id))[-1] == CANCELLED
    # again changes nothing
    assert (await rig.batches.CancelBatch(request)).batch.revision == cancelled.revision
    assert len(await rig.watch_batch(batch.batch_id)) == 1


async def test_a_deleted_batch_leaves_its_runs(rig):
    batch = await rig.create_batch(batch_of("0.2", steps="run wait"))
    request = batches_pb2.DeleteBatchRequest(batch_id=batch.batch_id)
    assert (await refusal(call(rig.batches.DeleteBatch, request, service="trainer"))).reason == "BATCH_NOT_ENDED"
    await rig.batches.CancelBatch(batches_pb2.CancelBatchRequest(batch_id=batch.batch_id))
    await rig.batches.DeleteBatch(request)
    assert (await refusal(rig.get_batch(batch.batch_id))).reason == "BATCH_NOT_FOUND"
    assert (await rig.get(batch.candidates[0].run_id)).batch_id == ""


async def test_an_ended_batch_cannot_be_cancelled_and_an_unknown_one_not_read(rig):
    batch = await ended(rig, (await rig.create_batch(batch_of("0.2"))).batch_id)
    request = batches_pb2.CancelBatchRequest(batch_id=batch.batch_id)
    assert (await refusal(call(rig.batches.CancelBatch, request, service="trainer"))).reason == "BATCH_ENDED"
    for method in ("GetBatch", "CancelBatch", "DeleteBatch"):
        request = getattr(batches_pb2, f"{method}Request")(batch_id="nothing")
        error = await refusal(call(getattr(rig.batches, method), request, service="trainer"))
        assert error.reason == "BATCH_NOT_FOUND"
    with pytest.raises(Exception, match="There is no batch 'nothing'"):
        await rig.watch_batch("nothing")


async def test_the_same_request_makes_one_batch(rig):
    request_id = "7d1a1e7e-58a9-4a35-8b5f-0d6d2a0c9a11"
    spec = batch_of("0.2", "0.5")
    made = await asyncio.gather(*[rig.create_batch(spec, request_id) for _ in range(4)])
    assert len({batch.batch_id for batch in made}) == 1
    assert len((await rig.stub.ListRuns(trainer_pb2.ListRunsRequest())).runs) == 2
    error = await refusal(rig.create_batch(batch_of("0.3"), request_id))
    assert error.reason == "REQUEST_ID_REUSED"


async def test_batches_are_listed_newest_first_in_pages(rig):
    made = [(await rig.create_batch(batch_of("0.2", steps="run wait"))).batch_id for _ in range(3)]
    first = await rig.batches.ListBatches(batches_pb2.ListBatchesRequest(page_size=2))
    assert [batch.batch_id for batch in first.batches] == [made[2], made[1]]
    token = first.next_page_token
    rest = await rig.batches.ListBatches(batches_pb2.ListBatchesRequest(page_size=2, page_token=token))
    assert [batch.batch_id for batch in rest.batches] == [made[0]]
    assert rest.next_page_token == ""
    none = await rig.batches.ListBatches(batches_pb2.ListBatchesRequest(states=[DONE]))
    assert not none.batches


async def test_a_watch_shows_the_progress_of_the_runs_and_each_snapshot_is_new(rig, tmp_path):
    gate = tmp_path / "gate"
    spec = batch_of("0.2", steps=f"run metrics:500@1 file:{gate} checkpoint:1000 final:4000")
    batch = await rig.create_batch(spec)
    snapshots = []
    async for response in rig.batches.WatchBatch(batches_pb2.WatchBatchRequest(batch_id=batch.batch_id)):
        snapshots.append(response.snapshot)
        if response.snapshot.candidates[0].env_steps == 500:
            gate.touch()
    assert snapshots[-1].state == DONE
    assert all(one != other for one, other in itertools.pairwise(snapshots))
    assert [batch.revision for batch in snapshots] == sorted(batch.revision for batch in snapshots)


async def test_a_search_tries_what_it_is_to_try_and_finds_better_ones(rig, inference):
    inference.scores = lambda policy: by_learning_rate(rig, policy)
    batch = await ended(rig, (await rig.create_batch(search_of(8))).batch_id)
    assert batch.state == DONE
    assert [candidate.label for candidate in batch.candidates] == [f"trial {n}" for n in range(1, 9)]
    tried = [dict(candidate.parameters) for candidate in batch.candidates]
    assert len({each["learning_rate"] for each in tried}) == 8
    assert {each["hidden_layer_sizes"] for each in tried} == {"32", "64,64"}
    assert all(1e-5 <= float(each["learning_rate"]) <= 1e-1 for each in tried)
    # what was tried is what was trained
    for candidate, parameters in zip(batch.candidates, tried, strict=True):
        settings = (await rig.get(candidate.run_id)).spec.settings
        assert settings.learning_rate == float(parameters["learning_rate"])
        assert ",".join(map(str, settings.hidden_layer_sizes)) == parameters["hidden_layer_sizes"]
    scores = [candidate.evaluations[-1].score for candidate in batch.candidates]
    assert batch.winner.index == scores.index(max(scores))
    # and all of it can be tried again: the seed decides
    again = await ended(rig, (await rig.create_batch(search_of(8))).batch_id)
    assert [dict(candidate.parameters) for candidate in again.candidates] == tried
    await rig.batches.DeleteBatch(batches_pb2.DeleteBatchRequest(batch_id=batch.batch_id))


async def test_losers_of_a_search_are_stopped_early(rig, inference):
    inference.scores = lambda policy: by_learning_rate(rig, policy)
    batch = await ended(rig, (await rig.create_batch(search_of(6, at_once=2, rungs=(1000,)))).batch_id)
    found = [candidate.state for candidate in batch.candidates]
    assert set(found) == {FINISHED, STOPPED}
    assert batch.env_steps_saved == 3000 * found.count(STOPPED)
    worst_finished = min(each.evaluations[0].score for each in batch.candidates if each.state == FINISHED)
    assert batch.candidates[batch.winner.index].evaluations[0].score >= worst_finished


async def test_a_trial_whose_parameters_do_not_go_together_fails_alone(rig, inference):
    inference.scores = lambda _policy: asyncio.sleep(0, [0.5])
    spec = search_of(6)
    spec.search.base.settings.num_envs = 64
    del spec.search.parameters[:]
    spec.search.parameters.add(name="num_envs", choices=batches_pb2.ParameterChoices(values=["8", "64"]))
    spec.search.parameters.add(name="num_minibatches", choices=batches_pb2.ParameterChoices(values=["4", "32"]))
    spec.search.base.settings.num_minibatches = 4
    batch = await ended(rig, (await rig.create_batch(spec)).batch_id)
    assert batch.state == DONE
    for candidate in batch.candidates:
        impossible = dict(candidate.parameters) == {"num_envs": "8", "num_minibatches": "32"}
        assert (candidate.state == FAILED) == impossible
        assert candidate.reason.startswith("These parameters cannot be used together: ") == impossible


async def test_a_search_that_can_train_nothing_any_more_fails_with_the_reason(rig, inference):
    # given a search whose starting point is lost while its first trial is judged and the second waits to be
    async def scores(_policy):
        if len(inference.requests) > 1:
            await asyncio.Event().wait()
        return [0.5]

    inference.scores = scores
    inference.gate.clear()
    spec = search_of(4, at_once=2)
    del spec.search.parameters[1]  # the network is that of the starting point
    spec.search.base.start_from.checkpoint_sha256 = sha256 = stored(rig)
    batch = await rig.create_batch(spec)
    while not inference.requests or len((await rig.get_batch(batch.batch_id)).candidates) < 2:
        await asyncio.sleep(0.02)
    rig.store.remove(sha256, unused_for_secs=0)
    inference.gate.set()
    async with asyncio.timeout(_ENDS_WITHIN_SECS):
        batch = await ended(rig, batch.batch_id)
    assert (batch.state, batch.error.reason) == (FAILED_BATCH, "ARTIFACT_NOT_FOUND")
    assert [candidate.state for candidate in batch.candidates] == [FINISHED, FAILED]
    assert batch.candidates[1].reason == f"The batch failed: {batch.error.message}"
    assert states(await rig.watch(batch.candidates[1].run_id))[-1] in (SUCCEEDED, CANCELLED)


async def test_mishaps_while_a_trial_is_checked_are_no_fault_of_its_parameters(rig, inference, monkeypatch):
    check, mishaps = batch_driver.check_varied, ["INTERNAL", "SERVICE_UNAVAILABLE", "INTERNAL"]

    async def unlucky(context, spec):
        if mishaps:
            reason = mishaps.pop()
            raise TabrlError(_codes().INTERNAL if reason == "INTERNAL" else _codes().UNAVAILABLE, reason, "Not now.")
        return await check(context, spec)

    monkeypatch.setattr("tabrl_trainer.batch_driver.check_varied", unlucky)
    monkeypatch.setattr("tabrl_trainer.batch_driver._FIRST_PAUSE_SECS", 0.02)
    inference.scores = lambda _policy: asyncio.sleep(0, [0.5])
    batch = await ended(rig, (await rig.create_batch(search_of(1))).batch_id)
    assert (batch.state, mishaps) == (DONE, [])


async def test_a_search_goes_on_with_its_study_after_a_restart(config, worker, exporter, inference):
    inference.scores = lambda _policy: asyncio.sleep(0, [0.5, 0.51])
    async with trainer(config, worker, exporter) as rig:
        undisturbed = await ended(rig, (await rig.create_batch(search_of(6))).batch_id)
        batch_id = (await rig.create_batch(search_of(6))).batch_id
        while len((await rig.get_batch(batch_id)).candidates) < 3:
            await asyncio.sleep(0.02)
    async with trainer(config, worker, exporter) as rig:
        batch = await ended(rig, batch_id)
    tried = [dict(candidate.parameters) for candidate in batch.candidates]
    assert tried == [dict(candidate.parameters) for candidate in undisturbed.candidates]


def _codes():
    import grpc

    return grpc.StatusCode


def _away():
    return _codes().UNAVAILABLE, "SERVICE_UNAVAILABLE", "It is away."


async def refusal(awaitable) -> TabrlError:
    with pytest.raises(TabrlError) as caught:
        await awaitable
    return caught.value
