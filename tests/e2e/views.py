"""Every view of the page, and how a person gets to the point where there is something to see in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tabrl_simulation import robots

from tests.e2e.browser_tab import Tab
from tests.e2e.trained import ENVIRONMENT, Trained

__all__ = ["VIEWS", "View"]


@dataclass(frozen=True)
class View:
    """One view; `open` returns when all of it is there, and what moves by itself stands still."""

    name: str
    open: Callable[[Tab, Trained], None]


def _gallery(tab: Tab, _: Trained) -> None:
    tab.open()
    tab.see(f"env-card-{ENVIRONMENT}")


def _gallery_end(tab: Tab, _: Trained) -> None:
    tab.open()
    tab.see(f"env-card-{ENVIRONMENT}")
    tab.page.mouse.wheel(0, 1_000_000)
    tab.see("upload-card")
    if (robots.folder() / "tetheria_aero_hand_open").is_dir():
        tab.part("menagerie").scroll_into_view_if_needed()


def _studio(tab: Tab, _: Trained) -> None:
    tab.open(f"/?env={ENVIRONMENT}")
    tab.see("prompt")
    _alive_then_still(tab)


def _studio_reward(tab: Tab, trained: Trained) -> None:
    tab.open(f"/?env={ENVIRONMENT}&reward={trained.reward_id}")
    tab.see("reward-terms")
    tab.see("reward-source")
    _alive_then_still(tab)


def _studio_run(tab: Tab, trained: Trained) -> None:
    tab.open(f"/?env={ENVIRONMENT}&run={trained.run_id}")
    tab.see("checkpoint-item")
    tab.see("run-state")
    _driven_then_still(tab)


def _policies(tab: Tab, trained: Trained) -> None:
    tab.open("/?view=policies")
    tab.page.get_by_role("main").get_by_text(trained.name, exact=True).first.wait_for()


def _policy_name(tab: Tab, trained: Trained) -> None:
    tab.open(f"/?view=policies&name={trained.name}")
    tab.page.get_by_role("heading", name=trained.name, exact=True).first.wait_for()


def _compare(tab: Tab, trained: Trained) -> None:
    tab.open(f"/?view=compare&with={','.join(trained.policy_ids)}")
    tab.until(lambda: tab.page.locator("main canvas").count() >= 2, what="two robots")
    tab.until_driven()
    tab.click("compare-play")


def _work(tab: Tab, _: Trained) -> None:
    tab.open("/?view=work")
    tab.page.get_by_role("main").get_by_role("listitem").first.wait_for()


def _palette(tab: Tab, _: Trained) -> None:
    tab.open()
    tab.see(f"env-card-{ENVIRONMENT}")
    tab.page.keyboard.press("Control+K")
    tab.page.get_by_role("dialog").get_by_role("option").first.wait_for()


def _lost(tab: Tab, _: Trained) -> None:
    tab.open("/?policy=nothing-of-this-name")
    tab.see("error")


VIEWS: Final = (
    View("gallery", _gallery),
    View("gallery-end", _gallery_end),
    View("studio", _studio),
    View("studio-reward", _studio_reward),
    View("studio-run", _studio_run),
    View("policies", _policies),
    View("policy-name", _policy_name),
    View("compare", _compare),
    View("work", _work),
    View("palette", _palette),
    View("lost", _lost),
)


def _alive_then_still(tab: Tab) -> None:
    tab.until_alive()
    tab.click("play-pause")


def _driven_then_still(tab: Tab) -> None:
    tab.until_driven()
    tab.click("play-pause")
