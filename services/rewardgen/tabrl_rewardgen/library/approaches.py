"""Different rewards for one behaviour, from the library's own: as asked, smoother, and all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tabrl_rewardgen.library.draft import Draft, Term
from tabrl_rewardgen.library.writing import LibraryReward

__all__ = ["MOST", "approach"]

_SMOOTH_WEIGHT = -0.5
_DENSE_SHARE = 0.3


def approach(reward: LibraryReward, number: int) -> LibraryReward:
    """Return the `number`-th approach to what a reward is for, from 1; beyond `MOST` they begin anew."""
    name, expected, change = _APPROACHES[(number - 1) % MOST]
    draft = change(reward.draft)
    return replace(
        reward,
        name=name,
        expected_behaviour=f"{reward.draft.summary} {expected}".strip(),
        draft=draft,
        source=draft.source(),
        weights={term.name: term.weight for term in draft.terms},
        term_explanations={term.name: term.explanation for term in draft.terms},
    )


def _as_asked(draft: Draft) -> Draft:
    return draft


def _smooth(draft: Draft) -> Draft:
    """Let each change of the action cost something."""
    smooth = Term("jerk", "state.action_change()", "The action changes from step to step, which costs.", _SMOOTH_WEIGHT)
    return replace(draft, terms=[*draft.terms, smooth])


def _at_once(draft: Draft) -> Draft:
    """Put what is wanted into one term that is high only where all of it holds."""
    wanted = [term for term in draft.terms if term.weight > 0]
    if len(wanted) < 2:
        return draft
    # Written out rather than named, so that each stands as it does in the reward as asked.
    parts = [f"({term.expression})" for term in wanted]
    total, product = " + ".join(parts), " * ".join(parts)
    expression = f"{_DENSE_SHARE:g} * ({total}) / {len(parts)}.0 + {1 - _DENSE_SHARE:g} * {product}"
    names = ", ".join(term.name for term in wanted)
    together = Term("together", expression, f"All at once: {names}.", sum(term.weight for term in wanted))
    costs = [term for term in draft.terms if term.weight <= 0]
    return replace(draft, terms=[together, *costs])


_APPROACHES: tuple[tuple[str, str, Callable[[Draft], Draft]], ...] = (
    ("As asked", "", _as_asked),
    ("Smooth", "It moves without haste or trembling.", _smooth),
    ("All at once", "It may take longer to find, and gives up on half of it less easily.", _at_once),
)
MOST = len(_APPROACHES)
"""How many different approaches there are."""
