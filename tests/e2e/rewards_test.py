"""Rewards: several to choose from, weights that are trained for, edited source, and what is said when none comes."""

from __future__ import annotations

from typing import Final

from google.protobuf.message import Message
from playwright.sync_api import Locator, Route, expect
from tabrl.rewardgen.v1 import rewardgen_pb2
from tabrl.trainer.v1 import trainer_pb2
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import Tab
from tests.e2e.trained import ENVIRONMENT, Trained, cancelled
from tests.stack.running_stack import RunningStack

WISH: Final = "Keep the pole upright and use little effort"
# The box of the reward's source, as it is read out.
SOURCE: Final = "Reward source in Python"
MINE: Final = '''def reward(state, action):
    """What this person wants."""
    return {
        "upright": state.up("pole_1"),
        "middle": near(state.joint_position("slider"), 0.0, 0.5),
    }
'''
MY_TERMS: Final = ["upright", "middle"]


def test_of_three_approaches_one_is_chosen_weighed_and_trained_for(person: Tab, connection: Connection) -> None:
    # given a wish, when a person asks for three approaches
    page = person.page
    person.open(f"/?env={ENVIRONMENT}")
    page.get_by_label("Behaviour in your words").fill(WISH)
    page.get_by_role("button", name="Show three approaches").click()

    # then there are three cards, each with a name and what to expect of it
    page.get_by_role("heading", name="Choose an approach").wait_for()
    cards = page.get_by_test_id("approach")
    expect(cards).to_have_count(3)
    for card in cards.all():
        expect(card).to_have_attribute("data-status", "sealed")
    names = cards.get_by_role("heading").all_inner_texts()
    assert len(set(names)) == 3
    person.screenshot("reward-approaches")

    # when the second is chosen, then its terms and its source are there, and the card says that it is in use
    page.get_by_role("button", name=f"Use {names[1]}", exact=True).click()
    page.get_by_role("button", name=f"{names[1]} is in use").wait_for()
    terms = page.get_by_role("list", name="Terms of the reward").locator("[data-term]")
    terms.first.wait_for()
    expect(page.get_by_role("textbox", name=SOURCE)).to_contain_text("def reward")
    reward_id = person.address()["reward"]
    written = _weights(terms)

    # when one of the weights is slid to its end, then it is marked, and still so after a reload
    slider = terms.first.get_by_role("slider")
    name = str(terms.first.get_attribute("data-term"))
    slider.press("Home" if written[name] > 0 else "End")
    slid = {**written, name: 0}
    person.until(lambda: _weights(terms) == slid, what="a weight of nothing")
    expect(terms.first).to_have_attribute("data-changed", "true")
    person.screenshot("reward-weights")
    page.reload()
    terms.first.wait_for()
    person.until(lambda: _weights(terms) == slid, what="the weights as they were")

    # and when it is trained, the run is for this reward with these weights
    page.get_by_role("button", name="Train", exact=True).click()
    run_id = person.until(lambda: person.address().get("run"), what="a run in the address")
    assert cancelled(connection, run_id)
    trained_for = connection.call(connection.trainer.GetRun, trainer_pb2.GetRunRequest(run_id=run_id)).run.spec.reward
    assert trained_for.reward_id == reward_id
    assert dict(trained_for.weights) == slid

    # and back at what was written none of it is marked
    page.get_by_role("button", name="As written").click()
    person.until(lambda: _weights(terms) == written, what="the weights as written")
    page.reload()
    terms.first.wait_for()
    person.until(lambda: _weights(terms) == written, what="the weights as written")
    assert person.problems == []


def test_source_is_edited_with_its_problems_in_place_and_becomes_a_reward_of_its_own(
    person: Tab, trained: Trained, connection: Connection
) -> None:
    # given a reward
    page = person.page
    person.open(f"/?env={ENVIRONMENT}&reward={trained.reward_id}")
    editor = page.get_by_role("textbox", name=SOURCE)
    editor.wait_for()

    # when a person writes what the language never takes, then the line is underlined as soon as they pause
    _write(editor, MINE.replace("    return {", "    import os\n    return {"))
    underlined = editor.locator(".cm-lintRange-error")
    expect(underlined).to_have_text(["import"])
    person.until(lambda: _line_of(underlined) == 3, what="the third line underlined")
    expect(person.part("diagnostics")).to_contain_text("3:5")

    # and when the service is asked for a word that the robot lacks, then that is the place which is marked
    _write(editor, MINE.replace("pole_1", "pole_9"))
    page.get_by_role("button", name="Check and use my edit").click()
    page.get_by_role("alert").filter(has_text="pole_9").wait_for()
    person.until(lambda: _line_of(underlined) == 4, what="the fourth line underlined")
    expect(person.part("error")).to_contain_text("pole_1")
    # beside what was there before
    expect(editor.locator(".cm-deletedChunk").first).to_be_visible()
    expect(editor.locator(".cm-changedLine").filter(has_text="pole_9")).to_have_count(1)
    person.screenshot("reward-source-refused")

    # when it is valid, then it is a reward of its own, by this person, and the one before is what it was
    _write(editor, MINE)
    page.get_by_role("button", name="Check and use my edit").click()
    person.until(lambda: person.address()["reward"] != trained.reward_id, what="another reward")
    expect(person.part("reward-origin")).to_contain_text("edited by you")
    terms = page.get_by_role("list", name="Terms of the reward").locator("[data-term]")
    person.until(lambda: list(_weights(terms)) == MY_TERMS, what="its terms")
    expect(editor.locator(".cm-changedLine")).to_have_count(0)
    person.screenshot("reward-source-edited")
    asked = rewardgen_pb2.GetRewardRequest(reward_id=trained.reward_id)
    assert connection.call(connection.rewards.GetReward, asked).reward.source != MINE
    person.open(f"/?env={ENVIRONMENT}&reward={trained.reward_id}")
    expect(person.part("reward-origin")).to_contain_text("by the built-in library")
    person.until(lambda: list(_weights(terms)) not in ([], MY_TERMS), what="its terms")

    # and the refusal is all that went wrong
    assert [problem for problem in person.problems if "CompileReward" not in problem] == []


def test_a_rewardgen_that_is_killed_while_it_writes_is_named_and_asked_again(person: Tab, stack: RunningStack) -> None:
    # given a reward that is being written, by a process that comes no further
    page = person.page
    person.open(f"/?env={ENVIRONMENT}")
    page.get_by_label("Behaviour in your words").fill(WISH)
    page.get_by_role("button", name="Write the reward").wait_for()
    stack.process("rewardgen").suspend()
    page.get_by_role("button", name="Write the reward").click()
    page.get_by_role("button", name="Writing the reward").wait_for()

    # when that process is killed
    stack.kill("rewardgen")

    # then the page says so beside the words, which are still there
    again = page.get_by_role("alert").get_by_role("button", name="Try again")
    again.wait_for()
    person.screenshot("reward-killed")
    expect(page.get_by_label("Behaviour in your words")).to_have_value(WISH)

    # and once it is back, the same words become a reward
    stack.until_serving()

    def written() -> bool:
        if again.is_visible():  # also a second time: the gateway may be told a moment later
            again.click()
        return page.get_by_test_id("reward-terms").is_visible()

    person.until(written, what="a reward")
    expect(page.get_by_test_id("error")).to_have_count(0)


def test_words_that_are_too_long_or_that_nobody_here_understands_are_refused_beside_the_words(person: Tab) -> None:
    # given more words than anybody reads
    page = person.page
    person.open(f"/?env={ENVIRONMENT}")
    words = page.get_by_label("Behaviour in your words")
    write = page.get_by_role("button", name="Write the reward")
    words.fill("upright " * 501)

    # when they are sent, then how many they are is said at the words, and three approaches say the same
    for button in (write, page.get_by_role("button", name="Show three approaches")):
        button.click()
        expect(person.part("error")).to_contain_text("4,007")
    person.screenshot("reward-too-long")

    # when there is no language model, then free wording comes to nothing, and the page says what would help
    expect(person.part("model")).to_contain_text("without an LLM")
    words.fill("Recite a poem about the sea")
    write.click()
    expect(person.part("error")).to_contain_text("without an LLM")
    expect(person.part("error")).to_contain_text("It does not know: poem, sea")
    person.screenshot("reward-not-understood")

    # and one of the examples does
    page.get_by_role("list", name="Examples").get_by_role("button").first.click()
    write.click()
    person.see("reward-terms")
    expect(page.get_by_test_id("error")).to_have_count(0)


def test_a_model_that_is_no_longer_configured_is_named_and_another_writes(person: Tab) -> None:
    # given a page that was opened when there was still a language model
    model = rewardgen_pb2.Model(name="openai/retired", title="Retired", description="A language model.")
    library = rewardgen_pb2.Model(name="library", title="Built-in library", description="Known behaviours.")
    listed = rewardgen_pb2.ListModelsResponse(models=[model, library])
    person.page.route("**/*RewardService/ListModels", lambda route: _answer(route, listed))
    page = person.page
    person.open(f"/?env={ENVIRONMENT}")
    page.get_by_label("Behaviour in your words").fill(WISH)
    page.get_by_label("Written by").select_option(label="Retired")
    page.unroute("**/*RewardService/ListModels")

    # when it is to write
    page.get_by_role("button", name="Write the reward").click()

    # then the page says that it is not there, and what to choose instead
    expect(person.part("error")).to_contain_text("openai/retired")
    expect(person.part("error")).to_contain_text("built-in library")
    page.get_by_label("Written by").wait_for(state="hidden")
    person.screenshot("reward-no-model")

    # and offers no more what is not there; the library writes
    expect(person.part("model")).to_contain_text("without an LLM")
    page.get_by_role("button", name="Write the reward").click()
    person.see("reward-terms")
    expect(person.part("reward-origin")).to_contain_text("built-in library")
    expect(page.get_by_test_id("error")).to_have_count(0)


def test_a_link_to_a_reward_that_is_not_there_says_so_and_leads_on(person: Tab) -> None:
    # when a link from elsewhere is followed
    person.open(f"/?env={ENVIRONMENT}&reward=reward-of-elsewhere")

    # then it is said which reward is missing, beside the living robot
    expect(person.part("error")).to_contain_text("reward-of-elsewhere")
    person.until_alive()
    person.screenshot("reward-unknown")

    # and a click leads on without it
    person.page.get_by_role("button", name="Go on without it").click()
    person.until(lambda: "reward" not in person.address(), what="an address without the reward")
    expect(person.page.get_by_test_id("error")).to_have_count(0)


def _weights(terms: Locator) -> dict[str, float]:
    """The weights on the page, by term."""
    return {
        str(term.get_attribute("data-term")): float(term.get_by_role("spinbutton").input_value())
        for term in terms.all()
    }


def _write(editor: Locator, source: str) -> None:
    """Replaces all of the source, as one who pastes."""
    editor.click()
    editor.page.keyboard.press("Control+A")
    editor.page.keyboard.insert_text(source)


def _line_of(marked: Locator) -> int:
    """Number of the line in which something is marked, what was deleted left out; 1 for the first."""
    line: int = marked.first.evaluate(
        """(element) => {
          const line = element.closest(".cm-line");
          return [...line.parentElement.children].filter((each) => each.matches(".cm-line")).indexOf(line) + 1;
        }"""
    )
    return line


def _answer(route: Route, message: Message) -> None:
    """Answers a call of the page with this message, as a service does by grpc-web."""
    content = message.SerializeToString()
    end = b"grpc-status: 0\r\n"
    body = b"\0" + len(content).to_bytes(4) + content + b"\x80" + len(end).to_bytes(4) + end
    route.fulfill(status=200, content_type="application/grpc-web+proto", body=body)
