"""A robot that cannot be loaded, or not all of it: what is missing is named, and the way on works."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tabrl.exporter.v1 import exporter_pb2
from tabrl.scene.v1 import scene_pb2
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import Tab
from tests.e2e.trained import ENVIRONMENT, Trained, publish_untrained
from tests.stack.running_stack import RunningStack

AGAIN = re.compile("again", re.IGNORECASE)


@pytest.mark.usefixtures("trained")
def test_without_the_physics_engine_the_page_says_so_and_starts_it_when_asked(person: Tab) -> None:
    # given a network that holds back the WebAssembly of the physics engine
    person.page.route("**/mujoco*.wasm", lambda route: route.abort())

    # when a robot is opened
    person.open(f"/?env={ENVIRONMENT}")

    # then the stage says what does not start, and the words beside it can be written all the same
    expect(person.part("error")).to_contain_text("did not start in this browser")
    assert [error["code"] for error in person.player_errors()] == ["WASM_FAILED"]
    person.page.get_by_test_id("prompt").fill("balance")
    person.screenshot("failure-wasm")

    # and once the network is whole, a click brings the robot
    person.page.unroute("**/mujoco*.wasm")
    person.page.get_by_test_id("stage").get_by_role("button", name=AGAIN).click()
    person.until_alive()
    expect(person.page.get_by_test_id("error")).to_have_count(0)


def test_without_what_runs_policies_the_robot_is_there_and_the_policy_comes_when_asked(
    person: Tab, trained: Trained
) -> None:
    # given a network that holds back the WebAssembly of the ONNX runtime
    person.page.route("**/ort*.wasm", lambda route: route.abort())

    # when a policy is opened
    person.open(f"/?env={ENVIRONMENT}&policy={trained.policy_ids[1]}")

    # then the robot is there without it, and the stage says what did not start
    expect(person.part("error")).to_contain_text("What runs policies did not start")
    person.until_alive()
    assert person.tick()["driven"] is False  # type: ignore[index]
    assert {error["code"] for error in person.player_errors()} == {"RUNTIME_FAILED"}

    # and once the network is whole, a click brings the policy
    person.page.unroute("**/ort*.wasm")
    person.page.get_by_test_id("stage").get_by_role("button", name=AGAIN).click()
    person.until_driven()


def test_a_damaged_controller_is_named_and_the_robot_stays(
    person: Tab, trained: Trained, connection: Connection
) -> None:
    # given a controller of which a byte is changed on its way
    asked = exporter_pb2.GetPolicyRequest(policy_id=trained.policy_ids[1])
    policy = connection.call(connection.exporter.GetPolicy, asked).policy
    person.page.route(f"**/artifacts/{policy.controller.sha256}", _damaged)

    # when a person opens the policy
    person.open(f"/?env={ENVIRONMENT}&policy={policy.policy_id}")

    # then the stage says that it is not what it should be, and nothing of it drives the robot
    expect(person.part("stage")).to_contain_text("damaged")
    person.until_alive()
    assert person.tick()["driven"] is False  # type: ignore[index]
    assert {error["code"] for error in person.player_errors()} == {"DIGEST_MISMATCH"}
    person.screenshot("failure-damaged-controller")


def test_a_damaged_scene_is_named_and_loaded_when_it_is_whole(person: Tab, connection: Connection) -> None:
    # given a scene of which a byte is changed on its way
    asked = scene_pb2.GetSceneBundleRequest(environment_id=ENVIRONMENT)
    bundle = connection.call(connection.scene.GetSceneBundle, asked).bundle
    where = f"**/artifacts/{bundle.xml.sha256}"
    person.page.route(where, _damaged)

    # when a person opens the robot, then the stage says that the scene is not what it should be
    person.open(f"/?env={ENVIRONMENT}")
    expect(person.part("error")).to_contain_text("damaged")
    person.screenshot("failure-damaged-scene")

    # and a click brings it once it is
    person.page.unroute(where)
    person.page.get_by_test_id("stage").get_by_role("button", name=AGAIN).click()
    person.until_alive()


def test_a_browser_without_room_for_files_plays_all_the_same(person: Tab, trained: Trained, browser: Browser) -> None:
    # given a browser that keeps next to nothing of this site
    devtools = person.page.context.new_cdp_session(person.page)
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": person.url, "quotaSize": 1})

    # when a person opens a policy
    person.open(f"/?env={ENVIRONMENT}&policy={trained.policy_ids[1]}")

    # then it drives the robot, and nobody is bothered
    person.until_driven()
    assert person.player_errors() == []
    assert person.problems == []
    assert _kept(person.page) == 0


def test_a_policy_that_was_deleted_is_missed_by_name_and_the_robot_stays(
    person: Tab, stack: RunningStack, connection: Connection
) -> None:
    # given a link to a policy that somebody has deleted since
    policy = publish_untrained(connection, stack.data / "artifacts", seed=41)
    asked = exporter_pb2.DeletePolicyRequest(policy_id=policy.policy_id)
    connection.call(connection.exporter.DeletePolicy, asked)

    # when it is followed
    person.open(f"/?env={ENVIRONMENT}&policy={policy.policy_id}")

    # then the page says which policy is missing, beside the living robot
    expect(person.part("error")).to_contain_text(policy.policy_id)
    person.until_alive()
    person.screenshot("failure-deleted-policy")

    # and there is a way on without it
    person.page.get_by_test_id("error").get_by_role("button").click()
    person.until(lambda: "policy=" not in person.page.url, what="an address without the policy")
    expect(person.page.get_by_test_id("error")).to_have_count(0)
    assert person.player_errors() == []


def _damaged(route: Route) -> None:
    answer = route.fetch()
    whole = answer.body()
    route.fulfill(status=200, headers=answer.headers, body=whole[:-1] + bytes([whole[-1] ^ 1]))


def _kept(page: Page) -> int:
    """How many files the browser keeps of this site."""
    count: int = page.evaluate(
        """async () => {
          let count = 0;
          for (const name of await caches.keys()) count += (await (await caches.open(name)).keys()).length;
          return count;
        }"""
    )
    return count
