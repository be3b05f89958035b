"""Training: what it takes, a run as it happens, what can be done with it, and what comes after."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, expect
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import COMPILE_SECS, Connection
from tabrl_cli.errors import CallError
from tabrl_cli.watch import watch_run
from tabrl_rewardgen.conftest import ModelServer, recorded

from tests.e2e.balance import Balance
from tests.e2e.browser_tab import Tab, tab
from tests.e2e.trained import ENVIRONMENT, Trained, cancelled
from tests.stack.running_stack import RunningStack, eventually

# Fine while the pole is tried for a moment; a pole that was spun further than 4 radians has no root to take.
BREAKS_LATER: Final = """def reward(state, action):
    return {"root": jnp.sqrt(4.0 - jnp.abs(state.joint_position("hinge_1")))}
"""


def test_a_run_is_watched_as_it_happens_left_and_found_again(
    person: Tab, trained: Trained, connection: Connection
) -> None:
    # given a reward, when a person looks at what training for it takes
    page = person.page
    person.open(f"/?env={ENVIRONMENT}&reward={trained.reward_id}")
    page.get_by_role("group", name="How to come by it").wait_for()
    tiers = [page.get_by_role("radio", name=name) for name in ("Try it now", "Fine-tune", "From scratch")]

    # then each way says how long it takes and what it costs, or why it is not to be had
    labels = page.get_by_role("group", name="How to come by it").locator("label")
    said = [re.compile("not here yet"), re.compile("on this machine"), re.compile("on this machine")]
    expect(labels).to_have_text(said)
    tiers[2].check()
    page.get_by_role("radio", name="Long").check()
    expect(person.part("estimate")).to_contain_text("steps of practice")
    person.screenshot("training-ways")

    # when it is trained, then practice begins: how far, how fast, how long still, and a curve for each term
    page.get_by_role("button", name="Train", exact=True).click()
    state = page.get_by_test_id("run-state")
    expect(state).to_have_attribute("data-state", "RUNNING")
    run_id = person.address()["run"]
    try:
        panel = page.get_by_test_id("run-panel")
        expect(panel.get_by_role("status").first).to_contain_text("to go")
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", re.compile(r"\d"))
        curves = page.get_by_test_id("curves")
        names = page.get_by_role("list", name="Terms of the reward").locator("[data-term] p:first-child")
        person.until(lambda: all(name in curves.inner_text() for name in names.all_inner_texts()), what="a curve each")
        expect(curves).to_contain_text("Whole episodes")
        person.until(lambda: re.search(r"Steps per second\s+[\d.]+", curves.inner_text()), what="a speed")

        # and the newest policy takes over the robot
        drove = {_next_to_drive(person): time.time() for _ in range(2)}
        person.until_driven()
        person.screenshot("training-running")

        # when the person goes back to the first policy, then that one plays, however many more come
        page.get_by_role("slider", name="Steps of practice").press("Home")
        first = str(page.get_by_test_id("checkpoint-item").first.get_attribute("data-policy-id"))
        person.until(lambda: _drives(person) == first, what="the first policy")
        count = page.get_by_test_id("checkpoint-item").count()
        person.until(lambda: page.get_by_test_id("checkpoint-item").count() > count, what="another checkpoint")
        assert _drives(person) == first
        # and back at the newest, that one
        page.get_by_role("button", name="Newest").click()
        person.until(lambda: _drives(person) not in ("", first), what="a newer policy")

        # when the page is left, then the run is found under Your work, and is told on from where it is
        page.get_by_role("link", name="Your work").click()
        line = page.get_by_test_id("work-run").and_(page.locator(f'[href*="{run_id}"]'))
        line.wait_for()
        expect(line).to_contain_text("Learning")
        person.screenshot("training-work")
        line.click()
        person.until(lambda: page.get_by_test_id("checkpoint-item").count() > count, what="its checkpoints")
        done = page.get_by_test_id("run-panel").inner_text()
        person.until(lambda: page.get_by_test_id("run-panel").inner_text() != done, what="news of it")
        _next_to_drive(person)
    finally:
        assert cancelled(connection, run_id)
    expect(state).to_have_attribute("data-state", "CANCELLED")
    assert person.player_errors() == []
    assert person.problems == []
    written = _written(connection, run_id)
    print("drove", *(f"{at - written[policy_id]:.1f}" for policy_id, at in drove.items()), "s after it was written")


def test_a_run_is_paused_outlives_the_trainer_goes_on_and_is_stopped(
    person: Tab, run_id: str, stack: RunningStack
) -> None:
    # given a run that trains, when it is paused
    page = person.page
    state = person.watch(ENVIRONMENT, run_id)
    person.see("checkpoint-item")
    page.get_by_role("button", name="Pause", exact=True).and_(page.get_by_test_id("pause-run")).click()
    expect(state).to_have_attribute("data-state", "PAUSED")
    page.get_by_text("It goes on from the newest checkpoint").wait_for()
    person.screenshot("training-paused")

    # and the Trainer is killed meanwhile, then the page says so, and the run is paused as before
    stack.kill("trainer")
    person.until(lambda: "Trainer" in person.banner(), what="a banner that names the Trainer")
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")
    expect(state).to_have_attribute("data-state", "PAUSED")

    # when it is continued, then it trains
    page.get_by_role("button", name="Continue", exact=True).click()
    expect(state).to_have_attribute("data-state", "RUNNING")

    # when the process that trains dies, then the log tells it
    (worker,) = [each for each in stack.process("trainer").children() if "tabrl_trainer.worker" in each.cmdline()]
    worker.kill()
    page.get_by_text("What the trainer says").click()
    page.get_by_test_id("run-log").get_by_text("The training process ended by itself").wait_for()

    # when it is to be stopped, then the page asks first, and stops it for good
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("its policies can be played and trained on from").wait_for()
    person.screenshot("training-stop")
    page.get_by_role("button", name="Stop for good").click()
    expect(state).to_have_attribute("data-state", "CANCELLED")
    page.get_by_text("checkpoints so far are kept").wait_for()


def test_what_was_trained_is_found_again_and_can_be_shown_in_the_dark(
    stack: RunningStack, browser: Browser, trained: Trained
) -> None:
    with tab(browser, stack.url, scheme="dark") as second:
        # given a robot with which something was trained before, among whatever else
        second.open("/?env=CartpoleBalance")
        second.see("earlier-run")

        # when a person looks for it and opens it
        earlier = second.page.locator(f'[data-testid="earlier-run"][href*="{trained.run_id}"]')
        while not earlier.count():
            second.click("show-more")
            second.page.wait_for_timeout(200)
        earlier.click()

        # then its policy drives the robot, and drives it well
        second.until_driven()
        balanced = Balance()
        second.until(lambda: balanced.of(second.tick()), what="a balanced pole")
        second.screenshot("earlier-run")
        print(f"real-time factor {second.tick()['realTimeFactor']:.2f}")  # type: ignore[index]
        assert second.problems == []


def test_a_run_is_deleted_taken_back_and_deleted_for_good(person: Tab, connection: Connection) -> None:
    # given a run that has ended
    page = person.page
    run_id = _started(connection, title="To be deleted")
    assert cancelled(connection, run_id)
    person.open(f"/?env={ENVIRONMENT}&run={run_id}")
    delete = page.get_by_role("button", name="Delete the run")

    # when it is deleted, then it is off the page, and back when that is taken back
    delete.click()
    page.get_by_test_id("undo-toast").get_by_text("“To be deleted” deleted").wait_for()
    person.until(lambda: "run" not in person.address(), what="an address without the run")
    # for a few seconds only, so a busy machine is not waited for until nothing moves
    page.get_by_role("button", name="Undo").click(force=True)
    person.until(lambda: person.address().get("run") == run_id, what="the run")
    delete.wait_for()

    # when it is deleted again, then no list has it any more
    delete.click()
    page.get_by_test_id("undo-toast").wait_for()
    person.screenshot("training-deleted")
    page.get_by_role("link", name="Your work").click()
    page.get_by_role("heading", name="Your work").wait_for()
    page.locator("main ul[aria-busy=false]").wait_for(state="attached")
    expect(page.locator(f'[href*="{run_id}"]')).to_have_count(0)
    # and once the page is left, it is gone for good
    person.open()
    eventually(lambda: _is_gone(connection, run_id))
    assert person.problems == []


def test_a_policy_is_trained_on_from(person: Tab, trained: Trained, connection: Connection) -> None:
    # given the outcome of a run
    page = person.page
    person.open(f"/?env={ENVIRONMENT}&run={trained.run_id}")
    person.until(lambda: _drives(person), what="a policy that drives")
    policy_id = _drives(person)

    # when a person wants to go on from there, then it is chosen, and what that takes is said
    page.get_by_role("button", name="Fine-tune from here").click()
    expect(page.get_by_role("radio", name="Fine-tune")).to_be_checked()
    expect(page.get_by_label("Go on from")).to_have_value(policy_id)
    expect(person.part("estimate")).to_contain_text("steps of practice")
    person.screenshot("training-fine-tune")

    # and the run that is started goes on from it
    page.get_by_role("button", name="Fine-tune", exact=True).click()
    person.until(lambda: person.address()["run"] != trained.run_id, what="another run")
    run_id = person.address()["run"]
    try:
        assert _run(connection, run_id).spec.start_from.policy_id == policy_id
        # which the page shows in the place of the old one
        expect(page.get_by_test_id("run-panel")).to_have_attribute("data-run-id", run_id)
    finally:
        assert cancelled(connection, run_id)
    assert person.problems == []


def test_a_run_that_failed_says_why_and_what_to_do(person: Tab, connection: Connection) -> None:
    # given a reward that comes to nothing after a while of practice
    written = rewardgen_pb2.CompileRewardRequest(environment_id=ENVIRONMENT, source=BREAKS_LATER, prompt="Hold a root")
    reward = connection.call(connection.rewards.CompileReward, written, COMPILE_SECS).reward
    run_id = _started(connection, title="Hold a root", reward=reward)

    # when a person watches what is trained for it, then the page says why it ended, and what would help
    person.open(f"/?env={ENVIRONMENT}&run={run_id}")
    expect(person.page.get_by_test_id("run-state")).to_have_attribute("data-state", "FAILED")
    expect(person.part("error")).to_contain_text("'root' is not finite")
    expect(person.part("error")).to_contain_text("Soften terms")
    expect(person.page.get_by_text("Train it again")).to_be_visible()

    # and who comes later sees that first
    person.page.reload()
    person.until(lambda: _in_view(person), what="the failure")
    person.screenshot("training-failed")
    assert person.problems == []


def test_a_link_to_a_run_that_is_not_there_says_so_and_leads_on(person: Tab) -> None:
    # when a link from elsewhere is followed
    person.open(f"/?env={ENVIRONMENT}&run=run-of-elsewhere")

    # then it is said which run is missing, where the person looks, beside the living robot
    person.until(lambda: _in_view(person), what="the failure")
    expect(person.part("error")).to_contain_text("run-of-elsewhere")
    person.until_alive()
    person.screenshot("training-unknown-run")

    # and a click leads on without it
    person.page.get_by_role("button", name="Go on without it").click()
    person.until(lambda: "run" not in person.address(), what="an address without the run")
    expect(person.page.get_by_test_id("error")).to_have_count(0)


def test_without_a_language_model_improving_says_what_to_do_instead(person: Tab, trained: Trained) -> None:
    person.open(f"/?env={ENVIRONMENT}&run={trained.run_id}")

    person.page.get_by_role("button", name="Improve it").click()

    expect(person.part("improve-needs-llm")).to_contain_text("TABRL_LLM_MODEL")
    expect(person.part("improve-needs-llm")).to_contain_text("change the weights")


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A language model that answers with what was recorded."""
    server = ModelServer()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def advised(
    model: ModelServer, browser: Browser, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Tab]:
    """A tab of a TabRL for which that model writes."""
    monkeypatch.setenv("TABRL_LLM_MODEL", "openai/relay")
    monkeypatch.setenv("TABRL_LLM_API_BASE", model.base)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    stack: RunningStack = request.getfixturevalue("untouched_stack")
    with tab(browser, stack.url) as opened:
        yield opened


def test_a_reward_is_improved_after_what_came_of_a_run(advised: Tab, model: ModelServer) -> None:
    # given a run for a reward that a language model wrote
    page = advised.page
    connection = Connection(advised.url)
    (exchange,) = recorded("sway")
    model.play(exchange["answer"])
    wish = rewardgen_pb2.CreateRewardRequest(prompt="sway gently with the pole up", scene_name=ENVIRONMENT)
    reward = connection.call(connection.rewards.CreateReward, wish, COMPILE_SECS).reward
    run_id = _started(connection, title=reward.prompt, reward=reward)
    advised.open(f"/?env={ENVIRONMENT}&run={run_id}")

    # when a person says what should be better, and the model is not to be had, then that is said and nothing is lost
    model.play((401, {"error": {"message": "No such key."}}))
    page.get_by_role("button", name="Improve it").click()
    page.get_by_label("What should be better?").fill("It sways too little")
    better = page.get_by_role("button", name="Write a better reward")
    better.click()
    expect(advised.part("error")).to_contain_text("API key")
    advised.screenshot("training-improve-failed")
    expect(page.get_by_label("What should be better?")).to_have_value("It sways too little")

    # when it is there again, then it is told what the person said, and what it changes stands beside what was there
    answer = json.loads(exchange["answer"])
    answer["source"] = answer["source"].replace("0.4, 0.4)", "0.6, 0.4)")
    answer["terms"][2]["weight"] = 1.6
    model.play(json.dumps(answer))
    better.click()
    advised.see("improvement")
    assert "It sways too little" in model.requests[0]["messages"][-1]["content"]
    sway = page.get_by_test_id("weight-changes").get_by_role("row").filter(has_text="Sway")
    expect(sway.get_by_role("cell")).to_have_text(["0.8", "1.6"])
    changed = page.get_by_test_id("source-diff").locator(".cm-changedLine")
    expect(changed).to_have_text([re.compile(re.escape("0.6, 0.4)"))])
    advised.screenshot("training-improved")

    # and it is what is trained for next, once the person takes it
    page.get_by_role("button", name="Use it", exact=True).click()
    advised.until(lambda: advised.address()["reward"] != reward.reward_id, what="the new reward")
    expect(advised.part("reward-origin")).to_contain_text("by openai/relay")
    connection.close()


def _started(
    connection: Connection, *, title: str, reward: rewardgen_pb2.Reward | None = None, env_steps: int = 20_000
) -> str:
    """Starts a short run, for the environment's own reward where none is given; its id."""
    settings = trainer_pb2.TrainingSettings(env_steps=env_steps, num_envs=64)
    spec = trainer_pb2.RunSpec(environment_id=ENVIRONMENT, settings=settings, title=title)
    if reward is not None:
        spec.reward.reward_id = reward.reward_id
        spec.reward.program_sha256, spec.reward.onnx_sha256 = reward.program.sha256, reward.onnx.sha256
        spec.reward.weights.update({term.name: term.weight for term in reward.terms})
    return connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run.run_id


def _run(connection: Connection, run_id: str) -> trainer_pb2.Run:
    return connection.call(connection.trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id)).run


def _written(connection: Connection, run_id: str) -> dict[str, float]:
    """When the checkpoint of each policy of a run that has ended was written, in seconds of the system's clock."""
    events = [update for update in watch_run(connection, run_id) if isinstance(update, trainer_pb2.RunEvent)]
    written = {
        each.checkpoint.env_steps: each.time.ToMicroseconds() / 1e6 for each in events if each.HasField("checkpoint")
    }
    published = [each.policy_published for each in events if each.HasField("policy_published")]
    return {each.policy_id: written[each.env_steps] for each in published}


def _is_gone(connection: Connection, run_id: str) -> bool:
    try:
        _run(connection, run_id)
    except CallError as error:
        return error.reason == "RUN_NOT_FOUND"
    return False


def _drives(person: Tab) -> str:
    """Policy that drives the robot; empty for none."""
    status = person.page.get_by_test_id("policy-status")
    return str(status.get_attribute("data-policy-id")) if status.count() else ""


def _next_to_drive(person: Tab) -> str:
    """Waits until another policy than now drives the robot, and returns it."""
    before = _drives(person)
    driving: str = person.until(lambda: (now := _drives(person)) != before and now, what="the next policy")
    return driving


def _in_view(person: Tab) -> bool:
    """Whether a failure is on the page, and all of it on the screen."""
    failure = person.page.get_by_test_id("error")
    box = failure.bounding_box() if failure.is_visible() else None
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= person.screen.height
