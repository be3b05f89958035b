"""What goes wrong is said where the person looks, and goes away when it is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection
from tabrl_cli.errors import CallError

from tests.e2e.browser_tab import Tab
from tests.stack.running_stack import RunningStack, eventually

# More than it can do while the test lasts; it is cancelled at the end.
ENV_STEPS = 2_000_000_000


@pytest.fixture
def run_id(stack: RunningStack) -> Iterator[str]:
    """A run that trains."""
    connection = Connection(stack.url)
    settings = trainer_pb2.TrainingSettings(env_steps=ENV_STEPS, num_envs=256)
    spec = trainer_pb2.RunSpec(environment_id="CartpoleBalance", settings=settings)
    run = connection.call(connection.trainer.CreateRun, trainer_pb2.CreateRunRequest(spec=spec)).run
    yield run.run_id
    eventually(lambda: _cancelled(connection, run.run_id), report=stack.tail)


def test_a_killed_trainer_is_noticed_and_the_run_goes_on_when_it_returns(
    stack: RunningStack, person: Tab, run_id: str
) -> None:
    # given a person who watches a run
    person.open(f"/?env=CartpoleBalance&run={run_id}")
    state = person.page.get_by_test_id("run-state")
    person.until(lambda: state.count() and state.get_attribute("data-state") == "RUNNING", what="a running run")
    person.see("checkpoint-item")

    # when the Trainer is killed
    stack.kill("trainer")

    # then the page says so, while the robot stays alive
    # the broken stream is seen at once, the service's name with the next look at its health
    person.until(lambda: "Trainer" in person.banner(), what="a banner that names the Trainer")
    person.screenshot("7-trainer-killed")
    before = person.tick()["step"] + 1000 * person.tick()["episode"]  # type: ignore[index]
    person.until(lambda: (t := person.tick()) and t["step"] + 1000 * t["episode"] > before, what="a living robot")

    # and once it is back the banner goes and the run goes on
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")
    person.until(lambda: state.get_attribute("data-state") == "RUNNING", what="the run's return")
    seen = person.text("run-panel")
    person.until(lambda: person.text("run-panel") != seen, what="progress of the run")
    person.screenshot("8-trainer-back")
    assert [error["code"] for error in person.player_errors()] == []


@pytest.mark.parametrize("service", ["RewardGen", "Exporter", "Inference"])
def test_a_killed_service_is_named_although_nobody_calls_it(service: str, stack: RunningStack, person: Tab) -> None:
    # it is back within a second or two, perhaps before the page looks again: then the count of restarts tells
    with person.page.expect_response("**/healthz"):
        person.open()
    person.see("env-card-CartpoleBalance")

    stack.kill(service.lower())

    assert service in person.until(person.banner, what="a banner")
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")


def test_a_scene_that_hangs_is_named_and_does_not_stop_a_robot_that_is_loaded(stack: RunningStack, person: Tab) -> None:
    person.open("/?env=WalkerStand")
    person.until_alive()

    stack.process("scene").suspend()

    assert "scene" in person.until(person.banner, what="a banner").lower()
    person.screenshot("12-scene-hangs")
    episode = person.tick()["episode"]  # type: ignore[index]
    person.click("reset")
    person.until(lambda: person.tick()["episode"] > episode, what="a new episode")  # type: ignore[index]
    stack.process("scene").resume()
    stack.until_serving()
    person.until(lambda: not person.banner(), what="the end of the banner")


def test_an_empty_prompt_is_refused_beside_the_prompt(person: Tab) -> None:
    person.open("/?env=CartpoleBalance")
    person.page.get_by_test_id("prompt").fill("   ")

    person.click("generate")

    person.see("error")
    person.screenshot("9-empty-prompt")
    assert person.page.get_by_test_id("reward-terms").count() == 0


def test_broken_source_is_refused_with_its_line(stack: RunningStack, person: Tab) -> None:
    # given a reward
    person.open("/?env=CartpoleBalance")
    person.page.get_by_test_id("prompt").fill("keep the pole upright")
    person.click("generate")
    person.see("reward-terms")

    # when the person breaks its source
    editor = person.page.get_by_test_id("reward-source").locator(".cm-content")
    editor.click()
    person.page.keyboard.press("Control+A")
    person.page.keyboard.insert_text("import os\n\ndef reward(state, action):\n    return {'a': os.getpid()}\n")
    person.click("compile")

    # then the page says which rule is broken and where
    person.see("error")
    said = person.text("error").lower()
    person.screenshot("10-broken-source")
    assert "import" in said
    assert "line 1" in said or "1:" in said


def test_an_unknown_environment_is_said_to_be_unknown(person: Tab) -> None:
    person.open("/?env=CartpoleBallance")

    person.see("error")
    person.screenshot("11-unknown-environment")
    assert "CartpoleBalance" in person.text("error")


def _cancelled(connection: Connection, run_id: str) -> bool:
    try:
        connection.call(connection.trainer.CancelRun, trainer_pb2.CancelRunRequest(run_id=run_id))
    except CallError:
        return False
    return True
