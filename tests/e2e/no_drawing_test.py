"""A browser that draws nothing in three dimensions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.browser_tab import Tab, chromium
from tests.e2e.trained import ENVIRONMENT, PROMPT


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without WebGL."""
    with sync_playwright() as playwright, chromium(playwright, "--disable-3d-apis", "--disable-gpu") as started:
        yield started


def test_the_page_says_what_to_do_and_all_else_works(person: Tab) -> None:
    # when a robot is opened in a browser without WebGL
    person.open(f"/?env={ENVIRONMENT}")

    # then the stage says what is missing and what to do about it
    expect(person.part("error")).to_contain_text("hardware acceleration")
    assert [error["code"] for error in person.player_errors()] == ["WEBGL_FAILED"]

    # and a reward can be written for it
    person.page.get_by_test_id("prompt").fill(PROMPT)
    person.click("generate")
    person.see("reward-terms")
    person.screenshot("failure-webgl")
