"""States are recorded once, and what failed is tried again, though not at once."""

import asyncio
from types import SimpleNamespace

import pytest
from tabrl.scene.v1 import scene_pb2
from tabrl_chassis.artifacts import ArtifactStore

from tabrl_scene import recordings

pytestmark = pytest.mark.asyncio

ENVIRONMENT = scene_pb2.Environment(
    summary=scene_pb2.EnvironmentSummary(environment_id="CartpoleBalance"), fingerprint="f" * 16
)
RECORDING = scene_pb2.REAL_STATES_STATE_RECORDING
FAILED = scene_pb2.REAL_STATES_STATE_FAILED
READY = scene_pb2.REAL_STATES_STATE_READY


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        """Start as a machine does that was just switched on."""
        self.now = 0.0

    def monotonic(self):
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The clock of the recordings."""
    clock = Clock()
    monkeypatch.setattr(recordings, "time", clock)
    return clock


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """Recordings whose child writes what `recorder.outcomes` says: bytes, or None where it fails."""
    tasks = []
    context = SimpleNamespace(
        config=SimpleNamespace(data=tmp_path),
        artifacts=ArtifactStore(tmp_path / "artifacts"),
        log=SimpleNamespace(warning=lambda *_, **__: None),
        background=lambda work, _name: tasks.append(asyncio.ensure_future(work)),
    )
    recorder = recordings.Recordings(context)
    recorder.outcomes, recorder.tasks = [], tasks

    async def recorded(_environment_id, file):
        outcome = recorder.outcomes.pop(0)
        if outcome is not None:
            file.write_bytes(outcome)
        return outcome is not None

    monkeypatch.setattr(recorder, "_recorded", recorded)
    return recorder


async def found(recorder):
    """Return what is found, after what is under way has ended."""
    answer = await recorder.find(ENVIRONMENT)
    await asyncio.gather(*recorder.tasks)
    return answer.state


async def test_states_are_recorded_once(recorder):
    recorder.outcomes = [b"states"]
    assert [await found(recorder) for _ in range(3)] == [RECORDING, READY, READY]
    # and are found again after a start
    again = recordings.Recordings(recorder._context)
    assert (await again.find(ENVIRONMENT)).states.size_bytes == len(b"states")


async def test_a_recording_that_failed_is_tried_again_after_a_while(recorder, clock):
    recorder.outcomes = [None, b"states"]
    assert await found(recorder) == RECORDING
    assert await found(recorder) == FAILED
    clock.now += recordings._AGAIN_AFTER_SECS - 1
    assert await found(recorder) == FAILED
    clock.now += 2
    assert await found(recorder) == RECORDING
    assert await found(recorder) == READY


async def test_two_callers_at_once_have_it_recorded_once(recorder):
    recorder.outcomes = [b"states"]
    first, second = await asyncio.gather(recorder.find(ENVIRONMENT), recorder.find(ENVIRONMENT))
    assert (first.state, second.state) == (RECORDING, RECORDING)
    assert len(recorder.tasks) == 1
    await asyncio.gather(*recorder.tasks)
    assert await found(recorder) == READY
