"""Every view fits its screen, stands still while it comes, and keeps nobody out who sees little or uses no mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.e2e.axe import violations
from tests.e2e.browser_tab import DESKTOP, PHONE, TABLET, Scheme, Screen, tab
from tests.e2e.trained import Trained
from tests.e2e.views import VIEWS, View
from tests.stack.running_stack import RunningStack

# What Web Vitals call good.
MOST_JUMPS = 0.1
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.mark.parametrize("screen", [DESKTOP, TABLET, PHONE], ids=lambda screen: str(screen.width))
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_fits_the_screen_stands_still_and_is_for_everybody(
    view: View, screen: Screen, trained: Trained, stack: RunningStack, browser: Browser
) -> None:
    with tab(browser, stack.url, screen=screen) as person:
        # when a view is opened, then nothing jumps
        view.open(person, trained)
        person.screenshot(view.name)
        jumps = person.jumped()
        assert sum(far for far, _ in jumps) < MOST_JUMPS, jumps

        # and in the light and in the dark it needs no scrolling sideways, and axe finds nothing grave in it
        for scheme in SCHEMES:
            person.turn(scheme)
            found = violations(person)
            assert not found, f"{scheme}: " + "\n".join(found)
            person.screenshot(view.name)
            assert person.too_wide() == []

        # and nothing went wrong on the way
        expected = ["404", "console: Failed to load resource"] if view.name == "lost" else []
        assert [problem for problem in person.problems if not problem.startswith(tuple(expected))] == []
