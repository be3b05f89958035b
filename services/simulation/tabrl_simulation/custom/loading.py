"""From a scene that is kept to an environment that is trained, exported and played like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tabrl_simulation.custom import store, timing
from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig

if TYPE_CHECKING:
    from tabrl_simulation.environments import Environment

__all__ = ["environment_of", "load"]


def load(environment_id: str, overrides: Mapping[str, Any] | None = None) -> Environment:
    """Loads the environment of an uploaded scene; a second or so for a robot with many meshes.

    Args:
        environment_id: the scene's id.
        overrides: what to change in its configuration, by path: `commands.forward_m_per_s.high`, `episode_length`, ...

    Raises:
        UnknownEnvironment: no scene of this id is kept.
        InvalidOverride: the configuration has no such field, or the value cannot be used.
    """
    from tabrl_simulation.environments import InvalidOverride, UnknownEnvironment

    if not store.exists(environment_id):
        raise UnknownEnvironment(environment_id)
    scene = store.read(environment_id)
    if not overrides:
        return environment_of(scene)
    try:
        changed = replace(scene, config=_overridden(scene.config, overrides))
        return replace(environment_of(changed), id=environment_id, overrides=dict(overrides))
    except InvalidSceneConfig as e:
        raise InvalidOverride(e.field, e.remedy) from e


def environment_of(scene: store.StoredScene) -> Environment:
    """Makes the environment of a scene.

    Raises:
        NotARobot, InvalidSceneConfig: the scene has no robot, or its configuration does not fit it.
    """
    import mujoco

    from tabrl_simulation import bundle, environments, reset
    from tabrl_simulation.custom import anatomy
    from tabrl_simulation.custom.environment import SceneEnvironment

    files = bundle.SceneFiles(timing.timed(scene.xml, scene.config), scene.assets)
    model = bundle.load_scene(files)
    playground = SceneEnvironment(model, scene.config, files=files)
    sizes = reset.sizes(playground)
    return environments.Environment(
        id=store.identify(scene),
        playground=playground,
        model=model,
        physics_steps_per_control=int(playground.n_substeps),
        control_period_secs=float(playground.dt),
        episode_length=scene.config.episode_length,
        action_repeat=1,
        action_size=playground.action_size,
        observation_size=sizes.observation,
        privileged_observation_size=sizes.privileged_observation,
        command_size=anatomy.command_size(playground.anatomy, scene.config),
        fingerprint=store.motion_digest(scene, mujoco.__version__),
    )


def _overridden(config: SceneConfig, overrides: Mapping[str, Any]) -> SceneConfig:
    values = config.to_dict()
    for path, value in overrides.items():
        *groups, name = path.split(".")
        group = values
        for given in groups:
            if not isinstance(group.get(given), dict):
                raise InvalidSceneConfig(path, f"there is no group {given!r}; there are: {', '.join(group)}")
            group = group[given]
        group[name] = value
    return SceneConfig.from_dict(values)
