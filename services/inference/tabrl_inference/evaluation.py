"""Whole episodes of a policy in native MuJoCo, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import Counter
from tabrl.play import player
from tabrl_chassis.limits import ConcurrencyLimit

from tabrl_inference.policies import LoadedPolicy

if TYPE_CHECKING:
    from tabrl_simulation.motion import Check, Judgement, Recorder
    from tabrl_simulation.motion.measure import Measures

__all__ = ["Episode", "Evaluations", "Summary", "summary"]

_EPISODES = Counter("tabrl_inference_episodes", "Episodes that evaluations played to their end.")


@dataclass(frozen=True)
class Episode:
    """One episode."""

    index: int
    episode_return: float
    term_returns: Mapping[str, float]
    length: int
    """Control steps until it ended."""
    survived: float
    """Part of the environment's episode length that was reached, 0 to 1."""
    checked: Judgement | None
    """What the check says of its first ten seconds; None without one."""
    latencies_secs: tuple[float, ...] = field(repr=False)
    """Time of each decision."""


@dataclass(frozen=True)
class Summary:
    """All episodes of an evaluation."""

    episodes: int
    mean_return: float
    std_return: float
    mean_survived: float
    term_returns: Mapping[str, float]
    control_latency_secs: float
    """Median time of one decision."""
    checked: Measures | None
    """What the check says of them; None without one."""


class Evaluations:
    """Plays evaluations, a few at once; MuJoCo and onnxruntime let go of Python's lock while they compute."""

    def __init__(self, *, maximum: int) -> None:
        """Bounds how many run at once."""
        self._threads = ThreadPoolExecutor(maximum, thread_name_prefix="evaluation")
        self.limit = ConcurrencyLimit("evaluations", maximum, retry_after_secs=2.0)

    async def play(
        self, policy: LoadedPolicy, episodes: int, *, seed: int, check: Check | None = None
    ) -> AsyncGenerator[Episode, None]:
        """Yields each episode as it ends; leaving the loop early stops the playing within a control period.

        Starting states are taken in an order that the seed decides, each once before any comes again.

        Raises:
            CheckError: the check names what the robot does not have.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Queue[Episode | None] = asyncio.Queue()
        stop = threading.Event()

        def tell(episode: Episode | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(ended.put_nowait, episode)

        def work() -> None:
            try:
                for episode in _episodes(policy, episodes, seed, check, stop):
                    tell(episode)
            finally:
                tell(None)

        playing = loop.run_in_executor(self._threads, work)
        try:
            while (episode := await ended.get()) is not None:
                yield episode
            await playing
        finally:
            stop.set()

    def close(self) -> None:
        """Lets no evaluation begin any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def summary(episodes: list[Episode]) -> Summary:
    """Returns what a non-empty list of episodes comes to."""
    returns = [episode.episode_return for episode in episodes]
    return Summary(
        episodes=len(episodes),
        mean_return=statistics.fmean(returns),
        std_return=float(np.std(returns)),
        mean_survived=statistics.fmean(episode.survived for episode in episodes),
        term_returns={
            term: statistics.fmean(episode.term_returns[term] for episode in episodes)
            for term in episodes[0].term_returns
        },
        control_latency_secs=statistics.median(secs for episode in episodes for secs in episode.latencies_secs),
        checked=_checked([episode.checked for episode in episodes if episode.checked is not None]),
    )


def _checked(judged: list[Judgement]) -> Measures | None:
    if not judged:
        return None
    from tabrl_simulation.motion.measure import measures_of

    return measures_of(judged)


def _episodes(
    policy: LoadedPolicy, count: int, seed: int, check: Check | None, stop: threading.Event
) -> Iterator[Episode]:
    controller = policy.controller.own_clock()
    robot = player.Player(controller, policy.model)
    order = np.random.default_rng(seed).permutation(len(controller.manifest.resets))
    for index in range(count):
        controller.latencies_secs.clear()
        noise = np.random.default_rng((seed, index))
        episode_return, terms, length = 0.0, dict.fromkeys((term.name for term in controller.manifest.terms), 0.0), 0
        recorder = _recorder(policy) if check is not None else None
        for tick in robot.episode(reset=int(order[index % len(order)]), noise=noise):
            if stop.is_set():
                return
            episode_return += tick.decision.reward
            for name, value in tick.decision.terms.items():
                terms[name] += value
            length = tick.step
            if recorder is not None and not tick.decision.done:
                recorder.sample(robot.data)
        _EPISODES.inc()
        yield Episode(
            index=index,
            episode_return=episode_return,
            term_returns=terms,
            length=length,
            survived=length / controller.manifest.episode_length,
            checked=check.judged(recorder.recording()) if check is not None and recorder is not None else None,
            latencies_secs=tuple(controller.latencies_secs),
        )


def _recorder(policy: LoadedPolicy) -> Recorder:
    from tabrl_simulation.motion import Recorder

    return Recorder(policy.model, control_period_secs=policy.controller.manifest.control_period_secs)
