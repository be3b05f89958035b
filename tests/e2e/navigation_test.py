"""Ways through the page: the palette, the keys, light and dark, and links that open the same view again."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from playwright.sync_api import expect
from tabrl.exporter.v1 import exporter_pb2
from tabrl_cli.connection import Connection

from tests.e2e.browser_tab import Tab
from tests.e2e.trained import ENVIRONMENT, PROMPT, Trained


def test_the_palette_leads_to_a_robot_and_to_the_dark(person: Tab) -> None:
    # given a robot's studio
    person.open(f"/?env={ENVIRONMENT}")
    person.until_alive()

    # when a person types a few letters of another robot into the palette and presses Enter, they are there
    _find(person, "pendulum")
    palette = person.page.get_by_role("dialog", name="Find anything")
    palette.get_by_role("option", name="Pendulum").first.wait_for()
    person.screenshot("palette-robot")
    person.page.keyboard.press("Enter")
    person.until(lambda: "env=PendulumSwingup" in person.page.url, what="another robot's address")
    person.until(lambda: person.page.evaluate("() => window.__tabrl?.scene") == "PendulumSwingup", what="another robot")

    # and what is to be done is found there too: the page turns dark, and stays so when it is opened again
    _find(person, "dark")
    person.page.keyboard.press("Enter")
    person.until(lambda: _theme(person) == "dark", what="a dark page")
    person.screenshot("palette-dark")
    person.page.reload()
    person.until_alive()
    assert _theme(person) == "dark"

    # and the menu of the page's head turns it back
    person.page.get_by_role("button", name="Light or dark").click()
    person.page.get_by_role("radio", name="Light", exact=True).check()
    person.until(lambda: _theme(person) == "light", what="a light page")
    person.page.keyboard.press("Escape")
    assert person.problems == []


def test_what_is_not_there_is_said_in_the_palette_and_all_keys_are_shown(person: Tab) -> None:
    # given a robot's studio
    person.open(f"/?env={ENVIRONMENT}")
    person.until_alive()

    # when something is looked for that is nowhere, the palette says so, and Escape closes it
    _find(person, "no such thing")
    person.page.get_by_role("dialog").get_by_text("Nothing is called that.").wait_for()
    person.screenshot("palette-nothing")
    person.page.keyboard.press("Escape")
    person.page.get_by_test_id("palette").wait_for(state="detached")

    # then a question mark shows the keys of this place; until it is closed, they do nothing to the robot
    person.page.keyboard.press("?")
    keys = person.page.get_by_role("dialog", name="Keys")
    for does in ("One step", "New episode", "Slower", "Find anything", "Push it forwards"):
        keys.get_by_text(does, exact=True).first.wait_for()
    person.screenshot("keys")
    person.page.keyboard.press("Space")
    person.until_it_plays_on()
    person.page.keyboard.press("Escape")
    person.until(lambda: keys.count() == 0, what="the end of the keys")
    assert person.problems == []


def test_a_link_opens_the_same_view_again_after_a_reload(person: Tab, trained: Trained, connection: Connection) -> None:
    # given links to robots narrowed down, a run, a policy of it, another policy, a name and what was done
    asked = exporter_pb2.GetPolicyRequest(policy_id=trained.policy_ids[0])
    controller = connection.call(connection.exporter.GetPolicy, asked).policy.controller.sha256
    main = person.page.get_by_role("main")
    studio, reward, run = f"/?env={ENVIRONMENT}", f"&reward={trained.reward_id}", f"&run={trained.run_id}"
    last = trained.policy_ids[1]
    shown: dict[str, Callable[[], bool]] = {
        "/?q=pendulum&order=newest": lambda: (
            main.get_by_role("searchbox").input_value() == "pendulum"
            and person.page.get_by_test_id("env-card-PendulumSwingup").count() == 1
            and person.page.get_by_test_id(f"env-card-{ENVIRONMENT}").count() == 0
        ),
        studio + reward + run: lambda: (
            main.get_by_role("textbox").first.input_value() == PROMPT
            and main.get_by_role("slider", name="Steps of practice").count() == 1
        ),
        studio + reward + run + f"&policy={last}": lambda: _is_chosen(person, last),
        studio + f"&policy={trained.policy_ids[0]}": lambda: _drives(person, controller),
        f"/?view=policies&name={trained.name}": lambda: (
            main.get_by_role("heading", name=trained.name, exact=True).count() == 1
        ),
        "/?view=work": lambda: main.get_by_role("heading", name="Your work").count() == 1,
    }

    for address, is_shown in shown.items():
        # when one is opened, then it shows what it names, stays as it is, and does so again after a reload
        person.open(address)
        person.until(is_shown, what=f"what {address} names")
        person.page.reload()
        person.until(is_shown, what=f"what {address} names")
        assert person.page.url == person.url + address
    assert person.problems == []


def test_back_and_forward_lead_through_the_views_as_they_were(person: Tab, trained: Trained) -> None:
    # given a person who looked for a robot, opened it, and went through the parts of the page
    page, main = person.page, person.page.get_by_role("main")
    shown = {
        "/?q=cartpole": main.get_by_test_id(f"env-card-{ENVIRONMENT}"),
        f"/?env={ENVIRONMENT}": main.get_by_role("textbox").first,
        "/?view=policies": main.get_by_text(trained.name, exact=True).first,
        f"/?view=policies&name={trained.name}": main.get_by_role("heading", name=trained.name, exact=True),
        "/?view=compare": main.get_by_role("heading", name="Which one does it better?"),
        "/?view=work": main.get_by_role("heading", name="Your work"),
    }
    _, studio, policies, name, compare, work = shown
    parts = page.get_by_role("navigation", name="TabRL")
    ways = {
        studio: shown["/?q=cartpole"],
        policies: parts.get_by_role("link", name="Policies"),
        name: shown[policies],
        compare: parts.get_by_role("link", name="Compare"),
        work: parts.get_by_role("link", name="Your work"),
    }
    person.open("/?q=cartpole")
    for address, way in ways.items():
        way.click()
        shown[address].wait_for()
    titles = {work: "Your work · TabRL"}
    expect(page).to_have_title(titles[work])

    # when they go back step by step, and forward again, then each view is there as it was
    there_and_back = [*reversed(shown)], [*shown]
    for direction, addresses in zip(("back", "forward"), there_and_back, strict=True):
        for address in addresses[1:]:
            page.evaluate(f"() => history.{direction}()")
            person.until(lambda: page.url == person.url + address, what=f"{direction} to {address}")  # noqa: B023
            shown[address].wait_for()
            if address not in titles:
                titles[address] = _another_title(person, titles)
            expect(page).to_have_title(titles[address])
    assert person.problems == []


def _find(tab: Tab, words: str) -> None:
    """Types into the palette, as soon as it is asked for."""
    tab.page.keyboard.press("Control+k")
    tab.page.keyboard.type(words)


def _another_title(tab: Tab, titles: Mapping[str, str]) -> str:
    """Waits until the tab is called what no view before was called, and returns that."""
    tab.until(lambda: tab.page.title() not in titles.values(), what="a title of its own")
    return tab.page.title()


def _theme(tab: Tab) -> str | None:
    return tab.page.locator("html").get_attribute("data-theme")


def _is_chosen(tab: Tab, policy_id: str) -> bool:
    """Whether a run's scale of practice stands at this policy."""
    return tab.page.locator(f'[data-policy-id="{policy_id}"][data-chosen="true"]').count() == 1


def _drives(tab: Tab, controller_sha256: str) -> bool:
    return (tab.tick() or {}).get("controllerSha256") == controller_sha256
