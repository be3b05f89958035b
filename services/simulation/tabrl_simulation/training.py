"""Training of one policy: rollouts and updates in turn, with metrics, checkpoints and a way to stop.

Importing this module is cheap; `train` brings in jax, Brax and Playground.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tabrl_simulation import curriculum, starting_point
from tabrl_simulation.checkpoint import Checkpoint, CheckpointError, installed_versions
from tabrl_simulation.divergence import TrainingDiverged, refuse_bad_numbers
from tabrl_simulation.metrics import Metrics
from tabrl_simulation.settings import InvalidSettings, Settings, default_settings, require_trainable

if TYPE_CHECKING:
    from tabrl_simulation import learner
    from tabrl_simulation.environments import Environment
    from tabrl_simulation.rollout import Reward

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

_WARMUP_ROLLOUTS: Final = 3
_EASIER_UNTIL: Final = "training/easier_until"
"""In a checkpoint of an environment's easier form: the control step up to which it lasts."""


class RewardMismatch(ValueError):
    """The reward was made for another environment, or its weights name terms it does not have."""


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
    start_from: Checkpoint | None = None,
    checkpoint_every_secs: float = 15.0,
    metrics_every_secs: float = 0.5,
    on_metrics: Callable[[Metrics], None] = lambda _: None,
    on_checkpoint: Callable[[Checkpoint], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    backend: str | None = None,
    threads: int | None = None,
) -> TrainingResult:
    """Trains a policy; calls back in this thread.

    The first checkpoint is written after the first update, the last one at the end or when stopped.

    Args:
        environment: what to train in.
        settings: numbers of the learner.
        reward: what to train for; None for the environment's own reward.
        weights: of the reward's terms; 1 for those left out.
        resume: a checkpoint of this training to go on from, with the same settings (`env_steps` aside), reward and
            weights. It goes on as if it had not stopped: to the bit on the same machine, physics backend and layout
            (`overlapped`), with new episodes on others.
        start_from: a checkpoint to learn something else from (fine-tuning), of any environment with the same robot; see
            `starting_point`. A training that was stopped is gone on with by `resume`, whatever it started from.
        checkpoint_every_secs: time between two checkpoints.
        metrics_every_secs: least time between two calls of `on_metrics`.
        on_metrics: told how it goes.
        on_checkpoint: given each checkpoint.
        should_stop: asked before each rollout.
        backend: physics, one of `backends.NAMES`; None for the fastest here that has all the environment needs.
        threads: for physics on the processor; None for one per processor. From four on, many environments are in two
            halves with draws of their own (`overlapped`), which learn as well but not the same.

    Raises:
        RewardMismatch: the reward is not one for this environment.
        InvalidSettings: the settings ask for what the environment does not have.
        CheckpointError: `resume` or `start_from` does not fit the environment or the settings.
        BackendUnavailable: the backend cannot be had here.
        TrainingDiverged: a reward, a loss or the physics is not finite.
    """
    _require_match(environment, reward, weights or {})
    require_trainable(environment.id, settings)
    use_compilation_cache()
    run = _Run(environment, settings, reward=reward, weights=dict(weights or {}), backend=backend, threads=threads)
    run.start(resume, start_from)
    last_metrics_secs = last_checkpoint_secs = -math.inf
    while run.env_steps < settings.env_steps and not should_stop():
        run.update()
        due = run.elapsed_secs - last_metrics_secs >= metrics_every_secs or run.env_steps >= settings.env_steps
        if due and run.has_metrics:
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


class _Run:
    """A training as it goes on."""

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        *,
        reward: Reward | None,
        weights: dict[str, float],
        backend: str | None,
        threads: int | None,
    ) -> None:
        self._began = time.monotonic()
        import jax

        from tabrl_simulation import backends, learner, physics

        self._own = self._environment = environment
        self._settings = settings
        self._reward = reward
        self._weights = weights
        self._easing = curriculum.easing(environment) if reward is None else None
        self._learner = learner.make_learner(
            settings,
            observation_size=environment.observation_size,
            action_size=environment.action_size,
            privileged_observation_size=environment.privileged_observation_size,
        )
        self._update = jax.jit(self._learner.update)
        self._collector = functools.partial(
            backends.make_collector,
            settings=settings,
            networks=self._learner.networks,
            backend=backend,
            reward=reward,
            weights=weights,
            threads=threads or physics.cores(),
        )
        self._state: learner.LearnerState = jax.jit(self._learner.init)(jax.random.PRNGKey(settings.seed))
        # When there was a speed to measure from, and how many steps it was: at first, and at the last metrics.
        self._first_mark: tuple[float, int] | None = None
        self._speed_mark: tuple[float, int] | None = None
        self.env_steps = 0
        self.startup_secs = 0.0
        self.last_metrics: Metrics | None = None
        self._easier_until = self._easing.until(settings.env_steps) if self._easing is not None else 0

    def _easier_is_due(self) -> bool:
        """Returns whether the next update is in the easier form: never the last one, so that it ends in its own."""
        after = self.env_steps + self._settings.batch_steps * self._own.action_repeat
        return self._easing is not None and self.env_steps < self._easier_until and after < self._settings.env_steps

    def _enter_due_form(self) -> None:
        """Makes rollouts in the environment as it is due, with nothing reported of it yet."""
        from tabrl_simulation.monitor import Monitor

        self._eased = self._easier_is_due()
        self._report: learner.Report | None = None
        self._first_mark = self._speed_mark = None
        self._environment = self._own
        if self._easing is not None and self._eased:
            self._environment = curriculum.easier(self._own, self._easing)
        self._rollouts = self._collector(self._environment)
        self._monitor = Monitor(
            self._rollouts.terms,
            # Who did not write the reward cannot change it either.
            [self._weights.get(name, 1.0) for name in self._rollouts.terms] if self._reward is not None else None,
            self._settings.env_steps,
        )

    @property
    def elapsed_secs(self) -> float:
        return time.monotonic() - self._began

    def start(self, resume: Checkpoint | None, start_from: Checkpoint | None) -> None:
        """Begins anew, from scratch or with what a checkpoint has learned, or goes on from a checkpoint."""
        if resume is None:
            if start_from is not None:
                self._state = starting_point.carry_over(self._state, start_from)
                if start_from.reward_program_sha256 is None and _EASIER_UNTIL not in start_from.arrays:
                    self._easier_until = 0  # it has found its feet
            self._enter_due_form()
            self._begin()
            return
        resume.require(self._own)
        if not self._is_of_this_training(resume):
            raise CheckpointError("The checkpoint is of another training: of other settings, reward or weights")
        from tabrl_simulation import tree_paths

        try:
            self._state = tree_paths.unflatten("learner", self._state, resume.group("learner"))
        except (KeyError, ValueError) as e:
            raise CheckpointError(f"The checkpoint does not fit these settings: {e}") from e
        self.env_steps = resume.env_steps
        # With another number of steps to make, the easier form would last for another number of them.
        self._easier_until = int(resume.arrays.get(_EASIER_UNTIL, np.int64(0)))
        was_eased = bool(self._easier_until)
        self._enter_due_form()
        if not (self._eased == was_eased and self._restored(resume)):
            self._begin()

    def _restored(self, resume: Checkpoint) -> bool:
        """Takes up what was shown, and where the environments stood; returns False where they are to begin anew."""
        # Files of older releases lack some of what follows; what was learned counts more than the episodes.
        with contextlib.suppress(KeyError, ValueError):
            self._monitor.restore(resume.within("training"))
        if resume.backend != self._rollouts.backend:
            return False
        with contextlib.suppress(KeyError, ValueError):
            self._rollouts.restore(resume.within("rollout"))
            return True
        return False

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

    def _is_of_this_training(self, resume: Checkpoint) -> bool:
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
        observation, privileged_observation = self._rollouts.last_observations
        state, report = self._update(self._state, rollouts, observation, progress, privileged_observation)
        tally = self._rollouts.take_tally()
        self._report = jax.device_get(report)
        refuse_bad_numbers(self._environment, self._rollouts, tally, self._report, self.env_steps)
        self._state = state
        made = self._rollouts.steps_per_collect
        self.env_steps += made
        self._monitor.add(tally, np.asarray(self._report.term_moments), env_steps=self.env_steps, made=made)
        if self._first_mark is None:
            # The first update has compiled everything; only from then on is there a speed.
            self._first_mark = self._speed_mark = (self.elapsed_secs, self.env_steps)
        if not self.startup_secs:
            self.startup_secs = self.elapsed_secs
        if self._eased and not self._easier_is_due():
            self._enter_due_form()
            self._begin()

    @property
    def has_metrics(self) -> bool:
        """Whether there was an update in the environment as it is now."""
        return self._report is not None

    def metrics(self) -> Metrics:
        """Returns how it goes since the metrics before."""
        if self._report is None or self._first_mark is None or self._speed_mark is None:
            raise RuntimeError("there are no metrics before the first update")
        now, steps = self.elapsed_secs, self.env_steps
        left = max(0, self._settings.env_steps - steps)
        # Until there is a speed, one update in all the time so far is a guess, and too slow a one.
        guess = self._rollouts.steps_per_collect / max(now, 1e-9)
        monitor = self._monitor
        length = monitor.episode_length
        self.last_metrics = Metrics(
            env_steps=steps,
            episode_return=monitor.episode_return,
            episode_length=length,
            term_returns=monitor.term_returns,
            policy_loss=float(self._report.policy_loss),
            value_loss=float(self._report.value_loss),
            entropy=float(self._report.entropy),
            kl=float(self._report.kl),
            env_steps_per_sec=_speed(self._speed_mark, now, steps) or 0.0,
            elapsed_secs=now,
            remaining_secs=left / (_speed(self._first_mark, now, steps) or guess),
            projected_return=monitor.reward_per_step * self._environment.episode_length,
            survival=monitor.survival,
            episode_share=None if length is None else length / self._environment.episode_length,
            term_statistics=monitor.take_term_statistics(),
            plateau_since_env_steps=monitor.plateau_since(steps),
            warnings=monitor.warnings(),
            gradient_norm=float(self._report.gradient_norm),
            easier_until_env_steps=self._easier_until if self._eased else None,
        )
        self._speed_mark = (now, steps)
        return self.last_metrics

    def checkpoint(self, *, final: bool) -> Checkpoint:
        """Returns the state of everything."""
        import jax

        from tabrl_simulation import tree_paths

        return Checkpoint(
            environment_id=self._own.id,
            environment_fingerprint=self._own.fingerprint,
            settings=self._settings,
            reward_program_sha256=self._reward.sha256 if self._reward is not None else None,
            weights=self._weights,
            env_steps=self.env_steps,
            # A return of an easier reward would pass for a better one.
            episode_return=None if self._eased else self._monitor.episode_return,
            final=final,
            backend=self._rollouts.backend,
            versions=installed_versions(),
            arrays={
                **tree_paths.flatten("learner", jax.device_get(self._state)),
                **{f"rollout/{path}": value for path, value in self._rollouts.save().items()},
                **{f"training/{path}": value for path, value in self._monitor.save().items()},
                **({_EASIER_UNTIL: np.asarray(self._easier_until)} if self._eased else {}),
            },
        )


def _speed(mark: tuple[float, int], now: float, env_steps: int) -> float | None:
    """Returns the steps per second since a mark; None if there are none since."""
    secs, steps = mark
    return (env_steps - steps) / (now - secs) if env_steps > steps and now > secs else None


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
