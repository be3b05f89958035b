"""What an environment has to know of a robot: its base, joints and actuators, and its pose at home.

Read from the model with MuJoCo C alone, so that describing a robot needs neither jax nor MJX.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from tabrl_simulation.custom.config import Commands, InvalidSceneConfig, Range, SceneConfig
from tabrl_simulation.keyframes import home_keyframe

if TYPE_CHECKING:
    import mujoco

__all__ = ["Anatomy", "NotARobot", "command_size", "default_config", "observation_size", "stands", "study"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_CONTROL_PERIOD_SECS: Final = 0.02
_GRAVITY_M_PER_S2: Final = 9.81
_TOUCHING_M: Final = 1e-3
_LEAST_STANDING_M: Final = 0.05
_STANDING_SLACK: Final = 0.05
_MOST_OBJECTS: Final = 8


class NotARobot(ValueError):
    """A scene has nothing that a policy could drive; the message says what is missing and what to do."""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """A robot in numbers. `J` hinges and slides, `B` ball joints, `F` free bodies beside the base.

    Attributes:
        base_qpos: where the base's free joint starts in `qpos`; None for a fixed base.
        base_qvel: where it starts in `qvel`; None for a fixed base.
        joint_qpos: addresses of hinges and slides in `qpos`, [J].
        joint_qvel: addresses of hinges and slides in `qvel`, [J].
        joint_low: lowest position, minus infinity without limits, [J].
        joint_high: highest position, infinity without limits, [J].
        ball_qpos: addresses of the quaternions of ball joints, [B].
        ball_qvel: addresses of their velocities, [B].
        object_qpos: addresses of the free joints of other bodies in `qpos`, [F].
        object_qvel: addresses of the same in `qvel`, [F].
        home_qpos: positions at home, [nq].
        home_act: activations at home, [na].
        home_height_m: height of the base at home; 0 for a fixed base.
        upright_from_base: rotation into the base's frame turned so that at home its z axis points up and its x axis
            forwards, [3, 3]; the identity for most robots.
        ctrl_center: what an action of 0 gives each actuator, [nu].
        ctrl_gain: what an action of 1 adds to that, [nu].
        ctrl_low: least control, minus infinity without limits, [nu].
        ctrl_high: most control, infinity without limits, [nu].
        mass_kg: mass of everything that moves.
    """

    base_qpos: int | None
    base_qvel: int | None
    joint_qpos: Ints
    joint_qvel: Ints
    joint_low: Floats
    joint_high: Floats
    ball_qpos: Ints
    ball_qvel: Ints
    object_qpos: Ints
    object_qvel: Ints
    home_qpos: Floats
    home_act: Floats
    home_height_m: float
    upright_from_base: Floats
    ctrl_center: Floats
    ctrl_gain: Floats
    ctrl_low: Floats
    ctrl_high: Floats
    mass_kg: float

    @property
    def weight_n(self) -> float:
        """Weight of everything that moves, in N; at least a gram's."""
        return max(self.mass_kg, 1e-3) * _GRAVITY_M_PER_S2

    @property
    def actuators(self) -> int:
        """How many actuators there are."""
        return int(self.ctrl_center.size)


def default_config(model: mujoco.MjModel) -> SceneConfig:
    """Returns the configuration that suits a model as it is.

    Raises:
        NotARobot: it has no actuators, or nothing that moves.
    """
    base = _base_joint(model)
    timestep = float(model.opt.timestep)
    period = max(1, round(_CONTROL_PERIOD_SECS / timestep)) * timestep
    config = SceneConfig(control_period_secs=period, home_keyframe=home_keyframe(model))
    if base is None:
        return config
    return replace(config, commands=Commands(forward_m_per_s=Range(low=0.0, high=0.5)))


def command_size(anatomy: Anatomy, config: SceneConfig) -> int:
    """Returns how many numbers the policy is told to follow: 3, or 0 where it is told nothing."""
    return 3 if anatomy.base_qpos is not None and config.observations.command else 0


def observation_size(anatomy: Anatomy, config: SceneConfig) -> int:
    """Returns how many numbers the policy observes."""
    wants = config.observations
    balls, objects = anatomy.ball_qpos.size, anatomy.object_qpos.size
    base = 0
    if anatomy.base_qpos is not None:
        base = 3 * (wants.base_orientation + wants.base_linear_velocity + wants.base_angular_velocity)
        base += 3 * wants.command
    return (
        base
        + wants.joint_positions * (anatomy.joint_qpos.size + 4 * balls)
        + wants.joint_velocities * (anatomy.joint_qvel.size + 3 * balls)
        + wants.objects * 12 * objects
        + wants.last_action * anatomy.actuators
        + wants.clock * 2
    )


def study(model: mujoco.MjModel, config: SceneConfig) -> Anatomy:
    """Reads a robot from its model, with home as the configuration says.

    Raises:
        NotARobot: it has no actuators, or nothing that moves.
        InvalidSceneConfig: the configuration names a keyframe or joint that is not there, or observes nothing.
    """
    import mujoco

    base = _base_joint(model)
    kinds = np.asarray(model.jnt_type)
    scalar = np.flatnonzero((kinds == int(mujoco.mjtJoint.mjJNT_HINGE)) | (kinds == int(mujoco.mjtJoint.mjJNT_SLIDE)))
    balls = np.flatnonzero(kinds == int(mujoco.mjtJoint.mjJNT_BALL))
    free = [joint for joint in np.flatnonzero(kinds == int(mujoco.mjtJoint.mjJNT_FREE)) if joint != base]
    objects = np.asarray(free[:_MOST_OBJECTS], np.intp)
    limited = np.asarray(model.jnt_limited, bool)[scalar]
    home = _home(model, config, base)
    center, gain, low, high = _control(model, config, home)
    anatomy = Anatomy(
        base_qpos=None if base is None else int(model.jnt_qposadr[base]),
        base_qvel=None if base is None else int(model.jnt_dofadr[base]),
        joint_qpos=np.asarray(model.jnt_qposadr[scalar], np.intp),
        joint_qvel=np.asarray(model.jnt_dofadr[scalar], np.intp),
        joint_low=np.where(limited, model.jnt_range[scalar, 0], -np.inf),
        joint_high=np.where(limited, model.jnt_range[scalar, 1], np.inf),
        ball_qpos=np.asarray(model.jnt_qposadr[balls], np.intp),
        ball_qvel=np.asarray(model.jnt_dofadr[balls], np.intp),
        object_qpos=np.asarray(model.jnt_qposadr[objects], np.intp),
        object_qvel=np.asarray(model.jnt_dofadr[objects], np.intp),
        home_qpos=home,
        home_act=_activations(model, center),
        upright_from_base=np.eye(3) if base is None else _upright(home[model.jnt_qposadr[base] + 3 :][:4]),
        home_height_m=0.0 if base is None else float(home[model.jnt_qposadr[base] + 2]),
        ctrl_center=center,
        ctrl_gain=gain,
        ctrl_low=low,
        ctrl_high=high,
        mass_kg=float(np.asarray(model.body_mass)[np.asarray(model.body_weldid) > 0].sum()),
    )
    if observation_size(anatomy, config) == 0:
        raise InvalidSceneConfig("observations", "the policy would observe nothing; switch a part on")
    return anatomy


def _base_joint(model: mujoco.MjModel) -> int | None:
    """Returns the free joint of the heaviest tree with an actuator; None if that tree is fixed to the world."""
    import mujoco

    if model.nu == 0:
        raise NotARobot("the scene has no actuators, so nothing that a policy could drive; add an <actuator> section")
    if model.nv == 0:
        raise NotARobot("no body of the scene can move; give the robot's bodies joints")
    roots = {int(model.body_rootid[body]) for body in _driven_bodies(model)} - {0}
    if not roots:
        return None
    mass = np.asarray(model.body_mass)
    root = max(roots, key=lambda body: (mass[np.asarray(model.body_rootid) == body].sum(), -body))
    first = int(model.body_jntadr[root])
    if first >= 0 and model.jnt_type[first] == int(mujoco.mjtJoint.mjJNT_FREE):
        return first
    return None


def _driven_bodies(model: mujoco.MjModel) -> set[int]:
    """Returns the bodies that actuators act on."""
    import mujoco

    kinds = mujoco.mjtTrn
    driven: set[int] = set()
    for kind, target in zip(model.actuator_trntype, np.asarray(model.actuator_trnid)[:, 0], strict=True):
        if kind in (int(kinds.mjTRN_JOINT), int(kinds.mjTRN_JOINTINPARENT)):
            driven.add(int(model.jnt_bodyid[target]))
        elif kind in (int(kinds.mjTRN_SITE), int(kinds.mjTRN_SLIDERCRANK)):
            driven.add(int(model.site_bodyid[target]))
        elif kind == int(kinds.mjTRN_BODY):
            driven.add(int(target))
        elif kind == int(kinds.mjTRN_TENDON):
            driven |= _bodies_of_tendon(model, int(target))
    return driven


def _bodies_of_tendon(model: mujoco.MjModel, tendon: int) -> set[int]:
    import mujoco

    start = int(model.tendon_adr[tendon])
    bodies: set[int] = set()
    for wrap in range(start, start + int(model.tendon_num[tendon])):
        kind, index = int(model.wrap_type[wrap]), int(model.wrap_objid[wrap])
        if kind == int(mujoco.mjtWrap.mjWRAP_JOINT):
            bodies.add(int(model.jnt_bodyid[index]))
        elif kind == int(mujoco.mjtWrap.mjWRAP_SITE):
            bodies.add(int(model.site_bodyid[index]))
    return bodies


def _home(model: mujoco.MjModel, config: SceneConfig, base: int | None) -> Floats:
    """Returns `qpos` at home, [nq]."""
    import mujoco

    names = [model.key(index).name for index in range(model.nkey)]
    if config.home_keyframe and config.home_keyframe not in names:
        known = ", ".join(name for name in names if name) or "none"
        message = f"there is no keyframe {config.home_keyframe!r}; there are: {known}"
        raise InvalidSceneConfig("home_keyframe", f"{message}. Leave it empty for the initial pose")
    data = mujoco.MjData(model)
    if config.home_keyframe:
        mujoco.mj_resetDataKeyframe(model, data, names.index(config.home_keyframe))
    for name, position in config.home_joints.items():
        data.qpos[_scalar_joint(model, name)] = position
    mujoco.mj_normalizeQuat(model, data.qpos)
    if base is not None:
        height = int(model.jnt_qposadr[base]) + 2
        if config.home_height_m is not None:
            data.qpos[height] = config.home_height_m
        elif config.home_joints or not config.home_keyframe:
            _stand(model, data, height)
    return np.array(data.qpos)


def _scalar_joint(model: mujoco.MjModel, name: str) -> int:
    """Returns where a hinge or slide stands in `qpos`."""
    import mujoco

    index = mujoco.mj_name2id(model, int(mujoco.mjtObj.mjOBJ_JOINT), name)
    if index < 0:
        known = ", ".join(found for found in (model.joint(i).name for i in range(model.njnt)) if found)
        raise InvalidSceneConfig(f"home_joints.{name[:100]}", f"there is no joint of that name; there are: {known}")
    if model.jnt_type[index] not in (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)):
        raise InvalidSceneConfig(f"home_joints.{name}", "only hinges and slides can be set; use a keyframe")
    return int(model.jnt_qposadr[index])


def _stand(model: mujoco.MjModel, data: mujoco.MjData, height: int) -> None:
    """Moves the base up or down until the robot just touches what is fixed; leaves it where nothing is below it."""
    import mujoco

    weld = np.asarray(model.body_weldid)

    def sinks(z: float) -> bool:
        data.qpos[height] = z
        mujoco.mj_fwdPosition(model, data)
        contact = data.contact
        if not data.ncon:
            return False
        fixed = (weld[model.geom_bodyid[contact.geom]] == 0).any(axis=1)
        return bool((fixed & (contact.dist < -_TOUCHING_M)).any())

    start = float(data.qpos[height])
    reach = 2.0 * float(model.stat.extent)
    low, high = (start, start + reach) if sinks(start) else (start - reach, start)
    if not sinks(low) or sinks(high):
        data.qpos[height] = start
        return
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if sinks(middle) else (low, middle)
    data.qpos[height] = high


def stands(model: mujoco.MjModel, robot: Anatomy) -> bool:
    """Tells whether a robot at home stands on what is fixed: a twentieth of its height lower, it would be in it."""
    import mujoco

    if robot.base_qpos is None or robot.home_height_m < _LEAST_STANDING_M:
        return False
    data = mujoco.MjData(model)
    data.qpos[:] = robot.home_qpos
    data.qpos[robot.base_qpos + 2] -= _STANDING_SLACK * robot.home_height_m
    mujoco.mj_fwdPosition(model, data)
    fixed = np.asarray(model.body_weldid)[model.geom_bodyid[data.contact.geom]] == 0
    return bool(fixed.any())


def _control(model: mujoco.MjModel, config: SceneConfig, home: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Returns centre, gain, least and most of every control, each [nu]."""
    import mujoco

    data = mujoco.MjData(model)
    data.qpos[:] = home
    mujoco.mj_forward(model, data)
    limited = np.asarray(model.actuator_ctrllimited, bool)
    low = np.where(limited, model.actuator_ctrlrange[:, 0], -np.inf)
    high = np.where(limited, model.actuator_ctrlrange[:, 1], np.inf)
    keyframe = _key_ctrl(model, config)
    center, gain = np.zeros(model.nu), np.ones(model.nu)
    for index in range(model.nu):
        if _is_position_servo(model, index):
            kp, bias = float(model.actuator_gainprm[index, 0]), float(model.actuator_biasprm[index, 1])
            held = -bias / kp * float(data.actuator_length[index])
            center[index] = np.clip(held if keyframe is None else keyframe[index], low[index], high[index])
            gain[index] = min(config.action_scale, high[index] - low[index])
        elif limited[index]:
            center[index], gain[index] = (low[index] + high[index]) / 2, (high[index] - low[index]) / 2
        else:
            gain[index] = _unlimited_gain(model, index)
    return center, gain, low, high


def _key_ctrl(model: mujoco.MjModel, config: SceneConfig) -> Floats | None:
    """Returns the controls of the keyframe that is home; None where it has none or joints are set otherwise."""
    if not config.home_keyframe or config.home_joints:
        return None
    ctrl = np.asarray(model.key(config.home_keyframe).ctrl)
    # MuJoCo has no other word for "not given".
    return ctrl if ctrl.any() else None


def _activations(model: mujoco.MjModel, center: Floats) -> Floats:
    """Returns the activations that hold the controls given, [na]; muscles and the like are at rest."""
    import mujoco

    act = np.zeros(model.na)
    follows = (int(mujoco.mjtDyn.mjDYN_FILTER), int(mujoco.mjtDyn.mjDYN_FILTEREXACT))
    for index in range(model.nu):
        if model.actuator_dyntype[index] in follows:
            act[int(model.actuator_actadr[index])] = center[index]
    return act


def _upright(quaternion: Floats) -> Floats:
    """Returns the rotation from the base's frame to that frame set upright at home, [3, 3]."""
    import mujoco

    flat = np.zeros(9)
    mujoco.mju_quat2Mat(flat, quaternion)
    world_from_base = flat.reshape(3, 3)
    up = world_from_base[2]
    for axis in (np.array([1.0, 0.0, 0.0]), world_from_base[0]):  # the base's x axis, or the world's where that is up
        forward = axis - axis @ up * up
        if np.linalg.norm(forward) > 0.5:
            break
    forward /= np.linalg.norm(forward)
    return np.stack([forward, np.cross(up, forward), up])


def _is_position_servo(model: mujoco.MjModel, index: int) -> bool:
    import mujoco

    return bool(
        model.actuator_gaintype[index] == int(mujoco.mjtGain.mjGAIN_FIXED)
        and model.actuator_biastype[index] == int(mujoco.mjtBias.mjBIAS_AFFINE)
        and model.actuator_dyntype[index] != int(mujoco.mjtDyn.mjDYN_INTEGRATOR)
        and model.actuator_gainprm[index, 0] > 0
        and model.actuator_biasprm[index, 1] < 0
    )


def _unlimited_gain(model: mujoco.MjModel, index: int) -> float:
    """Returns the control at which the actuator gives as much as it may; 1 where nothing bounds it."""
    strongest = float(np.abs(model.actuator_forcerange[index]).max()) if model.actuator_forcelimited[index] else 0.0
    per_control = abs(float(model.actuator_gainprm[index, 0]))
    return strongest / per_control if strongest > 0 and per_control > 0 else 1.0
