"""The environments of MuJoCo Playground that TabRL trains, each with its model, its timing and a fingerprint.

Nothing heavy is imported until `load` is called, so a service can list `ALL` or name a neighbour without jax.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tabrl_simulation import robots
from tabrl_simulation.custom import store
from tabrl_simulation.robots import MissingRobot

if TYPE_CHECKING:
    import mujoco
    from ml_collections import ConfigDict
    from mujoco_playground._src import mjx_env

__all__ = [
    "ALL",
    "CATEGORY",
    "DM_CONTROL",
    "LOCOMOTION",
    "MANIPULATION",
    "RANDOMIZED",
    "Environment",
    "InvalidOverride",
    "MissingRobot",
    "UnknownEnvironment",
    "check",
    "load",
]

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

LOCOMOTION: Final[tuple[str, ...]] = (
    "ApolloJoystickFlatTerrain",
    "BarkourJoystick",
    "BerkeleyHumanoidJoystickFlatTerrain",
    "BerkeleyHumanoidJoystickRoughTerrain",
    "G1JoystickFlatTerrain",
    "G1JoystickRoughTerrain",
    "Go1Footstand",
    "Go1Getup",
    "Go1Handstand",
    "Go1JoystickFlatTerrain",
    "Go1JoystickRoughTerrain",
    "H1InplaceGaitTracking",
    "H1JoystickGaitTracking",
    "Op3Joystick",
    "SpotFlatTerrainJoystick",
    "SpotGetup",
    "SpotJoystickGaitTracking",
    "T1JoystickFlatTerrain",
    "T1JoystickRoughTerrain",
)
"""Ids of the locomotion environments, in alphabetical order."""

MANIPULATION: Final[tuple[str, ...]] = (
    "AeroCubeRotateZAxis",
    "AlohaHandOver",
    "AlohaSinglePegInsertion",
    "LeapCubeReorient",
    "LeapCubeRotateZAxis",
    "PandaOpenCabinet",
    "PandaPickCube",
    "PandaPickCubeCartesian",
    "PandaPickCubeOrientation",
    "PandaRobotiqPushCube",
)
"""Ids of the manipulation environments, in alphabetical order."""

ALL: Final[Mapping[str, tuple[str, ...]]] = {
    "dm_control_suite": DM_CONTROL,
    "locomotion": LOCOMOTION,
    "manipulation": MANIPULATION,
}
"""Ids of all environments by category; Playground's own words for the categories."""

CATEGORY: Final[Mapping[str, str]] = {
    environment_id: category for category, ids in ALL.items() for environment_id in ids
}
"""Category of every environment, by id."""

RANDOMIZED: Final[frozenset[str]] = frozenset(
    {
        "AeroCubeRotateZAxis",
        "BerkeleyHumanoidJoystickFlatTerrain",
        "BerkeleyHumanoidJoystickRoughTerrain",
        "G1JoystickFlatTerrain",
        "G1JoystickRoughTerrain",
        "Go1Footstand",
        "Go1Getup",
        "Go1Handstand",
        "Go1JoystickFlatTerrain",
        "Go1JoystickRoughTerrain",
        "LeapCubeReorient",
        "LeapCubeRotateZAxis",
        "T1JoystickFlatTerrain",
        "T1JoystickRoughTerrain",
    }
)
"""Ids of the environments whose authors say what to vary in their models (`randomization`)."""

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


class InvalidOverride(ValueError):
    """A configuration cannot be overridden as asked.

    Attributes:
        path: the entry, such as `reward_config.scales.tracking_lin_vel`.
    """

    def __init__(self, path: str, message: str) -> None:
        """Names the entry, and says what is wrong."""
        self.path = path
        super().__init__(f"{path[:200]}: {message}")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment, loaded.

    Attributes:
        id: its id in Playground's registry, or that of an uploaded scene.
        playground: Playground's object, whose `reset` and `step` are the environment.
        model: the MuJoCo model it is simulated with; treat as read-only.
        physics_steps_per_control: physics steps in one control step.
        control_period_secs: time between two control steps.
        episode_length: control steps after which an episode is cut off.
        action_repeat: control steps for which a policy's action is held.
        action_size: numbers in an action; each lies in [-1, 1].
        observation_size: numbers in what the policy observes.
        privileged_observation_size: numbers in what the value network observes instead; 0 where it is the same.
        command_size: numbers in a command to the robot: 3 for a joystick's, 0 where there are none.
        fingerprint: SHA-256, in hex, over all that decides the motion: model, timing, configuration and versions.
        overrides: what was changed in its configuration, by path.
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
    command_size: int
    fingerprint: str
    overrides: Mapping[str, Any] = field(default_factory=dict)


def check(environment_id: str) -> None:
    """Raises UnknownEnvironment unless `environment_id` is one of `ALL` or a kept scene's; imports nothing heavy."""
    if environment_id not in CATEGORY and not store.exists(environment_id):
        raise UnknownEnvironment(environment_id)


def load(environment_id: str, overrides: Mapping[str, Any] | None = None) -> Environment:
    """Loads an environment; 0.2 s once jax and Playground are imported, a second or two for many meshes.

    Args:
        environment_id: its id.
        overrides: what to change in its configuration, by path: `reward_config.scales.energy`, `episode_length`, ...

    Raises:
        UnknownEnvironment: there is no such environment.
        MissingRobot: its robot is not installed.
        InvalidOverride: its configuration has no such entry, or the value is of another type.
    """
    check(environment_id)
    if environment_id.startswith(store.PREFIX):
        from tabrl_simulation.custom import loading

        return loading.load(environment_id, overrides)
    lacking = robots.missing(environment_id)
    if lacking is not None:
        raise lacking
    from tabrl_simulation import reset

    with _LOADING:
        _prepare_playground()
        from mujoco_playground import registry

        config = registry.get_default_config(environment_id)
        config["action_repeat"] = _ACTION_REPEAT.get(environment_id, config.action_repeat)
        _override(config, overrides or {})
        if "impl" in config:
            # MJX-JAX builds on any machine; the default, MJX-Warp, wants a GPU. Neither ever steps here.
            config.impl = "jax"
        facts = config.to_dict()
        playground = registry.load(environment_id, config=config)
    model = playground.mj_model
    _let_bodies_collide(model)
    sizes = reset.sizes(playground)
    return Environment(
        id=environment_id,
        playground=playground,
        model=model,
        physics_steps_per_control=int(playground.n_substeps),
        control_period_secs=float(playground.dt),
        episode_length=int(config.episode_length),
        action_repeat=int(config.action_repeat),
        action_size=int(playground.action_size),
        observation_size=sizes.observation,
        privileged_observation_size=sizes.privileged_observation,
        command_size=sizes.command,
        fingerprint=_fingerprint(environment_id, model, facts),
        overrides=dict(overrides or {}),
    )


# Playground keeps where the robots lie in a variable of its module.
_LOADING: Final = threading.Lock()


def _prepare_playground() -> None:
    """Points Playground at the installed robots, keeps it from the network, and mends what newer packages broke."""
    import mujoco
    from etils import epath
    from mujoco_playground._src import mjx_env

    mjx_env.MENAGERIE_PATH = epath.Path(robots.folder())
    mjx_env.ensure_menagerie_exists = _never_clone
    # MuJoCo 3.17 dropped `find_body`, which Playground 0.2.0 still calls for Reacher.
    if not hasattr(mujoco.MjSpec, "find_body"):
        mujoco.MjSpec.find_body = mujoco.MjSpec.body


def _never_clone(*_: Any, **__: Any) -> None:
    """Stands in for Playground's download of Menagerie, over a gigabyte that nobody asked for."""


def _let_bodies_collide(model: mujoco.MjModel) -> None:
    """Has each body collide with all that its geoms collide with.

    MuJoCo C rules out pairs of bodies before it looks at their geoms. PandaOpenCabinet lets a geom collide with more
    only after the model is compiled, which MJX sees and MuJoCo C would not.
    """
    import numpy as np

    for name in ("contype", "conaffinity"):
        of_body = np.zeros_like(getattr(model, f"body_{name}"))
        np.bitwise_or.at(of_body, model.geom_bodyid, getattr(model, f"geom_{name}"))
        getattr(model, f"body_{name}")[:] = of_body


def _override(config: ConfigDict, overrides: Mapping[str, Any]) -> None:
    known = _by_path(config.to_dict())
    for path, value in overrides.items():
        if path.partition(".")[0] in _MJX_ONLY:
            raise InvalidOverride(path, "nothing here reads this entry")
        if path not in known:
            nearest = difflib.get_close_matches(path[:200], known, n=1, cutoff=0.0)
            raise InvalidOverride(path, f"there is no such entry; did you mean {nearest[0]!r}?")
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidOverride(path, f"{value} is not finite")
        try:
            config.update_from_flattened_dict({path: value})
        except (TypeError, ValueError) as error:
            raise InvalidOverride(path, f"{value!r} is of another type than {known[path]!r}") from error


def _by_path(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, value in config.items():
        entries |= _by_path(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return entries


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
    by_lower_case = {known.lower(): known for known in (*CATEGORY, *store.ids())}
    # A long id would make the comparison slow, and no id is near it anyway.
    matches = difflib.get_close_matches(environment_id[:100].lower(), by_lower_case, n=1, cutoff=0.0)
    return by_lower_case[matches[0]]
