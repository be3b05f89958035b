"""Training of one policy: rollouts and updates in turn, with metrics, checkpoints and a way to stop.

Importing this module is cheap; `train` brings in jax, Brax and Playground.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation.checkpoint import Checkpoint, CheckpointError
from tabrl_simulation.settings import InvalidSettings, Settings, default_settings

if TYPE_CHECKING:
    from tabrl_simulation import learner
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.rollout import EpisodeTally, Reward

__all__ = [
    "InvalidSettings",
    "Metrics",
    "RewardMismatch",
    "Settings",
    "TrainingDiverged",
    "TrainingResult",
    "default_settings",
    "train",
    "use_compilation_cache",
]

_EPISODES_REPORTED: Final = 32
_WARMUP_ROLLOUTS: Final = 3
_DIVERGED_SHARE_LIMIT: Final = 0.5


class RewardMismatch(ValueError):
    """The reward was made for another environment, or its weights name terms it does not have."""


class TrainingDiverged(ArithmeticError):
    """A number that learning depends on is not finite.

    Attributes:
        where: what is not finite, such as `reward term 'upright'`.
        env_steps: control steps before it happened.
    """

    def __init__(self, where: str, env_steps: int, advice: str) -> None:
        """Says where, when and what to do."""
        self.where = where
        self.env_steps = env_steps
        super().__init__(f"After {env_steps} steps the {where} is not finite; {advice}")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How training goes; the fields of `tabrl.trainer.v1.TrainingMetrics`.

    Attributes:
        env_steps: control steps so far, over all parallel environments.
        episode_return: mean return of the newest finished episodes, exploration noise included; None before the first.
        episode_length: mean length of those episodes in control steps; None before the first.
        term_returns: mean return of each reward term over those episodes, weights applied.
        policy_loss: of the last update.
        value_loss: of the last update.
        entropy: of the policy, in nats.
        kl: mean Kullback-Leibler divergence of the last update, in nats.
        env_steps_per_sec: since the metrics before.
        elapsed_secs: since `train` was called.
        remaining_secs: estimated until the final checkpoint.
        projected_return: mean reward per control step of the newest rollouts times the episode length.
    """

    env_steps: int
    episode_return: float | None
    episode_length: float | None
    term_returns: Mapping[str, float]
    policy_loss: float
    value_loss: float
    entropy: float
    kl: float
    env_steps_per_sec: float
    elapsed_secs: float
    remaining_secs: float
    projected_return: float


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a training ended.

    Attributes:
        checkpoint: the last one.
        metrics: the last ones; None if it was stopped before the first update.
        finished: whether it reached its last step; False if it was stopped.
        startup_secs: from the call to the end of the first update: loading, compiling, first starting states.
        elapsed_secs: from the call to the end.
    """

    checkpoint: Checkpoint
    metrics: Metrics | None
    finished: bool
    startup_secs: float
    elapsed_secs: float


def use_compilation_cache() -> Path:
    """Keeps compiled programs between processes, in `$TABRL_CACHE` or the user's cache folder; returns the folder."""
    import jax

    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get("TABRL_CACHE") or Path(base) / "tabrl") / "xla"
    folder.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
    return folder


def train(
    environment: Environment,
    settings: Settings,
    *,
    reward: Reward | None = None,
    weights: Mapping[str, float] | None = None,
    resume: Checkpoint | None = None,
    checkpoint_every_secs: float = 15.0,
    metrics_every_secs: float = 0.5,
    on_metrics: Callable[[Metrics], None] = lambda _: None,
    on_checkpoint: Callable[[Checkpoint], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    threads: int | None = None,
) -> TrainingResult:
    """Trains a policy; calls back in this thread.

    The first checkpoint is written after the first update, the last one at the end or when stopped.

    Args:
        environment: what to train in.
        settings: numbers of the learner.
        reward: what to train for; None for the environment's own reward.
        weights: of the reward's terms; 1 for those left out.
        resume: a checkpoint to go on from. With the same settings (`env_steps` aside), reward and weights, training
            goes on as if it had not stopped; otherwise what was learned is kept, and episodes and steps start anew.
        checkpoint_every_secs: time between two checkpoints.
        metrics_every_secs: least time between two calls of `on_metrics`.
        on_metrics: told how it goes.
        on_checkpoint: given each checkpoint.
        should_stop: asked before each rollout.
        threads: for physics; None for one per processor.

    Raises:
        RewardMismatch: the reward is not one for this environment.
        CheckpointError: `resume` does not fit the environment or the settings.
        TrainingDiverged: a reward, a loss or the physics is not finite.
    """
    _require_match(environment, reward, weights or {})
    use_compilation_cache()
    run = _Run(environment, settings, reward, dict(weights or {}), threads)
    run.start(resume)
    last_metrics_secs = last_checkpoint_secs = -math.inf
    while run.env_steps < settings.env_steps and not should_stop():
        run.update()
        if run.elapsed_secs - last_metrics_secs >= metrics_every_secs or run.env_steps >= settings.env_steps:
            last_metrics_secs = run.elapsed_secs
            on_metrics(run.metrics())
        if run.elapsed_secs - last_checkpoint_secs >= checkpoint_every_secs and run.env_steps < settings.env_steps:
            last_checkpoint_secs = run.elapsed_secs
            on_checkpoint(run.checkpoint(final=False))
    finished = run.env_steps >= settings.env_steps
    checkpoint = run.checkpoint(final=finished)
    on_checkpoint(checkpoint)
    return TrainingResult(
        checkpoint=checkpoint,
        metrics=run.last_metrics,
        finished=finished,
        startup_secs=run.startup_secs,
        elapsed_secs=run.elapsed_secs,
    )


@dataclass
class _Episodes:
    """Means over the newest finished episodes."""

    tallies: deque[EpisodeTally] = field(default_factory=deque)

    def add(self, tally: EpisodeTally) -> None:
        if tally.episodes > 0:
            self.tallies.append(tally)
            # Enough remain without the oldest.
            while sum(float(t.episodes) for t in list(self.tallies)[1:]) >= _EPISODES_REPORTED:
                self.tallies.popleft()

    def mean(self, read: Callable[[EpisodeTally], Any]) -> float | None:
        episodes = sum(float(tally.episodes) for tally in self.tallies)
        return sum(float(read(tally)) for tally in self.tallies) / episodes if episodes else None

    def term_means(self) -> dict[str, float]:
        episodes = sum(float(tally.episodes) for tally in self.tallies)
        names = self.tallies[0].term_returns if self.tallies else ()
        return {name: sum(float(tally.term_returns[name]) for tally in self.tallies) / episodes for name in names}


class _Run:
    """A training as it goes on."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        reward: Reward | None,
        weights: dict[str, float],
        threads: int | None,
    ) -> None:
        self._began = time.monotonic()
        import jax

        from tabrl_simulation import learner, physics, rollout

        self._environment = environment
        self._settings = settings
        self._reward = reward
        self._weights = weights
        self._learner = learner.make_learner(
            settings,
            observation_size=environment.observation_size,
            action_size=environment.action_size,
            privileged_observation_size=environment.privileged_observation_size,
        )
        self._update = jax.jit(self._learner.update)
        self._rollouts = rollout.Rollouts(
            environment,
            settings,
            self._learner.networks,
            reward=reward,
            weights=weights,
            threads=threads or physics.cores(),
        )
        self._state: learner.LearnerState = jax.jit(self._learner.init)(jax.random.PRNGKey(settings.seed))
        self._episodes = _Episodes()
        self._report: learner.Report | None = None
        self._reward_sum = 0.0
        self._reward_steps = 0
        self._speed_mark: tuple[float, int] | None = None
        self.env_steps = 0
        self.startup_secs = 0.0
        self.last_metrics: Metrics | None = None

    @property
    def elapsed_secs(self) -> float:
        return time.monotonic() - self._began

    def start(self, resume: Checkpoint | None) -> None:
        """Begins anew, or goes on from a checkpoint."""

        if resume is None:
            self._begin()
            return
        resume.require(self._environment)
        from tabrl_simulation import rollout

        try:
            self._state = rollout.unflatten("learner", self._state, resume.group("learner"))
            if self._continues(resume):
                self._rollouts.restore(
                    {path.removeprefix("rollout/"): value for path, value in resume.group("rollout").items()}
                )
                self.env_steps = resume.env_steps
                self._speed_mark = (self.elapsed_secs, self.env_steps)
                return
        except (KeyError, ValueError) as e:
            raise CheckpointError(f"The checkpoint does not fit these settings: {e}") from e
        self._begin()

    def _begin(self) -> None:
        import jax

        key, warmup_key, rollout_key = jax.random.split(self._state.key, 3)
        self._state = self._state._replace(key=key)
        self._rollouts.begin(self._state, warmup_key)
        if not int(self._state.normalizer.count):
            # Without any statistics yet, the first update would turn the policy into another one.
            observe = jax.jit(self._learner.observe)
            for _ in range(_WARMUP_ROLLOUTS):
                self._state = observe(self._state, self._rollouts.collect(self._state))
            self._rollouts.begin(self._state, rollout_key)

    def _continues(self, resume: Checkpoint) -> bool:
        from dataclasses import replace

        return (
            resume.reward_program_sha256 == (self._reward.sha256 if self._reward is not None else None)
            and dict(resume.weights) == self._weights
            and replace(resume.settings, env_steps=self._settings.env_steps) == self._settings
        )

    def update(self) -> None:
        """Collects rollouts and learns from them."""
        import jax

        rollouts = self._rollouts.collect(self._state)
        progress = min(1.0, self.env_steps / self._settings.env_steps)
        last = self._rollouts.state
        state, report = self._update(self._state, rollouts, last.observation, progress, last.privileged_observation)
        tally = self._rollouts.take_tally()
        self._report = jax.device_get(report)
        self._refuse_bad_numbers(tally)
        self._state = state
        self.env_steps += self._rollouts.steps_per_collect
        self._episodes.add(tally)
        self._reward_sum = float(tally.rewards)
        self._reward_steps = self._rollouts.steps_per_collect
        if self._speed_mark is None:
            self._speed_mark = (self.elapsed_secs, self.env_steps)
        if not self.startup_secs:
            self.startup_secs = self.elapsed_secs

    def _refuse_bad_numbers(self, tally: EpisodeTally) -> None:
        for name, count in tally.bad_terms.items():
            if count:
                advice = "guard its divisions, roots and logarithms"
                raise TrainingDiverged(f"reward term {name!r}", self.env_steps, advice)
        if tally.diverged > _DIVERGED_SHARE_LIMIT * self._rollouts.steps_per_collect:
            raise TrainingDiverged("physics", self.env_steps, "the simulation is not stable under this policy")
        report = self._report
        if report is not None:
            for name in ("policy_loss", "value_loss", "entropy", "kl"):
                if not math.isfinite(getattr(report, name)):
                    where = name.replace("_", " ")
                    raise TrainingDiverged(where, self.env_steps, "try a smaller learning_rate or reward")

    def metrics(self) -> Metrics:
        """Returns how it goes since the metrics before."""
        if self._report is None or self._speed_mark is None:
            raise RuntimeError("there are no metrics before the first update")
        mark_secs, mark_steps = self._speed_mark
        now = self.elapsed_secs
        # The first update has compiled everything; only from then on is there a speed.
        speed = (self.env_steps - mark_steps) / (now - mark_secs) if self.env_steps > mark_steps else 0.0
        left = max(0, self._settings.env_steps - self.env_steps)
        speed_or_guess = speed if speed > 0 else self.env_steps / max(now, 1e-9)
        self.last_metrics = Metrics(
            env_steps=self.env_steps,
            episode_return=self._episodes.mean(lambda tally: tally.returns),
            episode_length=self._episodes.mean(lambda tally: tally.steps),
            term_returns=self._episodes.term_means(),
            policy_loss=float(self._report.policy_loss),
            value_loss=float(self._report.value_loss),
            entropy=float(self._report.entropy),
            kl=float(self._report.kl),
            env_steps_per_sec=speed,
            elapsed_secs=now,
            remaining_secs=left / speed_or_guess,
            projected_return=self._reward_sum / self._reward_steps * self._environment.episode_length,
        )
        self._speed_mark = (now, self.env_steps)
        return self.last_metrics

    def checkpoint(self, *, final: bool) -> Checkpoint:
        """Returns the state of everything."""
        import jax

        from tabrl_simulation import rollout

        return Checkpoint(
            environment_id=self._environment.id,
            environment_fingerprint=self._environment.fingerprint,
            settings=self._settings,
            reward_program_sha256=self._reward.sha256 if self._reward is not None else None,
            weights=self._weights,
            env_steps=self.env_steps,
            episode_return=self._episodes.mean(lambda tally: tally.returns),
            final=final,
            arrays={
                **rollout.flatten("learner", jax.device_get(self._state)),
                **{f"rollout/{path}": value for path, value in self._rollouts.save().items()},
            },
        )


def _require_match(environment: Environment, reward: Reward | None, weights: Mapping[str, float]) -> None:
    terms: tuple[str, ...] = ()
    if reward is not None:
        terms = tuple(reward.terms)
        if reward.environment_id != environment.id:
            raise RewardMismatch(f"the reward was made for {reward.environment_id}, not for {environment.id}")
        if reward.environment_fingerprint != environment.fingerprint:
            raise RewardMismatch(f"the reward was made for {environment.id} before it changed; make it again")
    for name, weight in weights.items():
        if name not in terms:
            raise RewardMismatch(f"there is no reward term {name!r} to weigh; there are: {', '.join(terms) or 'none'}")
        if not math.isfinite(weight):
            raise RewardMismatch(f"the weight of {name!r} is {weight}, which is not finite")
