"""The environments of MuJoCo Playground that TabRL trains, each with its model, its timing and a fingerprint.

Nothing heavy is imported until `load` is called, so a service can list `DM_CONTROL` or name a neighbour without jax.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import mujoco
    from mujoco_playground._src import mjx_env

__all__ = ["DM_CONTROL", "Environment", "UnknownEnvironment", "check", "load"]

DM_CONTROL: Final[tuple[str, ...]] = (
    "AcrobotSwingup",
    "AcrobotSwingupSparse",
    "BallInCup",
    "CartpoleBalance",
    "CartpoleBalanceSparse",
    "CartpoleSwingup",
    "CartpoleSwingupSparse",
    "CheetahRun",
    "FingerSpin",
    "FingerTurnEasy",
    "FingerTurnHard",
    "FishSwim",
    "HopperHop",
    "HopperStand",
    "HumanoidRun",
    "HumanoidStand",
    "HumanoidWalk",
    "PendulumSwingup",
    "PointMass",
    "ReacherEasy",
    "ReacherHard",
    "SwimmerSwimmer6",
    "WalkerRun",
    "WalkerStand",
    "WalkerWalk",
)
"""Ids of the DeepMind Control Suite environments, in alphabetical order."""

# What an environment's configuration says about MJX alone; MuJoCo C moves the same whatever stands there.
_MJX_ONLY: Final[frozenset[str]] = frozenset({"impl", "naconmax", "naccdmax", "njmax", "vision", "vision_config"})


# Playground learns these with each action held for several control steps. Its settings misspell the one environment
# they mean (PendulumSwingUp), which without it explores too little at 100 Hz to ever swing up on some seeds.
_ACTION_REPEAT: Final[dict[str, int]] = {"PendulumSwingup": 4}


class UnknownEnvironment(LookupError):
    """No environment has the id asked for.

    Attributes:
        environment_id: the id asked for.
        nearest: the known id most like it.
    """

    def __init__(self, environment_id: str) -> None:
        """Finds the nearest known id."""
        self.environment_id = environment_id
        self.nearest = _nearest(environment_id)
        super().__init__(f"There is no environment {environment_id[:100]!r}; did you mean {self.nearest!r}?")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment, loaded.

    Attributes:
        id: its id in Playground's registry.
        playground: Playground's object, whose `reset` and `step` are the environment.
        model: the MuJoCo model it is simulated with; treat as read-only.
        physics_steps_per_control: physics steps in one control step.
        control_period_secs: time between two control steps.
        episode_length: control steps after which an episode is cut off.
        action_repeat: control steps for which a policy's action is held.
        action_size: numbers in an action; each lies in [-1, 1].
        observation_size: numbers in what the policy observes.
        privileged_observation_size: numbers in what the value network observes instead; 0 where it is the same.
        fingerprint: SHA-256, in hex, over all that decides the motion: model, timing, configuration and versions.
    """

    id: str
    playground: mjx_env.MjxEnv
    model: mujoco.MjModel
    physics_steps_per_control: int
    control_period_secs: float
    episode_length: int
    action_repeat: int
    action_size: int
    observation_size: int
    privileged_observation_size: int
    fingerprint: str


def check(environment_id: str) -> None:
    """Raises UnknownEnvironment unless `environment_id` is one of `DM_CONTROL`; imports nothing heavy."""
    if environment_id not in DM_CONTROL:
        raise UnknownEnvironment(environment_id)


def load(environment_id: str) -> Environment:
    """Loads an environment; about 0.2 s, once jax and Playground are imported.

    Raises:
        UnknownEnvironment: there is no such environment.
    """
    check(environment_id)
    import mujoco
    from mujoco_playground import registry

    from tabrl_simulation import reset

    # MuJoCo 3.17 dropped `find_body`, which Playground 0.2.0 still calls for Reacher.
    if not hasattr(mujoco.MjSpec, "find_body"):
        mujoco.MjSpec.find_body = mujoco.MjSpec.body
    # MJX-JAX builds on any machine; the default, MJX-Warp, wants a GPU. Neither ever steps here.
    playground = registry.load(environment_id, config_overrides={"impl": "jax"})
    config = registry.get_default_config(environment_id)
    config["action_repeat"] = _ACTION_REPEAT.get(environment_id, config.action_repeat)
    model = playground.mj_model
    observation_size, privileged_observation_size = reset.observation_sizes(playground)
    return Environment(
        id=environment_id,
        playground=playground,
        model=model,
        physics_steps_per_control=int(playground.n_substeps),
        control_period_secs=float(playground.dt),
        episode_length=int(config.episode_length),
        action_repeat=int(config.action_repeat),
        action_size=int(playground.action_size),
        observation_size=observation_size,
        privileged_observation_size=privileged_observation_size,
        fingerprint=_fingerprint(environment_id, model, config.to_dict()),
    )


def _fingerprint(environment_id: str, model: mujoco.MjModel, config: dict[str, Any]) -> str:
    import mujoco
    import numpy as np

    saved = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, saved)
    facts = {
        "environment": environment_id,
        "config": {key: value for key, value in config.items() if key not in _MJX_ONLY},
        "versions": {package: importlib.metadata.version(package) for package in ("mujoco", "playground")},
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    digest.update(saved.tobytes())
    return digest.hexdigest()


def _nearest(environment_id: str) -> str:
    by_lower_case = {known.lower(): known for known in DM_CONTROL}
    # A long id would make the comparison slow, and no id is near it anyway.
    matches = difflib.get_close_matches(environment_id[:100].lower(), by_lower_case, n=1, cutoff=0.0)
    return by_lower_case[matches[0]]
