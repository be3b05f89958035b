"""Nothing in any view keeps people out who see little, hear nothing of colours, or use no mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.e2e.axe import violations
from tests.e2e.browser_tab import DESKTOP, PHONE, Screen, tab
from tests.e2e.trained import Trained
from tests.e2e.views import VIEWS, View
from tests.stack.running_stack import RunningStack


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=lambda screen: str(screen.width))
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_axe_finds_nothing_grave(
    view: View, screen: Screen, trained: Trained, stack: RunningStack, browser: Browser
) -> None:
    with tab(browser, stack.url, screen=screen) as person:
        # given a view
        view.open(person, trained)

        # when it is light, and when it is dark
        found = []
        for scheme in ("light", "dark"):
            person.turn(scheme)
            found += [f"{scheme}: {each}" for each in violations(person)]

        # then axe finds nothing grave in it
        assert not found, "\n".join(found)
