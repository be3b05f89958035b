"""Every view fits what it is looked at with, and stands still while it comes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.e2e.browser_tab import DESKTOP, PHONE, TABLET, Screen, tab
from tests.e2e.trained import Trained
from tests.e2e.views import VIEWS, View
from tests.stack.running_stack import RunningStack

# What Web Vitals call good.
MOST_JUMPS = 0.1


@pytest.mark.parametrize("screen", [DESKTOP, TABLET, PHONE], ids=lambda screen: str(screen.width))
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_fits_the_screen_and_does_not_jump(
    view: View, screen: Screen, trained: Trained, stack: RunningStack, browser: Browser
) -> None:
    with tab(browser, stack.url, screen=screen) as person:
        # when a view is opened
        view.open(person, trained)
        person.screenshot(view.name)

        # then it needs no scrolling sideways, and nothing jumped
        assert person.too_wide() == []
        jumps = person.jumped()
        assert sum(far for far, _ in jumps) < MOST_JUMPS, jumps

        # and it is there in the dark too
        person.turn("dark")
        person.screenshot(view.name)
        assert person.too_wide() == []

        # and nothing went wrong on the way
        expected = ["404", "console: Failed to load resource"] if view.name == "lost" else []
        assert [problem for problem in person.problems if not problem.startswith(tuple(expected))] == []
