"""Prompts that mean the same are alike, and opposites are not."""

import pytest

from tabrl_rewardgen.library import SAME, likeness


@pytest.mark.parametrize(
    ("prompt", "other"),
    [
        ("run backwards", "sprint in reverse"),
        ("balance the pole", "keep the pole upright"),
        ("wave your hand", "greet me"),
        ("stand still", "stand still"),
        ("play the violin softly", "play the violin softly"),
    ],
)
def test_the_same_in_other_words_is_alike(prompt, other):
    assert likeness(prompt, other) == likeness(other, prompt) >= SAME


@pytest.mark.parametrize(
    ("prompt", "other"),
    [
        ("run forwards", "run backwards"),
        ("walk", "crouch"),
        ("walk at 0.5 m/s", "walk at 2 m/s"),
        ("spin clockwise", "spin counter-clockwise"),
        ("turn left", "turn right"),
        ("turn left", "turn"),
        ("walk slowly", "walk fast"),
        ("walk sideways to the left", "walk sideways to the right"),
        ("play the violin", "fold the laundry"),
    ],
)
def test_opposites_and_strangers_are_not(prompt, other):
    assert likeness(prompt, other) < SAME
