"""Reads an upload with MuJoCo: the scene as MuJoCo writes it, and all that is said of it. For a jailed process.

It needs MuJoCo C alone, and nothing from the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tabrl_simulation import arrays, bundle, structure
from tabrl_simulation.custom import anatomy, archive, references, timing
from tabrl_simulation.custom.archive import SceneRefused
from tabrl_simulation.custom.config import InvalidSceneConfig, SceneConfig
from tabrl_simulation.custom.store import FACTS_REVISION
from tabrl_simulation.rewards.robot import QUOTABLE

if TYPE_CHECKING:
    import mujoco

__all__ = ["Inspected", "inspect_scene", "inspect_upload"]

# Trace of a rotation by 15 degrees.
_NEARLY_UPRIGHT: Final = 2.93


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A scene as files, and what its environment is like.

    Attributes:
        xml: MJCF as MuJoCo writes it, with 17 digits.
        assets: files that the MJCF names, by path.
        config: the configuration, that of the model where none was given.
        facts: plain data for JSON: `structure` as in `structure.RobotStructure`, `arrays` by name with their shapes,
            `timing`, `observation_size`, `action_size`, `command_size`, `mujoco_version` and `revision`,
            `store.FACTS_REVISION` when it was found; and `stance` with `body` and `height_m`
            where the robot stands upright at home.
    """

    xml: str
    assets: Mapping[str, bytes]
    config: SceneConfig
    facts: Mapping[str, Any]


def inspect_upload(content: bytes, source: str, *, main: str = "", config: SceneConfig | None = None) -> Inspected:
    """Reads an upload.

    Args:
        content: a zip, or one XML file.
        source: its file name.
        main: the scene's file in the zip; empty to find it.
        config: of the environment; None for what suits the model.

    Raises:
        SceneRefused: it cannot become an environment; the error says why, and where.
        InvalidSceneConfig: the configuration does not fit the model.
    """
    import mujoco

    files = archive.open_upload(content, source)
    main = references.find_main(files, main)
    name = main.rpartition("/")[2]
    files = archive.main_folder(files, main)
    references.check_references(files, name)
    files = references.with_names_of_their_own(files, name)
    try:
        text = files[name].decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise SceneRefused("XML_INVALID", "it is not UTF-8; save it as that", name) from e
    try:
        spec = mujoco.MjSpec.from_string(text, include=files, assets=files)
        model = spec.compile()
        config = config or anatomy.default_config(model)
        anatomy.study(model, config)
        scene = bundle.scene_of_spec(spec, model, files)
        facts = inspect_scene(scene.xml, scene.assets, config)
    except anatomy.NotARobot as e:
        raise SceneRefused("NOT_A_ROBOT", str(e), name) from e
    except bundle.BundleError as e:
        raise SceneRefused("SCENE_NOT_WRITABLE", f"MuJoCo cannot write this model as MJCF again: {e}", name) from e
    except InvalidSceneConfig:
        raise
    except (ValueError, mujoco.FatalError) as e:
        raise SceneRefused("MUJOCO_REFUSED", _said(e), name, _line(str(e))) from e
    return Inspected(xml=scene.xml, assets=scene.assets, config=config, facts=facts)


def inspect_scene(xml: str, assets: Mapping[str, bytes], config: SceneConfig) -> Mapping[str, Any]:
    """Returns the facts (see `Inspected`) of a scene that was inspected before, with a configuration.

    Raises:
        InvalidSceneConfig: the configuration does not fit the model.
    """
    return _facts(bundle.load_scene(bundle.SceneFiles(xml, assets)), config)


def _facts(model: mujoco.MjModel, config: SceneConfig) -> dict[str, Any]:
    import mujoco

    robot = anatomy.study(model, config)
    steps = timing.physics_steps_per_control(model, config)
    timestep = config.physics_timestep_secs or float(model.opt.timestep)
    described = asdict(structure.describe(model))
    for joint in described["joints"]:
        joint["type"] = joint["type"].name
    return {
        "structure": described,
        "arrays": {name: list(shape) for name, shape in arrays.shapes(model).items()},
        "timing": {
            "physics_timestep_secs": timestep,
            "control_period_secs": steps * timestep,
            "physics_steps_per_control": steps,
            "episode_length": config.episode_length,
            "action_repeat": 1,
        },
        "observation_size": anatomy.observation_size(robot, config),
        "action_size": robot.actuators,
        "command_size": anatomy.command_size(robot, config),
        "mujoco_version": mujoco.__version__,
        "revision": FACTS_REVISION,
        **_stance(model, robot),
    }


def _stance(model: mujoco.MjModel, robot: anatomy.Anatomy) -> dict[str, Any]:
    """Returns which body stands how high at home; nothing where none stands with its z axis up and its x axis ahead."""
    if not anatomy.stands(model, robot) or np.trace(robot.upright_from_base) < _NEARLY_UPRIGHT:
        return {}
    joint = int(np.flatnonzero(np.asarray(model.jnt_qposadr) == robot.base_qpos)[0])
    body = model.body(int(model.jnt_bodyid[joint])).name
    # A reward has to say its name.
    return {"stance": {"body": body, "height_m": robot.home_height_m}} if QUOTABLE.fullmatch(body) else {}


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:1000]


def _line(text: str) -> int:
    """Returns the line that MuJoCo names; 0 where it names none."""
    _, found, rest = text.rpartition(", line ")
    digits = rest.split(",")[0].split()[:1] if found else []
    return int(digits[0]) if digits and digits[0].isdigit() else 0
