"""An environment from any model: what it observes, how it acts, where episodes begin and end, and a reward of its own.

It is an environment as MuJoCo Playground has them, so whatever takes those takes this one: it reaches physics through
`mjx_env.make_data`, `mjx.forward` and `mjx_env.step` alone and reads public arrays. MJX itself is asked for nothing
until physics really runs on it, so models that MJX cannot take are simulated by MuJoCo C all the same.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict
from mujoco import mjx
from mujoco_playground._src import mjx_env
from numpy.typing import NDArray

from tabrl_simulation import taps
from tabrl_simulation.custom.anatomy import Anatomy, study
from tabrl_simulation.custom.config import Commands, Range, SceneConfig
from tabrl_simulation.custom.timing import physics_steps_per_control

if TYPE_CHECKING:
    import mujoco

    from tabrl_simulation.bundle import SceneFiles

__all__ = ["SceneEnvironment"]

_DOWN: Final = np.array([0.0, 0.0, -1.0], np.float32)
_SPEED_SCALE_M_PER_S: Final = 0.25
_TURN_SCALE_RAD_PER_S: Final = 0.4
_HEIGHT_SCALE: Final = 0.2
_POSTURE_SCALE_RAD: Final = 0.5


class _Base(NamedTuple):
    """How a floating base moves: vectors in its own frame, set upright as at home."""

    gravity: jax.Array
    linear_velocity: jax.Array
    angular_velocity: jax.Array
    height_m: jax.Array
    distance_m: jax.Array


class SceneEnvironment(mjx_env.MjxEnv):  # type: ignore[misc]  # Playground has no type hints
    """A robot in its scene, set up by a `SceneConfig`.

    `O` is the size of an observation, `A` the number of actuators. An action lies in [-1, 1]^A.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        config: SceneConfig,
        *,
        files: SceneFiles | None = None,
    ) -> None:
        """Reads the robot from the model.

        Args:
            model: the scene.
            config: its configuration.
            files: those that the model was loaded from; wanted where its scene is handed on.

        Raises:
            NotARobot: the model has no actuators, or nothing that moves.
            InvalidSceneConfig: the configuration does not fit the model.
        """
        steps = physics_steps_per_control(model, config)
        timing = {"ctrl_dt": steps * float(model.opt.timestep), "sim_dt": float(model.opt.timestep)}
        super().__init__(config_dict.ConfigDict(timing))
        self.scene_config = config
        self.anatomy: Anatomy = study(model, config)
        self._model = model
        self.scene_files = files
        self._model_assets = dict(files.assets) if files else {}

    @property
    def xml_path(self) -> str:
        """Empty: the scene is in `scene_files`."""
        return ""

    @property
    def action_size(self) -> int:
        """How many actuators there are."""
        return self.anatomy.actuators

    @property
    def mj_model(self) -> mujoco.MjModel:
        """The model."""
        return self._model

    @functools.cached_property
    def mjx_model(self) -> mjx.Model:
        """The model on MJX, put there on first use.

        Raises:
            NotImplementedError: MJX lacks something that the model needs; the message is MJX's own.
        """
        return mjx.put_model(self._model, impl="jax")

    def reset(self, rng: jax.Array) -> mjx_env.State:
        """Starts an episode near home, with a command drawn for all of it."""
        pose_key, command_key = jax.random.split(rng)
        qpos, qvel = self._start(pose_key)
        data = mjx_env.make_data(
            self._model,
            qpos=qpos,
            qvel=qvel,
            ctrl=jnp.asarray(self.anatomy.ctrl_center, jnp.float32),
            act=jnp.asarray(self.anatomy.home_act, jnp.float32),
            impl="jax",
        )
        data = mjx.forward(self._physics_model(), data)
        info = {
            "command": _drawn_command(command_key, self.scene_config.commands),
            "last_action": jnp.zeros(self.action_size),
        }
        observation = self._observe(data, info)
        zero = jnp.zeros(())
        terms = self._terms(data, info, jnp.zeros(self.action_size))
        metrics = {f"reward/{name}": zero for name in terms}
        return mjx_env.State(data, observation, zero, zero, metrics, info)

    def step(self, state: mjx_env.State, action: jax.Array) -> mjx_env.State:
        """Holds an action for one control period, then looks at the outcome."""
        anatomy = self.anatomy
        wanted = jnp.asarray(anatomy.ctrl_center, jnp.float32) + jnp.asarray(anatomy.ctrl_gain, jnp.float32) * action
        ctrl = jnp.clip(wanted, jnp.asarray(anatomy.ctrl_low, jnp.float32), jnp.asarray(anatomy.ctrl_high, jnp.float32))
        data = mjx_env.step(self._physics_model(), state.data, ctrl, self.n_substeps)
        terms = self._terms(data, state.info, action)
        info = {**state.info, "last_action": action}
        return state.replace(
            data=data,
            obs=self._observe(data, info),
            reward=functools.reduce(jnp.add, terms.values(), jnp.zeros(())),
            done=1.0 - self._goes_on(data).astype(jnp.float32),
            metrics={**state.metrics, **{f"reward/{name}": value for name, value in terms.items()}},
            info=info,
        )

    def _physics_model(self) -> mjx.Model | None:
        return None if taps.are_in_force() else self.mjx_model

    def _start(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Draws `qpos` and `qvel` near home."""
        anatomy, noise = self.anatomy, self.scene_config.reset_noise
        position_key, velocity_key, ball_key, base_key, yaw_key = jax.random.split(key, 5)
        joints = anatomy.joint_qpos.size
        qpos = jnp.asarray(anatomy.home_qpos, jnp.float32)
        qvel = jnp.zeros(self._model.nv)
        moved = qpos[anatomy.joint_qpos] + _between(position_key, noise.joint_position, joints)
        home = anatomy.home_qpos[anatomy.joint_qpos]
        # Home itself may lie beyond a limit, where a spring holds it.
        low, high = np.minimum(anatomy.joint_low, home), np.maximum(anatomy.joint_high, home)
        qpos = qpos.at[anatomy.joint_qpos].set(jnp.clip(moved, low.astype(np.float32), high.astype(np.float32)))
        qvel = qvel.at[anatomy.joint_qvel].set(_between(velocity_key, noise.joint_velocity, joints))
        balls = _spans(anatomy.ball_qvel, 3)
        qvel = qvel.at[balls].set(_between(ball_key, noise.joint_velocity, balls.size))
        if anatomy.base_qpos is None or anatomy.base_qvel is None:
            return qpos, qvel
        half = 0.5 * _between(yaw_key, noise.base_yaw_rad, 1)[0]
        turn = jnp.stack([jnp.cos(half), jnp.zeros(()), jnp.zeros(()), jnp.sin(half)])
        start = anatomy.base_qpos + 3
        qpos = qpos.at[start : start + 4].set(_product(turn, qpos[start : start + 4]))
        base = slice(anatomy.base_qvel, anatomy.base_qvel + 6)
        return qpos, qvel.at[base].set(_between(base_key, noise.base_velocity, 6))

    def _observe(self, data: mjx.Data, info: Mapping[str, jax.Array]) -> jax.Array:
        """Returns the observation, [O]; its order is that of `config.Observations`."""
        anatomy, config = self.anatomy, self.scene_config
        wants = config.observations
        parts: list[jax.Array] = []
        if anatomy.base_qpos is not None:
            base = self._base(data)
            parts += [base.gravity] * wants.base_orientation
            parts += [base.linear_velocity] * wants.base_linear_velocity
            parts += [base.angular_velocity] * wants.base_angular_velocity
        if wants.joint_positions:
            home = anatomy.home_qpos.astype(np.float32)
            positions = _span_or_indices(anatomy.joint_qpos)
            parts.append(data.qpos[positions] - home[positions])
            for start in anatomy.ball_qpos:
                ball = data.qpos[start : start + 4]
                # A quaternion and its negative are one rotation: take the one on home's side.
                side = jnp.sign(jnp.sum(ball * home[start : start + 4]))
                parts.append(side * ball - home[start : start + 4])
        if wants.joint_velocities:
            parts.append(data.qvel[_span_or_indices(anatomy.joint_qvel)])
            parts += [data.qvel[start : start + 3] for start in anatomy.ball_qvel]
        parts += [info["last_action"]] * wants.last_action
        parts += [info["command"]] * (wants.command and anatomy.base_qpos is not None)
        if wants.clock:
            angle = 2 * math.pi * config.clock_hz * data.time
            parts.append(jnp.stack([jnp.sin(angle), jnp.cos(angle)]))
        if wants.objects:
            parts += [self._object(data, qpos, qvel) for qpos, qvel in self._objects()]
        return jnp.concatenate([jnp.asarray(part, jnp.float32) for part in parts])

    def _objects(self) -> list[tuple[int, int]]:
        return list(zip(self.anatomy.object_qpos.tolist(), self.anatomy.object_qvel.tolist(), strict=True))

    def _object(self, data: mjx.Data, qpos: int, qvel: int) -> jax.Array:
        """Returns what is observed of a free body beside the base, [12]."""
        position, velocity = data.qpos[qpos : qpos + 3], data.qvel[qvel : qvel + 3]
        quaternion = data.qpos[qpos + 3 : qpos + 7]
        axes = [_turned(quaternion, axis) for axis in np.eye(3, dtype=np.float32)[:2]]
        seen = [position, *axes, velocity]
        if self.anatomy.base_qpos is not None:
            base = self.anatomy.base_qpos
            seen[0] = position - data.qpos[base : base + 3]
            seen = [self._in_base(data, vector) for vector in seen]
        return jnp.concatenate(seen)

    def _in_base(self, data: mjx.Data, vector: jax.Array) -> jax.Array:
        """Turns a vector of the world into the base's frame, set upright as at home."""
        base = self.anatomy.base_qpos
        if base is None:
            return vector
        back = data.qpos[base + 3 : base + 7] * np.array([1, -1, -1, -1], np.float32)
        return jnp.asarray(self.anatomy.upright_from_base, jnp.float32) @ _turned(back, vector)

    def _base(self, data: mjx.Data) -> _Base:
        """Returns how the base moves, in its own frame."""
        qpos, qvel = self.anatomy.base_qpos, self.anatomy.base_qvel
        if qpos is None or qvel is None:
            raise TypeError("the robot is fixed to the world")
        return _Base(
            gravity=self._in_base(data, jnp.asarray(_DOWN)),
            linear_velocity=self._in_base(data, data.qvel[qvel : qvel + 3]),
            # MuJoCo keeps the angular velocity of a free joint in the body's frame, the linear one in the world's.
            angular_velocity=jnp.asarray(self.anatomy.upright_from_base, jnp.float32) @ data.qvel[qvel + 3 : qvel + 6],
            height_m=data.qpos[qpos + 2],
            distance_m=jnp.max(jnp.abs(data.qpos[qpos : qpos + 3])),
        )

    def _goes_on(self, data: mjx.Data) -> jax.Array:
        """Returns whether the episode goes on; numbers that are not finite satisfy no comparison, so they end it."""
        rules = self.scene_config.termination
        fastest = rules.max_joint_speed or float(np.finfo(np.float32).max)
        holds = [jnp.max(jnp.abs(data.qvel)) <= fastest, jnp.sum(jnp.abs(data.qpos)) < np.inf]
        if self.anatomy.base_qpos is not None:
            base = self._base(data)
            if rules.max_tilt_rad:
                holds.append(-base.gravity[2] >= math.cos(rules.max_tilt_rad))
            if rules.min_height_fraction:
                holds.append(base.height_m >= rules.min_height_fraction * self.anatomy.home_height_m)
            if rules.max_distance_m:
                holds.append(base.distance_m <= rules.max_distance_m)
        return functools.reduce(jnp.logical_and, holds)

    def _terms(self, data: mjx.Data, info: Mapping[str, jax.Array], action: jax.Array) -> dict[str, jax.Array]:
        """Returns the terms of the environment's own reward with their weights applied; it is their sum."""
        anatomy, weights = self.anatomy, self.scene_config.reward_weights
        terms: dict[str, Any] = {"alive": self._goes_on(data).astype(jnp.float32)}
        if anatomy.base_qpos is not None:
            base = self._base(data)
            command = info["command"]
            miss = jnp.sum(jnp.square(base.linear_velocity[:2] - command[:2]))
            turn_miss = jnp.square(base.angular_velocity[2] - command[2])
            sunk = (base.height_m - anatomy.home_height_m) / (_HEIGHT_SCALE * max(abs(anatomy.home_height_m), 0.05))
            terms |= {
                "upright": 0.5 * (1.0 - base.gravity[2]),
                "height": jnp.exp(-jnp.square(sunk)),
                "track_velocity": jnp.exp(-miss / _SPEED_SCALE_M_PER_S**2 / 2),
                "track_turn": jnp.exp(-turn_miss / _TURN_SCALE_RAD_PER_S**2 / 2),
            }
        if anatomy.joint_qpos.size:
            positions = _span_or_indices(anatomy.joint_qpos)
            away = jnp.mean(jnp.square(data.qpos[positions] - anatomy.home_qpos.astype(np.float32)[positions]))
            terms["posture"] = jnp.exp(-away / _POSTURE_SCALE_RAD**2)
        terms["energy"] = jnp.sum(jnp.abs(data.qfrc_actuator * data.qvel)) / anatomy.weight_n
        terms["smoothness"] = jnp.mean(jnp.square(action - info["last_action"]))
        weighed = {name: getattr(weights, name) * value for name, value in terms.items() if getattr(weights, name)}
        return weighed or {"alive": 0.0 * terms["alive"]}


def _drawn_command(key: jax.Array, commands: Commands) -> jax.Array:
    ranges: tuple[Range, ...] = (commands.forward_m_per_s, commands.left_m_per_s, commands.turn_rad_per_s)
    low = jnp.asarray([given.low for given in ranges], jnp.float32)
    high = jnp.asarray([given.high for given in ranges], jnp.float32)
    return low + (high - low) * jax.random.uniform(key, (3,))


def _between(key: jax.Array, most: float, count: int) -> jax.Array:
    return jax.random.uniform(key, (count,), minval=-most, maxval=most)


def _spans(starts: NDArray[np.intp], width: int) -> NDArray[np.intp]:
    """Returns the addresses of `width` numbers from each start on, one after the other."""
    return (starts[:, None] + np.arange(width)).reshape(-1)


def _span_or_indices(addresses: NDArray[np.intp]) -> Any:
    """Returns addresses as a slice where they follow each other, which is cheaper to read."""
    if addresses.size and np.array_equal(addresses, np.arange(addresses[0], addresses[0] + addresses.size)):
        return slice(int(addresses[0]), int(addresses[0]) + int(addresses.size))
    return addresses


def _turned(quaternion: jax.Array, vector: jax.Array | NDArray[np.float32]) -> jax.Array:
    """Returns a vector turned by a unit quaternion: v + 2 w (u x v) + 2 u x (u x v)."""
    u = quaternion[1:]
    across = jnp.cross(u, vector)
    return jnp.asarray(vector) + 2.0 * quaternion[0] * across + 2.0 * jnp.cross(u, across)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the Hamilton product of two quaternions."""
    scalar = a[0] * b[0] - jnp.dot(a[1:], b[1:])
    vector = a[0] * b[1:] + b[0] * a[1:] + jnp.cross(a[1:], b[1:])
    return jnp.concatenate([scalar[None], vector])
