"""Accessibility, as axe-core finds it in a tab."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from tests.e2e.browser_tab import Tab

__all__ = ["violations"]

_AXE = Path(__file__).parents[2] / "frontend" / "web" / "node_modules" / "axe-core" / "axe.min.js"
_GRAVE = frozenset({"serious", "critical"})

# The size of targets, of WCAG 2.2, is not looked at unless it is asked for.
_RUN = """async () => {
  const rules = { "target-size": { enabled: true } };
  const { violations } = await axe.run(document, { resultTypes: ["violations"], rules });
  return violations.map(({ id, impact, help, nodes }) => ({
    id, impact, help,
    nodes: nodes.map(({ target, failureSummary }) => `${target.join(" ")}: ${failureSummary.replace(/\\s+/g, " ")}`),
  }));
}"""

# A change of colours begins with the next frame. Animations without an end are no transitions.
_AT_REST = """async () => {
  for (let frames = 0; frames < 2; frames += 1) await new Promise(requestAnimationFrame);
  const ends = (each) => each.effect.getComputedTiming().iterations !== Infinity;
  await Promise.allSettled(document.getAnimations().filter(ends).map(({ finished }) => finished));
}"""


@cache
def _script() -> str:
    return _AXE.read_text()


def violations(tab: Tab) -> list[str]:
    """Says which rules of serious or critical impact the page breaks, by which elements, and what would help."""
    # Colours that are on their way from one to another have no contrast of their own.
    tab.page.evaluate(_AT_REST)
    if not tab.page.evaluate("() => 'axe' in window"):
        tab.page.evaluate(_script())
    found: list[dict[str, Any]] = tab.page.evaluate(_RUN)
    return [
        f"{each['id']} ({each['impact']}): {each['help']}\n    " + "\n    ".join(each["nodes"][:5])
        for each in found
        if each["impact"] in _GRAVE
    ]
