"""The loop behind the window, with a window that nobody sees: this machine may have no display."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import mujoco.viewer
import numpy as np
import pytest
from tabrl.play import window
from tabrl.play.bundle import read_bundle, write_bundle
from tabrl.play.loading import load
from tabrl.play.sample import sample_contents


class Window:
    """Notes what is to be seen, and is closed after so many pictures."""

    def __init__(self, data: Any, pictures: int) -> None:
        self.data = data
        self.pictures = pictures
        self.seen: list[float] = []

    def is_running(self) -> bool:
        return len(self.seen) < self.pictures

    def sync(self) -> None:
        self.seen.append(float(self.data.qpos[0]))


def test_it_plays_episode_after_episode_from_one_reset_after_the_other_as_fast_as_time_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    windows: list[Window] = []

    @contextlib.contextmanager
    def launch(model: Any, data: Any) -> Iterator[Window]:
        assert data.model is model
        windows.append(Window(data, pictures=23))
        yield windows[0]

    slept: list[float] = []
    monkeypatch.setattr(mujoco.viewer, "launch_passive", launch)
    monkeypatch.setattr(window.time, "sleep", slept.append)
    monkeypatch.setattr(window.time, "monotonic", lambda: 100.0)
    bundle = read_bundle(write_bundle(sample_contents()))

    # Given a window that is closed after 23 pictures, when episodes of 0.2 s are shown from the second reset on
    window.show(load(bundle), bundle.manifest, first_reset=1, held={}, noise=None, secs=0.2)

    # then each has its eleven ticks, and starts from the next reset state
    seen = windows[0].seen
    assert [seen[0], seen[11], seen[22]] == [np.float32(-0.2), np.float32(0.3), np.float32(-0.2)]
    # and waits for each tick's own time, on a clock that stands still
    assert slept[:10] == pytest.approx([0.02 * tick for tick in range(10)])
