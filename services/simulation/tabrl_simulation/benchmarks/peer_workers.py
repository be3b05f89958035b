"""One trainer, or one stepper, in a process of its own; `peers` starts them.

A trainer learns until its policy, played without exploration noise for whole episodes on MuJoCo C, reaches a return.
Its clock runs from the start of the process, imports and compiling included, and stands still while the policy is
played. A stepper takes steps under random actions for some seconds whenever a line comes in.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["STEPPERS", "TRAINERS", "main"]

_EPISODES: Final = 32
_STEPPING_SECS: Final = 3.0


class _Reached(Exception):
    """Ends a training whose policy has reached the return, or whose time is up."""


@dataclass
class _Race:
    """How far a training is.

    Attributes:
        began: when the process started, in seconds since the epoch.
        goal: return to reach.
        limit_secs: time to reach it in.
        every_secs: least time between two looks.
    """

    environment_id: str
    began: float
    goal: float
    limit_secs: float
    every_secs: float = 2.0
    paused_secs: float = 0.0
    looked_secs: float = 0.0
    curve: list[tuple[float, int, float]] = field(default_factory=list)

    @property
    def secs(self) -> float:
        return time.time() - self.began - self.paused_secs

    @property
    def is_due(self) -> bool:
        return self.secs - self.looked_secs >= self.every_secs

    def look(self, env_steps: int, choose: Callable[[Any], Any]) -> None:
        """Plays the policy with the clock stopped; raises _Reached at the goal or at the limit."""
        from tabrl_simulation import environments, evaluation

        secs, stopped = self.secs, time.time()
        played = evaluation.play(environments.load(self.environment_id), choose, episodes=_EPISODES)
        self.paused_secs += time.time() - stopped
        self.looked_secs = secs
        self.curve.append((secs, env_steps, played.mean_return))
        print(f"{secs:7.1f} s {env_steps:12,d} steps: return {played.mean_return:.0f}", file=sys.stderr, flush=True)
        if played.mean_return >= self.goal or secs >= self.limit_secs:
            raise _Reached


def _ours(race: _Race, seed: int) -> None:
    import dataclasses

    import jax

    from tabrl_simulation import environments, training

    environment = environments.load(race.environment_id)
    settings = dataclasses.replace(training.default_settings(race.environment_id), seed=seed)

    def look(checkpoint: Any) -> None:
        race.look(checkpoint.env_steps, jax.jit(checkpoint.policy(environment)))

    training.train(environment, settings, checkpoint_every_secs=race.every_secs, on_checkpoint=look)


def _brax(race: _Race, seed: int, settings: dict[str, Any], hidden: tuple[int, ...] | None) -> None:
    import functools

    import jax
    from brax.training.agents.ppo import networks as ppo_networks
    from brax.training.agents.ppo import train as ppo
    from mujoco_playground import registry, wrapper

    from tabrl_simulation import environments, training

    training.use_compilation_cache()
    own = environments.load(race.environment_id)
    sizes = {} if hidden is None else {"policy_hidden_layer_sizes": hidden, "value_hidden_layer_sizes": hidden}

    def look(env_steps: int, make_policy: Any, params: Any) -> None:
        if env_steps and race.is_due:
            policy = jax.jit(make_policy(params, deterministic=True))
            key = jax.random.PRNGKey(0)
            race.look(env_steps, lambda observation: policy(observation, key)[0])

    batch_steps = settings["batch_size"] * settings["unroll_length"] * settings["num_minibatches"] * own.action_repeat
    # As many updates between two looks as take few seconds, but at least one.
    updates = max(1, 50_000 // batch_steps)
    epochs = 2_000
    ppo.train(
        environment=registry.load(race.environment_id, config_overrides={"impl": "jax"}),
        wrap_env_fn=wrapper.wrap_for_brax_training,
        episode_length=own.episode_length,
        action_repeat=own.action_repeat,
        num_timesteps=epochs * updates * batch_steps,
        num_evals=epochs + 1,
        run_evals=False,
        policy_params_fn=look,
        seed=seed,
        network_factory=functools.partial(ppo_networks.make_ppo_networks, **sizes),
        **settings,
    )


def _brax_published(race: _Race, seed: int) -> None:
    from mujoco_playground.config import dm_control_suite_params

    config = dict(dm_control_suite_params.brax_ppo_config(race.environment_id))
    for name in ("num_timesteps", "num_evals", "episode_length", "action_repeat", "network_factory"):
        config.pop(name, None)
    _brax(race, seed, config, None)


def _brax_small(race: _Race, seed: int) -> None:
    """Brax with the batch, network and step size that TabRL takes for the same environment."""
    from tabrl_simulation.settings import default_settings

    ours = default_settings(race.environment_id)
    _brax(
        race,
        seed,
        {
            "num_envs": ours.num_envs,
            "unroll_length": ours.unroll_length,
            "num_minibatches": ours.num_minibatches,
            "batch_size": ours.num_envs // ours.num_minibatches,
            "num_updates_per_batch": ours.updates_per_batch,
            "learning_rate": ours.learning_rate,
            "entropy_cost": ours.entropy_cost,
            "discounting": ours.discounting,
            "reward_scaling": 10.0,  # as Playground scales these environments' rewards
            "normalize_observations": True,
        },
        ours.hidden_layer_sizes,
    )


def _stable_baselines(race: _Race, seed: int, *, vectorized: bool) -> None:
    import numpy as np
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

    from tabrl_simulation import environments, training
    from tabrl_simulation.benchmarks.gymnasium_wrapper import GymEnvironment, VectorEnvironment

    training.use_compilation_cache()
    environment = environments.load(race.environment_id)
    settings = training.default_settings(race.environment_id)
    torch.set_num_threads(1 if max(settings.hidden_layer_sizes) <= 64 else 2)
    given: dict[str, Any]
    if vectorized:
        many: VecEnv = VectorEnvironment(environment, count=settings.num_envs, seed=seed)
        given = {
            "n_steps": settings.unroll_length,
            "batch_size": settings.batch_steps // settings.num_minibatches,
            "n_epochs": settings.updates_per_batch,
            "learning_rate": settings.learning_rate,
            "ent_coef": settings.entropy_cost,
            "policy_kwargs": {"net_arch": list(settings.hidden_layer_sizes)},
        }
    else:
        many = DummyVecEnv([lambda index=index: GymEnvironment(environment, seed=seed + index) for index in range(8)])
        given = {"n_steps": 256}  # 2,048 a batch, and all else as Stable-Baselines3 has it
    normalized = VecNormalize(many, gamma=settings.discounting)
    model = PPO("MlpPolicy", normalized, gamma=settings.discounting, seed=seed, device="cpu", **given)

    def choose(observation: Any) -> Any:
        seen = normalized.normalize_obs(np.asarray(observation))
        return model.predict(seen, deterministic=True)[0]

    class Looking(BaseCallback):  # type: ignore[misc]
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if self.num_timesteps and race.is_due:
                race.look(self.num_timesteps, choose)

    model.learn(total_timesteps=10**9, callback=Looking())


TRAINERS: Final[dict[str, Callable[[_Race, int], None]]] = {
    "tabrl": _ours,
    "brax": _brax_published,
    "brax-small": _brax_small,
    "sb3": lambda race, seed: _stable_baselines(race, seed, vectorized=False),
    "sb3-vectorized": lambda race, seed: _stable_baselines(race, seed, vectorized=True),
}
"""Trainers by name."""


def _our_steps(environment_id: str, count: int) -> Callable[[], int]:
    import jax

    from tabrl_simulation import environments, training
    from tabrl_simulation.benchmarks import stepping

    training.use_compilation_cache()
    take = stepping.stepper(environments.load(environment_id), count)

    def several() -> int:
        jax.block_until_ready(take())
        return count * stepping.UNROLL

    return several


def _envpool_steps(environment_id: str, count: int) -> Callable[[], int]:
    import envpool
    import numpy as np

    from tabrl_simulation import physics

    many = envpool.make_gymnasium(
        f"MuJoCoPlayground/{environment_id}-v1", num_envs=count, num_threads=physics.cores(), seed=0
    )
    many.reset()
    shape = (count, *many.action_space.shape)
    actions = np.random.default_rng(0).uniform(-1, 1, (16, *shape)).astype(many.action_space.dtype)

    def several() -> int:
        for action in actions[:10]:
            many.step(action)
        return 10 * count

    return several


STEPPERS: Final[dict[str, Callable[[str, int], Callable[[], int]]]] = {
    "tabrl": _our_steps,
    "envpool": _envpool_steps,
}
"""Steppers by name: each makes a function that takes some steps of so many environments and returns how many."""


def main() -> None:
    """`train NAME ENVIRONMENT SEED GOAL LIMIT_SECS BEGAN` or `step NAME ENVIRONMENT COUNT`; prints JSON lines."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    what, name, environment_id, *rest = sys.argv[1:]
    if what == "train":
        seed, goal, limit_secs, began = rest
        race = _Race(environment_id, began=float(began), goal=float(goal), limit_secs=float(limit_secs))
        with contextlib.suppress(_Reached):
            TRAINERS[name](race, int(seed))
        print(json.dumps({"trainer": name, "secs": race.secs, "curve": race.curve}), flush=True)
        return
    take = STEPPERS[name](environment_id, int(rest[0]))
    take()
    print("ready", flush=True)
    for _ in sys.stdin:
        began_secs, steps = time.perf_counter(), 0
        while time.perf_counter() - began_secs < _STEPPING_SECS:
            steps += take()
        print(json.dumps(steps / (time.perf_counter() - began_secs)), flush=True)


if __name__ == "__main__":
    main()
